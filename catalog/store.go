package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Kinds of things that change, and parts of them: they are written into keys.
const (
	kindFunction = "fn"
	kindLayer    = "layer"

	partHead    = "head"
	partVersion = "version"
	partAlias   = "alias"
	partPolicy  = "policy"
	partURL     = "url"
	partEvent   = "event"
)

// head is the record that every change of a function reads and writes.
type head struct {
	Latest     Version  // $LATEST as asked for
	Running    *Version `json:",omitempty"` // what runs while Latest is being prepared
	Next       uint64   // number of the next published version
	Publishing uint64   `json:",omitempty"` // the version that shares the fate of Latest's preparation
	Reserved   *int     `json:",omitempty"`
	Held       int      `json:",omitempty"` // archives that the published versions hold

	Tags     map[string]string `json:",omitempty"`
	Versions []uint64          `json:",omitempty"` // ascending
	Aliases  []string          `json:",omitempty"` // parts, by alias name or qualifier, in order of creation
	Policies []string          `json:",omitempty"`
	URLs     []string          `json:",omitempty"`
	Events   []string          `json:",omitempty"`
}

// room says whether one more part fits. Each may be two keys of the transaction that deletes the function, which has
// kv.TxKeysMax.
func (h *head) room() error {
	parts := len(h.Versions) + h.Held + len(h.Aliases) + len(h.Policies) + len(h.URLs) + len(h.Events)
	if parts >= PartsMax {
		return rouse.Errorf(rouse.Limit, "Rouse keeps at most %d aliases, policies, URLs, event configurations, versions and "+
			"archives of these of one function", PartsMax).WithCode("InvalidParameterValueException")
	}
	return nil
}

// totals of an account.
type totals struct {
	Functions int64
	CodeBytes int64
	Reserved  int
}

// change says whose record was written.
type change struct {
	Kind    string
	Account string
	Name    string
}

func (c *Catalog) key(account string, parts ...any) []byte {
	return tuple.Append(tuple.Key(account, c.cfg.Region, "catalog"), parts...)
}

// global is a key that belongs to no account.
func (c *Catalog) global(parts ...any) []byte { return c.key("", parts...) }

func (c *Catalog) functionKey(n name, parts ...any) []byte {
	return tuple.Append(c.key(n.account, kindFunction, n.name), parts...)
}

func (c *Catalog) layerKey(n name, parts ...any) []byte {
	return tuple.Append(c.key(n.account, kindLayer, n.name), parts...)
}

func (c *Catalog) accountKey(account string) []byte { return c.global("account", account) }
func (c *Catalog) sequenceKey() []byte              { return c.global("seq") }
func (c *Catalog) changeKey(seq uint64) []byte      { return c.global("change", seq) }
func (c *Catalog) topic() []byte                    { return c.global("changed") }

// getter is what View and Tx share.
type getter interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

// read decodes the record at key into v; ok is false when there is none.
func read(g getter, key []byte, v any) (ok bool, err error) {
	b, ok, err := g.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("catalog: decode record: %w", err)
	}
	return true, nil
}

// write encodes v at key.
func write(tx kv.Tx, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("catalog: encode record: %w", err)
	}
	tx.Set(key, b)
	return nil
}

// errUnchanged ends an update that found nothing to change.
var errUnchanged = errors.New("catalog: nothing to change")

// update runs fn in a transaction, announces the change of ch, and returns when this node's shelf shows it.
func (c *Catalog) update(ctx context.Context, ch change, fn func(tx kv.Tx) error) error {
	var seq uint64
	err := c.store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		var err error
		seq, err = c.announce(tx, ch)
		return err
	})
	switch {
	case errors.Is(err, errUnchanged):
		return nil
	case errors.Is(err, kv.ErrConflict):
		return conflict("The operation cannot be performed at this time because of concurrent changes. Please try again.")
	case errors.Is(err, kv.ErrTooLarge):
		return rouse.Errorf(rouse.Limit, "The configuration is too large: %w", err).WithCode("InvalidParameterValueException")
	case err != nil:
		return err
	}
	// The change is durable, and that is what the answer says. Should reading it back fail, Run tries again.
	if err := c.follow(context.WithoutCancel(ctx), seq); err != nil {
		c.cfg.Logger.Error("the catalog cannot read its own change", "err", err)
	}
	return nil
}

// updateFunction runs fn on the function's head and writes it back.
func (c *Catalog) updateFunction(ctx context.Context, r Ref, fn func(tx kv.Tx, h *head) error) error {
	n := r.name()
	return c.update(ctx, change{kindFunction, n.account, n.name}, func(tx kv.Tx) error {
		h, err := c.readHead(tx, n)
		if err != nil {
			return err
		}
		if h == nil {
			return notFound(c.ARN(r))
		}
		if err := fn(tx, h); err != nil {
			return err
		}
		return write(tx, c.functionKey(n, partHead), h)
	})
}

// readHead answers nil when there is no such function.
func (c *Catalog) readHead(g getter, n name) (*head, error) {
	h := &head{}
	ok, err := read(g, c.functionKey(n, partHead), h)
	if err != nil || !ok {
		return nil, err
	}
	return h, nil
}

// announce writes the change under the next number, forgets the one that is historyMax older, and wakes the other nodes.
func (c *Catalog) announce(tx kv.Tx, ch change) (uint64, error) {
	var seq uint64
	if _, err := read(tx, c.sequenceKey(), &seq); err != nil {
		return 0, err
	}
	seq++
	if seq > historyMax {
		tx.Delete(c.changeKey(seq - historyMax))
	}
	if err := errors.Join(write(tx, c.sequenceKey(), seq), write(tx, c.changeKey(seq), ch)); err != nil {
		return 0, err
	}
	tx.Wake(c.topic())
	return seq, nil
}

// total changes the account's totals; f may refuse.
func (c *Catalog) total(tx kv.Tx, account string, f func(t *totals) error) error {
	var t totals
	if _, err := read(tx, c.accountKey(account), &t); err != nil {
		return err
	}
	if err := f(&t); err != nil {
		return err
	}
	return write(tx, c.accountKey(account), t)
}

// next answers the number that the first version of a new function or layer gets: more than 1 when one of that name
// existed before.
func (c *Catalog) next(tx kv.Tx, kind string, n name) (uint64, error) {
	number := uint64(1)
	_, err := read(tx, c.key(n.account, "next", kind, n.name), &number)
	return number, err
}

// retire remembers the numbers that were given.
func (c *Catalog) retire(tx kv.Tx, kind string, n name, next uint64) error {
	if next <= 1 {
		return nil
	}
	return write(tx, c.key(n.account, "next", kind, n.name), next)
}

// with adds s to the list, without drops it.
func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(t string) bool { return t == s })
}

// compareQualifiers orders parts: the function itself first.
func compareQualifiers(a, b string) int { return strings.Compare(a, b) }
