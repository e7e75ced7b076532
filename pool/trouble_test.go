package pool_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/pool"
)

// answer is how an attempt in the background ended.
type answer struct {
	res rouse.Result
	err error
}

func within(t *testing.T, what string, d time.Duration, c <-chan answer) answer {
	t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(d):
		t.Fatalf("%s: no answer within %v", what, d)
		return answer{}
	}
}

func (b *fakeBed) background(ctx context.Context, f func() (rouse.Result, error)) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		res, err := f()
		c <- answer{res, err}
	}()
	return c
}

// TestCloseForgetsNobody: a caller who queues behind a busy instance is told that the node stops.
func TestCloseForgetsNobody(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, nil)
	v := b.function(t, "f", "1", 128)
	for range 3 { // quick ones: the pool learns that a queue moves
		if _, err := b.invoke(t.Context(), v, order{}); err != nil {
			t.Fatal(err)
		}
	}
	busy := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), v, order{Milliseconds: 300}) })
	until(t, "the instance is busy", func() bool { return b.pool.Counts().Busy == 1 })
	waits := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), v, order{}) })
	until(t, "Close has begun or the second waits", func() bool { return b.pool.Counts().Waiting == 1 })
	b.close(t, 5*time.Second)
	if a := within(t, "the busy one", time.Second, busy); a.err != nil || a.res.Error != nil {
		t.Errorf("the busy one: %+v, %v, want its end", a.res.Error, a.err)
	}
	if a := within(t, "the one who waited", time.Second, waits); rouse.KindOf(a.err) != rouse.Unavailable || a.err == nil {
		t.Errorf("the one who waited: %v, want unavailable", a.err)
	}
}

// TestCloseEndsStarts: a function that does not come up holds nobody back.
func TestCloseEndsStarts(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, nil)
	v := b.function(t, "hung", "1", 128)
	waits := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), v, order{}) })
	until(t, "a sandbox is there", func() bool { return b.driver.boxes.Load() == 1 })
	began := time.Now()
	b.close(t, time.Second)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v, want it soon: the start is of no use any more", took)
	}
	if a := within(t, "the caller", time.Second, waits); rouse.KindOf(a.err) != rouse.Unavailable || a.err == nil {
		t.Errorf("the caller: %v, want unavailable", a.err)
	}
}

// TestAQueueBehindLongAttemptsMoves: attempts are short as a rule, but those that run now are not. Each of the callers
// behind them gets an instance after a while, whoever comes and goes meanwhile.
func TestAQueueBehindLongAttemptsMoves(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, nil)
	defer b.close(t, time.Second)
	v := b.function(t, "slow", "1", 128)
	for range 3 {
		if _, err := b.invoke(t.Context(), v, order{}); err != nil {
			t.Fatal(err)
		}
	}
	long := func() (rouse.Result, error) { return b.invoke(context.Background(), v, order{Milliseconds: 4000}) }
	b.background(t.Context(), long)
	until(t, "the instance is busy", func() bool { return b.pool.Counts().Busy == 1 })
	for range 3 {
		b.background(t.Context(), long)
	}
	until(t, "all four run", func() bool { return b.pool.Counts().Busy == 4 })
	ctx, cancel := context.WithCancel(t.Context())
	gone := b.background(ctx, func() (rouse.Result, error) { return b.invoke(ctx, v, order{}) })
	until(t, "a start is made for the first", func() bool { return b.pool.Counts().Starting > 0 })
	last := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), v, order{}) })
	until(t, "the second waits", func() bool { return b.pool.Counts().Waiting >= 1 })
	cancel()
	within(t, "who went", time.Second, gone)
	if a := within(t, "who stayed", 2*time.Second, last); a.err != nil || a.res.Error != nil {
		t.Errorf("who stayed: %+v, %v, want an answer", a.res.Error, a.err)
	}
}

// TestFreezingHoldsUpNobody: a sandbox that is slow to freeze does not stop the pool.
func TestFreezingHoldsUpNobody(t *testing.T) {
	hold, freezing := make(chan struct{}), make(chan struct{}, 8)
	d := &fakeDriver{freeze: func() error { freezing <- struct{}{}; <-hold; return nil }}
	b := newFakeBed(t, d, func(c *pool.Config) { c.FreezeAfter = time.Millisecond })
	f, g := b.function(t, "f", "1", 128), b.function(t, "g", "1", 128)
	if _, err := b.invoke(t.Context(), f, order{}); err != nil {
		t.Fatal(err)
	}
	<-freezing
	same := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), f, order{}) })
	other := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), g, order{}) })
	if a := within(t, "another function", 2*time.Second, other); a.err != nil {
		t.Error(a.err)
	}
	close(hold)
	if a := within(t, "the frozen one", 2*time.Second, same); a.err != nil || a.res.Error != nil {
		t.Errorf("the frozen one: %+v, %v, want an answer once it is thawed", a.res.Error, a.err)
	}
	b.close(t, time.Second)
}

