package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/bus"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/lease"
	"github.com/rouse-dev/rouse/timer"
)

const account = rouse.DefaultAccount

var (
	ctx    = context.Background()
	target = rouse.FunctionARN("us-east-1", account, "f", "").String()
)

// box is an outbox that keeps what was sent in the store, so that what a transaction gave up is not seen.
type box struct{ store kv.Store }

func (b box) Send(tx kv.Tx, _ []byte, target, cause string, payload []byte) error {
	tx.Set(tuple.Key("box", cause), append([]byte(target+" "), payload...))
	return nil
}

func (b box) sent(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := b.store.View(ctx, func(v kv.View) error {
		for p, err := range v.Scan(tuple.Prefix("box"), 1000) {
			if err != nil {
				return err
			}
			got[string(p.Key)] = string(p.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// bubble runs f beside a bus that fires.
func bubble(t *testing.T, f func(b *bus.Bus, sent func() map[string]string, restart func(down time.Duration))) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.Memory(t)
		out := box{store}
		var mu sync.Mutex
		var stop func()
		start := func() *bus.Bus {
			run, cancel := context.WithCancel(ctx)
			leases := lease.New(lease.Config{Store: store, Alone: true})
			b, err := bus.Open(run, bus.Config{Store: store, Region: "us-east-1", Outbox: out,
				Timers: timer.New(timer.Config{Store: store, Leases: leases})})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- b.Run(run) }()
			stop = func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run ended with %v", err)
				}
				_ = leases.Close()
			}
			return b
		}
		b := start()
		f(b, func() map[string]string { mu.Lock(); defer mu.Unlock(); return out.sent(t) }, func(down time.Duration) {
			stop()
			time.Sleep(down)
			start()
		})
		stop()
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, b *bus.Bus, schedule string, targets ...bus.Target) {
	t.Helper()
	must(t, b.PutRule(ctx, account, bus.Rule{Name: "r", Schedule: schedule, Enabled: true}))
	must(t, b.PutTargets(ctx, account, "r", targets))
}

func TestARateFiresInItsRhythm(t *testing.T) {
	bubble(t, func(b *bus.Bus, sent func() map[string]string, _ func(time.Duration)) {
		put(t, b, "rate(5 minutes)", bus.Target{ID: "1", ARN: target})
		time.Sleep(21 * time.Minute)
		got := sent()
		if len(got) != 4 {
			t.Fatalf("%d deliveries in 21 minutes, want 4", len(got))
		}
		for _, v := range got {
			to, body, _ := strings.Cut(v, " ")
			var d rouse.Delivery
			must(t, json.Unmarshal([]byte(body), &d))
			var e map[string]any
			must(t, json.Unmarshal(d.Payload, &e))
			if to != target || d.Cause != rouse.CauseSchedule || d.From.Principal.Service != "events.amazonaws.com" ||
				d.From.SourceARN != "arn:aws:events:us-east-1:000000000000:rule/r" || e["detail-type"] != "Scheduled Event" ||
				e["source"] != "aws.events" || e["account"] != account || fmt.Sprint(e["resources"]) != "["+d.From.SourceARN+"]" {
				t.Errorf("delivery %s, want a scheduled event to the target, by the rule", v)
			}
		}
	})
}

func TestInputReplacesTheEvent(t *testing.T) {
	bubble(t, func(b *bus.Bus, sent func() map[string]string, _ func(time.Duration)) {
		put(t, b, "rate(1 minute)", bus.Target{ID: "1", ARN: target, Input: `{"a":1}`})
		time.Sleep(61 * time.Second)
		for _, v := range sent() {
			var d rouse.Delivery
			must(t, json.Unmarshal([]byte(v[strings.Index(v, " ")+1:]), &d))
			if string(d.Payload) != `{"a":1}` {
				t.Errorf("payload %s, want the input", d.Payload)
			}
			return
		}
		t.Error("nothing was delivered")
	})
}

func TestARuleThatIsOffOrGoneIsSilent(t *testing.T) {
	bubble(t, func(b *bus.Bus, sent func() map[string]string, _ func(time.Duration)) {
		put(t, b, "rate(1 minute)", bus.Target{ID: "1", ARN: target})
		must(t, b.SetEnabled(ctx, account, "r", false))
		time.Sleep(5 * time.Minute)
		if n := len(sent()); n != 0 {
			t.Errorf("%d deliveries of a disabled rule, want none", n)
		}
		must(t, b.SetEnabled(ctx, account, "r", true))
		time.Sleep(61 * time.Second)
		if n := len(sent()); n != 1 {
			t.Errorf("%d deliveries a minute after it was enabled, want 1", n)
		}
		if err := b.DeleteRule(ctx, account, "r"); err == nil || err.Error() != "Rule can't be deleted since it has targets." {
			t.Errorf("delete with targets: %v", err)
		}
		must(t, b.RemoveTargets(ctx, account, "r", []string{"1"}))
		must(t, b.DeleteRule(ctx, account, "r"))
		must(t, b.DeleteRule(ctx, account, "r"))
		time.Sleep(5 * time.Minute)
		if n := len(sent()); n != 1 {
			t.Errorf("%d deliveries after it was deleted, want still 1", n)
		}
	})
}

func TestWhatWasDueWhileDownFiresOnce(t *testing.T) {
	bubble(t, func(b *bus.Bus, sent func() map[string]string, restart func(time.Duration)) {
		put(t, b, "rate(10 minutes)", bus.Target{ID: "1", ARN: target})
		time.Sleep(11 * time.Minute)
		restart(2 * time.Hour)
		time.Sleep(time.Minute)
		if n := len(sent()); n != 2 {
			t.Errorf("%d deliveries, want one before and one late one after", n)
		}
		time.Sleep(11 * time.Minute)
		if n := len(sent()); n != 3 {
			t.Errorf("%d deliveries, want the rhythm to go on", n)
		}
	})
}

func TestRefusals(t *testing.T) {
	bubble(t, func(b *bus.Bus, _ func() map[string]string, _ func(time.Duration)) {
		put(t, b, "cron(0 12 * * ? *)", bus.Target{ID: "1", ARN: target})
		six := make([]bus.Target, 6)
		for i := range six {
			six[i] = bus.Target{ID: fmt.Sprint("t", i), ARN: target}
		}
		for _, c := range []struct {
			name string
			err  error
			kind rouse.Kind
			text string
		}{
			{"schedule", b.PutRule(ctx, account, bus.Rule{Name: "x", Schedule: "every day"}), rouse.Invalid, "Parameter ScheduleExpression is not valid."},
			{"one time", b.PutRule(ctx, account, bus.Rule{Name: "x", Schedule: "at(2030-01-01T00:00:00)"}), rouse.Invalid, "Parameter ScheduleExpression is not valid."},
			{"name", b.PutRule(ctx, account, bus.Rule{Name: "a b", Schedule: "rate(1 day)"}), rouse.Invalid, "Value 'a b' at 'name' failed"},
			{"no rule", b.PutTargets(ctx, account, "none", nil), rouse.NotFound, "Rule none does not exist on EventBus default."},
			{"six targets", b.PutTargets(ctx, account, "r", six), rouse.Limit, "exceeds the maximum"},
			{"a queue", b.PutTargets(ctx, account, "r", []bus.Target{{ID: "2", ARN: "arn:aws:sqs:us-east-1:000000000000:q"}}), rouse.Unsupported, "arn:aws:sqs:us-east-1:000000000000:q"},
			{"input", b.PutTargets(ctx, account, "r", []bus.Target{{ID: "2", ARN: target, Input: "{"}}), rouse.Invalid, "JSON syntax error in input for target 2"},
			{"long input", b.PutTargets(ctx, account, "r", []bus.Target{{ID: "2", ARN: target, Input: `"` + strings.Repeat("x", bus.InputMax) + `"`}}), rouse.Invalid, "too long"},
			{"no target", b.RemoveTargets(ctx, account, "r", []string{"9"}), rouse.NotFound, "9"},
		} {
			if c.err == nil || rouse.KindOf(c.err) != c.kind || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("%s: %v (%v), want %v: %s", c.name, c.err, rouse.KindOf(c.err), c.kind, c.text)
			}
		}
	})
}

