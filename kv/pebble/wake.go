package pebble

import (
	"slices"
	"sync"
)

// wakes hands hints to those who wait for a topic.
type wakes struct {
	mu     sync.Mutex
	topics map[string][]chan struct{} // guarded by mu
}

func (w *wakes) init() { w.topics = map[string][]chan struct{}{} }

// hint wakes all who wait for one of topics. Who has a hint already needs no second one.
func (w *wakes) hint(topics [][]byte) {
	if len(topics) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range topics {
		for _, c := range w.topics[string(t)] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// Wake returns a channel that gets hints to topic.
func (s *Store) Wake(topic []byte) (hint <-chan struct{}, stop func()) {
	w, t, c := &s.wakes, string(topic), make(chan struct{}, 1)
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
