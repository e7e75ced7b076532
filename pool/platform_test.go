package pool_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestPlatformLines: what the platform writes, as text and as JSON, at each level.
func TestPlatformLines(t *testing.T) {
	const id = "8f5e1a7c-0000-4000-8000-000000000001"
	for _, c := range []struct {
		name, format, level string
		function            string
		order               order
		want                []string // how the lines begin, in order
		has                 []string
	}{
		{"text", "Text", "", "f", order{},
			[]string{"INIT_START Runtime Version: provided:al2023\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:", "START RequestId: " + id + " Version: $LATEST",
				"END RequestId: " + id, "REPORT RequestId: " + id + "\tDuration: "}, []string{"\tInit Duration: "}},
		{"text, an exit", "Text", "", "f", order{Exit: true},
			[]string{"INIT_START ", "START ", "RequestId: " + id + " Error: Runtime exited without providing a reason\nRuntime.ExitError", "END ", "REPORT "},
			[]string{" ms\tStatus: error\tError Type: Runtime.ExitError"}},
		{"text, a timeout", "Text", "", "f", order{Milliseconds: 5000},
			[]string{"INIT_START ", "START ", "20", "END ", "REPORT "},
			[]string{id + " Task timed out after 1.00 seconds\n", "\tDuration: 1000.00 ms\tBilled Duration: ", "\tStatus: timeout"}},
		{"JSON", "JSON", "INFO", "f", order{}, []string{"initStart", "start", "report"},
			[]string{`"runtimeVersion":"provided:al2023"`, `"version":"$LATEST"`, `"memorySizeMB":128`, `"initDurationMs":`, `"status":"success"`}},
		{"JSON, a timeout", "JSON", "INFO", "f", order{Milliseconds: 5000}, []string{"initStart", "start", "report"},
			[]string{`"durationMs":1000`, `"status":"timeout"`}},
		{"JSON, warnings only", "JSON", "WARN", "f", order{}, nil, nil},
		{"JSON, warnings only, an exit", "JSON", "WARN", "f", order{Exit: true}, []string{"report"}, []string{`"status":"error","errorType":"Runtime.ExitError"`}},
		{"JSON, no init", "JSON", "INFO", "broken", order{}, []string{"initStart", "initReport", "start", "report"}, []string{`"phase":"init"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newFakeBed(t, &fakeDriver{}, nil)
			defer b.close(t, time.Second)
			v := b.function(t, c.function, "1", 128)
			v.TimeoutSeconds, v.LogFormat, v.SystemLevel = 1, c.format, c.level
			if _, err := b.invoke(t.Context(), v, c.order); err != nil {
				t.Fatal(err)
			}
			b.mu.Lock()
			got := append([]string(nil), b.lines...)
			b.mu.Unlock()
			if c.format == "JSON" {
				got = types(t, got)
			}
			if len(got) != len(c.want) {
				t.Fatalf("lines %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("line %d is %q, want %q", i, got[i], want)
				}
			}
			for _, want := range c.has {
				if !strings.Contains(b.log(), want) {
					t.Errorf("log %q, want %q in it", b.log(), want)
				}
			}
		})
	}
}

// types reads the types of JSON events.
func types(t *testing.T, lines []string) []string {
	t.Helper()
	var all []string
	for _, l := range lines {
		var e struct {
			Time   time.Time
			Type   string
			Record map[string]any
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.Time.IsZero() || len(e.Record) == 0 {
			t.Fatalf("line %q: %v, want an event with its time and record", l, err)
		}
		all = append(all, strings.TrimPrefix(e.Type, "platform."))
	}
	return all
}
