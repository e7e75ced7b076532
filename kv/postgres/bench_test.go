package postgres_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
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
// is shared; an Update reads first: two of each. Beside them runs the same by hand, the statements of the driver sent by pgx without
// the driver; and as Bare what somebody would write who needs no locks, no versions and no truth about lost connections.

// raw runs statements on connections of its own, as many as the store has.
type raw struct{ conns chan *rawConn }

type rawConn struct {
	*pgconn.PgConn
	slot, seq uint64
}

func newRaw(b *testing.B, server *pgtest.Server, n int, schema string, statements map[string]string) *raw {
	r := &raw{make(chan *rawConn, n)}
	for i := range n {
		c, err := pgconn.Connect(b.Context(), server.URL())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close(b.Context()) })
		for name, sql := range statements {
			if _, err := c.Prepare(b.Context(), name, strings.ReplaceAll(sql, "{s}", `"`+schema+`"`), nil); err != nil {
				b.Fatal(err)
			}
		}
		server.SQL(fmt.Sprintf(`select "%s".enter(%d)`, schema, i))
		r.conns <- &rawConn{c, uint64(i), 0}
	}
	return r
}

var inBinary = []int16{1}

func (r *raw) exec(b *testing.B, statement string, params ...[]byte) error {
	c := <-r.conns
	defer func() { r.conns <- c }()
	return c.ExecPrepared(b.Context(), statement, params, inBinary, inBinary).Read().Err
}

// commit sends what the driver sends: reads if told to, then locks, writes and commits in a second trip.
func (r *raw) commit(b *testing.B, read bool, k, v []byte) error {
	c := <-r.conns
	defer func() { r.conns <- c }()
	p := c.StartPipeline(b.Context())
	if read {
		p.SendQueryPrepared("get", [][]byte{k}, inBinary, inBinary)
		if err := results(p); err != nil {
			return err
		}
	}
	c.seq++
	lock := binary.BigEndian.AppendUint32(nil, uint32(rand.IntN(4096)*2+1))
	p.SendQueryPrepared("begin", nil, nil, nil)
	p.SendQueryPrepared("finish", [][]byte{lock, amount(c.slot), amount(c.seq), k, v}, inBinary, inBinary)
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
	r := newRaw(b, server, 24, cfg.Schema, map[string]string{"get": `select x, v from {s}.kv where k = $1`,
		"begin": `begin isolation level read committed`, "commit": `commit`,
		"finish": `select {s}.finish(2, array[$1::int], null, $2::bigint, $3::bigint, null, null, null, null, null, array[$4::bytea], array[$5::bytea], null, null)`,
		"upsert": `insert into {s}.kv as o (k, x, v) values ($1, pg_current_xact_id(), $2) on conflict (k) do update set x = excluded.x, v = excluded.v`})
	pick := func() []byte { return key(rand.IntN(keys)) }
	put := func() error {
		return s.Update(b.Context(), func(tx kv.Tx) error { tx.Set(pick(), value); return nil })
	}
	for _, c := range []struct {
		name        string
		driver, raw func() error
	}{
		{"Get", func() error {
			return s.View(b.Context(), func(v kv.View) error { _, _, err := v.Get(pick()); return err })
		}, func() error { return r.exec(b, "get", pick()) }},
		{"Set", put, func() error { return r.commit(b, false, pick(), value) }},
		{"SetBare", put, func() error { return r.exec(b, "upsert", pick(), value) }},
		{"Update", func() error {
			k := pick()
			return s.Update(b.Context(), func(tx kv.Tx) error { _, err := raise(tx, string(k)); return err })
		}, func() error { return r.commit(b, true, pick(), value) }},
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
