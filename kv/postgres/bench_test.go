package postgres_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// What should it cost? A Get is one packet out and one back, as the bare statement is. A Set is one of each and an fsync that
// is shared; the same by hand is a transaction of a lock and an upsert in one pipeline (the token comes on top), and less than
// that, without any lock, is the bare upsert. An Update reads first: two of each.

// raw runs statements on connections of its own, as many as the store has.
type raw struct{ conns chan *pgconn.PgConn }

func newRaw(b *testing.B, server *pgtest.Server, n int, statements map[string]string) *raw {
	r := &raw{make(chan *pgconn.PgConn, n)}
	for range n {
		c, err := pgconn.Connect(b.Context(), server.URL())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close(b.Context()) })
		for name, sql := range statements {
			if _, err := c.Prepare(b.Context(), name, sql, nil); err != nil {
				b.Fatal(err)
			}
		}
		r.conns <- c
	}
	return r
}

var inBinary = []int16{1}

func (r *raw) exec(b *testing.B, statement string, params ...[]byte) error {
	c := <-r.conns
	defer func() { r.conns <- c }()
	return c.ExecPrepared(b.Context(), statement, params, inBinary, inBinary).Read().Err
}

// transaction reads if told to, then locks, writes and commits: a trip for each.
func (r *raw) transaction(b *testing.B, read bool, k, v []byte) error {
	c := <-r.conns
	defer func() { r.conns <- c }()
	p := c.StartPipeline(b.Context())
	if read {
		p.SendQueryPrepared("get", [][]byte{k}, inBinary, inBinary)
		if err := results(p); err != nil {
			return err
		}
	}
	p.SendQueryPrepared("begin", nil, nil, nil)
	p.SendQueryPrepared("lock", [][]byte{{0, 0, k[10] & 15, k[11]}}, inBinary, inBinary)
	p.SendQueryPrepared("set", [][]byte{k, v}, inBinary, inBinary)
	p.SendQueryPrepared("commit", nil, nil, nil)
	if err := results(p); err != nil {
		return err
	}
	return p.Close()
}

func results(p *pgconn.Pipeline) error {
	if err := p.Sync(); err != nil {
		return err
	}
	for {
		r, err := p.GetResults()
		if err != nil {
			return err
		}
		switch r := r.(type) {
		case *pgconn.ResultReader:
			if _, err := r.Close(); err != nil {
				return err
			}
		case *pgconn.PipelineSync:
			return nil
		}
	}
}

// BenchmarkRates compares the driver with the bare statements, turn by turn within one run: rates, and the ratio of them.
func BenchmarkRates(b *testing.B) {
	const clients, keys, turn = 64, 10_000, 300 * time.Millisecond
	server := pgtest.Start(b, pgtest.Config{Getenv: os.Getenv, Sync: true, Settings: []string{"shared_buffers=128MB"}})
	cfg := postgres.Config{Schema: pgtest.Schema()}
	s := server.Open(b, cfg)
	key := func(n int) []byte { return fmt.Appendf(nil, "key/%08d", n) }
	value := make([]byte, 100)
	for n := 0; n < keys; n += 1000 {
		err := s.Update(b.Context(), func(tx kv.Tx) error {
			for i := range 1000 {
				tx.Set(key(n+i), value)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	server.SQL(`vacuum analyze`)
	table := `"` + cfg.Schema + `".kv`
	r := newRaw(b, server, 24, map[string]string{"get": `select v from ` + table + ` where k = $1`, "begin": "begin", "commit": "commit",
		"lock": `select pg_advisory_xact_lock(2, $1::int)`,
		"set":  `insert into ` + table + ` as o (k, x, v) values ($1, pg_current_xact_id(), $2) on conflict (k) do update set x = excluded.x, v = excluded.v`})
	pick := func() []byte { return key(rand.IntN(keys)) }
	for _, c := range []struct {
		name        string
		driver, raw func() error
	}{
		{"Get", func() error {
			return s.View(b.Context(), func(v kv.View) error { _, _, err := v.Get(pick()); return err })
		}, func() error { return r.exec(b, "get", pick()) }},
		{"Set", func() error {
			return s.Update(b.Context(), func(tx kv.Tx) error { tx.Set(pick(), value); return nil })
		}, func() error { return r.transaction(b, false, pick(), value) }},
		{"SetBare", func() error {
			return s.Update(b.Context(), func(tx kv.Tx) error { tx.Set(pick(), value); return nil })
		}, func() error { return r.exec(b, "set", pick(), value) }},
		{"Update", func() error {
			k := pick()
			return s.Update(b.Context(), func(tx kv.Tx) error { _, err := raise(tx, string(k)); return err })
		}, func() error { return r.transaction(b, true, pick(), binary.BigEndian.AppendUint64(nil, 1)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			rate := func(fn func() error) float64 {
				var n atomic.Int64
				var wg sync.WaitGroup
				end := time.Now().Add(turn)
				for range clients {
					wg.Go(func() {
						for time.Now().Before(end) {
							if err := fn(); err != nil {
								b.Error(err)
								return
							}
							n.Add(1)
						}
					})
				}
				wg.Wait()
				return float64(n.Load()) / turn.Seconds()
			}
			var driver, bare float64
			turns := 0
			for b.Loop() {
				driver += rate(c.driver)
				bare += rate(c.raw)
				turns++
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(driver/float64(turns), "driver/s")
			b.ReportMetric(bare/float64(turns), "bare/s")
			b.ReportMetric(driver/bare, "ratio")
		})
	}
}
