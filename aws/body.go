package aws

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// bodyAhead is how much is set aside for a body before any of it has come.
const bodyAhead = 32 << 10

// memory is what all bodies together may take whose signature is not checked yet: their length is a stranger's word, and
// the id of an access key is no secret.
type memory struct {
	max  int64
	held atomic.Int64
}

func (m *memory) take(n int64) bool {
	if m.held.Add(n) <= m.max {
		return true
	}
	m.held.Add(-n)
	return false
}

// letGo gives back what the body of a stranger held, when its signature is checked.
func (x *exchange) letGo() {
	x.d.strange.held.Add(-x.held)
	x.held = 0
}

// checkLength refuses a body by what its head says, before any of it is read.
func (x *exchange) checkLength(limit int64) error {
	if x.r.ContentLength > limit {
		return wire.TooLarge(limit)
	}
	return nil
}

// read reads the whole body, at most limit bytes. For one whose signature is checked already its length is believed.
func (x *exchange) read(limit int64, checked bool) ([]byte, error) {
	if err := x.checkLength(limit); err != nil {
		return nil, err
	}
	if e := x.r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, rouse.Errorf(rouse.Unsupported, "Rouse does not implement Content-Encoding %.64s for requests", e)
	}
	length := x.r.ContentLength
	if x.r.Body == nil || length == 0 {
		return nil, nil
	}
	src := &limited{r: x.r.Body, left: limit, max: limit}
	// A server's own limit for reading would count on while the operation runs. Writers that know no deadlines have none.
	c := http.NewResponseController(x.ResponseWriter)
	var b []byte
	for {
		_ = c.SetReadDeadline(time.Now().Add(x.d.cfg.BodyPatience))
		if len(b) == cap(b) {
			room := max(2*int64(cap(b)), bodyAhead)
			if whole := length + 1; whole > int64(cap(b)) && (checked || whole < room) { // and one to see its end with
				room = whole
			}
			if !checked && !x.hold(room-int64(cap(b))) {
				return nil, rouse.Errorf(rouse.Throttled, "Too many large requests at once. Try again.")
			}
			b = append(make([]byte, 0, room), b...)
		}
		n, err := src.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) && int64(len(b)) < length {
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, io.EOF) {
			_ = c.SetReadDeadline(time.Time{})
			return b, nil
		}
		if err != nil { // and the deadline stands: the server must not wait for the rest either
			return nil, bodyError(err)
		}
	}
}

// hold takes n bytes more for a stranger's body.
func (x *exchange) hold(n int64) bool {
	if !x.d.strange.take(n) {
		return false
	}
	x.held += n
	return true
}

// bodyError tells a client that broke off from one that sent too much.
func bodyError(err error) error {
	var e *rouse.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return rouse.Errorf(rouse.Invalid, "The request's body could not be read: %w", err).WithCode("IncompleteBody")
}

// limited answers Kind TooLarge when more than max bytes come.
type limited struct {
	r         io.Reader
	left, max int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, wire.TooLarge(l.max)
	}
	return n, err
}
