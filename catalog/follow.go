package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

const (
	historyMax = 1024 // changes kept for nodes to follow; further behind, all is read anew
	pageMax    = 500  // records of one page of a full reading
	followMax  = 30 * time.Second
)

// follow reads on in the sequence of changes until the shelf shows change atLeast, or with 0 until its present end.
func (c *Catalog) follow(ctx context.Context, atLeast uint64) error {
	ctx, cancel := context.WithTimeout(ctx, followMax)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if atLeast != 0 && c.seen >= atLeast {
		return nil // whoever had the turn before has read this change too
	}
	var behind bool
	err := c.store.View(ctx, func(v kv.View) error {
		end, changes, err := c.changes(v)
		if err != nil {
			return err
		}
		if behind = changes == nil && end != c.seen; behind {
			return nil
		}
		return c.apply(v, end, changes)
	})
	if err != nil || !behind {
		return err
	}
	return c.readAll(ctx)
}

// changes answers what changed since c.seen, each thing once, and the number of the last change. nil with another end than
// c.seen means that some of them are forgotten already, or that the store has lost some: a server that took over from another
// may not have what nobody was told to be done.
func (c *Catalog) changes(v kv.View) (end uint64, changes map[change]bool, err error) {
	if _, err := read(v, c.sequenceKey(), &end); err != nil {
		return 0, nil, err
	}
	if end == c.seen || c.seen == 0 || end < c.seen || end-c.seen >= historyMax {
		return end, nil, nil
	}
	keys := make([][]byte, 0, end-c.seen)
	for seq := c.seen + 1; seq <= end; seq++ {
		keys = append(keys, c.changeKey(seq))
	}
	values, err := v.GetAll(keys)
	if err != nil {
		return 0, nil, err
	}
	changes = map[change]bool{}
	for _, b := range values {
		var ch change
		if b == nil {
			return end, nil, nil
		}
		if err := json.Unmarshal(b, &ch); err != nil {
			return 0, nil, fmt.Errorf("catalog: decode change: %w", err)
		}
		changes[ch] = true
	}
	return end, changes, nil
}

// apply puts what changed on the shelf. All of it is read before any of it is shown, so an error shows nothing.
func (c *Catalog) apply(v kv.View, end uint64, changes map[change]bool) error {
	show := make([]func(), 0, len(changes))
	for ch := range changes {
		n := name{ch.Account, ch.Name}
		var t totals
		if _, err := read(v, c.accountKey(ch.Account), &t); err != nil {
			return err
		}
		show = append(show, func() { c.accounts.set(ch.Account, t, true) })
		pairs, err := all(v, tuple.Prefix(ch.Account, c.cfg.Region, "catalog", ch.Kind, ch.Name))
		if err != nil {
			return err
		}
		switch ch.Kind {
		case kindFunction:
			f, err := c.buildFunction(n, pairs)
			if err != nil {
				return err
			}
			show = append(show, func() { c.showFunction(n, f) })
		case kindLayer:
			l, err := c.buildLayer(n, pairs)
			if err != nil {
				return err
			}
			show = append(show, func() { c.layers.set(n, l, l != nil) })
		}
	}
	for _, f := range show {
		f()
	}
	c.seen = end
	return nil
}

