// Package gate lets calls into a store until it is closed, and has Close wait for those that are under way.
//
//	open ──Close──► closing ──the last call leaves──► closed
//	 │ Enter: nil      │ Enter: kv.ErrClosed             Close returns, once; to later ones it answers kv.ErrClosed
//
// A call enters before it touches anything of the store and leaves when it has done, so that what the store is made of may go
// when Close returns. Calls that wait for something of their own look at Closing and give up: the gate waits for them too.
//
// All methods are safe for concurrent use. What is kept over a crash is the drivers' matter: a gate is of one process.
package gate

import (
	"sync"

	"github.com/rouse-dev/rouse/kv"
)

// Gate counts the calls that are under way. Made by New.
type Gate struct {
	closing, idle chan struct{}

	mu     sync.Mutex
	calls  int  // guarded by mu
	closed bool // guarded by mu
}

// New makes a gate that is open.
func New() *Gate { return &Gate{closing: make(chan struct{}), idle: make(chan struct{})} }

// Enter lets a call in, which must Leave, or answers kv.ErrClosed.
func (g *Gate) Enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return kv.ErrClosed
	}
	g.calls++
	return nil
}

// Leave ends a call that has entered.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls--
	if g.closed && g.calls == 0 {
		close(g.idle)
	}
}

// Closing is closed when Close has begun.
func (g *Gate) Closing() <-chan struct{} { return g.closing }

// Close refuses new calls and waits for those under way. A second call answers kv.ErrClosed.
func (g *Gate) Close() error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return kv.ErrClosed
	}
	g.closed = true
	close(g.closing)
	if g.calls == 0 {
		close(g.idle)
	}
	g.mu.Unlock()
	<-g.idle
	return nil
}
