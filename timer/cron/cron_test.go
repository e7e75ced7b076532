package cron_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/timer/cron"
)

const layout = "2006-01-02 15:04:05"

func at(t *testing.T, s, zone string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err) // Go's tools bring a database of zones
	}
	v, err := time.ParseInLocation(layout, s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNext: expressions of AWS's documentation and of its users, with the times that follow one another.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		expr, after string
		want        []string
	}{
		{"cron(0 12 * * ? *)", "2026-03-01 12:00:00", []string{"2026-03-02 12:00:00", "2026-03-03 12:00:00"}},
		{"cron(0 12 * * ? *)", "2026-03-01 11:59:59", []string{"2026-03-01 12:00:00"}},
		{"cron(5,35 14 * * ? *)", "2026-03-01 00:00:00", []string{"2026-03-01 14:05:00", "2026-03-01 14:35:00", "2026-03-02 14:05:00"}},
		{"cron(15 10 ? * 6L 2022-2023)", "2021-07-01 00:00:00", []string{"2022-01-28 10:15:00", "2022-02-25 10:15:00"}},
		{"cron(15 10 ? * FRIL *)", "2026-05-01 00:00:00", []string{"2026-05-29 10:15:00", "2026-06-26 10:15:00"}},
		{"cron(0 2 ? * SAT#3 *)", "2026-01-01 00:00:00", []string{"2026-01-17 02:00:00", "2026-02-21 02:00:00"}},
		{"cron(0 9 ? * 2#1 *)", "2026-01-01 00:00:00", []string{"2026-01-05 09:00:00", "2026-02-02 09:00:00"}},
		{"cron(0 9 ? * 2#5 *)", "2026-01-01 00:00:00", []string{"2026-03-30 09:00:00", "2026-06-29 09:00:00"}},
		{"cron(0/5 5 ? JAN 1-5 2022)", "2022-01-02 05:50:00", []string{"2022-01-02 05:55:00", "2022-01-03 05:00:00"}},
		{"cron(0 18 ? * MON-FRI *)", "2026-01-02 18:00:00", []string{"2026-01-05 18:00:00"}},
		{"cron(0 18 ? * mon-Fri *)", "2026-01-02 18:00:00", []string{"2026-01-05 18:00:00"}},
		{"cron(0 8 1 * ? *)", "2026-01-01 08:00:00", []string{"2026-02-01 08:00:00"}},
		{"cron(0/15 * * * ? *)", "2026-01-01 08:46:00", []string{"2026-01-01 09:00:00", "2026-01-01 09:15:00"}},
		{"cron(*/10 * ? * * *)", "2026-01-01 23:55:00", []string{"2026-01-02 00:00:00"}},
		{"cron(0/10 * ? * MON-FRI *)", "2026-01-02 23:50:00", []string{"2026-01-05 00:00:00"}},
		{"cron(0/30 20-23 ? * MON-FRI *)", "2026-01-01 23:30:00", []string{"2026-01-02 20:00:00"}},
		{"cron(10 7/5 7 * ? 2020)", "2020-11-07 17:10:00", []string{"2020-11-07 22:10:00", "2020-12-07 07:10:00"}},
		{"cron(0 11-23/4 ? * 2-6 *)", "2026-01-01 19:00:00", []string{"2026-01-01 23:00:00", "2026-01-02 11:00:00"}},
		{"cron(0 0 1 1-12/3 ? *)", "2026-01-01 00:00:00", []string{"2026-04-01 00:00:00", "2026-07-01 00:00:00"}},
		{"cron(0 23 L * ? *)", "2024-02-01 00:00:00", []string{"2024-02-29 23:00:00", "2024-03-31 23:00:00"}},
		{"cron(0 0 L-2 * ? *)", "2026-02-01 00:00:00", []string{"2026-02-26 00:00:00", "2026-03-29 00:00:00"}},
		{"cron(0 0 LW * ? *)", "2026-01-01 00:00:00", []string{"2026-01-30 00:00:00", "2026-02-27 00:00:00", "2026-03-31 00:00:00"}},
		{"cron(0 0 1W * ? *)", "2026-07-20 00:00:00", []string{"2026-08-03 00:00:00", "2026-09-01 00:00:00"}},
		{"cron(0 0 15W * ? *)", "2026-08-01 00:00:00", []string{"2026-08-14 00:00:00", "2026-09-15 00:00:00"}},
		{"cron(0 0 31W * ? *)", "2026-04-01 00:00:00", []string{"2026-05-29 00:00:00", "2026-07-31 00:00:00"}},
		{"cron(0 0 ? * L *)", "2026-01-01 00:00:00", []string{"2026-01-03 00:00:00", "2026-01-10 00:00:00"}},
		{"cron(0 0 ? * FRI-MON *)", "2026-01-01 00:00:00", []string{"2026-01-02 00:00:00", "2026-01-03 00:00:00", "2026-01-04 00:00:00", "2026-01-05 00:00:00", "2026-01-09 00:00:00"}},
		{"cron(0 22-2 * * ? *)", "2026-01-01 21:00:00", []string{"2026-01-01 22:00:00", "2026-01-01 23:00:00", "2026-01-02 00:00:00", "2026-01-02 01:00:00", "2026-01-02 02:00:00", "2026-01-02 22:00:00"}},
		{"cron(0 0 29 2 ? *)", "2026-01-01 00:00:00", []string{"2028-02-29 00:00:00", "2032-02-29 00:00:00"}},
		{"cron(0 0 29 FEB ? 2001-2003)", "2000-01-01 00:00:00", nil},
		{"cron(0 0 30 2 ? *)", "2026-01-01 00:00:00", nil},
		{"cron(0 0 1 1 ? 1970)", "1969-01-01 00:00:00", []string{"1970-01-01 00:00:00"}},
		{"cron(59 23 31 12 ? 2199)", "2026-01-01 00:00:00", []string{"2199-12-31 23:59:00"}},
		{"cron(0 0 1 1 ? 2025)", "2026-01-01 00:00:00", nil},
		{"rate(1 minute)", "2026-01-01 00:00:30", []string{"2026-01-01 00:01:30", "2026-01-01 00:02:30"}},
		{"rate(5 minutes)", "2026-01-01 00:00:00", []string{"2026-01-01 00:05:00"}},
		{"rate(1 hour)", "2026-01-01 00:00:00", []string{"2026-01-01 01:00:00"}},
		{"rate(7 days)", "2026-01-01 00:00:00", []string{"2026-01-08 00:00:00"}},
		{"at(2026-01-01T10:00:01)", "2026-01-01 10:00:00", []string{"2026-01-01 10:00:01"}},
		{"at(2026-01-01T10:00:00)", "2026-01-01 10:00:00", nil},
	} {
		e, err := cron.Parse(c.expr)
		if err != nil {
			t.Errorf("Parse %s: got %v, want nil", c.expr, errors.Unwrap(err))
			continue
		}
		after := at(t, c.after, "UTC")
		for _, want := range c.want {
			next, ok := e.Next(after)
			if !ok || next.Format(layout) != want {
				t.Errorf("%s after %s: got %s, %v, want %s", c.expr, after.Format(layout), next.Format(layout), ok, want)
				break
			}
			after = next
		}
		if next, ok := e.Next(after); len(c.want) == 0 && ok {
			t.Errorf("%s after %s: got %s, want never", c.expr, c.after, next.Format(layout))
		}
	}
}

