package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/kv"
)

// Writer writes the lines of one stream, which is made, and its group, when they do not exist. It needs no closing. Safe
// for concurrent use.
type Writer struct {
	l                      *Logs
	account, group, stream string

	mu      sync.Mutex
	lines   []line // guarded by mu
	bytes   int    // of lines; guarded by mu
	dropped int    // since the last flush; guarded by mu
	lost    int64  // all lines ever dropped; guarded by mu
	queued  bool   // it stands in Logs.dirty; guarded by mu
}

// Writer returns a new writer. Names are cut and cleaned to what CloudWatch allows.
func (l *Logs) Writer(account, group, stream string) *Writer {
	return &Writer{l: l, account: account, group: clean(group, checkGroup), stream: clean(stream, checkStream)}
}

// clean replaces what check refuses.
func clean(name string, check func(string) error) string {
	name = name[:min(len(name), NameMax)]
	if check(name) == nil {
		return name
	}
	b := []byte(name)
	for i := range b {
		if check(string(b[i:i+1])) != nil {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b)
}

// lineCost is what a buffered line costs in memory beside its bytes.
const lineCost = 48

// Write takes a line as it is; the caller may use the slice again. It never waits for the store: if more is buffered than
// the limits allow, the line is dropped, and the log will say so. Empty lines are nothing to CloudWatch, nor here.
func (w *Writer) Write(at time.Time, text []byte) {
	for len(text) > 0 {
		n := len(text)
		if n > EventMax-EventCost {
			n = EventMax - EventCost
			for back := 1; back < utf8.UTFMax && !utf8.RuneStart(text[n]); back++ {
				n--
			}
		}
		w.add(at.UnixMilli(), text[:n])
		text = text[n:]
	}
}

func (w *Writer) add(at int64, text []byte) {
	cost := len(text) + lineCost
	w.mu.Lock()
	if w.bytes+cost > WriterMax || w.l.buffered.Load()+int64(cost) > w.l.cfg.BufferMax {
		w.dropped++
		w.lost++
	} else {
		w.lines = append(w.lines, line{max(at, 0), string(text)})
		w.bytes += cost
		w.l.buffered.Add(int64(cost))
	}
	first := !w.queued
	w.queued = true
	w.mu.Unlock()
	if first {
		w.l.mu.Lock()
		w.l.dirty = append(w.l.dirty, w)
		w.l.mu.Unlock()
	}
	if first || w.l.buffered.Load() > flushSoon {
		select {
		case w.l.kick <- struct{}{}:
		default:
		}
	}
}

// Dropped counts the lines that were ever dropped.
func (w *Writer) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// take empties the buffer.
func (w *Writer) take(now time.Time) []line {
	w.mu.Lock()
	lines, bytes, dropped := w.lines, w.bytes, w.dropped
	w.lines, w.bytes, w.dropped, w.queued = nil, 0, 0, false
	w.mu.Unlock()
	w.l.buffered.Add(-int64(bytes))
	// Lines of several goroutines may come a little out of order; blocks are ordered.
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.time, b.time) })
	if dropped > 0 {
		at := now.UnixMilli()
		if n := len(lines); n > 0 {
			at = max(at, lines[n-1].time)
		}
		lines = append(lines, line{at, fmt.Sprintf("[rouse] %d log lines were dropped here: they came faster than they "+
			"could be stored.\n", dropped)})
	}
	return lines
}

// flushLoop flushes FlushEvery after the first line, or as soon as much is buffered.
func (l *Logs) flushLoop(ctx context.Context) error {
	timer := time.NewTimer(l.cfg.FlushEvery)
	timer.Stop()
	waiting, failing := false, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.kick:
			if !waiting {
				waiting = true
				timer.Reset(l.cfg.FlushEvery)
			}
			if l.buffered.Load() < flushSoon || failing {
				continue
			}
		case <-timer.C:
		}
		waiting = false
		timer.Stop()
		err := l.Flush(ctx)
		switch {
		case errors.Is(err, kv.ErrClosed):
			return err
		case err != nil && ctx.Err() == nil:
			if !failing {
				l.cfg.Logger.Error("log lines could not be stored; they are kept and tried again while the buffers last", "err", err)
			}
			waiting = true
			timer.Reset(time.Second)
		}
		failing = err != nil
	}
}

// Flush stores all lines written before it was called. nil: they are on disk.
func (l *Logs) Flush(ctx context.Context) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	// What could not be stored is tried first, and until it is the writers keep what they have, within their limits.
	if err := l.storePending(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	dirty := l.dirty
	l.dirty = nil
	l.mu.Unlock()
	now := l.now()
	for _, w := range dirty {
		lines := w.take(now)
		blocks := encodeBlocks(lines, func() uint64 { return l.seqs.next(now) })
		for len(blocks) > 0 {
			n := min(len(blocks), flushBlocks/2)
			c := &chunk{account: w.account, group: w.group, stream: w.stream, create: true, blocks: blocks[:n]}
			l.pending = append(l.pending, c)
			blocks = blocks[n:]
		}
	}
	return l.storePending(ctx)
}

// storePending stores what is pending in transactions of bounded size. The caller holds flushing.
func (l *Logs) storePending(ctx context.Context) error {
	for len(l.pending) > 0 {
		n, bytes, blocks := 0, int64(0), 0
		for n < len(l.pending) && (n == 0 || bytes < flushBytes && blocks < flushBlocks) {
			for _, b := range l.pending[n].blocks {
				bytes += b.bytes
			}
			blocks += len(l.pending[n].blocks)
			n++
		}
		err := l.store(ctx, l.pending[:n])
		if errors.Is(err, kv.ErrTooLarge) && n > 1 {
			n = 1
			err = l.store(ctx, l.pending[:n])
		}
		if errors.Is(err, kv.ErrTooLarge) {
			// It will not get smaller, and the lines behind it shall not wait for ever.
			l.cfg.Logger.Error("log lines are lost: the store takes no batch so large", "group", l.pending[0].group, "err", err)
			err = nil
		}
		if err != nil {
			return err
		}
		clear(l.pending[:n])
		l.pending = l.pending[n:]
	}
	l.pending = nil
	return nil
}
