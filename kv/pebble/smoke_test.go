package pebble_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
)

func TestSmoke(t *testing.T) {
	s, err := pebble.Open(pebble.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const workers, each = 32, 200
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := s.Update(ctx, func(tx kv.Tx) error {
					v, _, err := tx.Get([]byte("n"))
					if err != nil {
						return err
					}
					var n uint64
					if len(v) == 8 {
						n = binary.BigEndian.Uint64(v)
					}
					tx.Set([]byte("n"), binary.BigEndian.AppendUint64(nil, n+1))
					tx.Append([]byte("log"), binary.BigEndian.AppendUint64(nil, n))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	recs, err := s.Read(ctx, []byte("log"), kv.Pos{}, 1e6)
	if err != nil || len(recs) != workers*each {
		t.Fatalf("got %d, %v", len(recs), err)
	}
	for i, r := range recs {
		if binary.BigEndian.Uint64(r.Value) != uint64(i) {
			t.Fatalf("record %d: got %d", i, r.Value)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = vfs.Default
}
