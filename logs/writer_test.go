package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/logs"
)

func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		l := open(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ok(t, l.Run(ctx)) })
		w := l.Writer(acc, group, stream)
		line := []byte("START\n")
		w.Write(time.Now(), line)
		copy(line, "xxxxx")
		w.Write(time.Now(), nil)
		l.Writer(acc, group, "other").Write(time.Now(), []byte("hello"))
		<-time.After(time.Second)
		if got := texts(mustSearch(t, l)); got != "START\n hello" && got != "hello START\n" {
			t.Errorf("a second later: got %q, want both lines", got)
		}
		w.Write(time.Now(), []byte("END\n"))
		cancel()
		wg.Wait()
		again := open(t, store)
		if got := strings.Join(follow(t, again, stream, true, 10), ""); got != "START\nEND\n" {
			t.Errorf("after the end: got %q, want START and END", got)
		}
	})
}

// TestWriterDrops: beyond its buffer a writer drops, never waits, and the log says so.
func TestWriterDrops(t *testing.T) {
	l := open(t, kvtest.Memory(t))
	w := l.Writer(acc, group, stream)
	text := bytes.Repeat([]byte("x"), 100<<10)
	for range 20 {
		w.Write(time.Now(), text)
	}
	if w.Dropped() == 0 {
		t.Fatal("got no dropped line, want some: nothing was flushed")
	}
	ok(t, l.Flush(t.Context()))
	got := mustSearch(t, l)
	want := fmt.Sprintf("[rouse] %d log lines were dropped here", w.Dropped())
	if n := len(got); n+int(w.Dropped()) != 21 || !strings.Contains(got[n-1].Message, want) {
		t.Errorf("got %d lines, the last %.60q; want %d and %q", n, got[n-1].Message, 21-w.Dropped(), want)
	}
	w.Write(time.Now(), []byte("fine again"))
	ok(t, l.Flush(t.Context()))
	if got := mustSearch(t, l); got[len(got)-1].Message != "fine again" {
		t.Errorf("got %q, want fine again", got[len(got)-1].Message)
	}
}

// TestLongLine: a line above EventMax becomes several events, not cut within a character.
func TestLongLine(t *testing.T) {
	l := open(t, kvtest.Memory(t))
	text := strings.Repeat("é", 200<<10)
	l.Writer(acc, "bad name:", "st:r*").Write(time.Now(), []byte(text))
	ok(t, l.Flush(t.Context()))
	f, err := l.Search(t.Context(), logs.Search{Account: acc, Group: "bad_name_"})
	ok(t, err)
	if len(f.Events) != 2 || f.Events[0].Message+f.Events[1].Message != text || len(f.Events[0].Message)%2 != 0 {
		t.Errorf("got %d events, want 2 that make the line", len(f.Events))
	}
	if f.Events[0].Stream != "st_r_" {
		t.Errorf("got stream %q, want st_r_", f.Events[0].Stream)
	}
}

// TestWriterKeepsWhileTheStoreFails: lines outlast a store that fails, and are stored once.
func TestWriterKeepsWhileTheStoreFails(t *testing.T) {
	store := &failing{Store: kvtest.Memory(t)}
	l := open(t, store)
	w := l.Writer(acc, group, stream)
	w.Write(time.Now(), []byte("one"))
	store.after = true // it commits, and says that it did not
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("got no error, want one")
	}
	w.Write(time.Now(), []byte("two"))
	store.after, store.before = false, true
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("got no error, want one")
	}
	store.before = false
	ok(t, l.Flush(t.Context()))
	if got := texts(mustSearch(t, l)); got != "one two" {
		t.Errorf("got %q, want one two", got)
	}
}

// failing fails updates before or after they commit.
type failing struct {
	kv.Store
	before, after bool
}

func (f *failing) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.before {
		return errors.New("the disk is full")
	}
	err := f.Store.Update(ctx, fn)
	if f.after {
		return kv.ErrUnknown
	}
	return err
}

func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := world(t)
		ctx, cancel := context.WithCancel(t.Context())
		all, err := l.Tail(ctx, logs.Tailing{Account: acc})
		ok(t, err)
		some, err := l.Tail(ctx, logs.Tailing{Account: acc, Groups: []string{group}, StreamPrefix: "2026", Pattern: "ERROR"})
		ok(t, err)
		_, err = l.Tail(ctx, logs.Tailing{Account: acc, Pattern: "{"})
		wantError(t, err, rouse.Invalid, "InvalidParameterException", "Invalid filter pattern")
		insert(t, l, stream, events(time.Now(), 0, "INFO 1", "ERROR 2"))
		w := l.Writer(acc, "other", "s")
		w.Write(time.Now(), []byte("ERROR 3"))
		ok(t, l.Flush(ctx))
		read := func(seq func(func(logs.Event) bool), n int) string {
			var got []logs.Event
			for e := range seq {
				if got = append(got, e); len(got) == n {
					break
				}
			}
			return texts(got)
		}
		if got := read(all, 3); got != "INFO 1 ERROR 2 ERROR 3" {
			t.Errorf("all: got %q", got)
		}
		if got := read(some, 1); got != "ERROR 2" {
			t.Errorf("some: got %q, want ERROR 2", got)
		}
		slow, err := l.Tail(ctx, logs.Tailing{Account: acc})
		ok(t, err)
		for i := range 300 {
			insert(t, l, stream, events(time.Now(), 0, strconv.Itoa(i)))
		}
		seen, missed := 0, 0
		for e := range slow {
			if seen++; seen == 256 {
				insert(t, l, stream, events(time.Now(), 0, "last"))
			}
			if missed += e.Dropped; e.Message == "last" {
				break
			}
		}
		if missed != 44 {
			t.Errorf("got %d missed, want 44", missed)
		}
		cancel()
		for range all {
			t.Error("got an event after the end")
		}
	})
}

// BenchmarkWrite is what a function's line costs before it is behind the response: one copy, one lock.
func BenchmarkWrite(b *testing.B) {
	l := open(b, kvtest.Memory(b))
	w := l.Writer(acc, group, stream)
	text := []byte("2026-11-23T15:00:00.000Z\t00000000-0000-0000-0000-000000000000\tINFO\tquoted basket of 3 items for 4711 cents\n")
	now := time.Now()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%2000 == 0 {
			ok(b, l.Flush(b.Context()))
		}
		w.Write(now, text)
	}
	if w.Dropped() > 0 {
		b.Errorf("got %d dropped lines, want none", w.Dropped())
	}
}
