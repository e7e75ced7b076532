package guest

import (
	"testing"
	"time"
)

// TestPaceOfALog: a burst passes, what follows comes at the rate, and who was quiet may burst again.
func TestPaceOfALog(t *testing.T) {
	var p pace
	now := time.Now()
	if got := p.take(logBurst, now); got > 0 {
		t.Errorf("a burst: got a wait of %s, want none", got)
	}
	if got, want := p.take(logRate/4, now), 250*time.Millisecond; got != want {
		t.Errorf("a quarter of a second's bytes after it: got a wait of %s, want %s", got, want)
	}
	now = now.Add(time.Second)
	if got := p.take(logRate/2, now); got > 0 {
		t.Errorf("half a second's bytes a second later: got a wait of %s, want none", got)
	}
	now = now.Add(time.Hour)
	if got := p.take(logBurst+logRate, now); got != time.Second {
		t.Errorf("a burst and a second's bytes after an hour: got a wait of %s, want 1s", got)
	}
}
