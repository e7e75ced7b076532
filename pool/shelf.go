package pool

import (
	"context"
	"runtime"
	"time"

	"github.com/rouse-dev/rouse/guest"
)

// shelf is the spares of one kind. How many it wants follows what was asked of it lately: as many as came at about the same
// time, and half of what it wants beyond the least when so many have not come for a while. So the first burst of a day
// teaches it what the second one finds.
type shelf struct {
	key  string
	cost int64 // what one spare takes of memory, about, in bytes
	make func(context.Context) (*spare, error)
	list []*spare
	busy int  // being made
	gone bool // forgotten for others: what is still being made for it ends

	more   int       // wanted beyond the least
	busyAt time.Time // when about as many were last asked for
	asked  int       // starts since began, all at about the same time
	began  time.Time
	took   time.Duration // to make the last spare
}

const (
	shelvesMax  = 16                     // kinds of spares that are kept: beyond it those go that were used longest ago
	sparesLeast = 2                      // of each kind, unless Maker.Spares says otherwise
	sparesMost  = 128                    // of one kind, however great the demand
	together    = 500 * time.Millisecond // starts within it come at about the same time; within twice of what a spare takes, too
	calm        = 2 * time.Minute        // with less demand, after which a shelf wants less
	refillShare = 10                     // percent of its fair part of the processors that the boot of a spare gets
)

// What a spare takes of memory, about, in bytes.
const (
	costEmpty    = 1 << 20
	costRuntime  = 16 << 20
	costWithSDK  = 40 << 20
	costThreaded = 56 << 20 // with Node's thread for modules
)

// costOf is about what a spare with a runtime takes of memory.
func costOf(p guest.Preload) int64 {
	switch p {
	case guest.PreloadSDK:
		return costWithSDK
	case guest.PreloadModules:
		return costThreaded
	}
	return costRuntime
}

// least is how many spares a shelf has when nobody has wanted any lately.
func (m *Maker) least() int {
	if m.Spares == 0 {
		return sparesLeast
	}
	return max(0, m.Spares)
}

// wants is how many spares a shelf should have. The caller holds mu.
func (m *Maker) wants(sh *shelf) int {
	if m.Spares < 0 {
		return 0
	}
	return min(m.least()+sh.more, max(m.least(), sparesMost))
}

// budget is what spares beyond the least of each kind may take of memory.
func (m *Maker) budget() int64 {
	if m.SpareBytes > 0 {
		return m.SpareBytes
	}
	return machineMemory() / 10
}

// room reports whether a shelf may have one more spare. The caller holds mu.
func (m *Maker) room(sh *shelf) bool {
	have := len(sh.list) + sh.busy
	if m.ended || sh.gone || have >= m.wants(sh) {
		return false
	}
	if have < m.least() {
		return true
	}
	total := sh.cost
	for _, other := range m.shelves {
		total += other.cost * int64(len(other.list)+other.busy)
	}
	return total <= m.budget()
}

// shelf finds or makes the shelf with this key; it is now the one used last.
func (m *Maker) shelf(key string, cost int64, make func(context.Context) (*spare, error)) *shelf {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, sh := range m.shelves {
		if sh.key == key {
			m.shelves = append(append(m.shelves[:i:i], m.shelves[i+1:]...), sh)
			return sh
		}
	}
	sh := &shelf{key: key, cost: cost, make: make}
	m.shelves = append(m.shelves, sh)
	if len(m.shelves) > shelvesMax {
		for _, s := range m.shelves[0].list {
			m.filler.Go(s.end)
		}
		m.shelves[0].list, m.shelves[0].gone = nil, true
		m.shelves = m.shelves[1:]
	}
	return sh
}

// take takes a living spare that suits from a shelf, nil when there is none. Spares of one shelf are alike: what one does
// not suit, none does.
func (m *Maker) take(sh *shelf, suits func(*spare) bool) *spare {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(sh.list); n > 0; n = len(sh.list) {
		s := sh.list[n-1]
		switch {
		case ended(s.box):
			m.filler.Go(s.end)
		case !suits(s):
			return nil
		default:
			sh.list = sh.list[:n-1]
			return s
		}
		sh.list = sh.list[:n-1]
	}
	return nil
}

// ask notes that a start is going to look on a shelf first.
func (m *Maker) ask(sh *shelf, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(sh.began) > max(together, 2*sh.took) {
		sh.began, sh.asked = now, 0
	}
	sh.asked++
	beyond := min(sh.asked, sparesMost) - m.least()
	if beyond >= sh.more/2 {
		sh.busyAt = now
	}
	sh.more = max(sh.more, beyond)
}

// fill brings a shelf to its number in the background, a few spares at once.
func (m *Maker) fill(sh *shelf) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for sh.busy < runtime.NumCPU() && m.room(sh) {
		sh.busy++
		m.filler.Go(func() {
			for m.fillOne(sh) {
			}
		})
	}
}

// fillOne makes one spare and reports whether the shelf wants another.
func (m *Maker) fillOne(sh *shelf) bool {
	began := time.Now()
	s, err := sh.make(context.Background())
	m.mu.Lock()
	defer m.mu.Unlock()
	sh.busy--
	sh.took = time.Since(began)
	switch {
	case err != nil:
		m.Logger.Error("make spare sandbox", "err", err)
		return false
	case !m.room(sh):
		m.filler.Go(s.end)
		return false
	}
	sh.list = append(sh.list, s)
	if !m.room(sh) {
		return false
	}
	sh.busy++
	return true
}

// settle lets shelves that have had enough for a while have less.
func (m *Maker) settle(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sh := range m.shelves {
		if sh.more == 0 || now.Sub(sh.busyAt) < calm {
			continue
		}
		sh.more, sh.busyAt = sh.more/2, now
		for n := len(sh.list); n > m.wants(sh); n = len(sh.list) {
			m.filler.Go(sh.list[0].end) // the one made first
			sh.list = sh.list[1:]
		}
	}
}

// close ends the spares.
func (m *Maker) close() {
	m.mu.Lock()
	m.ended = true
	if m.stop != nil {
		m.stop()
	}
	shelves := m.shelves
	m.shelves = nil
	m.mu.Unlock()
	m.filler.Wait()
	for _, sh := range shelves {
		for _, s := range sh.list {
			s.end()
		}
	}
}
