package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

func testBasics(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	set(t, s, "a", "1", "b", "", "", "empty key", "\x00\xff", "\xff\x00")
	for key, want := range map[string]string{"a": "1", "b": "", "": "empty key", "\x00\xff": "\xff\x00", "c": "-"} {
		if got := get(t, s, key); got != want {
			t.Errorf("Get %q: got %q, want %q", key, got, want)
		}
	}
	must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Delete([]byte("a")); tx.Delete([]byte("never")); return nil }))
	if got := get(t, s, "a"); got != "-" {
		t.Errorf("Get of a deleted key: got %q, want none", got)
	}
	must(t, s.View(ctx, func(v kv.View) error {
		got, err := v.GetAll([][]byte{[]byte("b"), []byte("a"), {}, []byte("b")})
		if err != nil || len(got) != 4 || got[0] == nil || got[1] != nil || string(got[2]) != "empty key" || got[3] == nil {
			t.Errorf("GetAll: got %q, %v, want b, nil, the empty key's and b", got, err)
		}
		return err
	}))
	// What goes in and what comes out is the caller's.
	key, value := []byte("mine"), []byte("v1")
	must(t, s.Update(ctx, func(tx kv.Tx) error {
		tx.Set(key, value)
		tx.Append(key, value)
		key[0], value[0] = 'X', 'X'
		got, _, err := tx.Get([]byte("mine"))
		if len(got) > 0 {
			got[0] = 'Y'
		}
		key[0], value[0] = 'm', 'v'
		return err
	}))
	if got := get(t, s, "mine"); got != "v1" {
		t.Errorf("value after the caller changed its slices: got %q, want v1", got)
	}
}

func testScan(t *testing.T, open Open) {
	s := fresh(t, open)
	set(t, s, "a", "1", "b", "2", "b\x00", "3", "c", "4", "\xff", "5")
	b := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		r     kv.Range
		limit int
		want  []string
	}{
		{kv.Range{}, 0, []string{"a=1", "b=2", "b\x00=3", "c=4", "\xff=5"}},
		{kv.Range{}, 2, []string{"a=1", "b=2"}},
		{kv.Range{Reverse: true}, 0, []string{"\xff=5", "c=4", "b\x00=3", "b=2", "a=1"}},
		{kv.Range{From: b("b"), To: b("c")}, 0, []string{"b=2", "b\x00=3"}},
		{kv.Range{From: b("b"), To: b("c"), Reverse: true}, 1, []string{"b\x00=3"}},
		{kv.Range{From: b("b\x00"), To: b("b\x00\x00")}, 9, []string{"b\x00=3"}},
		{kv.Range{From: b("c")}, 0, []string{"c=4", "\xff=5"}},
		{kv.Range{From: b("c"), To: b("c")}, 0, nil},
		{kv.Range{From: b("c"), To: b("a")}, 0, nil},
		{kv.Range{To: b("")}, 0, nil},
	} {
		if got := pairs(t, s, c.r, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("Scan from %q to %q, limit %d: got %q, want %q", c.r.From, c.r.To, c.limit, got, c.want)
		}
	}
	must(t, s.View(t.Context(), func(v kv.View) error {
		for range 2 { // a scan that was left early does not hurt the next
			for p, err := range v.Scan(kv.Range{}, 0) {
				if _, _, gerr := v.Get(p.Key); err != nil || gerr != nil {
					t.Errorf("Get within a Scan: got %v and %v, want nil", gerr, err)
				}
				break
			}
		}
		return nil
	}))
}

func testOwnWrites(t *testing.T, open Open) {
	s := fresh(t, open)
	set(t, s, "a", "1", "b", "2")
	see := func(tx kv.Tx, key, want string) error {
		v, ok, err := tx.Get([]byte(key))
		got := string(v)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("Get %s within the transaction: got %q, want %q", key, got, want)
		}
		return err
	}
	must(t, s.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set([]byte("a"), []byte("new"))
		tx.Delete([]byte("b"))
		tx.Set([]byte("c"), nil)
		errs := errors.Join(see(tx, "a", "new"), see(tx, "b", "-"), see(tx, "c", ""))
		tx.Delete([]byte("c"))
		tx.Set([]byte("b"), []byte("back"))
		all, err := tx.GetAll([][]byte{[]byte("a"), []byte("b"), []byte("c")})
		if err != nil || string(all[0]) != "new" || string(all[1]) != "back" || all[2] != nil {
			t.Errorf("GetAll within the transaction: got %q, %v, want new, back and nil", all, err)
		}
		return errors.Join(errs, err)
	}))
	if got, want := pairs(t, s, kv.Range{}, 0), []string{"a=new", "b=back"}; !slices.Equal(got, want) {
		t.Errorf("after the commit: got %q, want %q", got, want)
	}
}

