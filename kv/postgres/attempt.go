package postgres

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
)

// attempt is a snapshot, what functions read from it and want to write over it, and the commit of that.
type attempt struct {
	reader
	now  func() time.Time
	hot  func(stripe int32) bool // nil: it does not matter
	held wants                   // locked by the session, before the snapshot

	base    map[string]row   // what was read, of the snapshot
	read    map[string]bool  // of base: what functions have asked for
	overlay map[string]write // what the functions that ran have written
	order   []string         // of overlay
	logs    []record
	topics  [][]byte
	size    int
}

var (
	errHot       = errors.New("kv: contended key")     // the attempt should wait for its turn first
	errOvertaken = errors.New("kv: attempt overtaken") // by another commit: nothing happened
	errGivenUp   = errors.New("the connection was lost before the commit")
)

func newAttempt(r reader, now func() time.Time) *attempt {
	return &attempt{reader: r, now: now, base: map[string]row{}, read: map[string]bool{}, overlay: map[string]write{}}
}

// fetch answers from the snapshot, in the order of keys.
func (a *attempt) fetch(keys [][]byte) ([]row, error) {
	rows := make([]row, len(keys))
	var rest [][]byte
	var places []int
	for i, k := range keys {
		r, ok := a.base[string(k)]
		if !ok {
			rest, places = append(rest, k), append(places, i)
		}
		rows[i] = r
		a.read[string(k)] = true
	}
	var got []row
	var err error
	switch len(rest) {
	case 0:
		return rows, nil
	case 1:
		got = make([]row, 1)
		got[0], err = a.get(bytesOf(rest[0]))
	default:
		got, err = a.all(rest)
	}
	if err != nil {
		return nil, err
	}
	for i, g := range got {
		a.base[string(rest[i])] = g
		rows[places[i]] = g
	}
	return rows, nil
}

// lock takes a session, locks, then takes the snapshot and reads keys that will be wanted: one round trip.
func (a *attempt) lock(w wants, keys [][]byte) error {
	c, stop, err := a.borrow()
	if err != nil {
		return err
	}
	a.c, a.stop, a.began, a.held = c, stop, time.Now(), w
	c.sync()
	c.locked = true
	c.net.SetDeadline(time.Now().Add(lockMax))
	c.send("lock", int4(c.class), int4s(w.codes()))
	c.sync()
	rows := make([]row, len(keys))
	if len(keys) > 0 {
		c.send("all", array(oidBytea, present(keys)))
	}
	if err = c.flush(); err == nil {
		err = c.result(nil)
	}
	if err == nil && len(keys) > 0 {
		err = c.result(into(&rows))
	}
	if err != nil {
		c.dead = true
		return err
	}
	a.began = time.Now()
	for i, k := range keys {
		a.base[string(k)] = rows[i]
	}
	return nil
}

// take makes what a function has written part of the attempt.
func (a *attempt) take(t *tx) {
	for _, w := range t.writes {
		if _, ok := a.overlay[w.key]; !ok {
			a.order = append(a.order, w.key)
		}
		a.overlay[w.key] = w
	}
	a.logs = append(a.logs, t.logs...)
	a.topics = append(a.topics, t.topics...)
	a.size += t.size
}

// request is the parameters of a commit.
type request struct {
	checked [][]byte // keys whose versions are compared, in the order in which the server numbers them
	absent  bool     // some of them were absent: the server needs to know the snapshot
	params  [][]byte
	seq     int64
}