// TestAHalfFrozenInstanceIsThawed: v1's freezer may give up in the middle and go on freezing all the same.
func TestAHalfFrozenInstanceIsThawed(t *testing.T) {
	var thawed atomic.Int64
	d := &fakeDriver{freeze: func() error { return errors.New("not all stand still") }, thaw: func() error { thawed.Add(1); return nil }}
	b := newFakeBed(t, d, func(c *pool.Config) { c.FreezeAfter = time.Millisecond })
	defer b.close(t, time.Second)
	if _, err := b.invoke(t.Context(), b.function(t, "f", "1", 128), order{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is thawed again", func() bool { return thawed.Load() > 0 })
}

// TestAnInstanceThatDoesNotThaw is the platform's fault: the event never reached it, so another instance takes it.
func TestAnInstanceThatDoesNotThaw(t *testing.T) {
	var frozen atomic.Int64
	d := &fakeDriver{freeze: func() error { frozen.Add(1); return nil }, thaw: func() error { return errors.New("stuck") }}
	b := newFakeBed(t, d, func(c *pool.Config) { c.FreezeAfter = time.Millisecond })
	defer b.close(t, time.Second)
	v := b.function(t, "f", "1", 128)
	if _, err := b.invoke(t.Context(), v, order{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is frozen", func() bool { return frozen.Load() == 1 })
	res, err := b.invoke(t.Context(), v, order{})
	if err != nil || res.Error != nil || res.Timing.Start != rouse.StartCold {
		t.Errorf("got %+v, %v, want the answer of a new instance", res, err)
	}
}

// TestAWaitForMemoryIsBounded: all who wait for memory that does not come are refused when their time is over, not one
// after the other; and a small function passes a large one that waits.
func TestAWaitForMemoryIsBounded(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, func(c *pool.Config) { c.MemoryBytes, c.WaitMax, c.Starts = 1000<<20, 400*time.Millisecond, 1 })
	defer b.close(t, 5*time.Second)
	hog, large, small := b.function(t, "hog", "1", 512), b.function(t, "large", "1", 768), b.function(t, "small", "1", 128)
	busy := b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), hog, order{Milliseconds: 2000}) })
	until(t, "the hog runs", func() bool { return b.pool.Counts().Busy == 1 })
	began := time.Now()
	var refused []<-chan answer
	for range 4 {
		refused = append(refused, b.background(t.Context(), func() (rouse.Result, error) { return b.invoke(context.Background(), large, order{}) }))
	}
	until(t, "they wait", func() bool { return b.pool.Counts().Waiting == 4 })
	if _, err := b.invoke(t.Context(), small, order{}); err != nil {
		t.Errorf("the small one: %v", err)
	}
	if took := time.Since(began); took > 300*time.Millisecond {
		t.Errorf("the small one took %v, want it not to wait behind the large ones", took)
	}
	for _, c := range refused {
		a := within(t, "a large one", 1500*time.Millisecond, c)
		if rouse.KindOf(a.err) != rouse.Throttled || a.err == nil {
			t.Errorf("a large one: %v, want throttled", a.err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the last was refused after %v, want all after about 400 ms", took)
	}
	within(t, "the hog", 5*time.Second, busy)
}

// TestALateCallerOfAnOldRevision does not end the instances of the new one.
func TestALateCallerOfAnOldRevision(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, func(c *pool.Config) { c.Current = isNew })
	defer b.close(t, time.Second)
	before, now := b.function(t, "f", "old", 128), b.function(t, "f", "new", 128)
	for _, v := range []*version{now, before, now} {
		if _, err := b.invoke(t.Context(), v, order{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.driver.made.Load(); n != 2 {
		t.Errorf("%d sandboxes, want 2: one for each revision", n)
	}
}

// TestInitFailuresAreToldAsLambdaDoes: with the invocation's id, and an INIT_REPORT line.
func TestInitFailuresAreToldAsLambdaDoes(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, nil)
	defer b.close(t, time.Second)
	res, err := b.invoke(t.Context(), b.function(t, "broken", "1", 128), order{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "RequestId: 8f5e1a7c-0000-4000-8000-000000000001 Error: Runtime exited without providing a reason"
	if res.Error == nil || res.Error.Type != "Runtime.ExitError" || res.Error.Message != want {
		t.Errorf("got %+v, want Runtime.ExitError %q", res.Error, want)
	}
	if log := b.log(); !strings.Contains(log, "INIT_REPORT Init Duration: ") ||
		!strings.Contains(log, " ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError") {
		t.Errorf("log %q, want an INIT_REPORT with its status", log)
	}
}

// TestAStreamBeyondABuffer: a function may stream more than a caller takes who wants the answer whole. He gets Lambda's error,
// not the beginning of the answer.
func TestAStreamBeyondABuffer(t *testing.T) {
	b := newFakeBed(t, &fakeDriver{}, nil)
	defer b.close(t, time.Second)
	v := b.function(t, "f", "1", 128)
	if res, err := b.invoke(t.Context(), v, order{Stream: 5}); err != nil || res.Error != nil {
		t.Errorf("5 MiB: %+v, %v, want an answer", res.Error, err)
	}
	res, err := b.invoke(t.Context(), v, order{Stream: 7})
	if err != nil || res.Error == nil || res.Error.Type != "Function.ResponseSizeTooLarge" {
		t.Errorf("7 MiB: %+v, %v, want Function.ResponseSizeTooLarge", res.Error, err)
	}
}

type version = catalog.Version

func isNew(v *version) bool { return v.RevisionID == "new" }
