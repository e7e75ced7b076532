package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// session is one connection. pgconn makes it (addresses, TLS, passwords); afterwards it speaks the extended protocol
// itself, because three things that matter here are below what a library of queries offers: a Sync that rides along with the
// next request, a COMMIT in one packet with what it commits, and portals that are read piece by piece.
//
// Its default isolation is REPEATABLE READ: all statements up to a Sync see one snapshot, without a BEGIN. What commits begins
// READ COMMITTED by itself. Not safe for concurrent use.
type session struct {
	net    net.Conn
	fe     *pgproto3.Frontend
	pid    uint32
	secret []byte

	class int32 // of the store's advisory locks
	slot  int64 // of its tokens
	seq   int64 // its last commit that was acknowledged

	open    bool // statements were sent since the last Sync
	syncs   int  // Syncs whose answer has not been read yet
	locked  bool // it holds locks that outlive a transaction
	dead    bool // its stream is useless
	expires time.Time

	unwaited bool // the server said that it has committed without waiting for its standbys
}

// sessionLife is how long a connection is used: less than tokens are kept, so that a token's row outlives its connection.
const sessionLife = 30 * time.Minute

// binary is the format of all parameters and results.
var binaryFormat = []int16{1}

// statements are prepared on each session, in one round trip.
func (s *Store) statements() map[string]string {
	const page = `(order by %[1]s rows between unbounded preceding and 1 preceding)`
	scan := func(order string) string {
		return `select k, v from (select k, v, sum(octet_length(k) + octet_length(v)) over ` + fmt.Sprintf(page, order) +
			` z from (select k, v from {s}.kv where k >= $1 and k < $2 order by ` + order + ` limit $3::int) a) b where z is null or z < $4::int`
	}
	few := func(order string) string {
		return `select k, v from {s}.kv where k >= $1 and k < $2 order by ` + order + ` limit $3::int`
	}
	return map[string]string{
		"begin":  `begin isolation level read committed`,
		"commit": `commit`,
		"note":   `select set_config('rouse.snapshot', pg_current_snapshot()::text, false)`,
		"get":    `select x, v from {s}.kv where k = $1`,
		"all":    `select t.i, kv.x, kv.v from unnest($1::bytea[]) with ordinality t(k, i) join {s}.kv on kv.k = t.k`,
		"scan":   scan("k"),
		"back":   scan("k desc"),
		"few":    few("k"), "fewback": few("k desc"),
		"lock": `select case when l & 1 = 1 then pg_advisory_lock($1::int, l >> 1) else pg_advisory_lock_shared($1::int, l >> 1) end ` +
			`from unnest($2::int[]) l`,
		"unlock":  `select pg_advisory_unlock_all()`,
		"finish":  `select {s}.finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		"resolve": `select {s}.resolve($1, $2)`,
		"claim":   `select {s}.claim($1, $2, $3, $4, $5, $6)`,
		"claimed": `select kv.k, kv.x, kv.v from unnest(current_setting('rouse.claimed')::bytea[]) k join {s}.kv using (k)`,
		"read": `select e, x, i, v from (select e, x, i, v, sum(octet_length(v)) over ` + fmt.Sprintf(page, "e, x, i") +
			` z from (select e, x, i, v from {s}.log where l = $1 and (e, x, i) > ($2, $3, $4) ` +
			`and (e, x) < ((select epoch from {s}.meta), pg_snapshot_xmin(pg_current_snapshot())) order by e, x, i limit $5::int) a) b ` +
			`where z is null or z < $6::int`,
		"cut": `select {s}.cut($1, $2, $3, $4)`,
	}
}

// connect makes a session.
func (s *Store) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	pg, err := pgconn.ConnectConfig(ctx, s.pooled)
	if err != nil {
		return nil, plainly(err)
	}
	c := &session{slot: rand.Int64(), expires: time.Now().Add(sessionLife)}
	err = s.checkIn(ctx, pg, c)
	if err == nil {
		err = prepareAll(ctx, pg, s.statements(), s.in)
	}
	if err != nil {
		pg.Close(ctx)
		if code(err) == "" { // it was lost on the way
			err = fmt.Errorf("%w: %w", errConnect, err)
		}
		return nil, err
	}
	h, err := pg.Hijack()
	if err != nil {
		return nil, errors.Join(err, pg.Close(ctx))
	}
	c.net, c.fe, c.pid, c.secret = h.Conn, h.Frontend, h.PID, h.SecretKey
	s.health.found()
	return c, c.net.SetDeadline(time.Time{})
}

// prepareAll prepares statements in one round trip.
func prepareAll(ctx context.Context, pg *pgconn.PgConn, statements map[string]string, in func(string) string) error {
	p := pg.StartPipeline(ctx)
	for name, sql := range statements {
		p.SendPrepare(name, in(sql), nil)
	}
	err := p.Sync()
	for range statements {
		if err == nil {
			_, err = p.GetResults()
		}
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return fmt.Errorf("prepare statements: %w", plainly(err))
	}
	return nil
}

// checkIn begins the session's tokens, and an epoch after a fail-over.
func (s *Store) checkIn(ctx context.Context, pg *pgconn.PgConn, c *session) error {
	rs, err := pg.Exec(ctx, fmt.Sprintf(s.in(`begin isolation level read committed; select {s}.enter(%d); commit`), c.slot)).ReadAll()
	if err != nil {
		return plainly(err)
	}
	if len(rs) != 3 || len(rs[1].Rows) != 1 {
		return errors.New("the schema's function enter gave no answer")
	}
	class, err := strconv.ParseInt(string(rs[1].Rows[0][0]), 10, 32)
	c.class = int32(class)
	return err
}

// close ends the connection. What the server still does for it goes on without anybody to tell.
func (c *session) close() {
	c.dead = true
	c.net.SetDeadline(time.Now().Add(time.Second))
	c.fe.Send(&pgproto3.Terminate{})
	c.fe.Flush()
	c.net.Close()
}

// watch makes ctx and a time bound what follows. The session is dead if that comes true before stop.
func (c *session) watch(ctx context.Context, until time.Time) (stop func()) {
	c.net.SetDeadline(until)
	if ctx.Done() == nil {
		return func() {}
	}
	cancel := context.AfterFunc(ctx, func() { c.net.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if !cancel() {
			c.dead = true
		}
	}
}

// send queues a statement.
func (c *session) send(name string, params ...[]byte) {
	c.open = true
	c.fe.SendBind(&pgproto3.Bind{PreparedStatement: name, ParameterFormatCodes: binaryFormat, Parameters: params, ResultFormatCodes: binaryFormat})
	c.fe.SendExecute(&pgproto3.Execute{})
}

// sync queues the end of an implicit transaction.
func (c *session) sync() {
	if c.open {
		c.fe.SendSync(&pgproto3.Sync{})
		c.open = false
		c.syncs++
	}
}

// flush sends what is queued. After a Sync the server answers by itself; before, it has to be asked to.
func (c *session) flush() error {
	if c.open {
		c.fe.Send(&pgproto3.Flush{})
	}
	if err := c.fe.Flush(); err != nil {
		c.dead = true
		return lost(err)
	}
	return nil
}

// result reads the answer to one statement. Rows are good until the next.
func (c *session) result(row func(values [][]byte) error) error {
	for {
		m, err := c.fe.Receive()
		if err != nil {
			c.dead = true
			return lost(err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if row == nil {
				continue
			}
			if err := row(m.Values); err != nil {
				c.dead = true // the other side is not what was thought
				return err
			}
		case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return c.failed(m)
		default:
			c.other(m)
		}
	}
}

// other takes what may come between answers.
func (c *session) other(m pgproto3.BackendMessage) {
	switch m := m.(type) {
	case *pgproto3.ReadyForQuery:
		c.syncs--
	case *pgproto3.NoticeResponse:
		c.unwaited = c.unwaited || m.Routine == "SyncRepWaitForLSN" // its text is translated, and it has no code
	}
}

// failed is the error that the server has answered.
func (c *session) failed(m *pgproto3.ErrorResponse) error {
	err := pgconn.ErrorResponseToPgError(m)
	if err.Severity == "FATAL" || err.Severity == "PANIC" || err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC" {
		c.dead = true
		return lost(err)
	}
	return err
}

// errLost marks errors after which a session is gone, and with it the knowledge of what became of its last request.
var errLost = errors.New("connection lost")

// errNoStandby: committed, but somebody had the server not wait for the standbys that should have it too.
var errNoStandby = errors.New("the server did not wait for its standby")

func lost(err error) error { return fmt.Errorf("%w: %w", errLost, err) }

// Values of the wire, in binary.

func int4(n int32) []byte  { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func int8b(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
func xid8(x uint64) []byte { return binary.BigEndian.AppendUint64(nil, x) }

func boolean(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

// Object ids of the elements of arrays.
const (
	oidBytea = 17
	oidInt4  = 23
	oidXid8  = 5069
)

// array is an array of one dimension; nil for none, which is NULL. A nil element is NULL.
func array(oid uint32, elems [][]byte) []byte {
	if len(elems) == 0 {
		return nil
	}
	size := 20
	for _, e := range elems {
		size += 4 + len(e)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, size), 1)
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, oid)
	b = binary.BigEndian.AppendUint32(b, uint32(len(elems)))
	b = binary.BigEndian.AppendUint32(b, 1)
	for _, e := range elems {
		if e == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
		b = append(b, e...)
	}
	return b
}

func int4s(ns []int32) []byte {
	elems := make([][]byte, len(ns))
	for i, n := range ns {
		elems[i] = int4(n)
	}
	return array(oidInt4, elems)
}

// number reads an integer of any size.
func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
