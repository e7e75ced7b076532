// Package meter counts what functions use and what that costs.
//
// Every attempt of an invocation, whatever caused it, leaves one Record: who, why, how it started, where its time went,
// what it peaked at and what it cost by the price book. Records are kept for a while, compressed in blocks, oldest dropped
// first; the sums per function and hour made from them are kept for good. Both are written together, behind the response, in one transaction
// a second at most: a crash loses at most the last second of usage, never an answer.
//
//	Record ──► buffer ──(Run, every second)──► one Update: records + sums
//	   │
//	   └─────► Prometheus counters and histograms, at once
//
// A full buffer drops the record and counts it; it never holds up the attempt that reports, and only the Prometheus counters
// have seen it. A store that fails for a moment is tried again with the next write. Counters of a function that has not run
// for a day go, and beyond a limit functions share theirs, so that names that come and go do not grow without end.
//
// The meter knows no sandboxes and no doors: the dispatcher hands it facts. Prices are configuration; the default book is
// AWS's public list for us-east-1, so that a user sees what the same load would have cost there.
package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Limits of a meter.
const (
	bufferMax   = 16_384      // records waiting beside the batch that is written; more are dropped and counted
	batchMax    = 2_000       // records in one transaction
	flushEvery  = time.Second // how long a record may wait
	sweepEvery  = time.Minute
	sweepBatch  = 1_000
	UsageMax    = 10_000 // lines of one Usage answer
	RecordsPage = 1_000  // records of one Records answer
	formatV     = 2
	room        = "meter"
)

// Outcome says how an attempt ended.
type Outcome string

// The ends that there are.
const (
	OK        Outcome = "ok"        // the function answered
	Failed    Outcome = "error"     // the function failed
	TimedOut  Outcome = "timeout"   // the function ran out of time
	Throttled Outcome = "throttled" // a limit refused the attempt; nothing ran
	Broken    Outcome = "platform"  // the platform failed
)

// Record is one attempt.
type Record struct {
	ID         string       `json:"id"` // the invocation's id
	At         time.Time    `json:"at"` // when the attempt ended
	Account    string       `json:"-"`
	Function   string       `json:"function"`
	Version    string       `json:"version"`
	Cause      rouse.Cause  `json:"cause"`
	Attempt    int          `json:"attempt"`
	Outcome    Outcome      `json:"outcome"`
	ErrorType  string       `json:"errorType,omitempty"`
	Timing     rouse.Timing `json:"timing"`
	EventBytes int          `json:"eventBytes"`
	Cost       float64      `json:"cost"` // in the book's currency; set by the meter
}

// Book is a price list. The zero Book prices everything at nothing.
type Book struct {
	Name     string  // shown beside every cost
	Currency string  // ISO 4217
	Request  float64 // per attempt that ran
	GBSecond float64 // per GiB of configured memory and second billed
}

// ListPrices is AWS's public price of Lambda on x86 in us-east-1, first tier (https://aws.amazon.com/lambda/pricing/).
func ListPrices() Book {
	return Book{Name: "AWS list price, us-east-1", Currency: "USD", Request: 0.20 / 1e6, GBSecond: 0.0000166667}
}

// Cost is what one attempt costs.
func (b Book) Cost(r Record) float64 {
	if r.Outcome == Throttled || r.Outcome == Broken {
		return 0
	}
	return b.Request + b.GBSecond*r.Timing.Billed.Seconds()*float64(r.Timing.MemoryMB)/1024
}

// Config of a meter.
type Config struct {
	Store      kv.Store
	Region     string
	Book       Book             // what things cost
	Retention  time.Duration    // how long records are kept; default 7 days
	RecordsMax int              // records kept per account, and up to a block more; default 200,000
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default: none
}

// Meter is safe for concurrent use.
type Meter struct {
	cfg     Config
	metrics *metrics

	mu      sync.Mutex
	waiting []Record // guarded by mu; at most bufferMax
	dropped int      // guarded by mu
	seq     uint64   // guarded by mu; tells apart blocks that begin at one moment
	kick    chan struct{}

	flushing sync.Mutex // held while batches are written; before mu
	batch    *batch     // guarded by flushing: being written; nil: none
}

