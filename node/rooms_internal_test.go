package node

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestConnectionsAreSpaced: beyond a burst they come one by one.
func TestConnectionsAreSpaced(t *testing.T) {
	p := pace{burst: 3, every: 10 * time.Millisecond}
	now := time.Now()
	for i, want := range []time.Duration{0, 0, 0, 10 * time.Millisecond, 20 * time.Millisecond} {
		if got := max(0, p.wait(now)); got != want {
			t.Errorf("connection %d at once: got a wait of %s, want %s", i, got, want)
		}
	}
	if got := p.wait(now.Add(time.Second)); got > 0 {
		t.Errorf("a second later: got a wait of %s, want none", got)
	}
	if got := (&pace{}).wait(now); got != 0 {
		t.Errorf("without a pace: got a wait of %s, want none", got)
	}
}

// TestConnectionsAreBounded: beyond its room a listener hangs up, and a closed connection makes room again.
func TestConnectionsAreBounded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	own, shared := &room{max: 2}, &room{max: 100}
	b := &bounded{Listener: ln, rooms: []*room{own, shared}}
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	third := dial()
	if _, err := third.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a third connection where there is room for two: got %v, want it closed", err)
	}
	if got := shared.open.Load(); got != 2 {
		t.Errorf("connections in the shared room: got %d, want 2", got)
	}
	_, _ = first.Close(), first.Close()
	dial()
	if c := <-accepted; c == nil || own.open.Load() != 2 || shared.open.Load() != 2 {
		t.Errorf("after one has left: got %d and %d inside, want 2 and 2", own.open.Load(), shared.open.Load())
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
