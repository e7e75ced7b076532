package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAcceptedEventsRun: clients fire events while the node is killed again and again; whatever was answered with 202 has
// run at least once in the end.
func TestAcceptedEventsRun(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	r := newRouse(t)
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	r.make(t, fn{Name: "effect", File: "effect.js", Role: r.role(t, "writes", "logs:CreateLogStream")})
	r.call(t, "logs", "CreateLogGroup", m{"logGroupName": "/ran"}, nil)

	events := fire(r.client)
	kills, some := soak(7, 40), false
	for i := range kills {
		wait(between(random, 20*time.Millisecond, 600*time.Millisecond))
		held := holdingsOf(t, r.cmd.Process.Pid)
		some = some || held.some()
		r.kill(t)
		r.start(t)
		r.leavesNothing(t, held, fmt.Sprintf("after kill %d", i+1))
	}
	if !some {
		t.Error("no node had processes, networks and interfaces when it was killed: the search for leftovers proves nothing")
	}
	accepted := events.stop()
	if len(accepted) < kills {
		t.Fatalf("only %d events were accepted during %d kills", len(accepted), kills)
	}
	ran := map[string]int{}
	until(t, "every accepted event has run", func() bool {
		ran = r.ran(t)
		for _, id := range accepted {
			if ran[id] == 0 {
				return false
			}
		}
		return true
	})
	again := 0
	for _, n := range ran {
		if n > 1 {
			again++
		}
	}
	t.Logf("%d kills, %d events accepted, all have run, %d of them more than once", kills, len(accepted), again)
}

// events is what clients have sent.
type events struct {
	mu       sync.Mutex
	accepted []string // guarded by mu
	ended    chan struct{}
	senders  sync.WaitGroup
}

// fire starts clients that send events one after the other, and go on when the node is away.
func fire(c *client) *events {
	e := &events{ended: make(chan struct{})}
	for sender := range 3 {
		e.senders.Go(func() {
			tick := time.NewTicker(25 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-e.ended:
					return
				case <-tick.C:
				}
				id := fmt.Sprintf("e%d-%d", sender, n)
				a, err := c.try("lambda", "POST", "/2015-03-31/functions/effect/invocations", `{"id":"`+id+`"}`, "X-Amz-Invocation-Type", "Event")
				if err == nil && a.Status == 202 {
					e.mu.Lock()
					e.accepted = append(e.accepted, id)
					e.mu.Unlock()
				}
			}
		})
	}
	return e
}

func (e *events) stop() []string {
	close(e.ended)
	e.senders.Wait()
	return e.accepted
}

// ran counts the runs of each event.
func (r *rouse) ran(t testing.TB) map[string]int {
	t.Helper()
	out := map[string]int{}
	in := m{"logGroupName": "/ran", "limit": 50}
	for {
		var page struct {
			LogStreams []struct{ LogStreamName string }
			NextToken  string
		}
		r.call(t, "logs", "DescribeLogStreams", in, &page)
		for _, s := range page.LogStreams {
			id, _, _ := strings.Cut(s.LogStreamName, "/")
			out[id]++
		}
		if page.NextToken == "" {
			return out
		}
		in["nextToken"] = page.NextToken
	}
}
