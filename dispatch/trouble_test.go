package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/dispatch"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
)

type functions = map[string]func(rouse.Invocation) (rouse.Result, error)

// faulty is a store whose calls fail when told to.
type faulty struct {
	kv.Store
	update, view, claim func() error
	claims              atomic.Int64
}

func (f *faulty) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.update != nil {
		if err := f.update(); err != nil {
			return err
		}
	}
	return f.Store.Update(ctx, fn)
}

func (f *faulty) View(ctx context.Context, fn func(kv.View) error) error {
	if f.view != nil {
		if err := f.view(); err != nil {
			return err
		}
	}
	return f.Store.View(ctx, fn)
}

func (f *faulty) Claim(ctx context.Context, r kv.Range, limit int, fn func(kv.Tx, []kv.Pair) error) ([]kv.Pair, error) {
	f.claims.Add(1)
	if f.claim != nil {
		if err := f.claim(); err != nil {
			return nil, err
		}
	}
	return f.Store.Claim(ctx, r, limit, fn)
}

// TestAnUnreadableEntryStopsNobody: what cannot be read is set aside, and the queue goes on.
func TestAnUnreadableEntryStopsNobody(t *testing.T) {
	w := &world{functions: functions{"f": ok}}
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		key := tuple.Key("", "us-east-1", "dispatch", "due", time.Now(), "x")
		if err := store.Update(t.Context(), func(tx kv.Tx) error { tx.Set(key, []byte("{")); return nil }); err != nil {
			t.Fatal(err)
		}
		run(t, w.config(store), func(ctx context.Context, d *dispatch.Dispatcher) {
			if err := d.Enqueue(ctx, event("f", "1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		})()
		if len(w.calls) != 1 {
			t.Errorf("%d calls, want the one behind the entry that cannot be read", len(w.calls))
		}
		var kept int
		err := store.View(t.Context(), func(v kv.View) error {
			for _, err := range v.Scan(tuple.Prefix("", "us-east-1", "dispatch", "unreadable"), 10) {
				if err != nil {
					return err
				}
				kept++
			}
			return nil
		})
		if err != nil || kept != 1 {
			t.Errorf("%d entries set aside, %v, want 1", kept, err)
		}
	})
}

// TestAFailingStoreIsNotHammered: while claims fail, they are made about once a second.
func TestAFailingStoreIsNotHammered(t *testing.T) {
	w := &world{functions: functions{"f": ok}}
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: kvtest.Memory(t)}
		var broken atomic.Bool
		broken.Store(true)
		store.claim = func() error {
			if broken.Load() {
				return errors.New("no disk")
			}
			return nil
		}
		run(t, w.config(store), func(ctx context.Context, d *dispatch.Dispatcher) {
			if err := d.Enqueue(ctx, event("f", "1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := store.claims.Load(); n > 70 {
				t.Errorf("%d claims in a minute, want about one a second", n)
			}
			broken.Store(false)
			time.Sleep(time.Minute)
		})()
		if len(w.calls) != 1 {
			t.Errorf("%d calls once it works again, want 1", len(w.calls))
		}
	})
}

// TestOnlyAttemptsThatBeganCount: what fails before the function is reached gives no extra retry.
func TestOnlyAttemptsThatBeganCount(t *testing.T) {
	w := &world{functions: functions{"f": fails}}
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: kvtest.Memory(t)}
		store.view = func() error { // reading the event fails for a while after the first attempt
			if since := time.Since(epoch); since > 30*time.Second && since < 10*time.Minute {
				return errors.New("no disk")
			}
			return nil
		}
		run(t, w.config(store), func(ctx context.Context, d *dispatch.Dispatcher) {
			if err := d.Enqueue(ctx, event("f", "1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
		})()
		if len(w.calls) != 3 {
			t.Errorf("%d attempts, want 3: one and two retries", len(w.calls))
		}
	})
}

// TestAnEventThatGrewOldIsNotTried: the node was away for longer than the event's age. Its age counts from when it was
// accepted here, not from what it tells of: a schedule's turn that is late is not old.
func TestAnEventThatGrewOldIsNotTried(t *testing.T) {
	w := &world{functions: functions{"f": ok}}
	synctest.Test(t, func(t *testing.T) {
		cfg := w.config(kvtest.Memory(t))
		cfg.Policy = func(rouse.ARN) dispatch.Policy {
			return dispatch.Policy{Retries: 2, MaxAge: time.Hour, OnFailure: arn("sad").String()}
		}
		d, err := dispatch.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Enqueue(t.Context(), event("f", "old")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		late := event("f", "late")
		late.Received = time.Now().Add(-10 * time.Hour)
		run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
			if err := d.Enqueue(ctx, late); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		})()
		if len(w.calls) != 1 || w.calls[0].inv.ID != "late" {
			t.Errorf("calls %+v, want the late one only", w.calls)
		}
		if len(w.told) != 1 || !strings.Contains(w.told[0], "EventAgeExceeded") {
			t.Errorf("told %q, want EventAgeExceeded once", w.told)
		}
	})
}

