package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/meter"
)

const account = rouse.DefaultAccount

func arn(name string) rouse.ARN { return rouse.FunctionARN("us-east-1", account, name, "") }

// world is what a dispatcher talks to: functions by name, each a Go function.
type world struct {
	mu        sync.Mutex
	functions map[string]func(inv rouse.Invocation) (rouse.Result, error)
	reserved  map[string]int
	calls     []call
	records   []meter.Record
	told      []string
	toldBy    []rouse.Origin
	answer    *string // instead of "done"
	role      string
}

type call struct {
	at  time.Duration // since the bubble began
	inv rouse.Invocation
}

func (w *world) Attempt(_ context.Context, v *catalog.Version, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	w.mu.Lock()
	f := w.functions[v.Name]
	w.calls = append(w.calls, call{time.Since(epoch), inv})
	w.mu.Unlock()
	res, err := f(inv)
	if err == nil && res.Error == nil {
		answer := `"done"`
		if w.answer != nil {
			answer = *w.answer
		}
		_, _ = out.Write([]byte(answer))
	}
	return res, err
}

func (w *world) resolve(fn rouse.ARN) (*catalog.Version, error) {
	name, _, _ := fn.FunctionName()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.functions[name] == nil {
		return nil, rouse.Errorf(rouse.NotFound, "Function not found: %s", fn)
	}
	v := &catalog.Version{Account: account, Name: name, Number: catalog.Latest, ARN: fn, TimeoutSeconds: 3, MemoryMB: 128, Role: w.role}
	if name == "pending" {
		v.State = catalog.Pending
	}
	if n, ok := w.reserved[name]; ok {
		v.Reserved = &n
	}
	return v, nil
}

func (w *world) Deliver(ctx context.Context, from rouse.Origin, target rouse.ARN, payload []byte) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toldBy = append(w.toldBy, from)
	w.told = append(w.told, target.String()+" "+string(payload))
	return nil
}

func (w *world) config(store kv.Store) dispatch.Config {
	return dispatch.Config{Store: store, Region: "us-east-1", Runner: w, Resolve: w.resolve, Deliver: w,
		Record: func(r meter.Record) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.records = append(w.records, r)
		}}
}

// epoch is when every synctest bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// bubble runs f beside a dispatcher that works on its queue.
func bubble(t *testing.T, w *world, change func(*dispatch.Config), f func(ctx context.Context, d *dispatch.Dispatcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := w.config(kvtest.Memory(t))
		if change != nil {
			change(&cfg)
		}
		stop := run(t, cfg, f)
		stop()
	})
}

// run starts a dispatcher, lets f use it, and returns what stops it.
func run(t *testing.T, cfg dispatch.Config, f func(ctx context.Context, d *dispatch.Dispatcher)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := dispatch.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	f(ctx, d)
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v, want nil", err)
		}
	}
}

func ok(rouse.Invocation) (rouse.Result, error) { return rouse.Result{Version: "$LATEST"}, nil }

func fails(rouse.Invocation) (rouse.Result, error) {
	return rouse.Result{Version: "$LATEST", Error: rouse.Unhandled("Error", "boom")}, nil
}

func event(name, id string) rouse.Invocation {
	return rouse.Invocation{ID: id, Function: arn(name), Event: []byte(`{"n":1}`), Cause: rouse.CauseAsync, Received: time.Now()}
}

func TestInvoke(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": ok}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		var out rouse.Buffer
		res, err := d.Invoke(ctx, event("f", "1"), &out)
		if err != nil || res.Error != nil || out.String() != `"done"` {
			t.Errorf("got %s, %+v, %v, want \"done\"", out.String(), res, err)
		}
		if len(w.records) != 1 || w.records[0].Outcome != meter.OK || w.records[0].Attempt != 1 {
			t.Errorf("records %+v, want one of a first attempt that went well", w.records)
		}
	})
}

func TestInvokeRefuses(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": ok, "pending": ok}, reserved: map[string]int{}}
	deep := event("f", "1")
	deep.From.Hops = rouse.HopsMax + 1
	large := event("f", "1")
	large.Event = make([]byte, rouse.EventMax+1)
	for _, c := range []struct {
		name string
		inv  rouse.Invocation
		kind rouse.Kind
		text string
	}{
		{"no such function", event("g", "1"), rouse.NotFound, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:g"},
		{"not ready", event("pending", "1"), rouse.Conflict, "The function is currently in the following state: Pending"},
		{"a loop", deep, rouse.Invalid, "Recursive invocation detected"},
		{"a large event", large, rouse.TooLarge, "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
				_, err := d.Invoke(ctx, c.inv, &rouse.Buffer{})
				if rouse.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v (%v), want %v: %s", err, rouse.KindOf(err), c.kind, c.text)
				}
			})
		})
	}
}

