package http1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// response writes one answer. Like net/http's, not for several goroutines at once, nor after its handler has returned.
//
// The head is written down when the handler names a status. How the body is framed is added when that is known: by the
// length that the handler has set, or that it turns out to have, or in chunks once it is flushed or outgrows the buffer.
type response struct {
	c      *conn
	r      *http.Request
	body   *body // the request's; nil: none
	header http.Header

	status  int      // 0: not named yet
	named   []string // scratch
	out     *[]byte  // what goes to the socket next
	held    *[]byte  // the body so far, until it is known how it is framed
	length  int64    // as declared, by a 304 too; -1: not
	written int64
	typed   bool // has a Content-Type, or must not get one
	dated   bool
	keeps   bool // says keep-alive itself
	framed  bool
	chunked bool
	close   bool // the connection ends with this answer
	aborted bool
	failed  error // the socket's
}

const (
	bufferMax = 32 << 10
	pieceMax  = 256 << 10
)

// buffers are for answers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferUsual); return &b }}

func (w *response) Header() http.Header { return w.header }

// WriteHeader names the status. 1xx but 101 are sent at once, and another must follow.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		w.c.s.logger().Debug("superfluous WriteHeader", "status", status)
		return
	}
	if status < 100 || status > 999 {
		panic("invalid WriteHeader code " + strconv.Itoa(status))
	}
	if w.out == nil {
		w.out = buffers.Get().(*[]byte)
	}
	b := w.line(*w.out, status)
	if status < 200 && status != http.StatusSwitchingProtocols {
		*w.out = append(w.fields(b), '\r', '\n')
		if w.r.ProtoMinor == 0 {
			*w.out = (*w.out)[:0] // such a client knows none
		}
		w.push(nil)
		return
	}
	w.status = status
	if v := w.header["Content-Length"]; len(v) > 0 && (w.bodyAllowed() || status == http.StatusNotModified) {
		if n, err := strconv.ParseUint(v[0], 10, 63); err == nil {
			w.length = int64(n)
		}
	}
	*w.out = w.fields(b)
}

func (w *response) line(b []byte, status int) []byte {
	b = append(b, "HTTP/1."...)
	b = append(b, byte('0'+w.r.ProtoMinor), ' ')
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	return append(b, '\r', '\n')
}

// fields writes the headers that are the handler's to set, by name. Names that are none are left out, and no value begins
// another line.
func (w *response) fields(b []byte) []byte {
	w.named, w.typed, w.dated, w.keeps = w.named[:0], false, false, false // a 1xx before had its own
	for name := range w.header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		case "Content-Type", "Content-Encoding":
			w.typed = true
		case "Date":
			w.dated = true
		case "Connection":
			for _, v := range w.header[name] {
				w.close = w.close || hasToken(v, "close")
				w.keeps = w.keeps || hasToken(v, "keep-alive")
			}
			if w.close {
				continue // said below
			}
		}
		if isToken(name) {
			w.named = append(w.named, name)
		}
	}
	slices.Sort(w.named)
	for _, name := range w.named {
		for _, v := range w.header[name] {
			b = append(b, name...)
			b = append(b, ": "...)
			b = appendValue(b, v)
			b = append(b, '\r', '\n')
		}
	}
	return b
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(t), token) {
			return true
		}
	}
	return false
}

func appendValue(b []byte, v string) []byte {
	v = strings.Trim(v, " \t\r\n")
	from := len(b)
	b = append(b, v...)
	if !isText(v) {
		for i := from; i < len(b); i++ {
			if b[i] == '\r' || b[i] == '\n' || b[i] == 0 {
				b[i] = ' '
			}
		}
	}
	return b
}

func (w *response) bodyAllowed() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// Write writes of the body. http.ErrBodyNotAllowed for answers that have none, http.ErrContentLength beyond the length that
// was declared.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.failed != nil:
		return 0, w.failed
	case len(p) == 0:
		return 0, nil
	case !w.bodyAllowed():
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if !w.framed && w.length < 0 {
		if w.held == nil {
			w.held = buffers.Get().(*[]byte)
		}
		if len(*w.held)+len(p) <= bufferMax {
			*w.held = append(*w.held, p...)
			return len(p), nil
		}
		if len(*w.held) > 0 {
			w.frame(*w.held, false)
			w.emit(*w.held)
		}
	}
	if !w.framed {
		w.frame(p, false)
	}
	w.emit(p)
	return len(p), w.failed
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// FlushError sends what there is.
func (w *response) FlushError() error {
	w.settle(false)
	w.push(nil)
	return w.failed
}