// TestDestinations: they are told with the rights of the function's role, one hop further, of whatever the function
// answered, and although the node is stopping.
func TestDestinations(t *testing.T) {
	answers := "done: no JSON"
	w := &world{functions: functions{"f": func(rouse.Invocation) (rouse.Result, error) {
		time.Sleep(time.Minute)
		return rouse.Result{Version: "$LATEST"}, nil
	}}, answer: &answers, role: "arn:aws:iam::" + account + ":role/path/worker"}
	synctest.Test(t, func(t *testing.T) {
		cfg := w.config(kvtest.Memory(t))
		cfg.Policy = func(rouse.ARN) dispatch.Policy {
			return dispatch.Policy{MaxAge: time.Hour, OnSuccess: arn("glad").String()}
		}
		inv := event("f", "1")
		inv.From = rouse.Origin{Principal: rouse.Principal{Service: "events.amazonaws.com"}, Hops: 3}
		run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
			if err := d.Enqueue(ctx, inv); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		})()
		if len(w.told) != 1 {
			t.Fatalf("told %q, want one success although the node stopped", w.told)
		}
		_, body, _ := strings.Cut(w.told[0], " ")
		var m struct{ ResponsePayload any }
		if err := json.Unmarshal([]byte(body), &m); err != nil || m.ResponsePayload != answers {
			t.Errorf("payload %v, %v, want the text as a JSON string", m.ResponsePayload, err)
		}
		from := w.toldBy[0]
		if from.RoleARN != w.role || from.Principal.ARN != "arn:aws:sts::"+account+":assumed-role/worker/f" || from.Principal.Service != "" {
			t.Errorf("told by %+v, want a session of the function's role", from)
		}
		if from.Hops != 3 {
			t.Errorf("told with %d hops, want 3: the delivery itself is the next", from.Hops)
		}
	})
}

// TestACrowdBacksOff: a long queue behind a slow function does not keep the store busy.
func TestACrowdBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w := &world{functions: functions{"slow": func(inv rouse.Invocation) (rouse.Result, error) { <-hold; return ok(inv) }}}
		store := &faulty{Store: kvtest.Memory(t)}
		var updates atomic.Int64
		store.update = func() error { updates.Add(1); return nil }
		cfg := w.config(store)
		cfg.Workers = 4
		stop := run(t, cfg, func(ctx context.Context, d *dispatch.Dispatcher) {
			for i := range 20 {
				if err := d.Enqueue(ctx, event("slow", string(rune('a'+i)))); err != nil {
					t.Fatal(err)
				}
			}
			before := updates.Load()
			time.Sleep(time.Minute)
			if n := updates.Load() - before; n > 600 {
				t.Errorf("%d updates in a minute for 20 events that wait, want them ever slower", n)
			}
			close(hold)
			time.Sleep(2 * time.Minute) // each looks again every 5 s, and at least one of those who meet gets in
		})
		stop()
		if len(w.calls) != 20 {
			t.Errorf("%d calls, want all 20", len(w.calls))
		}
	})
}

// TestACallerWhoGoesDoesNotWait: he gets his own reason, the run goes on to its end and is recorded, and writes to nobody.
func TestACallerWhoGoesDoesNotWait(t *testing.T) {
	w := &world{functions: functions{"f": func(inv rouse.Invocation) (rouse.Result, error) { time.Sleep(time.Minute); return ok(inv) }}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		mine := errors.New("the integration timed out")
		call, cancel := context.WithTimeoutCause(ctx, time.Second, mine)
		defer cancel()
		var out rouse.Buffer
		began := time.Now()
		_, err := d.Invoke(call, event("f", "1"), &out)
		if took := time.Since(began); !errors.Is(err, mine) || took != time.Second {
			t.Errorf("after %v: %v, want the caller's own reason after 1s", took, err)
		}
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.records) != 1 || w.records[0].Outcome != "ok" || out.Len() != 0 {
			t.Errorf("records %+v and %q, want the run recorded as it ended, and nothing written", w.records, out.String())
		}
	})
}

// TestWhoLeavesTheQueueIsNoFault: a caller who goes before there is an instance counts as nothing.
func TestWhoLeavesTheQueueIsNoFault(t *testing.T) {
	w := &world{functions: functions{"f": func(rouse.Invocation) (rouse.Result, error) {
		time.Sleep(2 * time.Second)
		return rouse.Result{}, context.Canceled
	}}}
	bubble(t, w, nil, func(ctx context.Context, d *dispatch.Dispatcher) {
		call, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := d.Invoke(call, event("f", "1"), &rouse.Buffer{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if err == nil || len(w.records) != 0 {
			t.Errorf("%v, records %+v, want an error and nothing recorded", err, w.records)
		}
	})
}

// deaf is a store whose hints are all lost.
type deaf struct{ kv.Store }

func (deaf) Wake([]byte) (<-chan struct{}, func()) { return nil, func() {} }

// TestWithoutHints: an event that was accepted while no hint came runs a second later at most.
func TestWithoutHints(t *testing.T) {
	w := &world{functions: functions{"f": ok}}
	synctest.Test(t, func(t *testing.T) {
		run(t, w.config(deaf{kvtest.Memory(t)}), func(ctx context.Context, d *dispatch.Dispatcher) {
			time.Sleep(time.Minute)
			if err := d.Enqueue(ctx, event("f", "1")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1100 * time.Millisecond)
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.calls) != 1 {
				t.Errorf("a second later: got %d calls, want 1", len(w.calls))
			}
		})()
	})
}
