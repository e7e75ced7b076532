package logs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// TestBlocks reaches inside: what a block holds the door cannot show apart from what others hold.
func TestBlocks(t *testing.T) {
	var lines []line
	for i := range 25_000 {
		lines = append(lines, line{int64(i * 10), fmt.Sprint("line ", i)})
	}
	lines = append(lines, line{1e6, strings.Repeat("x", EventMax)}, line{1e6, "after"})
	seq := uint64(0)
	blocks := encodeBlocks(lines, func() uint64 { seq++; return seq })
	var got []line
	for _, b := range blocks {
		if b.last-b.first > spanMax.Milliseconds() || b.count > blockEvents {
			t.Errorf("a block has %d events over %d ms, want at most %d over %s", b.count, b.last-b.first, blockEvents, spanMax)
		}
		h := header{stream: 7, name: "s", ingested: 5, bytes: b.bytes, count: b.count}
		opened, payload, err := openHeader(h.seal(b.payload))
		if err != nil || opened != h {
			t.Fatalf("got %+v, %v; want %+v", opened, err, h)
		}
		l, err := openLines(payload, b.first, b.count)
		if err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		got = append(got, l...)
	}
	if !slices.Equal(got, lines) {
		t.Errorf("got %d lines, want the %d that went in", len(got), len(lines))
	}
}

func TestPositions(t *testing.T) {
	for _, p := range []position{{}, {1, 2, 3}, {1 << 62, 1<<64 - 1, 1<<32 - 1}} {
		got, ok := parsePosition(p.String())
		if !ok || got != p || len(p.String()) != positionDigits {
			t.Errorf("%+v: got %+v, %v from %s", p, got, ok, p)
		}
	}
}

func TestSequence(t *testing.T) {
	s := sequence{node: 3}
	now := time.Now()
	last := uint64(0)
	for i := range 10_000 {
		if i == 9000 {
			now = now.Add(-time.Hour) // the clock may go back: numbers do not
		}
		n := s.next(now)
		if n <= last || n&(1<<nodeBits-1) != 3 {
			t.Fatalf("got %d after %d, want more, of node 3", n, last)
		}
		last = n
	}
}

func FuzzBlock(f *testing.F) {
	b := encodeBlock([]line{{5, "a"}, {6, "bc"}}, 1)
	h := header{stream: 1, name: "s", ingested: 7, bytes: b.bytes, count: 2}
	f.Add(h.seal(b.payload))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		h, payload, err := openHeader(value)
		if err != nil {
			return
		}
		lines, err := openLines(payload, 0, h.count)
		if err == nil && len(lines) != h.count {
			t.Errorf("got %d lines, want %d or an error", len(lines), h.count)
		}
		_, _ = openIndexed(value)
		parsePosition(string(value))
	})
}

// BenchmarkAppend: one flush of a busy second, 3,000 lines of one stream. A key per line is 3,000 keys of 60 bytes and
// as many values in the write-ahead log; blocks are one value of some 25 KB, its index entry, the stream and the counters.
func BenchmarkAppend(b *testing.B) {
	var lines []line
	at := time.Now().UnixMilli()
	size := 0
	for i := range 1000 {
		id := fmt.Sprintf("%08x-8f2d-4c11-9d3e-%012x", i*7919, i*104729)
		for _, m := range []string{
			"START RequestId: " + id + " Version: $LATEST\n",
			"2026-11-23T15:00:00.000Z\t" + id + "\tINFO\tquoted basket of 3 items for 4711 cents\n",
			"END RequestId: " + id + "\nREPORT RequestId: " + id + "\tDuration: 3.12 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 61 MB\n",
		} {
			lines = append(lines, line{at + int64(i), m})
			size += len(m)
		}
	}
	report := func(b *testing.B, stored int) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/line")
		b.ReportMetric(float64(stored)/float64(len(lines)), "B/line")
		b.ReportMetric(float64(size)/float64(stored), "ratio")
	}
	b.Run("blocks", func(b *testing.B) {
		store := kvtest.Memory(b)
		l, err := Open(b.Context(), Config{Store: store})
		if err != nil {
			b.Fatal(err)
		}
		stored := 0
		for b.Loop() {
			blocks := encodeBlocks(lines, func() uint64 { return l.seqs.next(time.Now()) })
			stored = 0
			for _, k := range blocks {
				stored += len(k.payload) + 160
			}
			if err := l.store(b.Context(), []*chunk{{account: "1", group: "g", stream: "s", create: true, blocks: blocks}}); err != nil {
				b.Fatal(err)
			}
		}
		report(b, stored)
	})
	b.Run("keys", func(b *testing.B) {
		store := kvtest.Memory(b)
		n, stored := uint64(0), 0
		for b.Loop() {
			err := store.Update(b.Context(), func(tx kv.Tx) error {
				stored = 0
				for _, l := range lines {
					n++
					k := tuple.Key("000000000000", "us-east-1", "logs", "e", uint64(1), uint64(2), l.time, n)
					v, _ := json.Marshal(l.message)
					tx.Set(k, v)
					stored += len(k) + len(v)
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		report(b, stored)
	})
}