func all(v kv.View, r kv.Range) ([]kv.Pair, error) {
	var pairs []kv.Pair
	for p, err := range v.Scan(r, 2*PartsMax) {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// showFunction replaces a function, nil for one that is gone, and keeps the URLs in step.
func (c *Catalog) showFunction(n name, f *function) {
	if old, ok := c.functions.get(n); ok {
		for _, u := range old.urls {
			if f == nil || !slices.ContainsFunc(f.urls, func(w *URL) bool { return w.ID == u.ID }) {
				c.urls.set(u.ID, nil, false)
			}
		}
	}
	c.functions.set(n, f, f != nil)
	if f == nil {
		return
	}
	for _, u := range f.urls {
		c.urls.set(u.ID, u, true)
	}
	c.noticePending(f)
}

// readAll fills the shelf from the start, page by page: one View would hold its snapshot for too long. What changes while
// it reads is read again by the next follow, because the number it goes on from was taken before.
func (c *Catalog) readAll(ctx context.Context) error {
	var start uint64
	accounts := map[string]totals{}
	err := c.store.View(ctx, func(v kv.View) error {
		clear(accounts)
		if _, err := read(v, c.sequenceKey(), &start); err != nil {
			return err
		}
		for p, err := range v.Scan(tuple.Prefix("", c.cfg.Region, "catalog", "account"), 1<<20) {
			if err != nil {
				return err
			}
			parts, err := tuple.Parse(p.Key)
			if err != nil {
				return err
			}
			var t totals
			if err := json.Unmarshal(p.Value, &t); err != nil {
				return fmt.Errorf("catalog: decode totals: %w", err)
			}
			accounts[parts[len(parts)-1].(string)] = t
		}
		return nil
	})
	if err != nil {
		return err
	}
	found := map[change]bool{}
	for account, t := range accounts {
		c.accounts.set(account, t, true)
		for _, kind := range []string{kindFunction, kindLayer} {
			if err := c.readKind(ctx, account, kind, found); err != nil {
				return err
			}
		}
	}
	for n := range c.functions.all {
		if !found[change{kindFunction, n.account, n.name}] {
			c.showFunction(n, nil)
		}
	}
	for n := range c.layers.all {
		if !found[change{kindLayer, n.account, n.name}] {
			c.layers.set(n, nil, false)
		}
	}
	c.seen = start
	return nil
}

// readKind shows all functions or layers of an account and notes them in found.
func (c *Catalog) readKind(ctx context.Context, account, kind string, found map[change]bool) error {
	prefix := tuple.Prefix(account, c.cfg.Region, "catalog", kind)
	for next := prefix; ; {
		var pairs []kv.Pair
		err := c.store.View(ctx, func(v kv.View) error {
			pairs = pairs[:0]
			for p, err := range v.Scan(next, pageMax) {
				if err != nil {
					return err
				}
				pairs = append(pairs, p)
			}
			if len(pairs) < pageMax {
				return nil
			}
			// The last one may go on beyond the page: read it whole.
			n, err := nameOf(pairs[len(pairs)-1].Key)
			if err != nil {
				return err
			}
			for len(pairs) > 0 {
				if m, err := nameOf(pairs[len(pairs)-1].Key); err != nil || m != n {
					break
				}
				pairs = pairs[:len(pairs)-1]
			}
			rest, err := all(v, tuple.Prefix(account, c.cfg.Region, "catalog", kind, n))
			pairs = append(pairs, rest...)
			return err
		})
		if err != nil {
			return err
		}
		if len(pairs) == 0 {
			return nil
		}
		if err := c.showPairs(account, kind, pairs, found); err != nil {
			return err
		}
		next.From = tuple.After(pairs[len(pairs)-1].Key)
	}
}

func (c *Catalog) showPairs(account, kind string, pairs []kv.Pair, found map[change]bool) error {
	for len(pairs) > 0 {
		s, err := nameOf(pairs[0].Key)
		if err != nil {
			return err
		}
		end := 1
		for end < len(pairs) {
			if t, err := nameOf(pairs[end].Key); err != nil || t != s {
				break
			}
			end++
		}
		n := name{account, s}
		if kind == kindFunction {
			f, err := c.buildFunction(n, pairs[:end])
			if err != nil {
				return err
			}
			c.showFunction(n, f)
		} else {
			l, err := c.buildLayer(n, pairs[:end])
			if err != nil {
				return err
			}
			c.layers.set(n, l, l != nil)
		}
		found[change{kind, account, s}] = true
		pairs = pairs[end:]
	}
	return nil
}

// nameOf is the function's or layer's name in a key of one of its records.
func nameOf(key []byte) (string, error) {
	parts, err := tuple.Parse(key)
	if err != nil {
		return "", err
	}
	if len(parts) > 4 {
		if s, ok := parts[4].(string); ok {
			return s, nil
		}
	}
	return "", fmt.Errorf("catalog: %q is not a key of a function or layer", key)
}

// buildFunction makes the shelf's entry of all records of a function; nil when there are none.
func (c *Catalog) buildFunction(n name, pairs []kv.Pair) (*function, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	f := &function{name: n}
	var h head
	for _, p := range pairs {
		parts, err := tuple.Parse(p.Key)
		if err != nil || len(parts) < 6 {
			return nil, fmt.Errorf("catalog: decode key: %w", err)
		}
		switch parts[5] {
		case partHead:
			err = json.Unmarshal(p.Value, &h)
		case partVersion:
			f.versions, err = appendRecord(f.versions, p.Value)
		case partAlias:
			f.aliases, err = appendRecord(f.aliases, p.Value)
		case partPolicy:
			f.policies, err = appendRecord(f.policies, p.Value)
		case partURL:
			f.urls, err = appendRecord(f.urls, p.Value)
		case partEvent:
			f.events, err = appendRecord(f.events, p.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("catalog: decode %v of function %s: %w", parts[5], n.name, err)
		}
	}
	if h.Latest.Number == "" {
		return nil, fmt.Errorf("catalog: function %s has records but no head", n.name)
	}
	f.reserved, f.tags = h.Reserved, h.Tags
	latest := h.Latest
	f.asked, f.running = &latest, &latest
	if h.Running != nil {
		f.running = h.Running
	}
	for _, v := range append([]*Version{f.asked, f.running}, f.versions...) {
		v.Account, v.Name, v.ARN = n.account, n.name, c.arn(n, v.Number)
		v.Reserved, v.Tags = h.Reserved, h.Tags
	}
	for _, a := range f.aliases {
		a.Account, a.Function = n.account, n.name
	}
	for _, u := range f.urls {
		u.Function = c.arn(n, u.Qualifier)
	}
	for _, e := range f.events {
		q := e.Qualifier
		if q == "" {
			q = Latest
		}
		e.Function = c.arn(n, q)
	}
	slices.SortFunc(f.aliases, func(a, b *Alias) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(f.versions, func(a, b *Version) int {
		m, _ := strconv.ParseUint(a.Number, 10, 64)
		n, _ := strconv.ParseUint(b.Number, 10, 64)
		return int(int64(m) - int64(n))
	})
	return f, nil
}

func appendRecord[T any](list []*T, b []byte) ([]*T, error) {
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return list, err
	}
	return append(list, v), nil
}
