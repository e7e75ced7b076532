package pool

import (
	"testing"
	"time"
)

func TestStarts(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		d    demand
		want int
	}{
		{"nothing is up", demand{run: ms, boot: 20 * ms, waiting: 7}, 7},
		{"nobody knows how long it takes", demand{boot: 20 * ms, instances: 1, waiting: 3}, 3},
		{"nobody waits", demand{run: ms, boot: 20 * ms, instances: 1}, 0},
		{"slow handlers, one each", demand{run: time.Second, boot: 20 * ms, instances: 1, waiting: 5}, 5},
		{"a fast handler, a short queue", demand{run: ms / 10, boot: 20 * ms, instances: 1, waiting: 60}, 0},
		{"a fast handler, a long queue", demand{run: ms, boot: 20 * ms, instances: 1, waiting: 100}, 5},
		{"somebody has waited, nothing moves", demand{run: ms / 10, boot: 20 * ms, instances: 4, waiting: 2, oldest: patience, still: patience}, 1},
		{"somebody has waited, it moves", demand{run: ms / 10, boot: 20 * ms, instances: 4, waiting: 2, oldest: impatience - 1, still: ms}, 0},
		{"somebody has waited for long", demand{run: ms / 10, boot: 20 * ms, instances: 4, waiting: 2, oldest: impatience, still: ms}, 1},
	} {
		if got := c.d.starts(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLowest(t *testing.T) {
	if got := lowest(0, 0); got <= 0 {
		t.Errorf("the first value %v, want it known, so above zero", got)
	}
	if got := lowest(time.Second, time.Millisecond); got != time.Millisecond {
		t.Errorf("down: %v, want at once", got)
	}
	if got := lowest(time.Millisecond, 65*time.Millisecond); got != 2*time.Millisecond {
		t.Errorf("up: %v, want a 64th of the way", got)
	}
}