func TestRulesArePaged(t *testing.T) {
	bubble(t, func(b *bus.Bus, _ func() map[string]string, _ func(time.Duration)) {
		for i := range 7 {
			must(t, b.PutRule(ctx, account, bus.Rule{Name: fmt.Sprintf("job-%d", i), Schedule: "rate(1 day)"}))
		}
		must(t, b.PutRule(ctx, account, bus.Rule{Name: "other", Schedule: "rate(1 day)"}))
		var names []string
		for after := ""; ; {
			page, err := b.Rules(ctx, account, "job-", after, 3)
			must(t, err)
			for _, r := range page {
				names = append(names, r.Name)
			}
			if len(page) < 3 {
				break
			}
			after = page[2].Name
		}
		if got, want := strings.Join(names, " "), "job-0 job-1 job-2 job-3 job-4 job-5 job-6"; got != want {
			t.Errorf("rules %s, want %s", got, want)
		}
	})
}

// TestAScheduleThatIsOverFiresNoMore: a rule whose new schedule has no next turn keeps nothing of the old one's.
func TestAScheduleThatIsOverFiresNoMore(t *testing.T) {
	bubble(t, func(b *bus.Bus, sent func() map[string]string, _ func(time.Duration)) {
		put(t, b, "rate(5 minutes)", bus.Target{ID: "1", ARN: target})
		must(t, b.PutRule(ctx, account, bus.Rule{Name: "r", Schedule: "cron(0 12 1 1 ? 1999)", Enabled: true}))
		time.Sleep(time.Hour)
		if got := sent(); len(got) != 0 {
			t.Errorf("%d deliveries, want none: %v", len(got), got)
		}
	})
}
