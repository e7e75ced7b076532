package pool

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

// What the platform itself writes into a function's log: as text, or, where the function asked for it, as JSON from the
// level on that it asked for
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).

// severity is a level of the platform's own events.
type severity int

const (
	debug severity = iota
	info
	warn
)

// severityOf reads a function's SystemLogLevel.
func severityOf(level string) severity {
	switch level {
	case "DEBUG":
		return debug
	case "WARN":
		return warn
	}
	return info
}

// ending is how a phase ended, in Lambda's words. The zero value is success.
type ending struct {
	status    string // "timeout", "error"; "" for success
	errorType string
	lost      bool // the instance went with it: REPORT says so as text as well
}

func (e ending) severity() severity {
	if e.status == "" {
		return info
	}
	return warn
}

func (e ending) text() string {
	switch {
	case e.status == "" || !e.lost:
		return ""
	case e.status == "timeout":
		return "\tStatus: timeout"
	}
	return "\tStatus: " + e.status + "\tError Type: " + e.errorType
}

// failed is the ending of a phase in which the function failed; nil: it did not.
func failed(fe *rouse.FunctionError, lost bool) ending {
	switch {
	case fe == nil:
		return ending{}
	case fe.Type == timedOutType:
		return ending{status: "timeout", lost: true}
	}
	return ending{status: "error", errorType: fe.Type, lost: lost}
}

// record is the part of a JSON event that differs by its type.
type record struct {
	RequestID      string   `json:"requestId,omitempty"`
	Version        string   `json:"version,omitempty"`
	InitType       string   `json:"initializationType,omitempty"`
	Phase          string   `json:"phase,omitempty"`
	RuntimeVersion string   `json:"runtimeVersion,omitempty"`
	RuntimeARN     string   `json:"runtimeVersionArn,omitempty"`
	Metrics        *metrics `json:"metrics,omitempty"`
	Status         string   `json:"status,omitempty"`
	ErrorType      string   `json:"errorType,omitempty"`
}

type metrics struct {
	Duration float64  `json:"durationMs"`
	Billed   int64    `json:"billedDurationMs,omitempty"`
	Memory   int      `json:"memorySizeMB,omitempty"`
	Peak     int64    `json:"maxMemoryUsedMB,omitempty"`
	Init     *float64 `json:"initDurationMs,omitempty"`
}

// event writes a JSON event of the platform.
func (l *lines) event(s severity, typ string, r record) {
	if s < l.level {
		return
	}
	now := time.Now()
	b, _ := json.Marshal(struct { // texts and numbers: cannot fail
		Time   string `json:"time"`
		Type   string `json:"type"`
		Record record `json:"record"`
	}{stamp(now), "platform." + typ, r})
	l.write(now, b)
}

// initStart says which runtime an instance is made with: the one that was given, not the one that was asked for. The ARN
// names it as Lambda's do, by a hash.
func (l *lines) initStart(v *catalog.Version, region string, rt Runtime) {
	asked := v.Runtime
	name, version := strings.TrimRight(asked, "0123456789.x"), rt.Interpreter.Version
	if version == "" {
		name, version, _ = strings.Cut(asked, ".")
	}
	runtime := name + ":" + version
	arn := fmt.Sprintf("arn:aws:lambda:%s::runtime:%x", region, sha256.Sum256([]byte(runtime)))
	if l.json {
		l.event(info, "initStart", record{InitType: onDemand, Phase: "init", RuntimeVersion: runtime, RuntimeARN: arn})
		return
	}
	l.sayf("INIT_START Runtime Version: %s\tRuntime Version ARN: %s", runtime, arn)
}

const onDemand = "on-demand"

// initReport says that a function did not initialise. phase is "init", or "invoke" when it had its second try, on the time
// of the invocation.
func (l *lines) initReport(took time.Duration, phase string, e ending) {
	if l.json {
		l.event(warn, "initReport", record{InitType: onDemand, Phase: phase, Metrics: &metrics{Duration: ms(took)},
			Status: e.status, ErrorType: e.errorType})
		return
	}
	l.sayf("INIT_REPORT Init Duration: %.2f ms\tPhase: %s%s", ms(took), phase, e.text())
}

// start opens an invocation.
func (l *lines) start(id, version string) {
	if l.json {
		l.event(info, "start", record{RequestID: id, Version: version})
		return
	}
	l.sayf("START RequestId: %s Version: %s", id, version)
}

// report closes it.
func (l *lines) report(id string, t rouse.Timing, fe *rouse.FunctionError, e ending) {
	if l.json {
		m := &metrics{Duration: ms(t.Run), Billed: t.Billed.Milliseconds(), Memory: t.MemoryMB, Peak: megabytes(t.MemoryPeak)}
		if t.Start == rouse.StartCold {
			init := ms(t.Init)
			m.Init = &init
		}
		r := record{RequestID: id, Metrics: m, Status: e.status, ErrorType: e.errorType}
		if r.Status == "" {
			r.Status = "success"
		}
		l.event(e.severity(), "report", r)
		return
	}
	switch {
	case e.status == "timeout":
		l.sayf("%s %s Task timed out after %.2f seconds\n", stamp(time.Now()), id, t.Run.Seconds())
	case e.lost && fe != nil && strings.HasPrefix(fe.Message, "RequestId: "):
		l.sayf("%s\n%s", fe.Message, fe.Type)
	}
	l.sayf("END RequestId: %s", id)
	cold := ""
	if t.Start == rouse.StartCold {
		cold = fmt.Sprintf("\tInit Duration: %.2f ms", ms(t.Init))
	}
	l.sayf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB%s%s",
		id, ms(t.Run), t.Billed.Milliseconds(), t.MemoryMB, megabytes(t.MemoryPeak), cold, e.text())
}

func megabytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
