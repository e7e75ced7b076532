package meter_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/meter"
)

const account = rouse.DefaultAccount

// bubble runs f with a meter whose Run goes on until f returns.
func bubble(t *testing.T, cfg meter.Config, f func(ctx context.Context, m *meter.Meter)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cfg.Store, cfg.Region = kvtest.Memory(t), "us-east-1"
		m, err := meter.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		f(ctx, m)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v, want nil", err)
		}
	})
}

func attempt(function string, outcome meter.Outcome, billed time.Duration) meter.Record {
	return meter.Record{ID: function, At: time.Now(), Account: account, Function: function, Version: "$LATEST",
		Cause: rouse.CauseInvoke, Attempt: 1, Outcome: outcome,
		Timing: rouse.Timing{Start: rouse.StartCold, Billed: billed, Run: billed, MemoryMB: 1024, MemoryPeak: 10 << 20}}
}

func TestUsageSumsWhatRan(t *testing.T) {
	bubble(t, meter.Config{Book: meter.Book{Request: 0.5, GBSecond: 2}}, func(ctx context.Context, m *meter.Meter) {
		m.Record(attempt("cheap", meter.OK, time.Second))
		m.Record(attempt("dear", meter.OK, 10*time.Second))
		m.Record(attempt("dear", meter.Failed, 10*time.Second))
		m.Record(attempt("dear", meter.Throttled, 0))
		m.Record(attempt("dear", meter.Broken, 0))
		time.Sleep(2 * time.Second)
		m.Record(attempt("dear", meter.TimedOut, time.Second))
		time.Sleep(2 * time.Second)

		lines, err := m.Usage(ctx, account, time.Now().Add(-time.Hour), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 2 || lines[0].Function != "dear" || lines[1].Function != "cheap" {
			t.Fatalf("lines %+v, want dear before cheap", lines)
		}
		got, want := lines[0].Sum, meter.Sum{Invocations: 3, Errors: 3, Throttles: 1, Cold: 3, Billed: 21 * time.Second,
			Run: 21 * time.Second, GBSeconds: 21, MemoryPeak: 10 << 20, Cost: 3*0.5 + 21*2}
		if got != want {
			t.Errorf("sum %+v, want %+v", got, want)
		}
		if none, err := m.Usage(ctx, "111111111111", time.Now().Add(-time.Hour), time.Now()); err != nil || len(none) != 0 {
			t.Errorf("another account sees %v, %v, want nothing", none, err)
		}
	})
}

func TestListPrices(t *testing.T) {
	r := attempt("f", meter.OK, 2*time.Second)
	if got, want := meter.ListPrices().Cost(r), 0.0000002+2*0.0000166667; got != want {
		t.Errorf("cost %v, want %v", got, want)
	}
}

func TestRecordsComeNewestFirst(t *testing.T) {
	bubble(t, meter.Config{}, func(ctx context.Context, m *meter.Meter) {
		for i := range 5 {
			m.Record(attempt(fmt.Sprintf("f%d", i%2), meter.OK, time.Duration(i)*time.Second))
			time.Sleep(time.Millisecond)
		}
		if err := m.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		recs, err := m.Records(ctx, account, "f0", time.Time{}, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) != 2 || recs[0].Timing.Billed != 4*time.Second || recs[1].Timing.Billed != 2*time.Second {
			t.Fatalf("records %+v, want those of 4 s and 2 s", recs)
		}
		older, err := m.Records(ctx, account, "f0", recs[1].At, 10)
		if err != nil || len(older) != 1 {
			t.Errorf("before the second: %d records, %v, want 1", len(older), err)
		}
	})
}

func TestOldRecordsGoAndSumsStay(t *testing.T) {
	bubble(t, meter.Config{Retention: time.Hour, RecordsMax: 3}, func(ctx context.Context, m *meter.Meter) {
		for range 10 {
			m.Record(attempt("f", meter.OK, time.Second))
			time.Sleep(10 * time.Second) // a block each
		}
		time.Sleep(2 * time.Minute)
		if recs, err := m.Records(ctx, account, "", time.Time{}, 0); err != nil || len(recs) != 3 {
			t.Errorf("after a sweep: %d records, %v, want the 3 that are kept", len(recs), err)
		}
		time.Sleep(2 * time.Hour)
		if recs, err := m.Records(ctx, account, "", time.Time{}, 0); err != nil || len(recs) != 0 {
			t.Errorf("after their age: %d records, %v, want none", len(recs), err)
		}
		lines, err := m.Usage(ctx, account, time.Now().Add(-24*time.Hour), time.Now())
		if err != nil || len(lines) != 1 || lines[0].Invocations != 10 {
			t.Errorf("usage %+v, %v, want 10 invocations of f", lines, err)
		}
	})
}

func TestNothingIsLostAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		store := kvtest.Memory(t)
		m, err := meter.Open(ctx, meter.Config{Store: store, Region: "us-east-1"})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		m.Record(attempt("f", meter.OK, time.Second))
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		recs, err := m.Records(context.Background(), account, "", time.Time{}, 0)
		if err != nil || len(recs) != 1 {
			t.Errorf("%d records, %v, want the one recorded before the end", len(recs), err)
		}
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, meter.Config{}, func(_ context.Context, m *meter.Meter) {
		m.Gauge("instances", "Instances.", func() float64 { return 7 })
		m.Record(attempt("f", meter.OK, time.Second))
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/_rouse/metrics", nil))
		body, _ := io.ReadAll(w.Body)
		for _, want := range []string{
			`rouse_invocations_total{cause="invoke",function="f",outcome="ok",start="cold"} 1`,
			`rouse_billed_seconds_total{function="f"} 1`, `rouse_instances 7`, `rouse_cold_start_seconds_count{phase="init"} 1`,
		} {
			if !strings.Contains(string(body), want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	})
}