func TestConcurrencyLimits(t *testing.T) {
	for _, c := range []struct {
		name     string
		reserved map[string]int
		busy     string // function that holds its attempts
		want     string // code of the third attempt
	}{
		{"the account's", nil, "f", "ConcurrentInvocationLimitExceeded"},
		{"the function's", map[string]int{"f": 2}, "f", "ReservedFunctionConcurrentInvocationLimitExceeded"},
		{"none reserved", map[string]int{"f": 0}, "g", "ReservedFunctionConcurrentInvocationLimitExceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold := make(chan struct{})
			w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){}, reserved: c.reserved}
			wait := func(inv rouse.Invocation) (rouse.Result, error) { <-hold; return ok(inv) }
			w.functions["f"], w.functions["g"] = wait, wait
			synctest.Test(t, func(t *testing.T) {
				hold = make(chan struct{})
				cfg := w.config(kvtest.Memory(t))
				cfg.Concurrency = 2
				stop := run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
					var busy sync.WaitGroup
					for range 2 {
						busy.Go(func() { _, _ = d.Invoke(ctx, event(c.busy, "1"), &rouse.Buffer{}) })
					}
					synctest.Wait()
					_, err := d.Invoke(ctx, event("f", "3"), &rouse.Buffer{})
					var e *rouse.Error
					if !errors.As(err, &e) || e.Kind != rouse.Throttled || e.Code != c.want {
						t.Errorf("third attempt: %#v, want Throttled %s", err, c.want)
					}
					close(hold)
					busy.Wait()
				})
				stop()
			})
		})
	}
}

func TestAsyncRunsOnceWhenItSucceeds(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": ok}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		if err := d.Enqueue(ctx, event("f", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.calls) != 1 || w.calls[0].inv.ID != "1" || string(w.calls[0].inv.Event) != `{"n":1}` {
			t.Errorf("calls %+v, want one with its event", w.calls)
		}
	})
}

