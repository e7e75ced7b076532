package postgres

import (
	"errors"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

var errOver = errors.New("kv: view or transaction used after its function returned")

// reader reads one snapshot: that of the first statement since the last Sync of its session, which it borrows at the first
// read. Not safe for concurrent use.
type reader struct {
	borrow func() (c *session, stop func(), err error) // bound to the context of the call
	repay  func(*session)
	again  func(error) bool // whether a first read that failed may be tried on another session

	c     *session
	stop  func()
	began time.Time
	over  bool
	fail  error // of a read: the snapshot is gone
}

// row is what is stored of a key.
type row struct {
	there bool
	x     uint64 // its version
	value []byte
}

// check says whether the snapshot may still be used.
func (r *reader) check() error {
	switch {
	case r.over:
		return errOver
	case r.fail != nil:
		return r.fail
	case !r.began.IsZero() && time.Since(r.began) > kv.TxTimeMax:
		return kv.ErrTooOld
	}
	return nil
}

// ask sends a statement and reads its answer. send may run twice: it has to begin anew what each fills.
func (r *reader) ask(send func(*session), each func(values [][]byte) error) error {
	if err := r.check(); err != nil {
		return err
	}
	for {
		err := r.askOnce(send, each)
		if err == nil {
			return nil
		}
		first := r.c == nil
		if !first || !r.again(err) {
			r.fail = err
			return err
		}
	}
}

// askOnce leaves no session if it was the first statement and failed.
func (r *reader) askOnce(send func(*session), each func(values [][]byte) error) error {
	first := r.c == nil
	if first {
		c, stop, err := r.borrow()
		if err != nil {
			return err
		}
		r.c, r.stop, r.began = c, stop, time.Now()
		c.sync()
	}
	send(r.c)
	err := r.c.flush()
	if err == nil {
		err = r.c.result(each)
	}
	if err == nil {
		return nil
	}
	r.c.dead = true
	if first {
		r.close()
		r.over = false
	}
	return err
}

func (r *reader) get(key []byte) (got row, err error) {
	err = r.ask(func(c *session) { got = row{}; c.send("get", key) }, func(v [][]byte) error {
		got = row{true, number(v[0]), append([]byte{}, v[1]...)}
		return nil
	})
	return got, err
}

// all answers in the order of keys.
func (r *reader) all(keys [][]byte) (got []row, err error) {
	if len(keys) == 0 {
		return nil, r.check()
	}
	err = r.ask(func(c *session) { got = make([]row, len(keys)); c.send("all", array(oidBytea, present(keys))) }, into(&got))
	return got, err
}

// into files the answer to "all".
func into(rows *[]row) func(v [][]byte) error {
	return func(v [][]byte) error {
		i := number(v[0])
		if i < 1 || i > uint64(len(*rows)) {
			return errors.New("the server answered for a key that was not asked for")
		}
		(*rows)[i-1] = row{true, number(v[1]), append([]byte{}, v[2]...)}
		return nil
	}
}

// present makes nil keys empty ones: nil is NULL to the server.
func present(keys [][]byte) [][]byte {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = bytesOf(k)
	}
	return out
}

// bytesOf is b, never nil.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// close gives the session back.
func (r *reader) close() {
	r.over = true
	if r.c != nil {
		r.stop()
		r.repay(r.c)
		r.c = nil
	}
}
