package http1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// body is what follows a head, by its length or in chunks (RFC 9112 §7.1).
type body struct {
	c       *conn
	mu      sync.Mutex
	waits   bool  // guarded by mu; the client wants to hear 100 Continue first
	chunked bool  // guarded by mu
	left    int64 // guarded by mu; of the body, or of the chunk
	chunks  bool  // guarded by mu; a chunk was begun: its CRLF comes before the next
	excess  int   // guarded by mu; bytes of framing beyond what is usual
	done    bool  // guarded by mu; it has come whole
	shutOff bool  // guarded by mu; the handler has returned, or closed it
	err     error // guarded by mu
}

const (
	chunkLineMax = 256 // a chunk's size with its extensions
	trailersMax  = 8 << 10
	excessMax    = 16 << 10
)

var errChunks = errors.New("malformed chunks")

// Read reads the body. io.EOF comes with the last bytes.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shutOff {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

// Close makes further reads fail, as the handler's return does. The server takes in what is left.
func (b *body) Close() error {
	b.mu.Lock()
	b.shutOff = true
	b.mu.Unlock()
	return nil
}

// read reads. The caller holds mu.
func (b *body) read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.waits {
		b.waits = false
		if _, b.err = io.WriteString(b.c.net, interimFirst); b.err != nil {
			return 0, b.err
		}
	}
	if b.chunked && b.left == 0 {
		if b.err = b.chunk(); b.err != nil {
			return 0, b.err
		}
	}
	n, err = b.c.take(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case err == io.EOF:
		b.err = io.ErrUnexpectedEOF
	case err != nil:
		b.err = err
	case b.left == 0 && !b.chunked:
		b.end()
	}
	return n, b.err
}

func (b *body) end() {
	b.done, b.err = true, io.EOF
	b.c.settled()
}

// chunk reads what stands before a chunk, or after the last.
func (b *body) chunk() error {
	if b.chunks {
		if _, err := b.line(0); err != nil {
			return err
		}
	}
	b.chunks = true
	line, err := b.line(chunkLineMax)
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	size = strings.TrimRight(size, " \t")
	n, err := strconv.ParseUint(size, 16, 62)
	if err != nil || len(size) > 16 || !isText(line) { // more digits overflow in others' readers
		return errChunks
	}
	// What a proper client needs beside its data is little: chunks of one byte in lines of 256 are an attack.
	if b.excess = max(0, b.excess+len(line)+4-16-2*int(min(n, excessMax))); b.excess > excessMax {
		return errChunks
	}
	if b.left = int64(n); n > 0 {
		return nil
	}
	for left := trailersMax; ; {
		line, err := b.line(left)
		if err != nil {
			return err
		}
		if line == "" {
			b.end()
			return io.EOF
		}
		if name, value, ok := strings.Cut(line, ":"); !ok || !isToken(name) || !isText(value) {
			return errChunks
		}
		left -= len(line) + 2
	}
}

// line reads a line of at most limit bytes, without its CRLF.
func (b *body) line(limit int) (string, error) {
	c := b.c
	for {
		i := bytes.IndexByte(c.buf[c.from:c.to], '\n')
		if i > limit+1 || i < 0 && c.to-c.from > limit+1 {
			return "", errChunks
		}
		if i == 0 || i > 0 && c.buf[c.from+i-1] != '\r' {
			return "", errChunks
		}
		if i > 0 {
			line := string(c.buf[c.from : c.from+i-1])
			c.from += i + 1
			return line, nil
		}
		if c.to == len(c.buf) {
			room := c.buf
			if c.from == 0 {
				room = make([]byte, 2*len(c.buf)) // ends at limit
			}
			c.to = copy(room, c.buf[c.from:c.to])
			c.buf, c.from = room, 0
		}
		if err := c.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

// drain takes in what the handler has left, so that another request may follow; false when that is too much. What was taken
// in cannot be read any more. A client that waits to be told to go on is not told, then or later: the answer has begun.
func (b *body) drain() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits := b.waits
	b.waits = false
	if b.done || waits || b.err != nil || !b.chunked && b.left > drainMax {
		return b.done
	}
	b.shutOff = true
	if b.c.until.IsZero() {
		b.c.until = time.Now().Add(drainFor)
	}
	p := make([]byte, 32<<10)
	for took := 0; took <= drainMax; {
		n, err := b.read(p)
		if took += n; err != nil {
			break
		}
	}
	return b.done
}
