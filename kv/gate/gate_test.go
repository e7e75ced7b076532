package gate_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/gate"
)

func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New()
		for range 2 {
			if err := g.Enter(); err != nil {
				t.Fatalf("enter: got %v, want none", err)
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- g.Close() }()
		<-g.Closing()
		if err := g.Enter(); !errors.Is(err, kv.ErrClosed) {
			t.Errorf("enter while it closes: got %v, want %v", err, kv.ErrClosed)
		}
		if err := g.Close(); !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close again: got %v, want %v", err, kv.ErrClosed)
		}
		g.Leave()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("closed with a call under way: %v", err)
		default:
		}
		g.Leave()
		if err := <-closed; err != nil {
			t.Errorf("close: got %v, want none", err)
		}
	})
}

func TestCloseOfNothing(t *testing.T) {
	g := gate.New()
	if err := g.Close(); err != nil {
		t.Errorf("got %v, want none", err)
	}
}
