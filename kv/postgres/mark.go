package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// marks collects what this node's claims have learnt of where ranges begin. The marks themselves stand in the schema (see
// schema.sql), for commits of any node to lower; a claim reads its range's with the keys.
type marks struct {
	every time.Duration // between two steps of one mark
	more  chan struct{} // buffer 1: found has something

	mu    sync.Mutex
	last  map[string]time.Time // guarded by mu: the last step of a range's mark
	found map[string][]byte    // guarded by mu: range → the first key that a claim found in it
}

const (
	markEvery = 100 * time.Millisecond
	markRange = 1024 // ranges that are remembered; beyond, all are forgotten, which costs a step too many
)

func (m *marks) init() {
	m.every, m.more = markEvery, make(chan struct{}, 1)
	m.last, m.found = map[string]time.Time{}, map[string][]byte{}
}

// note takes in that a claim found first to be the first key from from on. Keys that others held at that moment may stand
// before it: advance looks itself.
func (m *marks) note(from, first []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.last[string(from)]) < m.every {
		return
	}
	if len(m.last) >= markRange {
		clear(m.last)
	}
	m.last[string(from)] = now
	m.found[string(from)] = bytes.Clone(first)
	signal(m.more)
}

// advance moves the marks of which something was learnt one step on.
func (s *Store) advance(ctx context.Context, pg *pgconn.PgConn) error {
	s.marks.mu.Lock()
	found := s.marks.found
	s.marks.found = map[string][]byte{}
	s.marks.mu.Unlock()
	class := strconv.Itoa(int(s.class))
	for from, first := range found {
		ctx, cancel := context.WithTimeout(ctx, connectMax)
		_, err := one(ctx, pg, s.in(`select {s}.advance($1::int, $2::bytea, $3::bytea)`), class, `\x`+hex.EncodeToString([]byte(from)),
			`\x`+hex.EncodeToString(first))
		cancel()
		if err != nil && !s.passing(err) {
			return err
		}
	}
	return nil
}
