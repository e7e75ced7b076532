package meter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Sum is the usage of one function over some time.
type Sum struct {
	Invocations int64         `json:"invocations"` // attempts that ran
	Errors      int64         `json:"errors"`      // of these, failed or timed out
	Throttles   int64         `json:"throttles"`   // attempts that a limit refused
	Cold        int64         `json:"cold"`        // attempts that made an instance
	Billed      time.Duration `json:"billed"`      // ns
	Run         time.Duration `json:"run"`         // ns
	GBSeconds   float64       `json:"gbSeconds"`
	MemoryPeak  int64         `json:"memoryPeak"` // bytes, highest of any instance
	Cost        float64       `json:"cost"`
}

func (s *Sum) add(r Record) {
	switch r.Outcome {
	case Throttled:
		s.Throttles++
		return
	case Broken:
		s.Errors++
		return
	case Failed, TimedOut:
		s.Errors++
	}
	s.Invocations++
	if r.Timing.Start == rouse.StartCold {
		s.Cold++
	}
	s.Billed += r.Timing.Billed
	s.Run += r.Timing.Run
	s.GBSeconds += r.Timing.Billed.Seconds() * float64(r.Timing.MemoryMB) / 1024
	s.MemoryPeak = max(s.MemoryPeak, r.Timing.MemoryPeak)
	s.Cost += r.Cost
}

func (s *Sum) merge(o Sum) {
	s.Invocations += o.Invocations
	s.Errors += o.Errors
	s.Throttles += o.Throttles
	s.Cold += o.Cold
	s.Billed += o.Billed
	s.Run += o.Run
	s.GBSeconds += o.GBSeconds
	s.MemoryPeak = max(s.MemoryPeak, o.MemoryPeak)
	s.Cost += o.Cost
}

// Line is the usage of one function.
type Line struct {
	Function string `json:"function"`
	Sum
}

// Usage sums the account's usage per function between two moments, whole hours, most expensive first. It covers what
// has been written: all but the last second.
func (m *Meter) Usage(ctx context.Context, account string, from, to time.Time) ([]Line, error) {
	prefix := tuple.Prefix(account, m.cfg.Region, room, "sum")
	r := kv.Range{From: tuple.Key(account, m.cfg.Region, room, "sum", from.Truncate(time.Hour)), To: prefix.To}
	byFunction := map[string]Sum{}
	err := m.pages(ctx, r, func(p kv.Pair) (bool, error) {
		parts, err := tuple.Parse(p.Key)
		if err != nil {
			return false, err
		}
		hour, function := parts[4].(time.Time), parts[5].(string)
		if !hour.Before(to) {
			return false, nil
		}
		var s Sum
		if err := json.Unmarshal(p.Value, &s); err != nil {
			return false, err
		}
		s.merge(byFunction[function])
		byFunction[function] = s
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	lines := make([]Line, 0, len(byFunction))
	for f, s := range byFunction {
		lines = append(lines, Line{Function: f, Sum: s})
	}
	slices.SortFunc(lines, func(a, b Line) int {
		if c := cmp.Compare(b.Cost, a.Cost); c != 0 {
			return c
		}
		return cmp.Compare(a.Function, b.Function)
	})
	return lines[:min(len(lines), UsageMax)], nil
}

// pages walks r in views short enough for the store until visit says stop.
func (m *Meter) pages(ctx context.Context, r kv.Range, visit func(kv.Pair) (more bool, err error)) error {
	for {
		n, last, more := 0, []byte(nil), true
		err := m.cfg.Store.View(ctx, func(v kv.View) error {
			for p, err := range v.Scan(r, sweepBatch) {
				if err != nil {
					return err
				}
				n, last = n+1, p.Key
				if more, err = visit(p); err != nil || !more {
					return err
				}
			}
			return nil
		})
		if err != nil || !more || n < sweepBatch {
			return err
		}
		if r.Reverse {
			r.To = last
		} else {
			r.From = append(last[:len(last):len(last)], 0)
		}
	}
}

// sweep drops records beyond their age, and the oldest beyond the number kept.
func (m *Meter) sweep(ctx context.Context) error {
	accounts, err := m.accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if err := m.sweepAccount(ctx, a); err != nil {
			return fmt.Errorf("sweep usage records: %w", err)
		}
	}
	return nil
}

// accounts finds who has records: a node has few, and each is one seek.
func (m *Meter) accounts(ctx context.Context) ([]string, error) {
	var out []string
	from := tuple.Key("0")
	for {
		var account string
		err := m.cfg.Store.View(ctx, func(v kv.View) error {
			for p, err := range v.Scan(kv.Range{From: from, To: tuple.Key(":")}, 1) {
				if err != nil {
					return err
				}
				parts, err := tuple.Parse(p.Key)
				if err != nil {
					return err
				}
				account, _ = parts[0].(string)
			}
			return nil
		})
		if err != nil || account == "" {
			return out, err
		}
		out = append(out, account)
		from = tuple.Prefix(account).To
	}
}

func (m *Meter) sweepAccount(ctx context.Context, account string) error {
	all := tuple.Prefix(account, m.cfg.Region, room, "blk")
	age := m.cfg.Now().Add(-m.cfg.Retention - blockSpan)
	old := kv.Range{From: all.From, To: tuple.Key(account, m.cfg.Region, room, "blk", age)}
	if err := m.drop(ctx, old, -1); err != nil {
		return err
	}
	var sizes []int
	total := 0
	err := m.pages(ctx, all, func(p kv.Pair) (bool, error) {
		n, _, err := blockCount(p.Value)
		sizes, total = append(sizes, n), total+n
		return true, err
	})
	if err != nil {
		return err
	}
	over := 0
	for over < len(sizes) && total-sizes[over] >= m.cfg.RecordsMax { // whole blocks only
		total -= sizes[over]
		over++
	}
	return m.drop(ctx, all, over)
}

// drop deletes the first n keys of r, all when n is negative.
func (m *Meter) drop(ctx context.Context, r kv.Range, n int) error {
	for n != 0 {
		limit := sweepBatch
		if n > 0 {
			limit = min(n, sweepBatch)
		}
		var keys [][]byte
		err := m.cfg.Store.View(ctx, func(v kv.View) error {
			keys = keys[:0]
			for p, err := range v.Scan(r, limit) {
				if err != nil {
					return err
				}
				keys = append(keys, p.Key)
			}
			return nil
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		err = m.cfg.Store.Update(ctx, func(tx kv.Tx) error {
			for _, k := range keys {
				tx.Delete(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.From = append(keys[len(keys)-1], 0)
		if n > 0 {
			n -= len(keys)
		}
	}
	return nil
}
