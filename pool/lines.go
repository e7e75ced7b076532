package pool

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
)

// LineWriter takes the lines of one log stream. It must not block and keeps nothing of line; logs.Writer is one.
type LineWriter interface {
	Write(at time.Time, line []byte)
}

// lines is the log of one instance: what its guest says and what the platform says around each invocation. The last
// LogTailMax bytes of the current invocation are kept when its caller asked for them.
type lines struct {
	out   LineWriter
	json  bool     // the platform's lines are JSON
	level severity // of these, from here on

	mu      sync.Mutex // held over out's Write, so that lines keep their order
	buf     []byte     // guarded by mu; of the last line, for the next
	keeping bool       // guarded by mu
	tail    []byte     // guarded by mu
}

// newLines makes the log of an instance of v.
func newLines(v *catalog.Version, out LineWriter) *lines {
	return &lines{out: out, json: strings.EqualFold(v.LogFormat, "JSON"), level: severityOf(v.SystemLevel)}
}

// begin starts an invocation.
func (l *lines) begin(inv rouse.Invocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping, l.tail = inv.Tail, nil
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
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(at, append(l.buf[:0], b...))
}

// sayf writes a line of the platform.
func (l *lines) sayf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(time.Now(), fmt.Appendf(l.buf[:0], format, args...))
}

// put ends a line, which was made in buf, and passes it on. The caller holds mu.
func (l *lines) put(at time.Time, b []byte) {
	b = append(b, '\n')
	if l.buf = b; cap(b) > bufMax {
		l.buf = nil
	}
	l.out.Write(at, b)
	if !l.keeping {
		return
	}
	l.tail = append(l.tail, b...)
	if over := len(l.tail) - rouse.LogTailMax; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
}

// bufMax is the longest line whose buffer is kept for the next.
const bufMax = 4 << 10
