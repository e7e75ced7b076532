// Package stack turns templates into resources: it plans what a template asks for, applies it in parallel by
// dependency, and rolls back whole what does not succeed.
//
// # The way of a template
//
//	source ─Read─> tree ─Include, assets─> Template ─SAM─> Template ─check─> compiled ─decide─> plan ─apply─> resources
//	        stack/template                        stack/sam       stack/resource
//
// Everything up to the plan is pure: syntax, functions, the SAM transform, and the table of each resource type are
// checked before the first call, and all mistakes are reported together. Applying is the same evaluation with more
// known: a resource is decided upon when all it depends on is there, from the properties that it then has and those
// that were applied last. So the plan is a forecast made by the code that also acts.
//
// # The state machine of a stack
//
//	                       ┌────────────── CREATE_COMPLETE <──────────────┐
//	CREATE_IN_PROGRESS ────┤                                              │ execute
//	                       └─> ROLLBACK_IN_PROGRESS ─> ROLLBACK_COMPLETE  REVIEW_IN_PROGRESS (a change set for a new stack)
//
//	                       ┌─> UPDATE_COMPLETE_CLEANUP_IN_PROGRESS ─> UPDATE_COMPLETE
//	UPDATE_IN_PROGRESS ────┤
//	                       └─> UPDATE_ROLLBACK_IN_PROGRESS ─> UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS
//	                                                       ─> UPDATE_ROLLBACK_COMPLETE
//	DELETE_IN_PROGRESS ──> DELETE_COMPLETE | DELETE_FAILED
//
// # Promises
//
// An operation is on disk before its request is answered, and each of its steps is: before a call that changes
// something, the intent (the name that a new resource will have, the properties that an update goes from and to); after
// it, the outcome. A node that dies in the middle goes on at the next start: Run finds every stack that is IN_PROGRESS
// and continues in the phase where it stopped, repeating the step whose outcome is not known. A create whose outcome is
// not known is looked for, removed when found, and made again.
//
// A failed create leaves nothing behind but what DeletionPolicy retains. A failed update ends with the properties,
// resources and outputs from before it. A replacement is made before the old resource is deleted, and that only when
// all else succeeded.
//
// One operation at a time changes a stack; different stacks change at the same time. All methods of Stacks are safe for
// concurrent use.
//
// # What it leaves to others
//
// It imports no room and acts only through rouse.Caller, as the origin that asked or as the stack's role, so that it
// can do what that principal may do and nothing else. Building and uploading code is the command line's work; AWS's API
// for stacks is package aws/cloudformation.
package stack

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/stack/resource"
)

// Limits of the engine.
const (
	ParallelDefault = 8               // resources of one stack that are worked on at once
	readyDefault    = 5 * time.Minute // that a resource may take to become ready
	pollDefault     = 20 * time.Millisecond
	stacksMax       = 16          // stacks that change at once
	retryMax        = time.Minute // between tries after the store refused
	keptDeleted     = 90 * 24 * time.Hour
)

// Config is what an engine needs.
type Config struct {
	Store  kv.Store     // required
	Region string       // required
	Caller rouse.Caller // required: all resources are made through it
	// Fetch reads a TemplateURL and the files that templates name; nil refuses them.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Parallel is how many resources of one stack are worked on at once; 0 means ParallelDefault.
	Parallel int
	// Ready is how long a resource may take to become ready; 0 means 5 minutes. Poll is how often that is asked, 20 ms
	// by default.
	Ready, Poll time.Duration
	Log         *slog.Logger // nil discards
}

// Stacks holds stacks and changes them. Made by Open; nothing happens to a stack until Run runs.
type Stacks struct {
	cfg   Config
	types map[string]*resource.Type

	mu      sync.Mutex
	queue   []work          // operations to run; guarded by mu
	busy    map[string]bool // ids of stacks in the queue or running; true: enqueued anew meanwhile; guarded by mu
	changed chan struct{}   // closed and replaced when a stack changed its status; guarded by mu
	last    uint64          // the last event's number; guarded by mu
	wake    chan struct{}   // tells Run that the queue has something
}

// work names a stack with an unfinished operation.
type work struct{ account, id string }

const formatVersion = 1

// Open makes an engine over the stacks in the store.
func Open(ctx context.Context, cfg Config) (*Stacks, error) {
	if cfg.Store == nil || cfg.Region == "" || cfg.Caller == nil {
		return nil, errors.New("stack: Config needs Store, Region and Caller")
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = ParallelDefault
	}
	if cfg.Ready == 0 {
		cfg.Ready = readyDefault
	}
	if cfg.Poll == 0 {
		cfg.Poll = pollDefault
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := format.Check(ctx, cfg.Store, "stack", formatVersion); err != nil {
		return nil, err
	}
	return &Stacks{cfg: cfg, types: resource.Types(), busy: map[string]bool{}, changed: make(chan struct{}),
		wake: make(chan struct{}, 1)}, nil
}

// Run carries operations out until ctx is done; it begins with those that an earlier process did not finish. What is
// under way when ctx ends stays as it is and goes on at the next Run.
func (s *Stacks) Run(ctx context.Context) error {
	if err := s.Resume(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, stacksMax)
	for {
		w, ok := s.next()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-s.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case slots <- struct{}{}:
		}
		all.Go(func() {
			defer func() { <-slots }()
			s.carryOut(ctx, w)
		})
	}
}

// carryOut runs the operation of one stack to its end. What the store refuses is tried again from where it stopped, later
// and later; nothing but a closed store or the end of ctx leaves a stack in progress.
func (s *Stacks) carryOut(ctx context.Context, w work) {
	for delay := s.cfg.Poll; ; delay = min(2*delay, retryMax) {
		err := s.operate(ctx, w)
		if err == nil || ctx.Err() != nil {
			break
		}
		s.cfg.Log.Error("stack operation stopped", "stack", w.id, "err", err)
		if errors.Is(err, kv.ErrClosed) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
	// An operation may have been asked for between the end of this one and here.
	s.mu.Lock()
	again := s.busy[w.id]
	delete(s.busy, w.id)
	s.mu.Unlock()
	if again {
		s.enqueue(w)
	}
	s.announce()
}

// enqueue hands a stack to Run; one that Run is at work on, again when it has ended.
func (s *Stacks) enqueue(w work) {
	s.mu.Lock()
	if _, ok := s.busy[w.id]; ok {
		s.busy[w.id] = true
	} else {
		s.busy[w.id] = false
		s.queue = append(s.queue, w)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Stacks) next() (work, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return work{}, false
	}
	w := s.queue[0]
	s.queue = s.queue[1:]
	return w, true
}

// announce wakes all who wait for a stack.
func (s *Stacks) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Stacks) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Wait returns the stack when no operation is under way in it.
func (s *Stacks) Wait(ctx context.Context, account, name string) (Stack, error) {
	for {
		changed := s.changes()
		st, err := s.Stack(ctx, account, name)
		if err != nil || !inProgress(st.Status) {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-changed:
		}
	}
}

// number draws the number of an event: the time in nanoseconds, ascending in any case.
func (s *Stacks) number(now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, uint64(now.UnixNano()))
	return s.last
}