func TestZones(t *testing.T) {
	for _, c := range []struct {
		expr, zone, after string
		want              []string // in UTC
	}{
		{"cron(0 9 * * ? *)", "Europe/Berlin", "2026-01-01 00:00:00", []string{"2026-01-01 08:00:00"}},
		{"cron(0 9 * * ? *)", "Europe/Berlin", "2026-07-01 00:00:00", []string{"2026-07-01 07:00:00"}},
		{"cron(0 9 * * ? *)", "Asia/Kolkata", "2026-01-01 00:00:00", []string{"2026-01-01 03:30:00"}},
		// 29 March 2026, 02:00 becomes 03:00 in Berlin: 02:30 is skipped.
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28 00:00:00", []string{"2026-03-28 01:30:00", "2026-03-30 00:30:00"}},
		{"cron(0 * * * ? *)", "Europe/Berlin", "2026-03-29 00:30:00", []string{"2026-03-29 01:00:00", "2026-03-29 02:00:00"}},
		// 25 October 2026, 03:00 becomes 02:00: 02:30 comes twice and is due the first time only.
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24 12:00:00", []string{"2026-10-25 00:30:00", "2026-10-26 01:30:00"}},
		{"cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-24 23:30:00", []string{"2026-10-25 00:00:00", "2026-10-25 00:30:00", "2026-10-25 02:00:00"}},
		{"cron(30 1 * * ? *)", "America/New_York", "2026-11-01 00:00:00", []string{"2026-11-01 05:30:00", "2026-11-02 06:30:00"}},
		// A rate is time that passes.
		{"rate(1 day)", "Europe/Berlin", "2026-03-28 12:00:00", []string{"2026-03-29 12:00:00"}},
		{"at(2026-07-01T12:00:00)", "America/New_York", "2026-01-01 00:00:00", []string{"2026-07-01 16:00:00"}},
		// Samoa had no 30 December 2011.
		{"cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29 23:00:00", []string{"2011-12-30 22:00:00"}},
		{"cron(0 12 * * ? *)", "", "2026-01-01 00:00:00", []string{"2026-01-01 12:00:00"}},
	} {
		after := at(t, c.after, "UTC")
		e, err := cron.ParseSchedule(c.expr, c.zone)
		if err != nil {
			t.Errorf("ParseSchedule %s in %s: got %v, want nil", c.expr, c.zone, errors.Unwrap(err))
			continue
		}
		for _, want := range c.want {
			next, ok := e.Next(after)
			if got := next.UTC().Format(layout); !ok || got != want {
				t.Errorf("%s in %s after %s: got %s, %v, want %s UTC", c.expr, c.zone, after.UTC().Format(layout), got, ok, want)
				break
			}
			after = next
		}
	}
}

