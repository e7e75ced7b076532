package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/kv"
)

// testCrash: power fails in the middle of work, again and again. Afterwards there is everything that was acknowledged and
// everything that anybody was shown.
func testCrash(t *testing.T, open Open) {
	s, crash := open(t)
	if crash == nil {
		t.Skip("the driver does not crash")
	}
	w := &witness{keys: make([]atomic.Uint64, witnessKeys)}
	for round := range 8 {
		var stop atomic.Bool
		var wg sync.WaitGroup
		w.start(&wg, s, &stop, uint64(round))
		before := w.records()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for w.acks.Load() < int64(30*(round+1)) || len(w.records()) < len(before)+20 { // until there is something to lose
			if err := s.View(ctx, func(kv.View) error { return nil }); err != nil {
				stop.Store(true)
				t.Fatalf("round %d, waiting for work to be done: got %v, want nil", round, err)
			}
		}
		cancel()
		seen := w.remember()
		next := crash()
		stop.Store(true)
		wg.Wait()
		shut(t, s)
		s = next
		seen.check(t, s, round)
		w.reset(t, s)
		if t.Failed() {
			break
		}
	}
	shut(t, s)
}

const witnessKeys = 6

// witness does all kinds of work and keeps what it was told.
type witness struct {
	keys []atomic.Uint64 // the highest value of each counter that was acknowledged or shown
	acks atomic.Int64

	mu      sync.Mutex
	log     []kv.Record     // guarded by mu: what a tailer was given
	claimed map[string]bool // guarded by mu: messages whose claim was acknowledged
	made    map[string]bool // guarded by mu: messages whose insert was acknowledged
}

func witnessKey(i int) string { return fmt.Sprint("counter", i) }

func (w *witness) raise(key int, n uint64) {
	for {
		was := w.keys[key].Load()
		if n <= was || w.keys[key].CompareAndSwap(was, n) {
			return
		}
	}
}

func (w *witness) records() []kv.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log
}

// start sets them to work until stop, or until the store is gone.
func (w *witness) start(wg *sync.WaitGroup, s kv.Store, stop *atomic.Bool, seed uint64) {
	w.mu.Lock()
	if w.claimed == nil {
		w.claimed, w.made = map[string]bool{}, map[string]bool{}
	}
	w.mu.Unlock()
	work := func(n int, fn func(ctx context.Context, rng *rand.Rand) error) {
		for i := range n {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				for !stop.Load() {
					if err := fn(context.Background(), rng); err != nil {
						return
					}
				}
			})
		}
	}
	work(4, func(ctx context.Context, rng *rand.Rand) error { return w.write(ctx, s, rng) })
	work(3, func(ctx context.Context, rng *rand.Rand) error { return w.look(ctx, s, rng) })
	work(1, func(ctx context.Context, _ *rand.Rand) error { return w.tail(ctx, s) })
	work(2, func(ctx context.Context, _ *rand.Rand) error { return w.claim(ctx, s) })
}

// write raises a counter and appends and enqueues what it was raised to.
func (w *witness) write(ctx context.Context, s kv.Store, rng *rand.Rand) error {
	i := rng.IntN(witnessKeys)
	var n uint64
	err := s.Update(ctx, func(tx kv.Tx) error {
		v, _, err := tx.Get([]byte(witnessKey(i)))
		n = number(v) + 1
		tx.Set([]byte(witnessKey(i)), bytesOf(n))
		tx.Append([]byte("log"), fmt.Appendf(nil, "%s=%d", witnessKey(i), n))
		tx.Set(fmt.Appendf(nil, "q/%d-%d", i, n), nil)
		return err
	})
	if err == nil {
		w.raise(i, n)
		w.mu.Lock()
		w.made[fmt.Sprintf("q/%d-%d", i, n)] = true
		w.mu.Unlock()
		w.acks.Add(1)
	}
	return err
}