func testNothingOnError(t *testing.T, open Open) {
	s, ctx, boom := fresh(t, open), t.Context(), errors.New("boom")
	set(t, s, "a", "1")
	hint, stop := s.Wake([]byte("topic"))
	defer stop()
	change := func(tx kv.Tx) {
		tx.Set([]byte("a"), []byte("2"))
		tx.Delete([]byte("a"))
		tx.Set([]byte("b"), nil)
		tx.Append([]byte("log"), nil)
		tx.Wake([]byte("topic"))
	}
	want(t, "Update", s.Update(ctx, func(tx kv.Tx) error { change(tx); return boom }), boom)
	_, err := s.Claim(ctx, kv.Range{}, 5, func(tx kv.Tx, _ []kv.Pair) error { change(tx); return boom })
	want(t, "Claim", err, boom)
	want(t, "View", s.View(ctx, func(kv.View) error { return boom }), boom)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("panic of fn: got none, want it to reach the caller")
			}
		}()
		s.Update(ctx, func(tx kv.Tx) error { change(tx); panic("fn") })
	}()
	if got, want := pairs(t, s, kv.Range{}, 0), []string{"a=1"}; !slices.Equal(got, want) {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	if got, err := s.Read(ctx, []byte("log"), kv.Pos{}, 9); err != nil || len(got) != 0 {
		t.Errorf("log: got %d records, %v, want none", len(got), err)
	}
	select {
	case <-hint:
		t.Error("hint: got one, want none")
	default:
	}
	got, err := s.Claim(ctx, kv.Range{}, 5, func(kv.Tx, []kv.Pair) error { return nil })
	if err != nil || len(got) != 1 {
		t.Errorf("Claim after a failed one: got %q, %v, want the key that is free again", got, err)
	}
}

func testLimits(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	long, big := bytes.Repeat([]byte("k"), kv.KeyMax), make([]byte, kv.ValueMax)
	must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Set(long, big); tx.Append(long[:kv.KeyMax-64], big); return nil }))
	if got := get(t, s, string(long)); len(got) != kv.ValueMax {
		t.Errorf("value at the limits: got %d bytes, want %d", len(got), kv.ValueMax)
	}
	if got, err := s.Read(ctx, long[:kv.KeyMax-64], kv.Pos{}, 9); err != nil || len(got) != 1 || len(got[0].Value) != kv.ValueMax {
		t.Errorf("record at the limits: got %d, %v, want one", len(got), err)
	}
	longer, bigger := append(bytes.Clone(long), 'k'), make([]byte, kv.ValueMax+1)
	for what, fn := range map[string]func(kv.Tx){
		"key of a Set":       func(tx kv.Tx) { tx.Set(longer, nil) },
		"key of a Delete":    func(tx kv.Tx) { tx.Delete(longer) },
		"key of a Get":       func(tx kv.Tx) { tx.Get(longer) },
		"value of a Set":     func(tx kv.Tx) { tx.Set([]byte("x"), bigger) },
		"name of an Append":  func(tx kv.Tx) { tx.Append(longer, nil) },
		"value of an Append": func(tx kv.Tx) { tx.Append([]byte("x"), bigger) },
		"keys": func(tx kv.Tx) {
			for i := range kv.TxKeysMax + 1 {
				tx.Set(fmt.Appendf(nil, "many%d", i), nil)
			}
		},
		"keys read and written": func(tx kv.Tx) {
			var keys [][]byte
			for i := range kv.TxKeysMax/2 + 1 {
				keys = append(keys, fmt.Appendf(nil, "many%d", i))
				tx.Delete(fmt.Appendf(nil, "more%d", i))
			}
			tx.GetAll(keys) // one by one they would take longer than a transaction may, on a busy machine
		},
		"bytes": func(tx kv.Tx) {
			for i := range kv.TxBytesMax / kv.ValueMax {
				tx.Set(fmt.Appendf(nil, "many%d", i), big)
			}
		},
	} {
		err := s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("trace"), nil); fn(tx); return nil })
		want(t, "limit of "+what, err, kv.ErrTooLarge)
	}
	if got := get(t, s, "trace"); got != "-" {
		t.Errorf("write beside what was too large: got %q, want none", got)
	}
	must(t, s.Update(ctx, func(tx kv.Tx) error {
		for range 3 { // the same keys count once
			for i := range kv.TxKeysMax {
				tx.Set(fmt.Appendf(nil, "many%d", i), []byte("v"))
			}
		}
		return nil
	}))
	must(t, s.View(ctx, func(v kv.View) error {
		_, _, err := v.Get(longer)
		want(t, "key of a Get in a View", err, kv.ErrTooLarge)
		return nil
	}))
}

