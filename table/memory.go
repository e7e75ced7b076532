package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/cache"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/tally"
)

// ground is where the items of a table are: the store, or for a cache table memory.
type ground interface {
	View(ctx context.Context, fn func(kv.View) error) error
	Update(ctx context.Context, fn func(kv.Tx) error) error
	Claim(ctx context.Context, r kv.Range, limit int, fn func(kv.Tx, []kv.Pair) error) ([]kv.Pair, error)
	Now() time.Time
}

// caches is the cache tables that this node has used, by number.
type caches struct {
	budget *cache.Budget // of all
	mu     sync.Mutex
	m      map[uint64]*memory // guarded by mu
}

// memory is the items of one cache table.
type memory struct {
	*cache.Store
	account, name string
	shape         string // what index entries and expiry depend on
}

// cached reports whether the table is in memory, where its head is not.
func (s *handle) cached() bool { return s.CacheBytes > 0 }

// skipHead is how many of the keys (head, item) are not in the table's ground.
func (s *handle) skipHead() int {
	if s.cached() {
		return 1
	}
	return 0
}

// shape names what the entries of a cache table depend on. When it changes the table starts empty: to find the entries of
// what is there already would take longer than to be filled anew.
func (s *handle) shape() string {
	shape := fmt.Sprint(s.CacheBytes, "/", s.TTL.On(), "/", s.TTL.Attribute)
	for i := range s.Indexes {
		shape += fmt.Sprint("/", s.Indexes[i].Number)
	}
	return shape
}

func (c *caches) init(maxBytes int64) {
	c.budget, c.m = cache.NewBudget(maxBytes), map[uint64]*memory{}
}

// of is the ground of a cache table.
func (c *caches) of(t *Tables, s *handle) ground {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.m[s.Number]
	if m != nil && m.shape == s.shape() {
		return m
	}
	if m != nil {
		m.Close()
	}
	s.gains.Reset()
	m = &memory{account: s.account, name: s.Name, shape: s.shape()}
	m.Store = cache.New(cache.Config{
		MaxBytes: s.CacheBytes,
		Now:      t.cfg.Store.Now,
		Budget:   c.budget,
		Owner:    s.owns,
		Evict:    func(key, value []byte) [][]byte { return s.evict(t, key, value) },
	})
	c.m[s.Number] = m
	return m
}

// drop forgets a table.
func (c *caches) drop(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.m[number]; m != nil {
		m.Close()
		delete(c.m, number)
	}
}

func (c *caches) all() []*memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*memory, 0, len(c.m))
	for _, m := range c.m {
		list = append(list, m)
	}
	return list
}

// owns says of a key in memory whether it is an item's.
func (s *handle) owns(key []byte) bool {
	return len(key) > len(s.ItemPrefix) && string(key[:len(s.ItemPrefix)]) == string(s.ItemPrefix)
}

// evict finds what goes with an item that is forgotten.
func (s *handle) evict(t *Tables, key, value []byte) (also [][]byte) {
	it, err := item.Decode(value)
	if err != nil {
		return nil
	}
	e := &effect{plan: &plan{s: s, key: key}, had: true, old: it, oldSize: it.Size()}
	for i := range s.Indexes {
		x := &s.Indexes[i]
		if was := s.EntryOf(x, it); was.Item != nil {
			also = append(also, was.Key)
			e.entries = append(e.entries, delta{x.Number, tally.Sum{Items: -1, Bytes: -int64(was.Item.Size())}})
		}
	}
	if second, ok := s.Expiry(it); ok && s.TTL.On() {
		also = append(also, t.at.Due(second, s.Number, s.rest(key)))
	}
	e.count()
	if f := t.cfg.Moments.Evicted; f != nil {
		f(s.account, s.Name, 1)
	}
	return also
}

// sweepCaches removes expired items from the cache tables of this node, and forgets tables that another node has dropped.
func (t *Tables) sweepCaches(ctx context.Context) error {
	var errs []error
	for _, m := range t.caches.all() {
		s, err := t.fresh(ctx, m.account, m.name)
		switch {
		case rouse.KindOf(err) == rouse.NotFound, err == nil && s.store != ground(m):
			if current := t.handles.get(m.account, m.name); current == nil || current.store != ground(m) {
				t.caches.dropIf(m)
			}
		case err != nil:
			errs = append(errs, err)
		case s.TTL.On():
			errs = append(errs, t.sweepExpired(ctx, m, func(_ kv.Tx, numbers map[uint64]bool) (map[uint64]*handle, error) {
				return map[uint64]*handle{s.Number: s}, nil
			}))
		}
	}
	return errors.Join(errs...)
}

// dropIf forgets m unless another has taken its place.
func (c *caches) dropIf(m *memory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number, o := range c.m {
		if o == m {
			m.Close()
			delete(c.m, number)
		}
	}
}

// noneCached refuses what cannot be done with tables in memory.
func noneCached(schemas map[string]*handle) error {
	for _, s := range schemas {
		if s.cached() {
			return rouse.Errorf(rouse.Unsupported, "Rouse does not implement transactions of cache tables")
		}
	}
	return nil
}
