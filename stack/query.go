package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

const (
	stacksListMax = 20_000
	accountsMax   = 10_000
)

// accountKey marks an account that has had a stack: Resume begins there.
func accountKey(region, account string) []byte {
	return tuple.Key("rouse", region, room, "account", account)
}

func (s *Stacks) accounts(ctx context.Context) (out []string, err error) {
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		for p, err := range v.Scan(tuple.Prefix("rouse", s.cfg.Region, room, "account"), accountsMax) {
			if err != nil {
				return err
			}
			key, err := tuple.Parse(p.Key)
			if err != nil {
				return err
			}
			out = append(out, key[len(key)-1].(string))
		}
		return nil
	})
	return out, err
}

// all reads every stack of an account, deleted ones too, the newest first.
func (s *Stacks) all(ctx context.Context, account string) (out []*stackRecord, err error) {
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		for p, err := range v.Scan(s.under(account, "stack"), stacksListMax) {
			if err != nil {
				return err
			}
			st := &stackRecord{}
			if err := decode(p.Value, st); err != nil {
				return err
			}
			out = append(out, st)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b *stackRecord) int { return b.Created.Compare(a.Created) })
	return out, err
}

// Stack reads a stack by name or id. A deleted stack is found by its id only.
func (s *Stacks) Stack(ctx context.Context, account, name string) (Stack, error) {
	st, err := s.read(ctx, account, name)
	if err != nil {
		return Stack{}, err
	}
	return st.Stack, nil
}

func (s *Stacks) read(ctx context.Context, account, name string) (st *stackRecord, err error) {
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		st, err = s.load(v, account, name)
		return err
	})
	return st, err
}

// Stacks lists the stacks of an account, deleted ones too, the newest first.
func (s *Stacks) Stacks(ctx context.Context, account string) ([]Stack, error) {
	list, err := s.all(ctx, account)
	out := make([]Stack, len(list))
	for i, st := range list {
		out[i] = st.Stack
	}
	return out, err
}

// Events lists what happened to a stack, the newest first, at most limit; before is the id of the last event of the
// page before, or "".
func (s *Stacks) Events(ctx context.Context, account, name, before string, limit int) (out []Event, err error) {
	st, err := s.read(ctx, account, name)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.View(ctx, func(v kv.View) error {
		out = out[:0]
		all := s.under(account, "event", uid(st.ID))
		all.Reverse = true
		skipping := before != ""
		for p, err := range v.Scan(all, stacksListMax) {
			if err != nil {
				return err
			}
			var e Event
			if err := decode(p.Value, &e); err != nil {
				return err
			}
			if !skipping {
				out = append(out, e)
			}
			skipping = skipping && e.ID != before
			if len(out) == limit {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// Resources lists the resources of a stack by logical id.
func (s *Stacks) Resources(ctx context.Context, account, name string) ([]Resource, error) {
	st, err := s.read(ctx, account, name)
	if err != nil {
		return nil, err
	}
	records, err := s.resources(ctx, st)
	out := make([]Resource, 0, len(records))
	for _, r := range records {
		out = append(out, r.shown(&st.Stack))
	}
	slices.SortFunc(out, func(a, b Resource) int { return strings.Compare(a.LogicalID, b.LogicalID) })
	return out, err
}

// Owner finds the stack that holds a physical resource.
func (s *Stacks) Owner(ctx context.Context, account, physical string) (string, error) {
	list, err := s.all(ctx, account)
	if err != nil {
		return "", err
	}
	for _, st := range list {
		if st.Status == DeleteComplete {
			continue
		}
		records, err := s.resources(ctx, st)
		if err != nil {
			return "", err
		}
		for _, r := range records {
			if r.Now.PhysicalID == physical {
				return st.ID, nil
			}
		}
	}
	return "", rouse.Errorf(rouse.NotFound, "Stack for %s does not exist", physical).WithCode("ValidationError")
}

// Template is the template that a stack was made from: as it was sent, or with its serverless resources expanded, as
// JSON.
func (s *Stacks) Template(ctx context.Context, account, name string, processed bool) (string, error) {
	st, err := s.read(ctx, account, name)
	if err != nil {
		return "", err
	}
	src, err := s.source(ctx, st)
	if err != nil || !processed {
		return src.Text, err
	}
	t, err := parse(ctx, src, s.cfg.Fetch)
	if err != nil {
		return "", err
	}
	given := map[string]string{}
	for _, p := range st.Parameters {
		given[p.Name], _ = st.value(p.Name)
	}
	out, _, err := s.transform(t, given)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(out.Tree())
	return string(b), err
}

// Imports lists the names of the stacks that use an export.
func (s *Stacks) Imports(ctx context.Context, account, export string) ([]string, error) {
	all, err := s.Exports(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.Name == export {
			if len(e.Importers) == 0 {
				return nil, rouse.Errorf(rouse.Invalid, "Export '%s' is not imported by any stack.",
					export).WithCode("ValidationError")
			}
			return stackNames(e.Importers), nil
		}
	}
	return nil, rouse.Errorf(rouse.Invalid, "No export named %s found", export).WithCode("ValidationError")
}

// forget removes a stack that was deleted long ago with all that is known of it.
func (s *Stacks) forget(ctx context.Context, st *stackRecord) error {
	for _, kind := range []string{"event", "resource", "source", "changeset", "changesource"} {
		for {
			var keys [][]byte
			err := s.cfg.Store.View(ctx, func(v kv.View) error {
				keys = keys[:0]
				for p, err := range v.Scan(s.under(st.Account, kind, uid(st.ID)), 1000) {
					if err != nil {
						return err
					}
					keys = append(keys, p.Key)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("forget stack: %w", err)
			}
			if len(keys) == 0 {
				break
			}
			if err := s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
				for _, k := range keys {
					tx.Delete(k)
				}
				return nil
			}); err != nil {
				return fmt.Errorf("forget stack: %w", err)
			}
		}
	}
	return s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		tx.Delete(s.key(st.Account, "stack", tuple.Hashed(st.ID, 300)))
		return nil
	})
}