func testClosed(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	entered, leave, closed := make(chan bool), make(chan bool), make(chan error)
	done := make(chan error)
	go func() {
		done <- s.View(ctx, func(v kv.View) error {
			entered <- true
			<-leave
			_, _, err := v.Get([]byte("a"))
			return err
		})
	}()
	<-entered
	go func() { closed <- s.Close() }()
	for s.Update(ctx, func(kv.Tx) error { return nil }) == nil { // until Close has begun
	}
	select {
	case err := <-closed:
		t.Errorf("Close beside a running View: got %v, want it to wait", err)
	default:
	}
	close(leave)
	if err := <-done; err != nil {
		t.Errorf("View across Close: got %v, want nil", err)
	}
	must(t, <-closed)
	want(t, "View", s.View(ctx, func(kv.View) error { return nil }), kv.ErrClosed)
	want(t, "Update", s.Update(ctx, func(kv.Tx) error { return nil }), kv.ErrClosed)
	_, err := s.Claim(ctx, kv.Range{}, 1, func(kv.Tx, []kv.Pair) error { return nil })
	want(t, "Claim", err, kv.ErrClosed)
	_, err = s.Read(ctx, nil, kv.Pos{}, 1)
	want(t, "Read", err, kv.ErrClosed)
	want(t, "Trim", s.Trim(ctx, nil, kv.Pos{1}), kv.ErrClosed)
	want(t, "Snapshot", s.Snapshot(ctx, func(kv.Pair) error { return nil }), kv.ErrClosed)
	want(t, "Close", s.Close(), kv.ErrClosed)
}

func testContexts(t *testing.T, open Open) {
	s := fresh(t, open)
	set(t, s, "a", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nothing := func(kv.Tx) error { t.Error("fn ran under a context that was done; want it not to"); return nil }
	want(t, "Update", s.Update(ctx, nothing), context.Canceled)
	want(t, "View", s.View(ctx, func(kv.View) error { return nothing(nil) }), context.Canceled)
	_, err := s.Claim(ctx, kv.Range{}, 1, func(kv.Tx, []kv.Pair) error { return nothing(nil) })
	want(t, "Claim", err, context.Canceled)
	_, err = s.Read(ctx, nil, kv.Pos{}, 1)
	want(t, "Read", err, context.Canceled)
	want(t, "Trim", s.Trim(ctx, nil, kv.Pos{1}), context.Canceled)
	if got := get(t, s, "a"); got != "1" {
		t.Errorf("key after calls under a context that was done: got %q, want 1", got)
	}
}

func testClock(t *testing.T, open Open) {
	s, crash := open(t)
	defer func() { shut(t, s) }()
	last := s.Now()
	if d := time.Since(last).Abs(); d > time.Minute {
		t.Errorf("Now: got %v, want about this time", last)
	}
	step := func(now time.Time) {
		if now.Before(last) {
			t.Fatalf("Now: got %v after %v, want it never to go back", now, last)
		}
		last = now
	}
	for range 1000 {
		step(s.Now())
	}
	for range 20 {
		must(t, s.Update(t.Context(), func(tx kv.Tx) error {
			step(tx.Now())
			if a, b := tx.Now(), tx.Now(); !a.Equal(b) {
				t.Errorf("Now within an attempt: got %v and %v, want one time", a, b)
			}
			tx.Set([]byte("a"), nil)
			return nil
		}))
		if crash != nil {
			old := s
			s = crash()
			shut(t, old)
			step(s.Now())
		}
	}
}

func testWake(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	a, stopA := s.Wake([]byte("a"))
	a2, stopA2 := s.Wake([]byte("a"))
	b, stopB := s.Wake([]byte("b"))
	defer stopA()
	defer stopB()
	for range 10 { // merged, never blocking
		must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("k"), nil); tx.Wake([]byte("a")); return nil }))
	}
	for _, c := range []<-chan struct{}{a, a2} {
		select {
		case <-c:
		case <-time.After(patience):
			t.Error("hint after a commit: got none, want one")
		}
	}
	select {
	case <-b:
		t.Error("hint to another topic: got one, want none")
	default:
	}
	stopA2()
	must(t, s.Update(ctx, func(tx kv.Tx) error { tx.Wake([]byte("a")); return nil })) // without a write, too
	select {
	case <-a:
	case <-time.After(patience):
		t.Error("hint of a transaction that wrote nothing: got none, want one")
	}
	if got := strings.Repeat("x", len(a2)); got != "" {
		t.Error("hint after stop: got one, want none")
	}
}