// Open checks the room's format and returns a meter; Run must be running for anything to be kept.
func Open(ctx context.Context, cfg Config) (*Meter, error) {
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	if cfg.RecordsMax == 0 {
		cfg.RecordsMax = 200_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Meter{cfg: cfg, metrics: newMetrics(), kick: make(chan struct{}, 1)}
	if err := format.Check(ctx, cfg.Store, room, formatV, m.gather); err != nil {
		return nil, fmt.Errorf("open meter: %w", err)
	}
	return m, nil
}

// Book is the price list in force.
func (m *Meter) Book() Book { return m.cfg.Book }

// Record takes one attempt. It never blocks.
func (m *Meter) Record(r Record) {
	r.Cost = m.cfg.Book.Cost(r)
	m.metrics.observe(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= bufferMax {
		m.dropped++
		m.metrics.dropped.Inc()
		return
	}
	m.waiting = append(m.waiting, r)
	if len(m.waiting) == batchMax {
		select {
		case m.kick <- struct{}{}:
		default:
		}
	}
}

// Run writes records behind the responses and drops old ones until ctx is done; then it writes what is left.
func (m *Meter) Run(ctx context.Context) error {
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			// The node is stopping: the last records get their own bounded time.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushEvery)
			defer cancel()
			return m.Flush(last)
		case <-m.kick:
			err = m.Flush(ctx)
		case <-flush.C:
			err = m.Flush(ctx)
		case <-sweep.C:
			m.metrics.forget(m.cfg.Now())
			err = m.sweep(ctx)
		}
		if errors.Is(err, kv.ErrClosed) && ctx.Err() == nil {
			return err
		}
		if err != nil && ctx.Err() == nil {
			m.cfg.Logger.Error("usage", "err", err)
		}
	}
}

// Flush writes what waits. A batch that could not be written stays as it is and goes first the next time: it may have been
// written all the same, and then must not be counted again.
func (m *Meter) Flush(ctx context.Context) error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	for {
		if m.batch == nil {
			m.batch = m.take()
		}
		if m.batch == nil {
			return nil
		}
		if err := m.write(ctx, m.batch); err != nil {
			m.batch.tried = true
			return fmt.Errorf("write usage: %w", err)
		}
		m.batch = nil
	}
}

// batch is records that are written in one transaction.
type batch struct {
	records []Record
	first   uint64 // number of its first block
	tried   bool   // it may be there already
}

// take is the next batch; nil: nothing waits.
func (m *Meter) take() *batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(m.waiting), batchMax)
	if n == 0 {
		return nil
	}
	b := &batch{records: m.waiting[:n:n], first: m.seq}
	if m.waiting = m.waiting[n:]; len(m.waiting) == 0 {
		m.waiting = nil
	}
	m.seq += uint64(n)
	return b
}

// sumKey names the sum of one function in one hour.
type sumKey struct {
	account, function string
	hour              time.Time
}

func (m *Meter) write(ctx context.Context, bt *batch) error {
	sums := map[sumKey]Sum{}
	for _, r := range bt.records {
		k := sumKey{r.Account, r.Function, r.At.Truncate(time.Hour)}
		s := sums[k]
		s.add(r)
		sums[k] = s
	}
	cut, err := blocks(bt.records)
	if err != nil {
		return err
	}
	return m.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if bt.tried {
			value, _, err := tx.Get(m.blockKey(cut[0].account, cut[0].first, bt.first))
			if err != nil || bytes.Equal(value, cut[0].value) {
				return err
			}
		}
		for i, b := range cut {
			tx.Set(m.blockKey(b.account, b.first, bt.first+uint64(i)), b.value)
		}
		for k, s := range sums {
			key := tuple.Key(k.account, m.cfg.Region, room, "sum", k.hour, k.function)
			if err := addSum(tx, key, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func addSum(tx kv.Tx, key []byte, s Sum) error {
	old, ok, err := tx.Get(key)
	if err != nil {
		return err
	}
	if ok {
		var was Sum
		if err := json.Unmarshal(old, &was); err != nil {
			return fmt.Errorf("usage sum: %w", err)
		}
		s.merge(was)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tx.Set(key, b)
	return nil
}
