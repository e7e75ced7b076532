package pebble

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/kv"
)

// durability knows which commits are on disk. Commits that are visible but not yet on disk stand in pending, by number,
// with the keys that they wrote; an fsync settles all up to its own.
type durability struct {
	dead   <-chan struct{}
	synced atomic.Uint64 // every commit up to this one is on disk; raised under mu

	mu      sync.Mutex
	pending []unsynced // guarded by mu; ascending
	waiters []syncWait // guarded by mu
}

type unsynced struct {
	commit uint64
	writes []write
}

type syncWait struct {
	commit uint64
	done   chan struct{}
}

func (d *durability) init(commit uint64, dead <-chan struct{}) {
	d.dead = dead
	d.synced.Store(commit)
}

// begin announces a commit, before it becomes visible.
func (d *durability) begin(commit uint64, writes []write) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, unsynced{commit, writes})
}

// settle says that all commits up to commit are on disk.
func (d *durability) settle(commit uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if commit <= d.synced.Load() {
		return
	}
	d.synced.Store(commit)
	n := 0
	for n < len(d.pending) && d.pending[n].commit <= commit {
		n++
	}
	d.pending = slices.Delete(d.pending, 0, n)
	d.waiters = slices.DeleteFunc(d.waiters, func(w syncWait) bool {
		if w.commit > commit {
			return false
		}
		close(w.done)
		return true
	})
}

// lastIn is the last pending commit up to upTo that wrote a key of r, 0 if there is none.
func (d *durability) lastIn(r kv.Range, upTo uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.pending) - 1; i >= 0; i-- {
		p := d.pending[i]
		if p.commit <= upTo && slices.ContainsFunc(p.writes, func(w write) bool { return inRange(w.key, r) }) {
			return p.commit
		}
	}
	return 0
}

// wait returns when commit is on disk.
func (d *durability) wait(ctx context.Context, commit uint64) error {
	if commit <= d.synced.Load() {
		return nil
	}
	d.mu.Lock()
	if commit <= d.synced.Load() {
		d.mu.Unlock()
		return nil
	}
	w := syncWait{commit, make(chan struct{})}
	d.waiters = append(d.waiters, w)
	d.mu.Unlock()
	var err error
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-d.dead:
		err = kv.ErrClosed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiters = slices.DeleteFunc(d.waiters, func(o syncWait) bool { return o.done == w.done })
	return err
}

// last is the last commit that may be visible now.
func (d *durability) last() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.pending); n > 0 {
		return d.pending[n-1].commit
	}
	return d.synced.Load()
}
