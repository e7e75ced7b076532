// Package cron understands the schedule expressions of EventBridge and says when they are due next.
//
//	cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR)
//	rate(VALUE UNIT)                      minute(s), hour(s), day(s)
//	at(2027-12-31T23:59:59)               once
//
// # Cron fields
//
//	minutes        0-59               , - * /
//	hours          0-23               , - * /
//	day of month   1-31               , - * ? / L W      L last day, 3W the weekday nearest to the 3rd, LW, L-2
//	month          1-12 or JAN-DEC    , - * /
//	day of week    1-7 or SUN-SAT     , - * ? / L #      6L the last Friday, 3#2 the second Tuesday, L Saturday
//	year           1970-2199          , - * /
//
// Exactly one of the two day fields is "?". Names count in any case. Where AWS's documentation is silent, what it grew out
// of (Quartz) decides: a range may wrap (FRI-MON, 22-2), L and W and # stand alone, a W stays within its month.
//
// # Two dialects
//
// Rules (Parse) want the unit of a rate singular exactly for 1, in lower case; EventBridge Scheduler (ParseSchedule) takes
// any, and knows time zones. Each answers in its own words.
//
// # Time zones
//
// A cron expression means the wall clock of its zone, as Scheduler documents it: a time that the clock skips in spring is
// skipped, a time that it shows twice in autumn is due the first time only. A rate means time that passes.
//
// Zones come from the system's database, or from time/tzdata if the program links it. Expressions are immutable and safe for
// concurrent use. Setting timers and remembering what was missed is left to the rooms.
package cron

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// Limits of an expression and of the name of a zone, in bytes.
const (
	ExprMax = 256
	ZoneMax = 50
)

// Kind says which form an expression has.
type Kind uint8

// The forms.
const (
	Cron Kind = iota + 1
	Rate
	At // of Scheduler only: who keeps rules refuses it
)

// Expr is a schedule. The zero Expr is never due.
type Expr struct {
	text  string
	kind  Kind
	zone  *time.Location
	spec  *spec         // of a Cron
	every time.Duration // of a Rate
	at    time.Time     // of an At
}

// Parse reads an expression of a rule, in UTC, and At as well. The error is of Kind Invalid and has EventBridge's text;
// what is wrong with the expression is its cause.
func Parse(expr string) (Expr, error) {
	e, err := parse(expr, time.UTC, strictRate)
	if err != nil {
		return Expr{}, invalid(err, "Parameter ScheduleExpression is not valid.")
	}
	return e, nil
}

// ParseSchedule reads an expression of EventBridge Scheduler in the time zone of that name; "" means UTC. The error is of
// Kind Invalid and has Scheduler's text; what is wrong with the expression is its cause.
func ParseSchedule(expr, zone string) (Expr, error) {
	loc, err := location(zone)
	if err != nil {
		return Expr{}, invalid(err, fmt.Sprintf("Invalid ScheduleExpressionTimezone %.*s.", ZoneMax, zone))
	}
	e, err := parse(expr, loc, looseRate)
	if err != nil {
		return Expr{}, invalid(err, fmt.Sprintf("Invalid Schedule Expression %.*s.", ExprMax, expr))
	}
	return e, nil
}

func invalid(cause error, text string) error {
	return &rouse.Error{Kind: rouse.Invalid, Code: "ValidationException", Message: text, Err: cause}
}

func location(zone string) (*time.Location, error) {
	switch {
	case zone == "":
		return time.UTC, nil
	case zone == "Local" || len(zone) > ZoneMax:
		return nil, errors.New("cron: not the name of a time zone")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("cron: load zone: %w", err)
	}
	return loc, nil
}

// Kind is the expression's form.
func (e Expr) Kind() Kind { return e.kind }

// Every is the period of a Rate, 0 for others.
func (e Expr) Every() time.Duration { return e.every }

// String is the expression as it was read.
func (e Expr) String() string { return e.text }

// Next is the first time after after at which the expression is due; ok is false if there is none. A Rate counts from
// after: who wants to keep its rhythm passes the time at which it was due last.
func (e Expr) Next(after time.Time) (next time.Time, ok bool) {
	switch e.kind {
	case Cron:
		return e.spec.next(after, e.zone)
	case Rate:
		return after.Add(e.every), true
	case At:
		return e.at, e.at.After(after)
	}
	return time.Time{}, false
}

func parse(expr string, zone *time.Location, rates *regexp.Regexp) (Expr, error) {
	if len(expr) > ExprMax {
		return Expr{}, fmt.Errorf("cron: expression of %d bytes; at most %d are allowed", len(expr), ExprMax)
	}
	e := Expr{text: expr, zone: zone}
	form, args, _ := strings.Cut(expr, "(")
	args, closed := strings.CutSuffix(args, ")")
	if !closed {
		return Expr{}, errors.New("cron: want cron(…), rate(…) or at(…)")
	}
	var err error
	switch form {
	case "cron":
		e.kind = Cron
		e.spec, err = parseSpec(args)
	case "rate":
		e.kind = Rate
		e.every, err = parseRate(args, rates)
	case "at":
		e.kind = At
		e.at, err = parseAt(args, zone)
	default:
		err = errors.New("cron: want cron(…), rate(…) or at(…)")
	}
	return e, err
}

// What a rate looks like in the two dialects.
var (
	strictRate = regexp.MustCompile(`^(?:0*(1) (minute|hour|day)|([0-9]{1,9}) (minute|hour|day)s)$`)
	looseRate  = regexp.MustCompile(`^(?:()()|([0-9]{1,9}) (?i:(minute|hour|day)s?))$`)
)

func parseRate(args string, form *regexp.Regexp) (time.Duration, error) {
	m := form.FindStringSubmatch(args)
	if m == nil {
		return 0, errors.New("cron: want rate(1 minute) or rate(5 minutes), hours or days")
	}
	n, _ := strconv.ParseInt(m[1]+m[3], 10, 64)
	if n == 0 || m[3] != "" && n == 1 && form == strictRate {
		return 0, errors.New("cron: a rate of 1 has a unit in the singular, and there is none of 0")
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.ToLower(m[2]+m[4])]
	every := time.Duration(n) * unit
	if every/unit != time.Duration(n) {
		return 0, errors.New("cron: rate beyond all measure")
	}
	return every, nil
}

const atLayout = "2006-01-02T15:04:05"

func parseAt(args string, zone *time.Location) (time.Time, error) {
	if len(args) != len(atLayout) { // Parse would take fractions, too
		return time.Time{}, errors.New("cron: want at(yyyy-mm-ddThh:mm:ss)")
	}
	t, err := time.ParseInLocation(atLayout, args, zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("cron: at: %w", err)
	}
	return t, nil
}
