package postgres_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !ok(); {
		select {
		case <-limit:
			t.Fatalf("waited a minute for %s", what)
		case <-tick.C:
		}
	}
}

func count(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// raise adds one to a counter and answers with what it is then.
func raise(tx kv.Tx, key string) (uint64, error) {
	b, _, err := tx.Get([]byte(key))
	n := count(b) + 1
	tx.Set([]byte(key), binary.BigEndian.AppendUint64(nil, n))
	return n, err
}

func counter(t testing.TB, s kv.Store, key string) uint64 {
	t.Helper()
	return count([]byte(value(t, s, key)))
}

// value reads one key; absent is "-".
func value(t testing.TB, s kv.Store, key string) string {
	t.Helper()
	got := "-"
	err := s.View(t.Context(), func(v kv.View) error {
		b, ok, err := v.Get([]byte(key))
		if ok {
			got = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatalf("View: got %v, want nil", err)
	}
	return got
}

func set(t testing.TB, s kv.Store, pairs ...string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Update: got %v, want nil", err)
	}
}
