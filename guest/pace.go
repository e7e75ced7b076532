package guest

import (
	"sync"
	"time"
)

// What a guest may write to its log: so much at once, and then so much per second. A guest that writes more waits, as it
// would for a slow disk; the node's processors are not for reading what nobody can. CloudWatch takes 5 MiB/s of a stream.
const (
	logBurst = 16 << 20 // bytes
	logRate  = 8 << 20  // bytes per second
)

// pace says how long to wait so that bytes come no faster than that. Safe for concurrent use.
type pace struct {
	mu   sync.Mutex
	full time.Time // guarded by mu; when all that was taken would have come at logRate
}

// take counts n bytes and returns how long to wait before the next.
func (p *pace) take(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(time.Duration(n) * time.Second / logRate)
	return p.full.Sub(now) - logBurst*time.Second/logRate
}
