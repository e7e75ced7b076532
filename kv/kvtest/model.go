package kvtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/kv"
)

// testModel runs random operations on a store and on a map, and compares after each.
func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		s, crash := open(t)
		m := &model{t: rt, outer: t, s: s, crash: crash, keys: map[string]string{}, logs: map[string][]kv.Record{}}
		defer func() { shut(t, m.s) }()
		rt.Repeat(map[string]func(*rapid.T){
			"update": m.update,
			"fail":   m.fail,
			"claim":  m.claim,
			"trim":   m.trim,
			"crash":  m.reboot,
			"":       m.check,
		})
	})
}

type model struct {
	t     *rapid.T
	outer *testing.T
	s     kv.Store
	crash func() kv.Store

	keys map[string]string
	logs map[string][]kv.Record
}

var (
	modelKey   = rapid.SampledFrom([]string{"", "a", "a\x00", "aa", "b", "b\xff", "c", "q/1", "q/2", "q/3", "q/31", "q/4", "\xff\xff"})
	modelLog   = rapid.SampledFrom([]string{"", "log", "log\x00", "m"})
	modelValue = rapid.StringN(0, 8, 16)
)

// transaction draws what a transaction does, does it to tx, and to a copy of the model's keys, which it returns.
type transaction struct {
	steps []func(tx kv.Tx, keys map[string]string) error
	logs  map[string][]string
}

func (m *model) draw(t *rapid.T) *transaction {
	x := &transaction{logs: map[string][]string{}}
	for range rapid.IntRange(0, 6).Draw(t, "steps") {
		k, v := modelKey.Draw(t, "key"), modelValue.Draw(t, "value")
		switch rapid.IntRange(0, 3).Draw(t, "op") {
		case 0:
			x.steps = append(x.steps, func(tx kv.Tx, keys map[string]string) error {
				tx.Set([]byte(k), []byte(v))
				keys[k] = v
				return nil
			})
		case 1:
			x.steps = append(x.steps, func(tx kv.Tx, keys map[string]string) error {
				tx.Delete([]byte(k))
				delete(keys, k)
				return nil
			})
		case 2:
			x.steps = append(x.steps, func(tx kv.Tx, keys map[string]string) error {
				got, ok, err := tx.Get([]byte(k))
				if want, there := keys[k]; err != nil || ok != there || string(got) != want {
					return fmt.Errorf("Get %q: got %q, %v, %w, want %q, %v", k, got, ok, err, want, there)
				}
				return nil
			})
		default:
			log := modelLog.Draw(t, "log")
			x.logs[log] = append(x.logs[log], v)
			x.steps = append(x.steps, func(tx kv.Tx, _ map[string]string) error { tx.Append([]byte(log), []byte(v)); return nil })
		}
	}
	return x
}

