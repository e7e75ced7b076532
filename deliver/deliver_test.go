package deliver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/deliver"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

var target = rouse.FunctionARN("us-east-1", rouse.DefaultAccount, "f", "")

// queue takes invocations, or refuses them all.
type queue struct {
	got []rouse.Invocation
	err error
}

func (q *queue) Put(_ kv.Tx, inv rouse.Invocation) error {
	if q.err == nil {
		q.got = append(q.got, inv)
	}
	return q.err
}

func (q *queue) Enqueue(_ context.Context, inv rouse.Invocation) error { return q.Put(nil, inv) }

// gate allows origins that the function's policy names.
type gate struct{ asked []rouse.Need }

func (g *gate) Authorize(_ context.Context, from rouse.Origin, needs []rouse.Need) error {
	g.asked = needs
	if strings.Contains(needs[0].Policy, from.SourceARN) {
		return nil
	}
	return rouse.Errorf(rouse.Denied, "not authorized")
}

type house struct {
	*deliver.Deliverer
	queue queue
	gate  gate
	log   bytes.Buffer
}

func newHouse(t *testing.T) *house {
	h := &house{}
	h.Deliverer = deliver.New(deliver.Config{Queue: &h.queue, Authorize: &h.gate, Store: kvtest.Memory(t), Logger: slog.New(slog.NewTextHandler(&h.log, nil)),
		Policy: func(fn rouse.ARN) (string, bool) { return "rule/mine", fn == target }})
	return h
}

func delivery(source string) []byte {
	b, _ := json.Marshal(rouse.Delivery{ID: "d", Cause: rouse.CauseSchedule, Accepted: time.Unix(1, 0), Payload: []byte(`{}`),
		From: rouse.Origin{Principal: rouse.Principal{Service: "events.amazonaws.com"}, SourceARN: source, Hops: 2}})
	return b
}

func TestMove(t *testing.T) {
	h := newHouse(t)
	if err := h.Move(nil, target.String(), delivery("rule/mine")); err != nil {
		t.Fatal(err)
	}
	if len(h.queue.got) != 1 {
		t.Fatalf("%d invocations, want one; log %s", len(h.queue.got), &h.log)
	}
	inv := h.queue.got[0]
	if inv.ID != "d" || inv.Function != target || string(inv.Event) != `{}` || inv.Cause != rouse.CauseSchedule || inv.From.Hops != 3 ||
		!inv.Received.Equal(time.Unix(1, 0)) {
		t.Errorf("invocation %+v, want the delivery's own, one hop on", inv)
	}
	if n := h.gate.asked[0]; n.Action != "lambda:InvokeFunction" || n.Resource != target.String() || n.Policy == "" {
		t.Errorf("asked %+v, want to invoke the function, by its policy", n)
	}
}

// TestWhatCannotBeDeliveredIsDroppedAndLogged: the relay must go on, and trying again would refuse it again.
func TestWhatCannotBeDeliveredIsDroppedAndLogged(t *testing.T) {
	for _, c := range []struct {
		name, target string
		body         []byte
		queue        error
		want         string
	}{
		{"refused", target.String(), delivery("rule/other"), nil, "not authorized"},
		{"no function", rouse.FunctionARN("us-east-1", rouse.DefaultAccount, "g", "").String(), delivery("rule/mine"), nil, "Function not found"},
		{"a queue", "arn:aws:sqs:us-east-1:000000000000:q", delivery("rule/mine"), nil, "does not implement deliveries to arn:aws:sqs"},
		{"no ARN", "nowhere", delivery("rule/mine"), nil, "is not an ARN"},
		{"garbage", target.String(), []byte("{"), nil, "delivery dropped"},
		{"too large", target.String(), delivery("rule/mine"), rouse.Errorf(rouse.TooLarge, "too large"), "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.queue.err = c.queue
			if err := h.Move(nil, c.target, c.body); err != nil {
				t.Errorf("got %v, want the relay to go on", err)
			}
			if len(h.queue.got) != 0 || !strings.Contains(h.log.String(), c.want) {
				t.Errorf("%d delivered, log %q, want none and %q", len(h.queue.got), h.log.String(), c.want)
			}
		})
	}
}

func TestAStoreThatFailsStopsTheRelay(t *testing.T) {
	h := newHouse(t)
	h.queue.err = kv.ErrClosed
	if err := h.Move(nil, target.String(), delivery("rule/mine")); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("got %v, want %v: the record must stay", err, kv.ErrClosed)
	}
}

func TestDeliver(t *testing.T) {
	h := newHouse(t)
	from := rouse.Origin{SourceARN: "rule/mine"}
	if err := h.Deliver(t.Context(), from, target, []byte(`1`)); err != nil || len(h.queue.got) != 1 || h.queue.got[0].ID == "" {
		t.Errorf("got %+v, %v, want one with an id", h.queue.got, err)
	}
	from.SourceARN = "rule/other"
	if err := h.Deliver(t.Context(), from, target, []byte(`1`)); rouse.KindOf(err) != rouse.Denied {
		t.Errorf("got %v, want denied", err)
	}
}