// refused by both dialects; the first part is what AWS has been seen to refuse.
var refused = []string{
	"cron(0 1 * * * *)", "cron(7 20 * * NOT *)", "cron(INVALID)", "cron(0 dummy ? * MON-FRI *)", "cron(71 8 1 * ? *)", "cron()",
	"rate(10 seconds)", "rate(10 years)", "rate()", "rate(10)", "rate(10 minutess)", "rate(foo minutes)", "rate(-10 minutes)",
	"rate( 10 minutes )", " rate(10 minutes)", "at(2021-12-31T23:59:59Z)", "at(2021-12-31)",

	"", "cron", "cron(", "(0 12 * * ? *)", "cron(0 12 * * ? *", "cron(0 12 * * ? *))", "CRON(0 12 * * ? *)", "every day",
	"cron(0 12 * * ?)", "cron(0 0 12 * * ? *)", "cron(0 12 ? * ? *)", "cron(0 12 1 * 2 *)", "cron(? 12 * * ? *)",
	"cron(60 * * * ? *)", "cron(-1 * * * ? *)", "cron(* 24 * * ? *)", "cron(* * 0 * ? *)", "cron(* * 32 * ? *)",
	"cron(* * * 0 ? *)", "cron(* * * 13 ? *)", "cron(* * ? * 0 *)", "cron(* * ? * 8 *)", "cron(* * * * ? 1969)", "cron(* * * * ? 2200)",
	"cron(0/0 * * * ? *)", "cron(0/60 * * * ? *)", "cron(0/ * * * ? *)", "cron(/5 * * * ? *)", "cron(0/5/5 * * * ? *)",
	"cron(1,,2 * * * ? *)", "cron(, * * * ? *)", "cron(1- * * * ? *)", "cron(-2 * * * ? *)", "cron(1-2-3 * * * ? *)",
	"cron(*-5 * * * ? *)", "cron(+1 * * * ? *)", "cron(0x1 * * * ? *)", "cron(1.5 * * * ? *)", "cron(00001 * * * ? *)",
	"cron(0 0 L,1 * ? *)", "cron(0 0 1W,2 * ? *)", "cron(0 0 W * ? *)", "cron(0 0 0W * ? *)", "cron(0 0 32W * ? *)", "cron(0 0 1-5W * ? *)",
	"cron(0 0 L-32 * ? *)", "cron(0 0 L-0 * ? *)", "cron(0 0 ? * 3#6 *)", "cron(0 0 ? * 3#0 *)", "cron(0 0 ? * 3# *)", "cron(0 0 ? * #1 *)",
	"cron(0 0 ? * 3#1,6#3 *)", "cron(0 0 ? * 8L *)", "cron(0 0 ? * 1,2L *)", "cron(0 0 ? * MONDAY *)", "cron(0 0 * JANUARY ? *)",
	"cron(0 0 * * ? 2030-2020)", "rate(0 minutes)", "rate(1000000000 minutes)", "rate(999999999 days)", "rate(1.5 hours)",
	"rate(1  minute)", "rate(1minute)", "at()", "at(2021-02-30T00:00:00)", "at(2021-12-31T24:00:00)", "at(2021-12-31 23:59:59)",
	"at(2021-12-31T23:59:59.5)", "cron(0 12 * * ? *" + strings.Repeat(" ", cron.ExprMax) + ")",
}