func (x *transaction) run(tx kv.Tx, keys map[string]string) error {
	for _, step := range x.steps {
		if err := step(tx, keys); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the transaction's outcome the model's.
func (m *model) commit(x *transaction, keys map[string]string) {
	m.keys = keys
	for log, values := range x.logs {
		for _, v := range values {
			m.logs[log] = append(m.logs[log], kv.Record{Value: []byte(v)}) // its position is learnt by check
		}
	}
}

func (m *model) update(t *rapid.T) {
	x := m.draw(t)
	var keys map[string]string
	err := m.s.Update(m.outer.Context(), func(tx kv.Tx) error {
		keys = maps.Clone(m.keys)
		return x.run(tx, keys)
	})
	if err != nil {
		t.Fatalf("Update: got %v, want nil", err)
	}
	m.commit(x, keys)
}

func (m *model) fail(t *rapid.T) {
	x, boom := m.draw(t), errors.New("boom")
	err := m.s.Update(m.outer.Context(), func(tx kv.Tx) error {
		return errors.Join(x.run(tx, maps.Clone(m.keys)), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatalf("failed Update: got %v, want %v", err, boom)
	}
}

func (m *model) claim(t *rapid.T) {
	r := kv.Range{From: []byte(modelKey.Draw(t, "from")), To: []byte(modelKey.Draw(t, "to")), Reverse: rapid.Bool().Draw(t, "reverse")}
	limit, x := rapid.IntRange(1, 3).Draw(t, "limit"), m.draw(t)
	want := m.scan(r, limit)
	keys := maps.Clone(m.keys)
	got, err := m.s.Claim(m.outer.Context(), r, limit, func(tx kv.Tx, ps []kv.Pair) error {
		keys = maps.Clone(m.keys)
		for _, p := range ps {
			delete(keys, string(p.Key))
		}
		return x.run(tx, keys)
	})
	if err != nil || !slices.Equal(flat(got), want) {
		t.Fatalf("Claim from %q to %q: got %q, %v, want %q", r.From, r.To, flat(got), err, want)
	}
	if len(got) > 0 {
		m.commit(x, keys)
	}
}

// scan is what a Scan of the model yields.
func (m *model) scan(r kv.Range, limit int) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m.keys)) {
		if k >= string(r.From) && (r.To == nil || k < string(r.To)) {
			all = append(all, k+"="+m.keys[k])
		}
	}
	if r.Reverse {
		slices.Reverse(all)
	}
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all
}

func flat(ps []kv.Pair) []string {
	var all []string
	for _, p := range ps {
		all = append(all, string(p.Key)+"="+string(p.Value))
	}
	return all
}

func (m *model) trim(t *rapid.T) {
	log := modelLog.Draw(t, "log")
	recs := m.logs[log]
	n := rapid.IntRange(0, len(recs)).Draw(t, "records")
	to := last
	if n < len(recs) {
		to = kv.Pos{}
		if n > 0 {
			to = recs[n-1].Pos
		}
	}
	if err := m.s.Trim(m.outer.Context(), []byte(log), to); err != nil {
		t.Fatalf("Trim: got %v, want nil", err)
	}
	m.logs[log] = recs[n:]
}

// reboot loses power, or closes and forgets, while nothing is under way: everything has to be there.
func (m *model) reboot(t *rapid.T) {
	if m.crash == nil {
		t.Skip("the driver does not crash")
	}
	old := m.s
	m.s = m.crash()
	shut(m.outer, old)
}

// check compares all of the store with the model.
func (m *model) check(t *rapid.T) {
	ctx := m.outer.Context()
	err := m.s.View(ctx, func(v kv.View) error {
		for _, r := range []kv.Range{{}, {From: []byte("a\x00"), To: []byte("q/3")}, {From: []byte("b"), Reverse: true}} {
			var got []kv.Pair
			for p, err := range v.Scan(r, 0) {
				if err != nil {
					return err
				}
				got = append(got, p)
			}
			if want := m.scan(r, 0); !slices.Equal(flat(got), want) {
				t.Fatalf("Scan from %q to %q: got %q, want %q", r.From, r.To, flat(got), want)
			}
		}
		for _, k := range []string{"", "a", "q/1", "none"} {
			got, ok, err := v.Get([]byte(k))
			if want, there := m.keys[k]; err != nil || ok != there || string(got) != want {
				t.Fatalf("Get %q: got %q, %v, %v, want %q, %v", k, got, ok, err, want, there)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	for log, want := range m.logs {
		got, err := m.s.Read(ctx, []byte(log), kv.Pos{}, len(want)+1)
		if err != nil || len(got) != len(want) {
			t.Fatalf("Read %q: got %d records, %v, want %d", log, len(got), err, len(want))
		}
		for i := range got {
			if string(got[i].Value) != string(want[i].Value) || want[i].Pos != (kv.Pos{}) && want[i].Pos != got[i].Pos {
				t.Fatalf("Read %q, record %d: got %q at %x, want %q at %x", log, i, got[i].Value, got[i].Pos, want[i].Value, want[i].Pos)
			}
		}
		m.logs[log] = got
	}
}