// settle has a head, and a body that was held, ready to be sent. whole: the body is complete.
func (w *response) settle(whole bool) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.framed {
		return
	}
	var held []byte
	if w.held != nil {
		held = *w.held
	}
	w.frame(held, whole)
	w.emit(held)
}

// Flush is FlushError.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline bounds the reads of the request's body that begin after it. It is told to the socket when there is something
// to wait for. Unlike net/http's, not to be called while another goroutine reads.
func (w *response) SetReadDeadline(t time.Time) error { w.c.until = t; return nil }

// frame ends the head. first are the body's first bytes; whole: they are all of it.
func (w *response) frame(first []byte, whole bool) {
	w.framed = true
	b := *w.out
	old := w.r.ProtoMinor == 0
	// The rest of the request is taken in first: a client that writes all before it reads would wait for ever.
	if w.body != nil && !w.body.drain() {
		w.close = true
	}
	w.close = w.close || w.r.Close || w.c.s.closing.Load()
	if w.bodyAllowed() {
		if !w.typed && len(first) > 0 {
			b = append(append(append(b, "Content-Type: "...), http.DetectContentType(first)...), '\r', '\n')
		}
		head := w.r.Method == http.MethodHead
		if w.length < 0 && whole && (!head || len(first) > 0) {
			w.length = w.written
		}
		switch {
		case w.length >= 0:
			b = appendLength(b, w.length)
		case head && whole:
		case old:
			w.close = true
		default:
			w.chunked = !head
			b = append(b, "Transfer-Encoding: chunked\r\n"...)
		}
	} else if w.length >= 0 {
		b = appendLength(b, w.length)
	}
	if !w.dated {
		b = append(append(append(b, "Date: "...), w.c.s.now()...), '\r', '\n')
	}
	switch {
	case w.close && !old:
		b = append(b, "Connection: close\r\n"...)
	case old && !w.close && !w.keeps:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	*w.out = append(b, '\r', '\n')
}

func appendLength(b []byte, n int64) []byte {
	return append(strconv.AppendInt(append(b, "Content-Length: "...), n, 10), '\r', '\n')
}

// emit adds to the body.
func (w *response) emit(p []byte) {
	if len(p) == 0 || w.r.Method == http.MethodHead || w.failed != nil {
		return
	}
	b := *w.out
	if w.chunked {
		b = append(strconv.AppendInt(b, int64(len(p)), 16), '\r', '\n')
	}
	if len(b)+len(p) <= bufferMax {
		b = append(b, p...)
		p = nil
	}
	if *w.out = b; p != nil {
		w.push(p)
	}
	if w.chunked {
		*w.out = append(*w.out, '\r', '\n')
	}
}

// push sends what is written down, and p after it, in pieces that a slow client takes in time.
func (w *response) push(p []byte) {
	c := w.c
	for _, b := range [2][]byte{*w.out, p} {
		for len(b) > 0 && w.failed == nil {
			n := min(len(b), pieceMax)
			c.writing.Store(c.s.ticks.Load() + 1)
			_, w.failed = c.socket.Write(b[:n])
			b = b[n:]
		}
	}
	c.writing.Store(0)
	*w.out = (*w.out)[:0]
}

// finish ends the answer when the handler has returned.
func (w *response) finish() {
	w.settle(true)
	if w.chunked {
		*w.out = append(*w.out, "0\r\n\r\n"...)
	}
	w.push(nil)
	if w.length > w.written && w.r.Method != http.MethodHead && w.bodyAllowed() {
		w.close = true // it has promised more
	}
	w.release()
}

// release gives the buffers back.
func (w *response) release() {
	for _, b := range []**[]byte{&w.out, &w.held} {
		if *b != nil && cap(**b) <= 2*bufferMax {
			**b = (**b)[:0]
			buffers.Put(*b)
		}
		*b = nil
	}
}
