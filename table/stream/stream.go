// Package stream is the records of what happened to the items of a table, in a log of the store.
//
// # Records
//
// A write appends its record in its own transaction. The store gives the position at commit, so records of one item stand
// in the order of its writes, and a reader who goes on from where it stopped misses none and sees none twice. A record is
// one or more chunks, because both images of an item of 400 KB do not fit into one value; the chunks of a record follow
// each other in one commit, and Read puts them together, wherever a reader begins. The last chunk of a log that was
// closed says so: nothing follows it.
//
//	chunk   flags  time  part of the body        record   event  service  keys  new image  old image
//
// The sequence number of a record is the position of its first chunk, written as a decimal number of fixed width.
//
// # Iterators
//
// An iterator is text that anybody can hold and nobody can make: it says stream, position and when it expires, and is
// signed with a secret that all nodes share. So no node remembers iterators, and a forged one reads nothing.
//
// # Finding the end
//
// A log of the store is read forwards only. Its end, and the end of its old records, are found by search: it gallops over
// the numbers of commits, then halves, some dozens of reads of one record however long the log is.
//
// What streams a table has, who trims them and what was trimmed is package table's.
package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// pageMax is how many bytes of records, as DynamoDB counts them, end a page.
const pageMax = 1 << 20

// Page is a part of a log.
type Page struct {
	Records []Record
	Pos     kv.Pos // behind what was read
	Closed  bool   // the last record was read: there never is another
}

// Read reads at most limit whole records after a position, and about pageMax bytes of them. An empty page says that
// there is nothing yet.
func Read(ctx context.Context, store kv.Store, log []byte, from kv.Pos, limit int) (Page, error) {
	r := reader{page: Page{Pos: from}, limit: limit}
	for at := from; !r.full(); {
		chunks, err := store.Read(ctx, log, at, limit-len(r.page.Records))
		if err != nil {
			return Page{}, err
		}
		if len(chunks) == 0 {
			break
		}
		for _, c := range chunks {
			if at = c.Pos; r.full() {
				break
			}
			if err := r.take(c); err != nil {
				return Page{}, fmt.Errorf("stream record at %x: %w", c.Pos, err)
			}
		}
	}
	return r.page, nil
}

// reader puts records together from chunks.
type reader struct {
	page  Page
	limit int
	size  int
	part  []byte // of the record whose first chunk was at first; nil: none was begun
	first kv.Pos
}

func (r *reader) full() bool {
	return r.page.Closed || len(r.page.Records) >= r.limit || r.size >= pageMax
}

// take takes the next chunk.
func (r *reader) take(c kv.Record) error {
	flags, created, body, err := parseChunk(c.Value)
	switch {
	case err != nil:
		return err
	case flags&chunkEnd != 0:
		r.page.Closed, r.page.Pos = true, c.Pos
		return nil
	case flags&chunkContinues != 0 && r.part == nil: // reading began within a record that was read before
		r.page.Pos = c.Pos
		return nil
	case r.part == nil:
		r.first, r.part = c.Pos, body[:len(body):len(body)]
	default:
		r.part = append(r.part, body...)
	}
	if flags&chunkMore != 0 {
		return nil
	}
	rec, err := parseRecord(r.part)
	if err != nil {
		return err
	}
	rec.Created, rec.Sequence = created, Sequence(r.first)
	r.page.Records, r.page.Pos, r.part = append(r.page.Records, rec), c.Pos, nil
	r.size += rec.SizeBytes
	return nil
}

// End is a position behind all records that are there, at or after from.
func End(ctx context.Context, store kv.Store, log []byte, from kv.Pos) (kv.Pos, error) {
	s, err := search(ctx, store, log, from, func(kv.Record) bool { return true })
	return s.last(), err
}

// Last is the position of the last commit that is there; from, if there is nothing after it.
func Last(ctx context.Context, store kv.Store, log []byte, from kv.Pos) (kv.Pos, error) {
	s, err := search(ctx, store, log, from, func(kv.Record) bool { return true })
	return s.first(), err
}

// Older is a position behind all records that were made before a time; ok is false when there are none after from.
func Older(ctx context.Context, store kv.Store, log []byte, from kv.Pos, than time.Time) (to kv.Pos, ok bool, err error) {
	s, err := search(ctx, store, log, from, func(r kv.Record) bool {
		_, created, _, err := parseChunk(r.Value)
		return err == nil && created.Before(than)
	})
	return s.last(), spotOf(from).less(s), err
}

// Beyond is a position behind all that a log can have.
func Beyond() kv.Pos { return spotEnd.minus(spot{0, 1}).last() }

// search finds the last commit whose records satisfy ok, among those after a position: ok is true up to some record, and
// false for all that follow. It gallops, then halves: some dozens of reads of one record each, however long the log.
func search(ctx context.Context, store kv.Store, log []byte, from kv.Pos, ok func(kv.Record) bool) (spot, error) {
	probe := func(p kv.Pos) (spot, bool, error) {
		recs, err := store.Read(ctx, log, p, 1)
		if err != nil || len(recs) == 0 || !ok(recs[0]) {
			return spot{}, false, err
		}
		return spotOf(recs[0].Pos), true, nil
	}
	low, found, err := probe(from)
	if err != nil || !found {
		return spotOf(from), err
	}
	high := spotEnd
	step := spot{0, 1}
	for low.less(high) {
		mid, over := low.plus(step)
		if over || !mid.less(high) {
			mid = low.middle(high)
		}
		next, found, err := probe(mid.last())
		switch {
		case err != nil:
			return spot{}, err
		case found:
			low = next
			step, _ = step.plus(step)
		default:
			high = mid
			step = low.middle(high).minus(low)
		}
	}
	return low, nil
}
