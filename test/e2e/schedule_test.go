package e2e

import (
	"os"
	"testing"
	"time"
)

// TestScheduleAcrossKills: a rule fires every minute, whenever the node was killed in between. It takes minutes and runs
// only when asked; package bus tests the same in a bubble of its own time.
func TestScheduleAcrossKills(t *testing.T) {
	if os.Getenv("ROUSE_SOAK") == "" {
		t.Skip("takes five minutes; ROUSE_SOAK=1 runs it")
	}
	t.Parallel()
	random := seeded(t)
	r := newRouse(t)
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	r.make(t, fn{Name: "effect", File: "effect.js", Role: r.role(t, "writes", "logs:CreateLogStream")})
	r.call(t, "logs", "CreateLogGroup", m{"logGroupName": "/ran"}, nil)
	r.call(t, "events", "PutRule", m{"Name": "often", "ScheduleExpression": "rate(1 minute)"}, nil)
	r.call(t, "lambda", "AddPermission", m{"FunctionName": "effect", "StatementId": "s", "Action": "lambda:InvokeFunction",
		"Principal": "events.amazonaws.com"}, nil)
	r.call(t, "events", "PutTargets", m{"Rule": "often", "Targets": []m{{"Id": "1",
		"Arn": "arn:aws:lambda:us-east-1:000000000000:function:effect", "Input": `{"id":"tick"}`}}}, nil)
	const minutes = 4
	for began := time.Now(); time.Since(began) < minutes*time.Minute; {
		wait(between(random, time.Second, 20*time.Second))
		r.kill(t)
		wait(between(random, 0, 2*time.Second))
		r.start(t)
	}
	within(t, 90*time.Second, "every minute's run", func() bool { return r.ran(t)["tick"] >= minutes })
	if n := r.ran(t)["tick"]; n > minutes+3 {
		t.Errorf("runs in %d minutes: got %d, want one a minute and few that were cut off and repeated", minutes, n)
	}
}