func TestRefused(t *testing.T) {
	for _, s := range append([]string{"rate(1 minutes)", "rate(1 hours)", "rate(1 days)", "rate(10 minute)", "rate(10 hour)", "rate(10 day)",
		"rate(10 MINUTES)"}, refused...) {
		check(t, s, "Parameter ScheduleExpression is not valid.", func() error { _, err := cron.Parse(s); return err })
	}
	for _, s := range refused {
		want := fmt.Sprintf("Invalid Schedule Expression %.*s.", cron.ExprMax, s)
		check(t, s, want, func() error { _, err := cron.ParseSchedule(s, ""); return err })
	}
	for _, z := range []string{"Local", "Mars/Olympus", "../etc/passwd", "/etc/localtime", strings.Repeat("x", cron.ZoneMax+1), "Europe/berlin\x00"} {
		want := fmt.Sprintf("Invalid ScheduleExpressionTimezone %.*s.", cron.ZoneMax, z)
		check(t, z, want, func() error { _, err := cron.ParseSchedule("rate(1 day)", z); return err })
	}
}

func check(t *testing.T, s, want string, parse func() error) {
	t.Helper()
	var e *rouse.Error
	err := parse()
	if !errors.As(err, &e) || e.Kind != rouse.Invalid || e.Code != "ValidationException" || e.Message != want {
		t.Errorf("%q: got %v, want a ValidationException, %q", s, err, want)
	}
}

