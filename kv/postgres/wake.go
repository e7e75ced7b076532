package postgres

import (
	"slices"
	"sync"
)

// wakes hands hints to those who wait for a topic: at once in this process, by NOTIFY to others (see aside.go). Topics go by their
// names on the way.
type wakes struct {
	mu     sync.Mutex
	topics map[string][]chan struct{} // guarded by mu; by name
	out    map[string]bool            // guarded by mu: for other nodes, not sent yet
	more   chan struct{}              // buffer 1: out has something
}

// outMax is how many topics wait to be sent. Hints may be lost.
const outMax = 10_000

func (w *wakes) init() {
	w.topics, w.out, w.more = map[string][]chan struct{}{}, map[string]bool{}, make(chan struct{}, 1)
}

// tell wakes all who wait for one of topics, here and elsewhere.
func (w *wakes) tell(topics [][]byte) {
	if len(topics) == 0 {
		return
	}
	w.mu.Lock()
	for _, t := range topics {
		name := topicName(t)
		w.hint(name)
		if len(w.out) < outMax {
			w.out[name] = true
		}
	}
	w.mu.Unlock()
	signal(w.more)
}

// hint wakes who waits here. Who has a hint already needs no second one. The caller holds mu.
func (w *wakes) hint(name string) {
	for _, c := range w.topics[name] {
		signal(c)
	}
}

// hintAll wakes everybody: hints may have been lost.
func (w *wakes) hintAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range w.topics {
		w.hint(t)
	}
}

// take empties what waits to be sent.
func (w *wakes) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]string, 0, len(w.out))
	for t := range w.out {
		all = append(all, t)
	}
	clear(w.out)
	return all
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Wake returns a channel that gets hints to topic.
func (s *Store) Wake(topic []byte) (hint <-chan struct{}, stop func()) {
	w, t, c := &s.wakes, topicName(topic), make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics[t] = append(w.topics[t], c)
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		left := slices.DeleteFunc(w.topics[t], func(o chan struct{}) bool { return o == c })
		if len(left) == 0 {
			delete(w.topics, t)
			return
		}
		w.topics[t] = left
	}
}