func TestAsyncRetriesAfterOneAndTwoMinutes(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": fails}}
	destination := arn("sad").String()
	change := func(c *dispatch.Config) {
		c.Policy = func(rouse.ARN) dispatch.Policy {
			return dispatch.Policy{Retries: 2, MaxAge: time.Hour, OnFailure: destination}
		}
	}
	bubble(t, w, change, func(ctx context.Context, d *dispatch.Dispatcher) {
		start := time.Since(epoch)
		if err := d.Enqueue(ctx, event("f", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		var at []time.Duration
		for i, c := range w.calls {
			at = append(at, (c.at - start).Truncate(10*time.Second))
			if c.inv.Attempt != i+1 {
				t.Errorf("call %d is attempt %d, want %d", i, c.inv.Attempt, i+1)
			}
		}
		if want := []time.Duration{0, time.Minute, 3 * time.Minute}; fmt.Sprint(at) != fmt.Sprint(want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		if len(w.told) != 1 {
			t.Fatalf("told %q, want one failure", w.told)
		}
		target, body, _ := strings.Cut(w.told[0], " ")
		var m struct {
			RequestContext  struct{ Condition, FunctionArn string }
			RequestPayload  json.RawMessage
			ResponsePayload struct{ ErrorMessage string }
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
		if target != destination || m.RequestContext.Condition != "RetriesExhausted" || string(m.RequestPayload) != `{"n":1}` ||
			m.ResponsePayload.ErrorMessage != "boom" || !strings.HasSuffix(m.RequestContext.FunctionArn, ":f:$LATEST") {
			t.Errorf("told %s, want the event, its error and RetriesExhausted", w.told[0])
		}
	})
}

func TestAsyncBacksOffWhenThrottledAndGivesUpWhenOld(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": ok}, reserved: map[string]int{"f": 0}}
	change := func(c *dispatch.Config) {
		c.Policy = func(rouse.ARN) dispatch.Policy {
			return dispatch.Policy{Retries: 2, MaxAge: 10 * time.Minute, OnFailure: arn("sad").String()}
		}
	}
	bubble(t, w, change, func(ctx context.Context, d *dispatch.Dispatcher) {
		if err := d.Enqueue(ctx, event("f", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.calls) != 0 {
			t.Errorf("%d calls, want none: nothing may run", len(w.calls))
		}
		if n := len(w.records); n < 8 || n > 14 {
			t.Errorf("%d tries, want about ten, ever slower", n)
		}
		if len(w.told) != 1 || !strings.Contains(w.told[0], "EventAgeExceeded") {
			t.Errorf("told %q, want EventAgeExceeded", w.told)
		}
	})
}

// TestLargestEvent: an event may have as many bytes as Lambda takes, and not one more.
func TestLargestEvent(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": ok}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		inv := event("f", "1")
		inv.Event = []byte(`"` + strings.Repeat("x", rouse.EventAsyncMax-2) + `"`)
		if err := d.Enqueue(ctx, inv); err != nil {
			t.Errorf("an event of %d bytes: got %v, want none", len(inv.Event), err)
		}
		inv.ID, inv.Event = "2", append(inv.Event, ' ')
		if err := d.Enqueue(ctx, inv); rouse.KindOf(err) != rouse.TooLarge || !strings.Contains(err.Error(), "1048577 byte payload is too large") {
			t.Errorf("an event of %d bytes: got %v, want it too large", len(inv.Event), err)
		}
	})
}

func TestAsyncOfADeletedFunctionGoes(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"f": fails}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		if err := d.Enqueue(ctx, event("f", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.mu.Lock()
		delete(w.functions, "f")
		w.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.calls) != 1 {
			t.Errorf("%d calls, want the one before it was deleted", len(w.calls))
		}
		if err := d.Enqueue(ctx, event("f", "2")); rouse.KindOf(err) != rouse.NotFound {
			t.Errorf("enqueue: %v, want not found", err)
		}
	})
}

// TestASlowFunctionLeavesRoom: one function may hold a quarter of the workers.
func TestASlowFunctionLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){"quick": ok,
			"slow": func(inv rouse.Invocation) (rouse.Result, error) { <-hold; return ok(inv) }}}
		cfg := w.config(kvtest.Memory(t))
		cfg.Workers = 8
		stop := run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
			for i := range 20 {
				if err := d.Enqueue(ctx, event("slow", fmt.Sprint("s", i))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			if err := d.Enqueue(ctx, event("quick", "q")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			w.mu.Lock()
			slow, quick := 0, 0
			for _, c := range w.calls {
				if c.inv.ID == "q" {
					quick++
				} else {
					slow++
				}
			}
			w.mu.Unlock()
			if slow != 2 || quick != 1 {
				t.Errorf("%d slow and %d quick attempts, want 2 of 8 workers slow and the quick one done", slow, quick)
			}
			close(hold)
			time.Sleep(time.Minute)
		})
		stop()
		if len(w.calls) != 21 {
			t.Errorf("%d calls, want all 21", len(w.calls))
		}
	})
}

// TestAnAcceptedEventSurvives: the node stops while attempts run and never settles them; the next one finishes the work.
func TestAnAcceptedEventSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		var lost sync.Mutex
		dying := true
		w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){
			"f": func(inv rouse.Invocation) (rouse.Result, error) {
				lost.Lock()
				defer lost.Unlock()
				if dying {
					return rouse.Result{}, errors.New("the node is dying")
				}
				return ok(inv)
			}}}
		ctx, cancel := context.WithCancel(context.Background())
		cfg := w.config(store)
		d, err := dispatch.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		large := event("f", "large")
		large.Event = []byte(`"` + strings.Repeat("x", 900<<10) + `"`)
		for _, inv := range []rouse.Invocation{event("f", "small"), large} {
			if err := d.Enqueue(ctx, inv); err != nil {
				t.Fatal(err)
			}
		}
		cancel() // before anything ran
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
		dying = false
		stop := run(t, cfg, func(context.Context, *dispatch.Dispatcher) { time.Sleep(time.Minute) })
		stop()
		got := map[string]int{}
		for _, c := range w.calls {
			got[c.inv.ID] = len(c.inv.Event)
		}
		if got["small"] != 7 || got["large"] != 900<<10+2 {
			t.Errorf("events of %v bytes ran, want small with 7 and large with %d", got, 900<<10+2)
		}
	})
}

