package kv_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rouse-dev/rouse/kv"
)

func TestEntries(t *testing.T) {
	pos := kv.Pos{3: 7, 11: 9, 19: 1}
	for _, e := range []kv.Entry{
		{Kind: kv.EntryKey, Name: []byte("a"), Value: []byte("1")},
		{Kind: kv.EntryKey, Name: []byte{}, Value: []byte{}},
		{Kind: kv.EntryLog, Name: []byte("log"), Pos: pos, Value: []byte("r")},
		{Kind: kv.EntryLog, Name: bytes.Repeat([]byte("l"), kv.KeyMax), Pos: pos, Value: []byte{}},
		{Kind: kv.EntryTrim, Name: []byte("log"), Pos: pos},
	} {
		got, err := kv.ParseEntry(e.Pair())
		if err != nil || got.Kind != e.Kind || !bytes.Equal(got.Name, e.Name) || got.Pos != e.Pos || !bytes.Equal(got.Value, e.Value) {
			t.Errorf("ParseEntry of its own pair: got %+v, %v, want %+v", got, err, e)
		}
	}
	if got := pos.Epoch(); got != 7 {
		t.Errorf("epoch: got %d, want 7", got)
	}
	for name, p := range map[string]kv.Pair{
		"no kind":            {},
		"unknown kind":       {Key: []byte("x")},
		"log without a name": {Key: []byte("l")},
		"log cut off":        {Key: []byte("l\x03log" + "short")},
		"log of a long name": {Key: append([]byte("l\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), make([]byte, 40)...)},
		"trim cut off":       {Key: []byte("tlog"), Value: []byte("short")},
	} {
		if e, err := kv.ParseEntry(p); err == nil {
			t.Errorf("ParseEntry of a pair with %s: got %+v, want an error", name, e)
		}
	}
	if _, err := kv.ParseEntry(kv.Pair{Key: append([]byte("k"), make([]byte, kv.KeyMax+1)...)}); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("ParseEntry of a long key: got %v, want %v", err, kv.ErrTooLarge)
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte("ka"), []byte("v"))
	f.Add(kv.Entry{Kind: kv.EntryLog, Name: []byte("log")}.Pair().Key, []byte("v"))
	f.Add([]byte("tlog"), make([]byte, 20))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e, err := kv.ParseEntry(kv.Pair{Key: key, Value: value})
		if err != nil {
			return
		}
		again, err := kv.ParseEntry(e.Pair())
		if err != nil || again.Kind != e.Kind || !bytes.Equal(again.Name, e.Name) || again.Pos != e.Pos || !bytes.Equal(again.Value, e.Value) {
			t.Errorf("an entry and back: got %+v, %v, want %+v", again, err, e)
		}
	})
}
