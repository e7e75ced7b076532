// Package outbox carries what must follow a change: events that a transaction causes leave only if it commits, and then
// for certain.
//
// # The path of a record
//
//	a room's transaction          the relay, owner of the shard            the target's own queue
//	change + Send ──commit──▶ log (shard) ──Read from cursor──▶ move(tx, record) ─┐
//	                                                            cursor = position ─┴─ one Update, under the lease's guard
//
// Send appends the record to one of Shards logs, chosen by its source, so that records of one source keep the order of the
// commits that sent them. Each shard is a duty (package lease). Its owner reads the log from a cursor and moves record
// after record into the target's own durable queue, in the same transaction that advances the cursor. Then it trims the
// log behind itself.
//
// # What it promises
//
//   - A record of a committed transaction is moved, whatever crashes or takes over in between, and no record of another.
//   - What move writes happens exactly once per record. What it does outside of its transaction may be repeated; ID is
//     there to tell.
//   - Records of one source are moved in order, except those that move refuses (below).
//   - The relay waits for no target: moving is a write to the store and nothing else. A slow target has a long queue of its
//     own and holds nobody up.
//
// # Records that cannot be moved
//
// If move fails for a record Tries times, with pauses, the record is parked: appended to a second log of the shard, which is
// gone through once per ParkedEvery, so that it neither blocks its shard nor is lost. To drop a record for good is the
// business of move: it says so by returning nil.
//
// # What it leaves to others
//
// What a target is and where its queue lives (deliver), retries of the delivery itself, dead letters.
package outbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Shards is how many logs there are. It is part of the stored layout.
const Shards = 64

const (
	// PayloadMax is how many bytes a record carries at most; larger things are blobs, and their reference travels.
	PayloadMax = 2 << 20

	// HeaderMax is how many bytes source, target and cause take together at most.
	HeaderMax = 8 << 10

	// Tries is how often a record is tried before it is parked.
	Tries = 4

	// ParkedEvery is how often parked records are tried again.
	ParkedEvery = time.Minute
)

// Config says where the outbox lives.
type Config struct {
	Store  kv.Store
	Leases kv.Leases     // needed by Run only
	TTL    time.Duration // of a shard's lease; 0: 15 s
	Poll   time.Duration // how long an owner relies on hints alone; 0: 10 minutes. A second where hints may be lost
	Logger *slog.Logger  // nil: silent
}

// Outbox sends and relays records. Safe for concurrent use.
type Outbox struct{ cfg Config }

// New makes an Outbox. Nothing is moved until Run.
func New(cfg Config) *Outbox {
	cfg.TTL = cmp.Or(cfg.TTL, 15*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, 10*time.Minute)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Outbox{cfg}
}

// Record is one thing that must follow a change.
type Record struct {
	ID      string // unique, the same at every try
	Source  []byte // what it comes from; records of one source keep their order
	Target  string // the ARN of where it goes
	Cause   string // the id of what caused it
	Payload []byte
}

// header precedes the payload in a record's first part.
type header struct {
	Source []byte `json:"source,omitempty"`
	Target string `json:"target"`
	Cause  string `json:"cause,omitempty"`
	Parts  int    `json:"parts,omitempty"` // how many records of the log make this one; 0 means 1
	ID     string `json:"id,omitempty"`    // of a parked record, which keeps the one it had
}

// Send makes the record follow the commit of tx. It fails only if the record is too large.
func (o *Outbox) Send(tx kv.Tx, source []byte, target, cause string, payload []byte) error {
	shard := shardOf(source)
	h := header{Source: source, Target: target, Cause: cause}
	if err := appendRecord(tx, logOf(shard, mainLog), h, payload); err != nil {
		return err
	}
	tx.Wake(logOf(shard, mainLog))
	return nil
}

// Run moves records until ctx is done, then waits for what is running and returns nil. It returns an error only if the
// store has closed. One Run per process. move may run twice, as any function given to kv.Update.
func (o *Outbox) Run(ctx context.Context, move func(tx kv.Tx, rec Record) error) error {
	return run(ctx, o.cfg, move)
}

// The two logs of a shard.
const (
	mainLog   = "main"
	parkedLog = "parked"
)

func shardOf(source []byte) uint64 {
	h := fnv.New64a()
	h.Write(source)
	return h.Sum64() % Shards
}

// logOf names a log of a shard, and is what its owner is woken by.
func logOf(shard uint64, name string) []byte { return tuple.Key("rouse", "outbox", shard, name) }

func cursorOf(shard uint64, name string) []byte {
	return tuple.Key("rouse", "outbox", "cursor", shard, name)
}

// partMax is how many bytes of payload one record of the log carries.
const partMax = kv.ValueMax - 2*HeaderMax

// appendRecord writes one record as one or several of the log. They stand together: one transaction appends them in a row.
func appendRecord(tx kv.Tx, log []byte, h header, payload []byte) error {
	if len(payload) > PayloadMax || len(h.Source)+len(h.Target)+len(h.Cause) > HeaderMax {
		return fmt.Errorf("outbox: record for %.100s: %w", h.Target, kv.ErrTooLarge)
	}
	h.Parts = (len(payload) + partMax - 1) / partMax
	if h.Parts == 1 {
		h.Parts = 0
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	first := payload[:min(len(payload), partMax)]
	part := binary.AppendUvarint(make([]byte, 0, len(head)+len(first)+binary.MaxVarintLen64), uint64(len(head)))
	tx.Append(log, append(append(part, head...), first...))
	for rest := payload[len(first):]; len(rest) > 0; {
		n := min(len(rest), partMax)
		tx.Append(log, rest[:n])
		rest = rest[n:]
	}
	return nil
}

// entry is a record and the position of its last part.
type entry struct {
	Record
	end kv.Pos
}

var errPart = errors.New("outbox: unreadable record")

// assemble makes entries of the records of a log; a last one that is not complete is left out.
func assemble(shard uint64, records []kv.Record) ([]entry, error) {
	var entries []entry
	for len(records) > 0 {
		first := records[0]
		n, size := binary.Uvarint(first.Value)
		if size <= 0 || n > uint64(len(first.Value)-size) {
			return nil, errPart
		}
		var h header
		if err := json.Unmarshal(first.Value[size:size+int(n)], &h); err != nil {
			return nil, fmt.Errorf("%w: %w", errPart, err)
		}
		parts := max(h.Parts, 1)
		if parts > len(records) {
			break
		}
		payload := first.Value[size+int(n):]
		for _, r := range records[1:parts] {
			payload = append(payload, r.Value...)
		}
		id := cmp.Or(h.ID, fmt.Sprintf("%02x-%x", shard, first.Pos[:]))
		entries = append(entries, entry{Record{id, h.Source, h.Target, h.Cause, payload}, records[parts-1].Pos})
		records = records[parts:]
	}
	return entries, nil
}
