// Package logs keeps log groups: what functions print and what clients put, ordered by time, searched, followed live, and
// thrown away by age and by size.
//
// # Blocks
//
// Lines are stored in blocks: what one stream brought in one batch, at most a minute long and blockMax bytes, compressed.
// A key per line would cost fifteen times the space and eight times the CPU (BenchmarkAppend). Keys sort a group's blocks
// by their first time, so that a search of the group is one walk; a small index beside them sorts them by stream.
//
//	(account, region, "logs", "g", group)                     the group
//	(account, region, "logs", "n", group id)                  its counters: bytes, and up to when it has been trimmed
//	(account, region, "logs", "s", group id, stream)          a stream
//	(account, region, "logs", "b", group id, first time, seq) a block
//	(account, region, "logs", "i", group id, stream id, first time, seq)  the same block, seen from its stream
//	("", region, "logs", "all", account, group)               every group, for the sweep
//	("", region, "logs", "dead", account, group id[, stream id]) deleted, and its blocks are still there
//
// Events come out ordered by time, then by arrival: a walk merges the blocks that overlap, and because none is longer than
// spanMax it knows how far back to begin. That order is the position that tokens name.
//
// # Writing
//
// A Writer never blocks the function behind it: it buffers, and one flush for all writers goes to the store some 200 ms
// after the first line, in few transactions. What exceeds the buffers is dropped and counted, and a line says so in the
// log. A crash loses what was not yet flushed, at most a second while the store answers; Run and Flush write the rest at
// the end. What Put acknowledged is on disk.
//
// # Following
//
// Tail delivers events once they are on disk, on the node that stored them, and tells a reader who is too slow how many
// it missed.
//
// # Expiry
//
// Run removes blocks that are older than the group's retention or that make it larger than Config.SizeMax, oldest first,
// and streams that are empty because of it. Several nodes may do so at once: Claim gives each block to one of them.
// Readers never see what has expired, swept or not.
//
// Left to others: who may read (the doors), the lines START, END and REPORT (dispatch), metric and subscription filters.
package logs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
)

// Config of Logs.
type Config struct {
	Store kv.Store // required
	// Region is part of the keys and of ARNs. Default rouse.DefaultRegion.
	Region string
	// SizeMax is how many bytes on disk one group may take before its oldest blocks go. Default 1 GiB.
	SizeMax int64
	// FlushEvery is how long a line waits for others before it is stored. Default 200 ms, at most a second.
	FlushEvery time.Duration
	// SweepEvery is how often expired blocks are looked for. Default a minute.
	SweepEvery time.Duration
	// BufferMax limits what all writers hold together, in bytes. Default 64 MiB. One writer holds at most WriterMax.
	BufferMax int64
	// Logger gets what Run cannot return. Default: none.
	Logger *slog.Logger
}

// Limits, those of AWS where it has them
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html).
const (
	EventMax     = 256 << 10 // bytes of one event's message; longer lines of a Writer are split
	EventCost    = 26        // bytes that AWS counts for an event beside its message
	PutEventsMax = 10_000
	PutBytesMax  = 1 << 20 // messages and EventCost
	PutSpanMax   = 24 * time.Hour
	PageMax      = 10_000 // events of one answer
	PageBytesMax = 1 << 20
	NameMax      = 512
	TagsMax      = 50
	WriterMax    = 1 << 20 // bytes one Writer holds before it drops

	blockMax    = 256 << 10 // bytes of messages in a block; a single event may be as long
	blockEvents = 10_000
	spanMax     = time.Minute // between the first and the last event of a block
	flushBytes  = 2 << 20     // of one transaction of the flush
	flushBlocks = 500         // likewise
	flushSoon   = 1 << 20     // buffered bytes that do not wait for FlushEvery

	formatVersion     = 1
	sizeMaxDefault    = 1 << 30
	bufferMaxDefault  = 64 << 20
	flushEveryDefault = 200 * time.Millisecond
	sweepEveryDefault = time.Minute
	closeTimeout      = 5 * time.Second // for the last flush
)

// Event is one line of a log.
type Event struct {
	Group, Stream string
	Time          time.Time // milliseconds
	Ingested      time.Time
	Message       string
	// Dropped is set instead of the rest by Tail: so many events were missed here.
	Dropped int

	at position
}

// ID is the event's id: a number of 56 digits, unique in its group.
func (e *Event) ID() string { return e.at.String() }

// Logs is safe for concurrent use.
type Logs struct {
	cfg  Config
	seqs sequence
	hub  hub

	buffered atomic.Int64 // bytes that writers hold
	kick     chan struct{}

	mu    sync.Mutex
	dirty []*Writer // writers with lines; guarded by mu

	flushing sync.Mutex // one flush at a time
	pending  []*chunk   // encoded and not yet stored; guarded by flushing
}

// Open checks the store's format.
func Open(ctx context.Context, cfg Config) (*Logs, error) {
	if cfg.Store == nil {
		return nil, errors.New("logs: Config.Store is missing")
	}
	if cfg.Region == "" {
		cfg.Region = rouse.DefaultRegion
	}
	if cfg.SizeMax == 0 {
		cfg.SizeMax = sizeMaxDefault
	}
	if cfg.FlushEvery == 0 {
		cfg.FlushEvery = flushEveryDefault
	}
	if cfg.FlushEvery < 0 || cfg.FlushEvery > time.Second {
		return nil, fmt.Errorf("logs: Config.FlushEvery is %s, want at most a second", cfg.FlushEvery)
	}
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = sweepEveryDefault
	}
	if cfg.BufferMax == 0 {
		cfg.BufferMax = bufferMaxDefault
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := format.Check(ctx, cfg.Store, "logs", formatVersion); err != nil {
		return nil, err
	}
	l := &Logs{cfg: cfg, kick: make(chan struct{}, 1)}
	l.seqs.node = randomID() & (1<<nodeBits - 1)
	l.hub.subs = map[*subscriber]struct{}{}
	return l, nil
}

// Run flushes writers and sweeps what has expired until ctx ends, and then flushes once more.
func (l *Logs) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.sweepLoop(ctx) })
	err := l.flushLoop(ctx)
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if flushErr := l.Flush(last); flushErr != nil && err == nil {
		err = fmt.Errorf("write the last log lines: %w", flushErr)
	}
	return err
}

func (l *Logs) now() time.Time { return l.cfg.Store.Now() }

// sequence numbers batches: they ascend, and those of two nodes rarely meet (and are told apart when they do).
type sequence struct {
	node uint64
	mu   sync.Mutex
	last uint64 // guarded by mu
}

const (
	nodeBits    = 10
	counterBits = 12
)

func (s *sequence) next(now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint64(now.UnixMilli()) << counterBits
	s.last = max(s.last+1, n)
	return s.last<<nodeBits | s.node
}

func randomID() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// failed turns an error of the store into one that a client can act on; errors that have a kind pass.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*rouse.Error)):
		return err
	case errors.Is(err, kv.ErrConflict):
		return rouse.Errorf(rouse.Conflict, "Multiple concurrent requests to update the same resource were in conflict.").
			WithCode("OperationAbortedException")
	}
	return fmt.Errorf("logs: %w", err)
}