// look reads a counter in each of the ways in which a value can reach a caller.
func (w *witness) look(ctx context.Context, s kv.Store, rng *rand.Rand) error {
	i := rng.IntN(witnessKeys)
	var n uint64
	var err error
	shown := errors.New("shown")
	switch rng.IntN(4) {
	case 0:
		n, err = counter(ctx, s, witnessKey(i))
	case 1:
		err = s.View(ctx, func(v kv.View) error {
			for p, err := range v.Scan(kv.Range{From: []byte(witnessKey(i)), To: []byte(witnessKey(i) + "\x00")}, 1) {
				if n = number(p.Value); err != nil {
					return err
				}
				w.raise(i, n) // shown within the View already
			}
			return nil
		})
	case 2: // an Update that writes nothing
		err = s.Update(ctx, func(tx kv.Tx) error {
			v, _, err := tx.Get([]byte(witnessKey(i)))
			n = number(v)
			return err
		})
	default: // an error that follows from what was read
		err = s.Update(ctx, func(tx kv.Tx) error {
			v, _, err := tx.Get([]byte(witnessKey(i)))
			n = number(v)
			tx.Set([]byte("never"), nil)
			return errors.Join(err, shown)
		})
		if errors.Is(err, shown) {
			err = nil
		}
	}
	if err == nil {
		w.raise(i, n)
	}
	return err
}

func (w *witness) tail(ctx context.Context, s kv.Store) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var from kv.Pos
	if n := len(w.log); n > 0 {
		from = w.log[n-1].Pos
	}
	recs, err := s.Read(ctx, []byte("log"), from, 10)
	w.log = append(w.log, recs...)
	return err
}

func (w *witness) claim(ctx context.Context, s kv.Store) error {
	got, err := s.Claim(ctx, queue, 2, func(kv.Tx, []kv.Pair) error { return nil })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range got {
		w.claimed[string(p.Key)] = true
	}
	return err
}

// testimony is what a witness knew at one moment.
type testimony struct {
	keys          []uint64
	log           []kv.Record
	claimed, made []string
}

func (w *witness) remember() *testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &testimony{log: w.log[:len(w.log):len(w.log)]}
	for k := range w.claimed {
		m.claimed = append(m.claimed, k)
	}
	for k := range w.made {
		m.made = append(m.made, k)
	}
	for i := range w.keys {
		m.keys = append(m.keys, w.keys[i].Load())
	}
	return m
}

// check compares the store that came up with what was known before.
func (m *testimony) check(t *testing.T, s kv.Store, round int) {
	t.Helper()
	for i, want := range m.keys {
		if got, err := counter(t.Context(), s, witnessKey(i)); err != nil || got < want {
			t.Errorf("round %d: %s: got %d, %v, want at least %d, which was acknowledged or shown", round, witnessKey(i), got, err, want)
		}
	}
	got, err := s.Read(t.Context(), []byte("log"), kv.Pos{}, 1_000_000)
	if err != nil || len(got) < len(m.log) {
		t.Fatalf("round %d: log: got %d records, %v, want at least the %d that were read", round, len(got), err, len(m.log))
	}
	for i, r := range m.log {
		if got[i].Pos != r.Pos || !bytes.Equal(got[i].Value, r.Value) {
			t.Fatalf("round %d: record %d: got %q at %x, want %q at %x, as it was read", round, i, got[i].Value, got[i].Pos, r.Value, r.Pos)
		}
	}
	left := map[string]bool{}
	for _, p := range pairs(t, s, queue, 0) {
		left[p[:len(p)-1]] = true
	}
	for _, k := range m.claimed {
		if left[k] {
			t.Errorf("round %d: message %s is back after its claim was acknowledged", round, k)
		}
	}
	// A record and its counter come or go together.
	highest := map[string]uint64{}
	for _, r := range got {
		var n uint64
		key, num, _ := bytes.Cut(r.Value, []byte("="))
		fmt.Sscan(string(num), &n)
		if highest[string(key)]++; n != highest[string(key)] {
			t.Fatalf("round %d: record of %s: got %d, want %d: none lost in between", round, key, n, highest[string(key)])
		}
	}
	for i := range m.keys {
		if got, err := counter(t.Context(), s, witnessKey(i)); err != nil || got != highest[witnessKey(i)] {
			t.Errorf("round %d: %s: got %d, %v, want %d as its last record says", round, witnessKey(i), got, err, highest[witnessKey(i)])
		}
	}
}

// reset makes the witness believe what has survived, before the next round.
func (w *witness) reset(t *testing.T, s kv.Store) {
	t.Helper()
	recs, err := s.Read(t.Context(), []byte("log"), kv.Pos{}, 1_000_000)
	must(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log, w.claimed, w.made = recs, map[string]bool{}, map[string]bool{}
	for i := range w.keys {
		n, err := counter(t.Context(), s, witnessKey(i))
		must(t, err)
		w.keys[i].Store(n)
	}
}