// TestScheduleRates: Scheduler does not care for grammar.
func TestScheduleRates(t *testing.T) {
	for expr, want := range map[string]time.Duration{"rate(1 minutes)": time.Minute, "rate(10 hour)": 10 * time.Hour, "rate(2 DAYS)": 48 * time.Hour,
		"rate(1 minute)": time.Minute} {
		e, err := cron.ParseSchedule(expr, "")
		if err != nil || e.Every() != want || e.Kind() != cron.Rate {
			t.Errorf("ParseSchedule %s: got every %v, %v, want %v", expr, e.Every(), err, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for expr, want := range map[string]cron.Kind{"cron(0 0 * * ? *)": cron.Cron, "rate(1 day)": cron.Rate, "at(2026-01-01T00:00:00)": cron.At} {
		e, err := cron.Parse(expr)
		if err != nil || e.Kind() != want || e.String() != expr {
			t.Errorf("Parse %s: got kind %v of %q, %v, want %v", expr, e.Kind(), e, err, want)
		}
	}
	if _, ok := (cron.Expr{}).Next(time.Now()); ok {
		t.Error("zero Expr: due, want never")
	}
}

// TestModel compares Next with a walk over every minute, on expressions of plain lists.
func TestModel(t *testing.T) {
	list := func(t *rapid.T, name string, least, most int) (string, map[int]bool) {
		if rapid.Bool().Draw(t, name+" any") {
			return "*", nil
		}
		set, parts := map[int]bool{}, []string{}
		for _, v := range rapid.SliceOfN(rapid.IntRange(least, most), 1, 3).Draw(t, name) {
			set[v] = true
			parts = append(parts, fmt.Sprint(v))
		}
		return strings.Join(parts, ","), set
	}
	holds := func(set map[int]bool, v int) bool { return set == nil || set[v] }
	rapid.Check(t, func(t *rapid.T) {
		mi, minutes := list(t, "minutes", 0, 59)
		ho, hours := list(t, "hours", 0, 23)
		mo, months := list(t, "months", 1, 12)
		dm, dw := "?", "?"
		var ofMonth, ofWeek map[int]bool
		if rapid.Bool().Draw(t, "by week") {
			dw, ofWeek = list(t, "day of week", 1, 7)
		} else {
			dm, ofMonth = list(t, "day of month", 1, 31)
		}
		expr := fmt.Sprintf("cron(%s %s %s %s %s *)", mi, ho, dm, mo, dw)
		e, err := cron.Parse(expr)
		if err != nil {
			t.Fatalf("Parse %s: got %v, want nil", expr, errors.Unwrap(err))
		}
		after := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "after"), 0).UTC()
		due := func(m time.Time) bool {
			return holds(minutes, m.Minute()) && holds(hours, m.Hour()) && holds(months, int(m.Month())) &&
				holds(ofMonth, m.Day()) && holds(ofWeek, int(m.Weekday())+1)
		}
		want, end := after.Truncate(time.Minute).Add(time.Minute), after.AddDate(0, 0, 40)
		for !due(want) && want.Before(end) {
			want = want.Add(time.Minute)
		}
		got, ok := e.Next(after)
		if want.Before(end) && (!ok || !got.Equal(want)) || !want.Before(end) && ok && got.Before(end) {
			t.Fatalf("%s after %v: got %v, %v, want %v", expr, after, got, ok, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range refused {
		f.Add(s, "UTC", int64(1e9))
	}
	for _, s := range []string{"cron(0/5 8-17 ? * MON-FRI *)", "cron(0 0 LW * ? 2030)", "cron(0 0 ? * 6L *)", "cron(0 0 31W 2/3 ? *)", "rate(3 hours)", "at(2030-01-01T00:00:00)"} {
		f.Add(s, "Europe/Berlin", int64(1_774_742_400))
	}
	f.Fuzz(func(t *testing.T, s, zone string, unix int64) {
		e, err := cron.ParseSchedule(s, zone)
		if err != nil {
			if rouse.KindOf(err) != rouse.Invalid {
				t.Errorf("ParseSchedule %q: got %v, want an error of Kind Invalid", s, err)
			}
			return
		}
		after := time.Unix(unix%(1<<33), 0)
		next, ok := e.Next(after)
		if ok && !next.After(after) {
			t.Errorf("%s in %s after %v: got %v, want a later time", s, zone, after, next)
		}
		if again, err := cron.ParseSchedule(e.String(), zone); err != nil || again.Kind() != e.Kind() {
			t.Errorf("ParseSchedule of what was parsed, %q: got %v, want the same", e, err)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, s := range []string{"cron(0/5 8-17 ? * MON-FRI *)", "cron(0 0 29 2 ? *)", "cron(0 0 30 2 ? *)"} {
		b.Run(s, func(b *testing.B) {
			e, err := cron.ParseSchedule(s, "Europe/Berlin")
			if err != nil {
				b.Fatal(err)
			}
			after := time.Date(2026, 7, 3, 17, 56, 0, 0, time.UTC)
			b.ReportAllocs()
			for b.Loop() {
				e.Next(after)
			}
		})
	}
}
