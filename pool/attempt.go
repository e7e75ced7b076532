package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
)

// Attempt runs one invocation on an instance of v. The error is the platform's; what the function did wrong is in the
// Result. A caller who goes away stops waiting for an instance, but not a handler that runs: as on Lambda, it runs to its
// end or its timeout.
func (p *Pool) Attempt(ctx context.Context, v *catalog.Version, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	began := time.Now()
	g, err := p.lendAwake(ctx, v)
	waited := time.Since(began)
	var failed *guest.InitError
	switch {
	case errors.As(err, &failed):
		return p.initFailed(v, inv, g.start, waited, failed.Function), nil
	case err != nil:
		return rouse.Result{}, err
	}
	t := rouse.Timing{Start: rouse.StartWarm, Queued: waited, MemoryMB: v.MemoryMB}
	if g.start.cold {
		t = g.start.timing(t)
		t.Queued = max(0, waited-g.start.total())
	}
	res, healthy := g.inst.run(context.WithoutCancel(ctx), inv, out, t)
	p.giveBack(g.inst, res.Timing.Run, healthy)
	return res, nil
}

// lendAwake lends an instance that is not frozen. One that cannot be thawed goes: the event has not reached it, so another may
// have it.
func (p *Pool) lendAwake(ctx context.Context, v *catalog.Version) (grant, error) {
	for {
		g, err := p.lend(ctx, v)
		if err != nil {
			return g, err
		}
		if err = g.inst.thaw(); err == nil {
			return g, nil
		}
		p.cfg.Logger.Warn("thaw instance", "fn", v.ARN.String(), "err", err)
		p.giveBack(g.inst, 0, false)
	}
}

// run makes the attempt on an instance that the caller was lent. healthy says whether it can take another.
func (in *instance) run(ctx context.Context, inv rouse.Invocation, out rouse.Sink, t rouse.Timing) (res rouse.Result, healthy bool) {
	v := in.set.v
	res = rouse.Result{Version: v.Number}
	in.refresh(ctx)
	in.lines.begin(inv)
	in.lines.start(inv.ID, v.Number)

	timeout := time.Duration(v.TimeoutSeconds) * time.Second
	deadline := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	arn := inv.Function.String()
	limited := &limit{Sink: out}
	ended := in.yield.begin()
	started := time.Now()
	reply, err := in.guest.Invoke(ctx, guest.Call{ID: inv.ID, Event: inv.Event, Deadline: deadline, ARN: arn,
		Trace: traceOf(v, &inv, arn), ClientContext: inv.ClientContext, Stream: inv.Stream}, limited)
	t.Run = time.Since(started)
	ended()
	healthy = err == nil && reply.State == guest.Alive && !(in.keepsKeys && in.expiring())
	res.Error = reply.Error
	if !healthy || in.worthAsking() { // memory is read while there is something to read
		in.measure()
	}
	switch {
	case err != nil:
		t.Run = timeout
		res.Error = requested(inv.ID, timedOut(timeout))
	case reply.State == guest.Exited && in.outOfMemory():
		res.Error = requested(inv.ID, rouse.Unhandled("Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed"))
	case res.Error == nil && limited.over:
		res.Error = rouse.Unhandled("Function.ResponseSizeTooLarge",
			fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", rouse.ResultMax))
	}
	t.Billed = billed(t.Run + t.Init)
	t.MemoryPeak = in.peak
	in.lines.report(inv.ID, t, res.Error, failed(res.Error, err != nil || reply.State != guest.Alive))
	res.Timing = t
	res.Tail = in.lines.end()
	return res, healthy
}

// limit notes that the answer was more than its Sink takes: a caller who wants it whole takes less than a function may stream.
type limit struct {
	rouse.Sink
	over bool
}

// Write passes p on.
func (l *limit) Write(p []byte) (int, error) {
	n, err := l.Sink.Write(p)
	l.over = l.over || errors.Is(err, rouse.ErrResultTooLarge)
	return n, err
}

// initFailed is the answer of an attempt whose instance could not initialise its function. The failure's own lines are in
// the log already.
func (p *Pool) initFailed(v *catalog.Version, inv rouse.Invocation, st startup, waited time.Duration, fe *rouse.FunctionError) rouse.Result {
	t := st.timing(rouse.Timing{Start: rouse.StartCold, MemoryMB: v.MemoryMB})
	t.Queued = max(0, waited-st.total())
	t.Billed = billed(t.Init)
	t.MemoryPeak = st.peak
	fe = requested(inv.ID, fe)
	st.lines.begin(inv)
	st.lines.start(inv.ID, v.Number)
	st.lines.report(inv.ID, t, nil, failed(fe, true)) // what went wrong is said already
	return rouse.Result{Version: v.Number, Error: fe, Timing: t, Tail: st.lines.end()}
}

// requested puts the invocation's id before an error that is the platform's way to say what became of a runtime.
func requested(id string, fe *rouse.FunctionError) *rouse.FunctionError {
	if !strings.HasPrefix(fe.Message, "Error: ") || !strings.HasPrefix(fe.Type, "Runtime.") && !strings.HasPrefix(fe.Type, "Sandbox.") {
		return fe
	}
	return rouse.Unhandled(fe.Type, "RequestId: "+id+" "+fe.Message)
}

// traceOf is the X-Amzn-Trace-Id that the function gets and passes on. Its lineage counts the causes so far, so that the
// next one knows how far it is from the first (Origin.Hops). arn is the function's.
func traceOf(v *catalog.Version, inv *rouse.Invocation, arn string) string {
	b := make([]byte, 0, 128)
	root, _, _ := strings.Cut(inv.From.Trace, ";Lineage=")
	if root == "" {
		id := strings.ReplaceAll(inv.ID, "-", "")
		if len(id) < 24 {
			id += strings.Repeat("0", 24-len(id))
		}
		sampled := "0"
		if v.Tracing == "Active" {
			sampled = "1"
		}
		b = fmt.Appendf(b, "Root=1-%08x-", inv.Received.Unix())
		b = append(append(append(b, id[:24]...), ";Parent="...), id[:16]...)
		b = append(append(b, ";Sampled="...), sampled...)
	} else {
		b = append(b, root...)
	}
	name := sha256.Sum256([]byte(arn))
	b = hex.AppendEncode(append(b, ";Lineage="...), name[:4])
	return string(strconv.AppendInt(append(b, ':'), int64(inv.From.Hops)+1, 10))
}

const timedOutType = "Sandbox.Timedout"

// timedOut is Lambda's error of a function that ran out of time.
func timedOut(timeout time.Duration) *rouse.FunctionError {
	return rouse.Unhandled(timedOutType, fmt.Sprintf("Error: Task timed out after %.2f seconds", timeout.Seconds()))
}

// billed rounds up to whole milliseconds.
func billed(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
