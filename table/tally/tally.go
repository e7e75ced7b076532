// Package tally counts the items and bytes of tables without making a key of the store hot.
//
// Counting in the transactions of the items would make all writers of a table write one key. So each node counts what it
// has committed, by table and by index, and adds its gains to the sums in the store every few seconds: many writes become
// one. A sum is therefore a few seconds behind; what is read on a node contains what that node has not yet reported. After
// a crash the gains that were not reported are lost, and the sum stays off by so much. DynamoDB itself promises its counts
// every six hours or so; nothing may depend on them.
//
// Everything here is safe for concurrent use. Reading the sums, and deleting them with their table, is the caller's.
package tally

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rouse-dev/rouse/kv"
)

// Sum is items and bytes.
type Sum struct {
	Items int64 `json:"items"`
	Bytes int64 `json:"bytes"`
}

// Sums are those of a table by the numbers of its indexes; 0 is the table itself.
type Sums map[uint32]Sum

// Decode reads sums as they are stored; nil is none.
func Decode(value []byte) (Sums, error) {
	sums := Sums{}
	if value == nil {
		return sums, nil
	}
	if err := json.Unmarshal(value, &sums); err != nil {
		return nil, fmt.Errorf("tally: %w", err)
	}
	return sums, nil
}

// Gains is what a table has gained since it was last reported.
type Gains struct {
	mu    sync.Mutex
	sums  Sums // guarded by mu
	local bool // guarded by mu: never reported, because the items are of this node alone
}

// Add counts what was committed: items and bytes of the table and of its indexes.
func (g *Gains) Add(index uint32, s Sum) {
	if s == (Sum{}) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sums == nil {
		g.sums = Sums{}
	}
	was := g.sums[index]
	g.sums[index] = Sum{was.Items + s.Items, was.Bytes + s.Bytes}
}

// Now is what was gained and not reported.
func (g *Gains) Now() Sums {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.sums)
}

// Reset forgets all, and counts for this node alone from now on.
func (g *Gains) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sums, g.local = nil, true
}

// take answers with what is to be reported, and forgets it.
func (g *Gains) take() Sums {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.local {
		return nil
	}
	s := g.sums
	g.sums = nil
	return s
}

// Book is the gains of all tables by number.
type Book struct {
	mu sync.Mutex
	m  map[uint64]*Gains // guarded by mu
}

// Of are the gains of a table.
func (b *Book) Of(number uint64) *Gains {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.m[number]
	if g == nil {
		if b.m == nil {
			b.m = map[uint64]*Gains{}
		}
		g = &Gains{}
		b.m[number] = g
	}
	return g
}

// Forget forgets a table.
func (b *Book) Forget(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.m, number)
}

func (b *Book) numbers() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.m))
}

// Report adds all gains to the sums in the store. keys are where the sums of a table are, and what is there as long as
// there is the table.
func (b *Book) Report(ctx context.Context, store kv.Store, keys func(number uint64) (sums, alive []byte)) error {
	for _, number := range b.numbers() {
		g := b.Of(number)
		gains := g.take()
		if len(gains) == 0 {
			continue
		}
		sumsKey, alive := keys(number)
		err := store.Update(ctx, func(tx kv.Tx) error {
			values, err := tx.GetAll([][]byte{alive, sumsKey})
			if err != nil || values[0] == nil {
				return err
			}
			return gains.addTo(tx, sumsKey, values[1])
		})
		if err != nil {
			for index, s := range gains {
				g.Add(index, s)
			}
			return fmt.Errorf("report tallies: %w", err)
		}
	}
	return nil
}

// addTo adds s to the sums that are stored.
func (s Sums) addTo(tx kv.Tx, key, value []byte) error {
	sums, err := Decode(value)
	if err != nil {
		return err
	}
	for index, more := range s {
		was := sums[index]
		sums[index] = Sum{was.Items + more.Items, was.Bytes + more.Bytes}
	}
	if value, err = json.Marshal(sums); err == nil {
		tx.Set(key, value)
	}
	return err
}