// TestWhatADeadNodeHeld: a node dies with an attempt under way, and its entry is still held when the next one opens the store.
// Alone, that one makes the next attempt at once; beside others, which may be at it, it waits until the hold has run out. What
// waits for its retry waits for it in both.
func TestWhatADeadNodeHeld(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone %v", alone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := make(chan struct{})
				w := &world{functions: functions{"retried": fails,
					"f": func(inv rouse.Invocation) (rouse.Result, error) { <-dead; return ok(inv) }}}
				store := &faulty{Store: kvtest.Memory(t)}
				var gone atomic.Bool
				store.update = func() error {
					if gone.Load() {
						return errors.New("the node is dead")
					}
					return nil
				}
				cfg := w.config(store)
				const count = 1200 // more than reclaim looks at in one transaction
				cfg.Workers, cfg.Concurrency = 4*(count+1), 2*count
				stop := run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
					if err := d.Enqueue(ctx, event("retried", "again")); err != nil {
						t.Fatal(err)
					}
					for i := range count {
						if err := d.Enqueue(ctx, event("f", fmt.Sprint(i))); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(25 * time.Second) // they are held on
					synctest.Wait()
				})
				gone.Store(true) // from here on it writes nothing any more
				close(dead)
				stop()
				w.functions["f"], w.calls = ok, nil
				cfg.Store, cfg.Alone = store.Store, alone
				opened := time.Since(epoch)
				run(t, cfg, func(context.Context, *dispatch.Dispatcher) { time.Sleep(2 * time.Minute) })()
				latest := map[string]time.Duration{}
				attempts := map[string]int{}
				for _, c := range w.calls {
					name, _, _ := c.inv.Function.FunctionName()
					latest[name] = max(latest[name], c.at-opened)
					attempts[name] = max(attempts[name], c.inv.Attempt)
				}
				if got := len(w.calls); got != count+1 || attempts["f"] != 2 {
					t.Errorf("%d calls, at most the %dth of its event, want %d, each of the %d the second", got, attempts["f"], count+1, count)
				}
				if soon := latest["f"] < time.Second; soon != alone {
					t.Errorf("alone %v: the last of what was held ran after %s", alone, latest["f"])
				}
				if got := latest["retried"]; got < 30*time.Second {
					t.Errorf("the retry ran after %s, want its minute since the failure", got)
				}
			})
		})
	}
}

// TestAStopIsNoFailure: an attempt that is ended because the node stops uses up no retry and is made again at once by the
// next node, in both shapes in which it ends: its instance was killed, or none was to be had any more.
func TestAStopIsNoFailure(t *testing.T) {
	for name, ended := range map[string]func() (rouse.Result, error){
		"killed": func() (rouse.Result, error) {
			return rouse.Result{Version: "$LATEST", Error: rouse.Unhandled("Runtime.ExitError", "signal: killed")}, nil
		},
		"no instance": func() (rouse.Result, error) {
			return rouse.Result{}, rouse.Errorf(rouse.Unavailable, "the node is stopping")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stopping := make(chan struct{})
				w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){
					"f": func(rouse.Invocation) (rouse.Result, error) { <-stopping; return ended() }}}
				cfg := w.config(kvtest.Memory(t))
				cfg.Policy = func(rouse.ARN) dispatch.Policy { return dispatch.Policy{Retries: 0, MaxAge: time.Hour} }
				stop := run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
					if err := d.Enqueue(ctx, event("f", "1")); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				})
				go func() { synctest.Wait(); close(stopping) }()
				stop()
				w.functions["f"] = ok
				stop = run(t, cfg, func(context.Context, *dispatch.Dispatcher) { time.Sleep(2 * time.Second) })
				stop()
				if len(w.calls) != 2 || w.calls[1].inv.Attempt != 1 {
					t.Errorf("got calls %v, want a second one within two seconds, counted as the first", w.calls)
				}
			})
		})
	}
}

// TestALongAttemptIsNotTakenTwice: the holder moves its entry on while the attempt runs.
func TestALongAttemptIsNotTakenTwice(t *testing.T) {
	w := &world{functions: map[string]func(rouse.Invocation) (rouse.Result, error){
		"f": func(inv rouse.Invocation) (rouse.Result, error) { time.Sleep(10 * time.Minute); return ok(inv) }}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		if err := d.Enqueue(ctx, event("f", "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.calls) != 1 {
			t.Errorf("%d attempts, want one of ten minutes", len(w.calls))
		}
	})
}
