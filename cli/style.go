package cli

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// style is how text looks where it goes: coloured on a terminal, plain elsewhere.
type style struct {
	terminal bool
	colour   bool
}

func newStyle(w io.Writer, getenv func(string) (string, bool)) style {
	f, ok := w.(*os.File)
	s := style{terminal: ok && term.IsTerminal(int(f.Fd()))}
	s.colour = s.terminal
	if v, _ := getenv("NO_COLOR"); v != "" {
		s.colour = false
	}
	if v, _ := getenv("TERM"); v == "dumb" {
		s.colour = false
	}
	if v, _ := getenv("CLICOLOR_FORCE"); v != "" && v != "0" {
		s.colour = true
	}
	return s
}

// paint colours text with one of the terminal's own sixteen colours, which follow the user's theme.
func (s style) paint(text, colour string, bold bool) string {
	if !s.colour || text == "" {
		return text
	}
	st := lipgloss.NewStyle().Bold(bold)
	if colour != "" {
		st = st.Foreground(lipgloss.Color(colour))
	}
	return st.Render(text)
}

func (s style) strong(t string) string { return s.paint(t, "", true) }
func (s style) dim(t string) string    { return s.paint(t, "8", false) }
func (s style) good(t string) string   { return s.paint(t, "2", false) }
func (s style) warn(t string) string   { return s.paint(t, "3", false) }
func (s style) bad(t string) string    { return s.paint(t, "1", true) }
func (s style) code(t string) string   { return s.paint(t, "6", false) }

// name colours a function's name: always the same colour for the same name.
func (s style) name(t string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t))
	return s.paint(t, []string{"2", "3", "4", "5", "6", "10", "11", "12", "13", "14"}[h.Sum32()%10], false)
}

// status colours an HTTP status by its class.
func (s style) status(code int) string {
	text := fmt.Sprint(code)
	switch {
	case code >= 500:
		return s.bad(text)
	case code >= 400:
		return s.warn(text)
	}
	return s.good(text)
}

// table prints rows in columns, aligned, with a dim header. Cells may hold colour.
func (s style) table(w io.Writer, header []string, rows [][]string) {
	width := make([]int, len(header))
	for i, h := range header {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], lipgloss.Width(c))
		}
	}
	line := func(cells []string, paint func(string) string) {
		var b strings.Builder
		for i, c := range cells {
			b.WriteString(paint(c))
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-lipgloss.Width(c)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(header, s.dim)
	for _, r := range rows {
		line(r, func(c string) string { return c })
	}
}

// short is a duration for people: three digits are enough.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