// request says what to lock, to compare and to write.
func (a *attempt) request(c *session) request {
	q := request{seq: c.seq + 1}
	need := wants{}
	var versions [][]byte
	absent := map[int32]bool{}
	for k := range a.read {
		s := stripe([]byte(k))
		need.add(s, false)
		if _, ok := a.held[s]; ok {
			continue // locked before it was read
		}
		r := a.base[k]
		q.checked = append(q.checked, []byte(k))
		if r.there {
			versions = append(versions, xid8(r.x))
		} else {
			versions = append(versions, nil)
			absent[s] = true
		}
	}
	var dead, set, values, names, records [][]byte
	deadStripes := map[int32]bool{}
	for _, k := range a.order {
		w, s := a.overlay[k], stripe([]byte(k))
		need.add(s, true)
		if w.delete {
			dead = append(dead, []byte(k))
			deadStripes[s] = true
			continue
		}
		set, values = append(set, []byte(k)), append(values, bytesOf(w.value))
	}
	for _, r := range a.logs {
		names, records = append(names, bytesOf(r.log)), append(records, bytesOf(r.value))
	}
	// What is held already needs no second lock, and more than a share of it. What is not cannot be waited for any more once
	// something is held: others may wait in the other direction.
	maps.DeleteFunc(need, func(s int32, exclusive bool) bool { had, ok := a.held[s]; return ok && (had || !exclusive) })
	wait, try := need.codes(), []int32(nil)
	if len(a.held) > 0 {
		wait, try = nil, slices.DeleteFunc(wait, func(c int32) bool { return c < 0 })
	}
	q.absent = len(absent) > 0
	q.params = [][]byte{int4(c.class), int4s(wait), int4s(try), int8b(c.slot), int8b(q.seq), array(oidBytea, q.checked),
		array(oidXid8, versions), int4s(sorted(absent)), array(oidBytea, dead), int4s(sorted(deadStripes)), array(oidBytea, set),
		array(oidBytea, values), array(oidBytea, names), array(oidBytea, records)}
	return q
}

func sorted(set map[int32]bool) []int32 { return slices.Sorted(maps.Keys(set)) }

// finished is the answer of the server's function of that name when it has written; for the others see schema.sql.
const finished = 0

// commit writes and commits: one round trip, in which what is held is let go of as well. errOvertaken: nothing happened, and
// culprit is the key that changed, if one is known. An error that is errLost leaves the outcome open.
func (a *attempt) commit() (culprit []byte, err error) {
	c, q := a.c, a.request(a.c)
	c.unwaited = false
	answers := 2 // before that of finish
	if q.absent {
		c.send("note")
	} else {
		answers--
	}
	c.sync()
	c.send("begin")
	c.send("finish", q.params...)
	c.send("commit")
	c.sync()
	if c.locked {
		c.send("unlock")
		c.sync()
	}
	verdict := int32(finished)
	err = c.flush()
	for ; answers > 0 && err == nil; answers-- {
		err = c.result(nil)
	}
	if err == nil {
		err = c.result(func(v [][]byte) error { verdict = int32(uint32(number(v[0]))); return nil })
	}
	if err == nil {
		err = c.result(nil)
	}
	if err != nil {
		c.dead = true
		return nil, err
	}
	if verdict == finished {
		c.seq = q.seq
	}
	if c.locked {
		c.locked = c.result(nil) != nil
	}
	switch {
	case verdict == finished && c.unwaited:
		// It is committed here, but a standby that should have it before anybody hears of it may not.
		return nil, fmt.Errorf("%w: %w", kv.ErrUnknown, errNoStandby)
	case verdict == finished:
		return nil, nil
	case verdict > 0 && int(verdict) <= len(q.checked):
		return q.checked[verdict-1], errOvertaken
	default:
		return nil, errOvertaken
	}
}

// SQLSTATEs that matter.
const (
	codeCanceled   = "57014"
	codeDeadlock   = "40P01"
	codeNoRoom     = "53200" // no shared memory for another lock
	codeNotWaited  = "55P03"
	codeSerialized = "40001"
)

// code is the SQLSTATE of an error of the server.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// passing reports whether an attempt that failed so may succeed when it is repeated.
func (s *Store) passing(err error) bool {
	switch code(err) {
	case codeNoRoom:
		s.noRoom.Do(func() {
			s.log.Warn("the server has no room for another lock: raise its max_locks_per_transaction", "schema", s.cfg.Schema, "err", err)
		})
		return true
	case codeDeadlock, codeNotWaited, codeSerialized:
		return !errors.Is(err, errLost)
	}
	return false
}

// unlock lets go of what an attempt holds that does not commit.
func (a *attempt) unlock() {
	c := a.c
	if c == nil || !c.locked || c.dead {
		return
	}
	c.sync()
	c.send("unlock")
	c.sync()
	err := c.flush()
	if err == nil {
		err = c.result(nil)
	}
	if err != nil {
		c.dead = true
		return
	}
	c.locked = false
}
