package pool

import (
	"testing"
	"time"
)

func TestWorthWaiting(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name               string
		run, boot          time.Duration
		instances, waiting int
		want               time.Duration
	}{
		{"nothing runs yet", ms, 20 * ms, 0, 1, 0},
		{"nobody knows how long it takes", 0, 20 * ms, 1, 1, 0},
		{"a slow handler", time.Second, 20 * ms, 1, 1, 0},
		{"a fast handler, a short queue", ms / 10, 20 * ms, 2, 60, 20 * ms},
		{"a fast handler, a long queue", ms / 10, 20 * ms, 2, 600, 0},
		{"a slow start is not waited for as long", ms, time.Second, 1, 10, patienceMax},
	} {
		if got := worthWaiting(c.run, c.boot, c.instances, c.waiting); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLately(t *testing.T) {
	if got := lately(0, 0); got <= 0 {
		t.Errorf("the first value %v, want it known, so above zero", got)
	}
	if got := lately(8*time.Second, 0); got != 7*time.Second {
		t.Errorf("got %v, want an eighth of the way", got)
	}
}
