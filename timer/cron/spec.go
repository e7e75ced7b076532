package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// field is one of the six.
type field struct {
	name     string
	min, max int
	names    []string // of min and what follows
}

var (
	minutes  = field{"minutes", 0, 59, nil}
	hours    = field{"hours", 0, 23, nil}
	monthDay = field{"day-of-month", 1, 31, nil}
	months   = field{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekDay  = field{"day-of-week", 1, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	years    = field{"year", 1970, 2199, nil}
)

// set holds values of a field, counted from its minimum. The years are the most: 230.
type set [4]uint64

func (s *set) add(f field, v int)     { s[(v-f.min)/64] |= 1 << ((v - f.min) % 64) }
func (s set) has(f field, v int) bool { return s[(v-f.min)/64]&(1<<((v-f.min)%64)) != 0 }

// spec is a parsed cron expression. Its day rule is told by a function of the month, because L, W and # depend on it.
type spec struct {
	minutes, hours, months, years set
	day                           dayRule
}

// month is what a day rule has to know.
type month struct {
	days  int // 28 to 31
	first int // day of week of the 1st, 1 is Sunday
}

// weekday of the d-th, 1 is Sunday.
func (m month) weekday(d int) int { return (m.first+d-2)%7 + 1 }

// dayRule reports whether a day of a month is due.
type dayRule func(m month, d int) bool

func parseSpec(args string) (*spec, error) {
	f := strings.Fields(args)
	if len(f) != 6 {
		return nil, fmt.Errorf("cron: %d fields; want 6", len(f))
	}
	var s spec
	var errs [5]error
	s.minutes, errs[0] = minutes.parse(f[0])
	s.hours, errs[1] = hours.parse(f[1])
	s.months, errs[2] = months.parse(f[3])
	s.years, errs[3] = years.parse(f[5])
	s.day, errs[4] = parseDays(f[2], f[4])
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return &s, nil
}

func parseDays(ofMonth, ofWeek string) (dayRule, error) {
	switch {
	case (ofMonth == "?") == (ofWeek == "?"):
		return nil, errors.New("cron: one of day-of-month and day-of-week has to be ?, and not both")
	case ofWeek == "?":
		return parseMonthDay(strings.ToUpper(ofMonth))
	}
	return parseWeekDay(strings.ToUpper(ofWeek))
}

// parseMonthDay reads the day-of-month field.
func parseMonthDay(s string) (dayRule, error) {
	if s == "L" {
		return func(m month, d int) bool { return d == m.days }, nil
	}
	if s == "LW" {
		return func(m month, d int) bool { return d == nearest(m, m.days) }, nil
	}
	if back, ok := strings.CutPrefix(s, "L-"); ok {
		n, err := monthDay.value(back)
		return func(m month, d int) bool { return d == m.days-n }, err
	}
	if day, ok := strings.CutSuffix(s, "W"); ok {
		n, err := monthDay.value(day)
		return func(m month, d int) bool { return n <= m.days && d == nearest(m, n) }, err
	}
	days, err := monthDay.parse(s)
	return func(_ month, d int) bool { return days.has(monthDay, d) }, err
}

// nearest is the weekday nearest to the d-th within its month.
func nearest(m month, d int) int {
	switch m.weekday(d) {
	case 7: // Saturday
		if d == 1 {
			return 3
		}
		return d - 1
	case 1: // Sunday
		if d == m.days {
			return d - 2
		}
		return d + 1
	}
	return d
}

// parseWeekDay reads the day-of-week field.
func parseWeekDay(s string) (dayRule, error) {
	if s == "L" {
		s = "7"
	}
	if day, ok := strings.CutSuffix(s, "L"); ok {
		n, err := weekDay.value(day)
		return func(m month, d int) bool { return m.weekday(d) == n && d+7 > m.days }, err
	}
	if day, which, ok := strings.Cut(s, "#"); ok {
		n, err := weekDay.value(day)
		if len(which) != 1 || which[0] < '1' || which[0] > '5' {
			return nil, fmt.Errorf("cron: %s: %q is not 1 to 5", weekDay.name, which)
		}
		k := int(which[0] - '0')
		return func(m month, d int) bool { return m.weekday(d) == n && (d+6)/7 == k }, err
	}
	days, err := weekDay.parse(s)
	return func(m month, d int) bool { return days.has(weekDay, m.weekday(d)) }, err
}

// parse reads a list of values, ranges and increments.
func (f field) parse(s string) (set, error) {
	var all set
	for item := range strings.SplitSeq(strings.ToUpper(s), ",") {
		if err := f.parseItem(item, &all); err != nil {
			return set{}, fmt.Errorf("cron: %s: %w", f.name, err)
		}
	}
	return all, nil
}

func (f field) parseItem(item string, all *set) error {
	base, step, stepped := strings.Cut(item, "/")
	every := 1
	if stepped {
		var err error
		if every, err = strconv.Atoi(step); err != nil || len(step) > 3 || every < 1 || every > f.max {
			return fmt.Errorf("%q is not an increment", step)
		}
	}
	from, to, ranged := strings.Cut(base, "-")
	first, last := f.min, f.max
	if base != "*" {
		var err error
		if first, err = f.value(from); err != nil {
			return err
		}
		switch {
		case ranged:
			if last, err = f.value(to); err != nil {
				return err
			}
		case !stepped:
			last = first
		}
	}
	if last < first { // wraps, but no year comes again
		if f.min == years.min {
			return fmt.Errorf("range %s runs backwards", base)
		}
		last += f.max - f.min + 1
	}
	for v := first; v <= last; v += every {
		all.add(f, f.min+(v-f.min)%(f.max-f.min+1))
	}
	return nil
}

// value reads a number or a name.
func (f field) value(s string) (int, error) {
	for i, n := range f.names {
		if s == n {
			return f.min + i, nil
		}
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) > 4 || int(n) < f.min || int(n) > f.max {
		return 0, fmt.Errorf("%q is not %d to %d", s, f.min, f.max)
	}
	return int(n), nil
}

// next walks the wall clock of zone, from the minute of after on, and answers with the first due minute after it.
func (s *spec) next(after time.Time, zone *time.Location) (time.Time, bool) {
	wall := after.In(zone)
	from := time.Date(wall.Year(), wall.Month(), wall.Day(), 0, 0, 0, 0, time.UTC)
	if from.Year() < years.min {
		from = time.Date(years.min, 1, 1, 0, 0, 0, 0, time.UTC)
		wall = from
	}
	minute := wall.Hour()*60 + wall.Minute() // of the first day
	for day := from; day.Year() <= years.max; {
		if !s.years.has(years, day.Year()) {
			day, minute = time.Date(day.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC), 0
			continue
		}
		if !s.months.has(months, int(day.Month())) {
			day, minute = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC), 0
			continue
		}
		if s.day(monthOf(day), day.Day()) {
			if t, ok := s.within(day, minute, after, zone); ok {
				return t, true
			}
		}
		day, minute = day.AddDate(0, 0, 1), 0
	}
	return time.Time{}, false
}

func monthOf(day time.Time) month {
	first := time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
	return month{days: first.AddDate(0, 1, -1).Day(), first: int(first.Weekday()) + 1}
}

// within is the first due time of a day, from minute on and after after.
func (s *spec) within(day time.Time, minute int, after time.Time, zone *time.Location) (time.Time, bool) {
	for h := minute / 60; h <= hours.max; h++ {
		if !s.hours.has(hours, h) {
			continue
		}
		for m := range 60 {
			if h*60+m < minute || !s.minutes.has(minutes, m) {
				continue
			}
			if t, ok := instant(day, h, m, zone); ok && t.After(after) {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// instant is when the clocks of zone show h:m on day for the first time; ok is false if they never do.
func instant(day time.Time, h, m int, zone *time.Location) (time.Time, bool) {
	t := time.Date(day.Year(), day.Month(), day.Day(), h, m, 0, 0, zone)
	if t.Day() != day.Day() || t.Hour() != h || t.Minute() != m {
		return time.Time{}, false // skipped; Date has moved it
	}
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return t, true
	}
	_, offset := t.Zone()
	_, before := start.Add(-1).Zone()
	// The same reading under the offset before, if that was still in force then.
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(start) {
		return first, true
	}
	return t, true
}
