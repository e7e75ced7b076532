package kvtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rouse-dev/rouse/kv"
)

// many runs fn n times side by side.
func many(t testing.TB, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := fn(i); err != nil {
				t.Errorf("one of %d side by side: got %v, want nil", n, err)
			}
		})
	}
	wg.Wait()
}

func testLostUpdate(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	const workers, each, keys = 16, 50, 3
	many(t, workers, func(w int) error {
		for i := range each {
			err := s.Update(ctx, func(tx kv.Tx) error { return add(tx, fmt.Sprint("n", (w+i)%keys), 1) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	var sum uint64
	for k := range keys {
		n, err := counter(ctx, s, fmt.Sprint("n", k))
		must(t, err)
		sum += n
	}
	if sum != workers*each {
		t.Errorf("sum of the counters: got %d, want %d", sum, workers*each)
	}
}

// testWriteSkew: two keys of which one must stay; each transaction reads both and deletes one.
func testWriteSkew(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	for round := range 60 {
		a, b := fmt.Appendf(nil, "a%d", round), fmt.Appendf(nil, "b%d", round)
		set(t, s, string(a), "", string(b), "")
		var deleted atomic.Int64
		many(t, 2, func(i int) error {
			took := false
			err := s.Update(ctx, func(tx kv.Tx) error {
				took = false
				both, err := tx.GetAll([][]byte{a, b})
				if err != nil || both[0] == nil || both[1] == nil {
					return err
				}
				took = true
				tx.Delete([][]byte{a, b}[i])
				return nil
			})
			if took {
				deleted.Add(1)
			}
			return err
		})
		if n := deleted.Load(); n != 1 {
			t.Fatalf("round %d: %d of two transactions saw both keys and deleted one, want one", round, n)
		}
	}
}

// testAbsentKeys: what was read as absent is validated like what was there, and absent, present, absent is seen.
func testAbsentKeys(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	var won atomic.Int64
	many(t, 16, func(i int) error {
		mine := false
		err := s.Update(ctx, func(tx kv.Tx) error {
			_, taken, err := tx.Get([]byte("name"))
			mine = !taken
			if mine {
				tx.Set([]byte("name"), fmt.Append(nil, i))
			}
			return err
		})
		if mine {
			won.Add(1)
		}
		return err
	})
	if n := won.Load(); n != 1 {
		t.Errorf("transactions that found the name free: got %d of 16, want 1", n)
	}
	attempts := 0
	must(t, s.Update(ctx, func(tx kv.Tx) error {
		attempts++
		_, _, err := tx.Get([]byte("ghost"))
		if attempts == 1 {
			set(t, s, "ghost", "")
			must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Delete([]byte("ghost")); return nil }))
		}
		tx.Set([]byte("other"), nil)
		return err
	}))
	if attempts != 2 {
		t.Errorf("attempts across absent, present, absent: got %d, want 2", attempts)
	}
}

// testStableViews: money moves between accounts; every View, by Get or Scan, and every Update sees the same sum.
func testStableViews(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	const accounts, total = 10, 1000
	key := func(i int) []byte { return fmt.Appendf(nil, "account%d", i) }
	must(t, s.Update(ctx, func(tx kv.Tx) error {
		for i := range accounts {
			tx.Set(key(i), bytesOf(total/accounts))
		}
		return nil
	}))
	var keys [][]byte
	for i := range accounts {
		keys = append(keys, key(i))
	}
	sum := func(values [][]byte) (n uint64) {
		for _, v := range values {
			n += number(v)
		}
		return n
	}
	var movers sync.WaitGroup
	var done atomic.Bool
	for w := range 6 {
		movers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range 80 {
				from, to := rng.IntN(accounts), rng.IntN(accounts)
				err := s.Update(ctx, func(tx kv.Tx) error {
					v, _, err := tx.Get(key(from))
					if err != nil || number(v) == 0 || from == to {
						return err
					}
					tx.Set(key(from), bytesOf(number(v)-1))
					return add(tx, string(key(to)), 1)
				})
				if err != nil {
					t.Errorf("Update: got %v, want nil", err)
				}
			}
		})
	}
	look := map[string]func() (uint64, error){
		"Get": func() (n uint64, err error) {
			err = s.View(ctx, func(v kv.View) error { vs, err := v.GetAll(keys); n = sum(vs); return err })
			return n, err
		},
		"Scan": func() (n uint64, err error) {
			err = s.View(ctx, func(v kv.View) error {
				for p, err := range v.Scan(kv.Range{From: []byte("account"), To: []byte("accounu")}, 0) {
					if err != nil {
						return err
					}
					n += number(p.Value)
				}
				return nil
			})
			return n, err
		},
		"Update": func() (n uint64, err error) {
			err = s.Update(ctx, func(tx kv.Tx) error { vs, err := tx.GetAll(keys); n = sum(vs); return err })
			return n, err
		},
	}
	var lookers sync.WaitGroup
	for how, fn := range look {
		lookers.Go(func() {
			for !done.Load() {
				if n, err := fn(); err != nil || n != total {
					t.Errorf("sum by %s: got %d, %v, want %d", how, n, err, total)
					return
				}
			}
		})
	}
	movers.Wait()
	done.Store(true)
	lookers.Wait()
}

