package meter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/meter"
)

// faulty is a store whose writes fail while broken is set.
type faulty struct {
	kv.Store
	broken atomic.Bool
}

func (f *faulty) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.broken.Load() {
		return errors.New("no disk")
	}
	return f.Store.Update(ctx, fn)
}

// TestAMomentWithoutTheStore neither ends the meter nor loses what was recorded.
func TestAMomentWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		store := &faulty{Store: kvtest.Memory(t)}
		m, err := meter.Open(ctx, meter.Config{Store: store, Region: "us-east-1"})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		store.broken.Store(true)
		m.Record(attempt("f", meter.OK, time.Second))
		time.Sleep(10 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("Run ended with %v, want it to try again", err)
		default:
		}
		store.broken.Store(false)
		time.Sleep(2 * time.Second)
		recs, err := m.Records(ctx, account, "", time.Time{}, 0)
		if err != nil || len(recs) != 1 {
			t.Errorf("%d records, %v, want the one of the bad moment", len(recs), err)
		}
		cancel()
		<-done
	})
}

func scrape(m *meter.Meter) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/_rouse/metrics", nil))
	return w.Body.String()
}

// TestMetricsDoNotGrowWithoutEnd: of names that come and go.
func TestMetricsDoNotGrowWithoutEnd(t *testing.T) {
	bubble(t, meter.Config{}, func(_ context.Context, m *meter.Meter) {
		for i := range 3000 {
			m.Record(attempt(fmt.Sprint("f", i), meter.OK, time.Second))
		}
		text := scrape(m)
		if n := strings.Count(text, "rouse_billed_seconds_total{"); n != 2001 {
			t.Errorf("%d functions have counters, want 2000 and the others together", n)
		}
		if !strings.Contains(text, `rouse_billed_seconds_total{function="(others)"} 1000`) {
			t.Error("the rest is not counted together")
		}
		time.Sleep(20 * time.Hour)
		m.Record(attempt("f7", meter.OK, time.Second))
		time.Sleep(5 * time.Hour)
		if n := strings.Count(scrape(m), `rouse_billed_seconds_total{function="f`); n != 1 {
			t.Errorf("%d functions have counters a day later, want the one that ran", n)
		}
	})
}

// doubtful is a store that does not know the outcome of its next Updates: 'y' was carried out, 'n' not, 'f' failed.
type doubtful struct {
	kv.Store
	doubt atomic.Value // string
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	doubt, _ := d.doubt.Load().(string)
	if doubt == "" {
		return d.Store.Update(ctx, fn)
	}
	d.doubt.Store(doubt[1:])
	switch doubt[0] {
	case 'n':
		return kv.ErrUnknown
	case 'f':
		return errors.New("no disk")
	}
	if err := d.Store.Update(ctx, fn); err != nil {
		return err
	}
	return kv.ErrUnknown
}

// TestDoubt: what nobody knows to be written is counted once.
func TestDoubt(t *testing.T) {
	for _, doubt := range []string{"y", "n", "yf", "fy", "nyyf"} {
		synctest.Test(t, func(t *testing.T) {
			store := &doubtful{Store: kvtest.Memory(t)}
			m, err := meter.Open(t.Context(), meter.Config{Store: store, Region: "us-east-1"})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				m.Record(attempt("f", meter.OK, time.Second))
				if i == 2 {
					store.doubt.Store(doubt)
				}
				for m.Flush(t.Context()) != nil {
					m.Record(attempt("f", meter.OK, time.Second)) // others come meanwhile
				}
				time.Sleep(time.Second)
			}
			want := 5 + len(doubt)
			recs, err := m.Records(t.Context(), account, "", time.Time{}, 0)
			if err != nil || len(recs) != want {
				t.Errorf("%s: got %d records, %v; want %d", doubt, len(recs), err, want)
			}
			lines, err := m.Usage(t.Context(), account, time.Now().Add(-time.Hour), time.Now())
			if err != nil || len(lines) != 1 || lines[0].Invocations != int64(want) {
				t.Errorf("%s: got usage %+v, %v; want %d invocations", doubt, lines, err, want)
			}
		})
	}
}
