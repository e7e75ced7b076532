package pebble_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
)

// On a disk of its own each benchmark runs alone and with 64 workers. What it should cost:
//
//	put      1 fsync, shared by all who are under way: n workers, about n puts per fsync
//	get      no fsync; a snapshot, a lookup, two copies: microseconds
//	hot      as put: the fsync is outside of the key's lock
//	append   as put
//	claim    as put; the walk to the first key is short however many were claimed before
func bench(b *testing.B, fn func(s *pebble.Store, i int) error) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s, err := pebble.Open(pebble.Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for i := range 100 {
				err := s.Update(b.Context(), func(tx kv.Tx) error {
					for j := range 100 {
						tx.Set(fmt.Appendf(nil, "d/%08d", i*100+j), make([]byte, 100))
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.SetParallelism(max(1, workers/2))
			if workers == 1 {
				for b.Loop() {
					if err := fn(s, int(n.Add(1))); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := fn(s, int(n.Add(1))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

func BenchmarkPut(b *testing.B) {
	value := make([]byte, 100)
	bench(b, func(s *pebble.Store, i int) error {
		return s.Update(context.Background(), func(tx kv.Tx) error { tx.Set(fmt.Appendf(nil, "p/%010d", i), value); return nil })
	})
}

func BenchmarkGet(b *testing.B) {
	bench(b, func(s *pebble.Store, i int) error {
		return s.View(context.Background(), func(v kv.View) error {
			_, _, err := v.Get(fmt.Appendf(nil, "d/%08d", rand.IntN(10_000)))
			return err
		})
	})
}

func BenchmarkHotKey(b *testing.B) {
	bench(b, func(s *pebble.Store, i int) error {
		return s.Update(context.Background(), func(tx kv.Tx) error {
			v, _, err := tx.Get([]byte("hot"))
			var n uint64
			if len(v) == 8 {
				n = binary.BigEndian.Uint64(v)
			}
			tx.Set([]byte("hot"), binary.BigEndian.AppendUint64(nil, n+1))
			return err
		})
	})
}

func BenchmarkAppend(b *testing.B) {
	value := make([]byte, 100)
	bench(b, func(s *pebble.Store, i int) error {
		return s.Update(context.Background(), func(tx kv.Tx) error { tx.Append([]byte("log"), value); return nil })
	})
}

// BenchmarkClaim moves a message to the end of its queue: every round leaves a tombstone at the beginning.
func BenchmarkClaim(b *testing.B) {
	var end atomic.Int64
	end.Store(1 << 40)
	bench(b, func(s *pebble.Store, i int) error {
		got, err := s.Claim(context.Background(), kv.Range{From: []byte("d/"), To: []byte("d0")}, 1,
			func(tx kv.Tx, ps []kv.Pair) error {
				tx.Set(fmt.Appendf(nil, "d/%020d", end.Add(1)), ps[0].Value)
				return nil
			})
		if err == nil && len(got) != 1 {
			err = fmt.Errorf("claimed %d", len(got))
		}
		return err
	})
}