// testHotKey: everybody wants one key; all get their share and nobody gives up.
func testHotKey(t *testing.T, open Open) {
	s := fresh(t, open)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const workers, rounds = 16, 4000
	shares := make([]int, workers)
	var n atomic.Int64
	var ready sync.WaitGroup
	ready.Add(workers)
	many(t, workers, func(w int) error {
		ready.Done()
		ready.Wait()
		for n.Add(1) <= rounds {
			err := s.Update(ctx, func(tx kv.Tx) error {
				err := add(tx, "hot", 1)
				runtime.Gosched() // let the others in, whatever the number of processors
				return err
			})
			if err != nil {
				return err
			}
			shares[w]++
		}
		return nil
	})
	if got, err := counter(t.Context(), s, "hot"); err != nil || got != rounds {
		t.Errorf("hot key: got %d, %v, want %d", got, err, rounds)
	}
	if low, fair := slices.Min(shares), rounds/workers; low < fair/8 {
		t.Errorf("smallest share: got %d of %v, want about %d", low, shares, fair)
	}
}

// testLongAgainstShort: a transaction over many keys commits although short ones change one of them all the time.
func testLongAgainstShort(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	var done atomic.Bool
	var shorts sync.WaitGroup
	for w := range 4 {
		shorts.Go(func() {
			for i := 0; !done.Load(); i++ {
				err := s.Update(ctx, func(tx kv.Tx) error { return add(tx, fmt.Sprint("k", (w*50+i)%200), 1) })
				if err != nil {
					t.Errorf("short Update: got %v, want nil", err)
					return
				}
			}
		})
	}
	for range 10 {
		attempts := 0
		err := s.Update(ctx, func(tx kv.Tx) error {
			attempts++
			for i := range 200 {
				if err := add(tx, fmt.Sprint("k", i), 1); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || attempts > 3 {
			t.Errorf("long Update: got %v after %d attempts, want nil after 2 or so", err, attempts)
		}
	}
	done.Store(true)
	shorts.Wait()
}

// register is the model of one key for porcupine: reads, writes, and writes on condition.
type registerInput struct {
	op       byte // 'r', 'w' or 'c'
	old, new string
}

type registerOutput struct {
	value string
	ok    bool
}

var register = porcupine.Model{
	Init: func() any { return "-" },
	Step: func(state, input, output any) (bool, any) {
		in, out, value := input.(registerInput), output.(registerOutput), state.(string)
		switch in.op {
		case 'r':
			return out.value == value, value
		case 'w':
			return true, in.new
		}
		if value == in.old {
			return out.ok, in.new
		}
		return !out.ok && out.value == value, value
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

var errStale = errors.New("stale")

// testLinearizable: reads by View and by Update, writes and conditional writes of one key have one order in real time.
func testLinearizable(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	key := []byte("register")
	read := func(v interface {
		Get([]byte) ([]byte, bool, error)
	}) (string, error) {
		b, ok, err := v.Get(key)
		if !ok {
			return "-", err
		}
		return string(b), err
	}
	run := func(in registerInput, viaView bool) (out registerOutput, err error) {
		switch {
		case in.op == 'r' && viaView:
			err = s.View(ctx, func(v kv.View) error { out.value, err = read(v); return err })
		case in.op == 'r':
			err = s.Update(ctx, func(tx kv.Tx) error { out.value, err = read(tx); return err })
		case in.op == 'w':
			err = s.Update(ctx, func(tx kv.Tx) error { tx.Set(key, []byte(in.new)); return nil })
		default:
			err = s.Update(ctx, func(tx kv.Tx) error {
				out = registerOutput{}
				v, err := read(tx)
				if out.value = v; err == nil && v != in.old {
					return errStale
				}
				out.ok = true
				tx.Set(key, []byte(in.new))
				return err
			})
			if errors.Is(err, errStale) {
				err = nil
			}
		}
		return out, err
	}
	begin := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	many(t, 8, func(w int) error {
		rng := rand.New(rand.NewPCG(uint64(w), 2))
		for i := range 60 {
			in := registerInput{[]byte("rrwc")[rng.IntN(4)], fmt.Sprint(rng.IntN(4)), fmt.Sprint(rng.IntN(4))}
			call := time.Since(begin)
			out, err := run(in, i%2 == 0)
			if err != nil {
				return err
			}
			mu.Lock()
			history = append(history, porcupine.Operation{ClientId: w, Input: in, Call: call.Nanoseconds(), Output: out,
				Return: time.Since(begin).Nanoseconds()})
			mu.Unlock()
		}
		return nil
	})
	if got := porcupine.CheckOperationsTimeout(register, history, patience); got != porcupine.Ok {
		t.Errorf("history of %d operations: got %s, want it linearizable", len(history), got)
	}
}
