package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Line is one log event of a function.
type Line struct {
	Time      time.Time
	RequestID string // of the invocation that was running, "" during INIT
	Level     string // "INFO", "ERROR", … when the guest said so; "" for raw output
	Bytes     []byte // without the newline at its end; valid during the call only
}

const (
	// LineMax is the longest log event in bytes; longer ones are split (CloudWatch Logs has the same limit).
	LineMax = 256 << 10

	drainMax     = 1 << 20 // bytes taken from one pipe after an answer, so that an endless writer cannot hold it back
	logHeader    = 16      // type, length, time of a framed message
	logMagic     = 0xa55a0000
	logMsgMax    = 16 << 20 // bytes of one framed message; a longer one breaks the framing
	logKeepBytes = 64 << 10 // capacity that an idle buffer may keep
)

// output reads what a guest writes: stdout and stderr as lines, the log pipe as frames. All of it goes through one mutex,
// so that lines reach log one at a time and in the order in which they were read.
type output struct {
	log     func(Line)
	streams []*stream
	done    sync.WaitGroup
	pace    pace

	mu      sync.Mutex
	request string // guarded by mu
}

// stream is one pipe. Its fields are guarded by output.mu, f and raw excepted, which do not change.
type stream struct {
	f      *os.File
	raw    syscall.RawConn
	framed bool
	keep   []byte // an unfinished line or frame
	buf    []byte
	ended  bool
}

func newOutput(log func(Line)) *output { return &output{log: log} }

// pipe makes a pipe whose reading end the output reads from now on; the caller passes the other end to the child and
// closes it.
func (o *output) pipe(framed bool) (*os.File, error) {
	r, w, err := newPipe()
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(r, true); err != nil {
		syscall.Close(r)
		syscall.Close(w)
		return nil, err
	}
	f := os.NewFile(uintptr(r), "|0")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		syscall.Close(w)
		return nil, err
	}
	s := &stream{f: f, raw: raw, framed: framed, buf: make([]byte, 16<<10)}
	o.streams = append(o.streams, s)
	o.done.Add(1)
	go o.follow(s)
	return os.NewFile(uintptr(w), "|1"), nil
}

// follow reads s until its end.
func (o *output) follow(s *stream) {
	defer o.done.Done()
	for {
		ended, n := false, 0
		err := s.raw.Read(func(fd uintptr) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			n = o.readLocked(s, int(fd))
			ended = s.ended
			return n > 0 || ended
		})
		if err != nil || ended {
			return
		}
		if wait := o.pace.take(n, time.Now()); wait > 0 {
			time.Sleep(wait) // a few milliseconds; the pipe fills, and the guest waits too
		}
	}
}

// readLocked reads once without waiting; 0 means that there is nothing now, or no more.
func (o *output) readLocked(s *stream, fd int) int {
	for {
		n, err := syscall.Read(fd, s.buf)
		switch {
		case n > 0:
			o.feedLocked(s, s.buf[:n])
			return n
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0
		}
		s.ended = true
		o.flushLocked(s)
		return 0
	}
}

// begin names the invocation that lines belong to from now on.
func (o *output) begin(request string) {
	o.mu.Lock()
	o.request = request
	o.mu.Unlock()
}

// drain takes what is in the pipes now, unfinished lines included.
func (o *output) drain() {
	for _, s := range o.streams {
		_ = s.raw.Control(func(fd uintptr) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for took := 0; took < drainMax && !s.ended; {
				n := o.readLocked(s, int(fd))
				if n == 0 {
					break
				}
				took += n
			}
			o.flushLocked(s)
		})
	}
}

// close ends the reading and waits for it.
func (o *output) close() {
	for _, s := range o.streams {
		s.f.Close()
	}
	o.done.Wait()
}

// feedLocked cuts b into lines or frames; a rest is kept.
func (o *output) feedLocked(s *stream, b []byte) {
	if len(s.keep) > 0 {
		s.keep = append(s.keep, b...)
		b = s.keep
	}
	if s.framed {
		b = o.framesLocked(s, b)
	}
	if !s.framed {
		b = o.linesLocked(b)
	}
	s.keep = append(s.keep[:0], b...)
	if len(s.keep) == 0 && cap(s.keep) > logKeepBytes {
		s.keep = nil
	}
}

func (o *output) linesLocked(b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		o.emitLocked(time.Now(), "", b[:i])
		b = b[i+1:]
	}
	for len(b) >= LineMax {
		o.emitLocked(time.Now(), "", b[:LineMax])
		b = b[LineMax:]
	}
	return b
}

// framesLocked takes whole frames off b. What is no frame turns the pipe into plain text.
func (o *output) framesLocked(s *stream, b []byte) []byte {
	for len(b) >= 4 {
		typ := binary.BigEndian.Uint32(b)
		if typ&0xffff0000 != logMagic {
			s.framed = false
			return b
		}
		if len(b) < logHeader {
			break
		}
		n := binary.BigEndian.Uint32(b[4:])
		if n > logMsgMax {
			s.framed = false
			return b
		}
		if uint32(len(b)-logHeader) < n {
			break
		}
		at := time.UnixMicro(int64(binary.BigEndian.Uint64(b[8:])))
		msg := b[logHeader : logHeader+n]
		b = b[logHeader+n:]
		o.emitLocked(at, logLevel(typ), bytes.TrimSuffix(msg, []byte("\n")))
	}
	return b
}

// logLevel reads the level from a frame's type, where AWS's runtimes put it.
func logLevel(typ uint32) string {
	levels := [...]string{"", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
	if i := int(typ&0xff) >> 2; i < len(levels) {
		return levels[i]
	}
	return ""
}

// flushLocked emits an unfinished line; an unfinished frame waits for its rest, unless the pipe has ended.
func (o *output) flushLocked(s *stream) {
	if len(s.keep) == 0 || (s.framed && !s.ended) {
		return
	}
	o.emitLocked(time.Now(), "", s.keep)
	s.keep = s.keep[:0]
}

func (o *output) emitLocked(at time.Time, level string, b []byte) {
	if len(b) == 0 && level == "" || o.log == nil {
		return
	}
	for {
		n := min(len(b), LineMax)
		o.log(Line{Time: at, RequestID: o.request, Level: level, Bytes: b[:n]})
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
}

// closeAll closes what is not nil and forgets it.
func closeAll[C io.Closer](cs []C) {
	for _, c := range cs {
		_ = c.Close()
	}
}
