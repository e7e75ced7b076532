package pool

import (
	"fmt"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// LineWriter takes the lines of one log stream. It must not block and keeps nothing of line; logs.Writer is one.
type LineWriter interface {
	Write(at time.Time, line []byte)
}

// lines is the log of one instance: what its guest says and what the platform says around each invocation. The last
// LogTailMax bytes of the current invocation are kept when its caller asked for them.
type lines struct {
	out LineWriter

	mu      sync.Mutex
	keeping bool   // guarded by mu
	tail    []byte // guarded by mu
}

// begin starts an invocation and returns what writes the platform's lines of it.
func (l *lines) begin(inv rouse.Invocation) func(format string, args ...any) {
	l.mu.Lock()
	l.keeping, l.tail = inv.Tail, nil
	l.mu.Unlock()
	return func(format string, args ...any) { l.write(time.Now(), fmt.Appendf(nil, format, args...)) }
}

// end returns the tail of the invocation that begin started; nil when nobody asked for it.
func (l *lines) end() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.tail
	l.keeping, l.tail = false, nil
	return tail
}

// guest takes a line of the guest.
func (l *lines) guest(line guest.Line) { l.write(line.Time, line.Bytes) }

// write keeps the newline at the end of each event, as Lambda's have it.
func (l *lines) write(at time.Time, b []byte) {
	b = append(b[:len(b):len(b)], '\n')
	l.out.Write(at, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.keeping {
		return
	}
	l.tail = append(l.tail, b...)
	if over := len(l.tail) - rouse.LogTailMax; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
}
