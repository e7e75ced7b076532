package cli

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Forms in which runtimes write log lines: Node's console, Python's logging, and the platform itself. Time and request id
// are the platform's; the screen has its own.
var (
	nodeLine   = regexp.MustCompile(`(?s)^\d{4}-\d\d-\d\dT[\d:.]+Z\t[^\t]*\t(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\t(.*)$`)
	pythonLine = regexp.MustCompile(`(?s)^\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\](?:\t\d{4}-\d\d-\d\dT[\d:.]+Z\t[^\t]*\t|\s+)(.*)$`)
	taskLine   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+Z [0-9a-f-]{36} (Task timed out after .*)$`)
	exitLine   = regexp.MustCompile(`(?s)^RequestId: [0-9a-f-]{36} Error: ([^\n]*)(?:\n[\w.]+)?$`)
	errorLine  = regexp.MustCompile(`(?s)^(?:Invoke Error|Uncaught Exception|Unhandled Promise Rejection)\s*\t(\{.*\})\s*$`)
)

// logLine is a log line as people read it.
type logLine struct {
	level string // "ERROR", "WARN" or "": what deserves a colour
	text  []string
}

// tidy takes from a log line what the screen says already, and unfolds errors.
func tidy(text string) logLine {
	text = strings.TrimRight(text, "\r\n")
	level := ""
	if m := nodeLine.FindStringSubmatch(text); m != nil {
		level, text = m[1], m[2]
	} else if m := pythonLine.FindStringSubmatch(text); m != nil {
		level, text = m[1], m[2]
	} else if m := taskLine.FindStringSubmatch(text); m != nil {
		level, text = "ERROR", m[1]
	} else if m := exitLine.FindStringSubmatch(text); m != nil {
		level, text = "ERROR", m[1]
	}
	switch level {
	case "ERROR", "FATAL", "CRITICAL":
		level = "ERROR"
	case "WARN", "WARNING":
		level = "WARN"
	default:
		level = ""
	}
	if m := errorLine.FindStringSubmatch(text); m != nil {
		if stack := unfold(m[1]); stack != nil {
			return logLine{level, stack}
		}
	}
	return logLine{level, strings.Split(printable(text), "\n")}
}

var platformError = regexp.MustCompile(`^[\w.]+: RequestId: [0-9a-f-]{36} Error: `)

// reason is why a request failed, without what the line says already.
func reason(text string) string { return printable(platformError.ReplaceAllString(text, "")) }

// unfold makes the lines of an error that Lambda writes as JSON, without the frames of the runtime below the function.
func unfold(text string) []string {
	var e struct {
		ErrorType, ErrorMessage string
		Stack                   []string
	}
	if json.Unmarshal([]byte(text), &e) != nil || e.ErrorType+e.ErrorMessage == "" {
		return nil
	}
	stack := e.Stack
	if len(stack) == 0 {
		stack = []string{strings.Trim(e.ErrorType+": "+e.ErrorMessage, ": ")}
	}
	last := 0
	for i, frame := range stack {
		if strings.Contains(frame, "/var/task/") || strings.Contains(frame, "/opt/") {
			last = i
		}
	}
	if last > 0 {
		stack = stack[:last+1]
	} else { // nothing of the function's own: the message says it all
		stack = slicesUntil(stack, func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), "at ") })
	}
	var lines []string
	for _, s := range stack {
		lines = append(lines, strings.Split(printable(s), "\n")...)
	}
	return lines
}

func slicesUntil(list []string, end func(string) bool) []string {
	for i, s := range list {
		if i > 0 && end(s) {
			return list[:i]
		}
	}
	return list
}

// printable replaces what could move the cursor or retitle a terminal: a log is written by whoever calls a function.
// Colours are left to those who asked for them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '·'
		}
		return r
	}, text)
}

// platformLine reports whether a log line is one that the platform wrote: the request's own line says the same, shorter.
func platformLine(text string) bool {
	for _, p := range []string{"START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT "} {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}
