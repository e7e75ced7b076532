package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/pool"
	"go.uber.org/goleak"
)

// TestBooksAreKept throws random attempts, failures, revisions, cancels and a Close at a pool. At every moment the memory
// that is counted is that of the instances there are, within the budget; everybody gets an answer; at the end nothing is
// left, in the books or outside.
func TestBooksAreKept(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			keepBooks(t, rand.New(rand.NewPCG(seed, 7)), seed%3 == 0)
		})
	}
}

const (
	bookCharge = 128 << 20
	bookBudget = 6 * bookCharge
)

// dice is a source of chance that many may throw.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) trouble(oneIn int) func() error {
	return func() error {
		if d.below(oneIn) == 0 {
			return errors.New("trouble")
		}
		return nil
	}
}

func keepBooks(t *testing.T, r *rand.Rand, closeEarly bool) {
	d := &dice{r: r}
	driver := &fakeDriver{create: d.trouble(15), freeze: d.trouble(5), thaw: d.trouble(5)}
	b := newFakeBed(t, driver, func(c *pool.Config) {
		c.MemoryBytes, c.WaitMax, c.Starts, c.KeepAlive = bookBudget, 50*time.Millisecond, 2, 40*time.Millisecond
		c.FreezeAfter = time.Duration(d.below(3)) * time.Millisecond
		c.Maker.Spares = d.below(3) - 1
	})
	run, stop := context.WithCancel(context.Background())
	var loops, callers sync.WaitGroup
	loops.Go(func() { _ = b.pool.Run(run) })
	loops.Go(func() { watchBooks(t, run, b) })
	versions := bookVersions(t, b)
	for range 40 {
		callers.Go(func() {
			for range 6 {
				randomAttempt(t, b, d, versions)
			}
		})
	}
	ended := make(chan struct{})
	go func() { callers.Wait(); close(ended) }()
	if closeEarly {
		pause := time.NewTimer(time.Duration(d.below(100)) * time.Millisecond)
		<-pause.C
		b.close(t, 50*time.Millisecond)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("callers are forgotten: %+v", b.pool.Counts())
	}
	if !closeEarly {
		until(t, "starts end", func() bool { return b.pool.Counts().Starting == 0 })
		if c := b.pool.Counts(); c.Busy != 0 || c.Waiting != 0 || c.MemoryBytes != int64(c.Idle)*bookCharge/4 {
			t.Errorf("at rest %+v, want idle instances only, each a quarter of its memory", c)
		}
		b.close(t, time.Second)
	}
	stop()
	loops.Wait()
}

func bookVersions(t *testing.T, b *fakeBed) []*version {
	var all []*version
	for _, name := range []string{"f", "slow", "broken"} {
		for _, revision := range []string{"1", "2"} {
			all = append(all, b.function(t, name, revision, 128))
		}
	}
	for _, v := range all {
		v.TimeoutSeconds = 1
	}
	return all
}

// randomAttempt makes one attempt that may exit, time out, be cancelled or fail to start, and checks that its end is one of
// those that are foreseen.
func randomAttempt(t *testing.T, b *fakeBed, d *dice, versions []*version) {
	ctx := context.Background()
	if d.below(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(d.below(20))*time.Millisecond)
		defer cancel()
	}
	o := order{Milliseconds: d.below(4), Exit: d.below(10) == 0, ExitAfter: d.below(10) == 0}
	if d.below(100) == 0 {
		o.Milliseconds = 1200 // beyond its timeout
	}
	_, err := b.invoke(ctx, versions[d.below(len(versions))], o)
	kind := rouse.KindOf(err)
	if err != nil && ctx.Err() == nil && kind != rouse.Throttled && kind != rouse.Unavailable && !isTrouble(err) {
		t.Errorf("an attempt ended with %v", err)
	}
}

func isTrouble(err error) bool {
	return err != nil && errors.Unwrap(err) != nil && errors.Unwrap(err).Error() == "trouble"
}

// watchBooks holds the counts against each other until ctx is done.
func watchBooks(t *testing.T, ctx context.Context, b *fakeBed) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c := b.pool.Counts()
		low := int64(c.Busy)*bookCharge + int64(c.Idle)*bookCharge/4
		high := low + int64(c.Starting)*bookCharge
		if c.Idle < 0 || c.Busy < 0 || c.Starting < 0 || c.Waiting < 0 || c.MemoryBytes < low || c.MemoryBytes > min(high, bookBudget) {
			t.Errorf("counts %+v, want memory between %d and %d", c, low, min(high, bookBudget))
			return
		}
	}
}
