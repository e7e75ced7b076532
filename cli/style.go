package cli

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// style is how text looks where it goes: coloured on a terminal, plain elsewhere.
type style struct {
	terminal bool
	colour   bool
	file     *os.File // the terminal; nil elsewhere
}

func newStyle(w io.Writer, getenv func(string) (string, bool)) style {
	var s style
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal, s.file = true, f
	}
	s.colour = s.terminal
	if v, _ := getenv("TERM"); v == "dumb" {
		s.terminal, s.colour = false, false
	}
	if v, _ := getenv("CLICOLOR_FORCE"); v != "" && v != "0" {
		s.colour = true
	}
	if v, _ := getenv("NO_COLOR"); v != "" {
		s.colour = false
	}
	return s
}

// size is how many columns and lines there are; zeros where there is no end of them.
func (s style) size() (columns, lines int) {
	if s.file == nil {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(s.file.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
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
func (s style) good(t string) string   { return s.paint(t, "2", false) }
func (s style) warn(t string) string   { return s.paint(t, "3", false) }
func (s style) bad(t string) string    { return s.paint(t, "1", true) }
func (s style) code(t string) string   { return s.paint(t, "6", false) }

// dim is faint rather than grey: "bright black" is the background of some themes.
func (s style) dim(t string) string {
	if !s.colour || t == "" {
		return t
	}
	return lipgloss.NewStyle().Faint(true).Render(t)
}

// name colours text by a function's name: always the same colour for the same name. Red, green and yellow say how something went.
func (s style) name(text, function string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(function))
	return s.paint(text, []string{"4", "5", "6", "10", "11", "12", "13", "14"}[h.Sum32()%8], false)
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

// pad fills text with spaces to width; colour does not count.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// cut ends text with … when it is wider than width.
func cut(text string, width int) string {
	if width < 1 || lipgloss.Width(text) <= width {
		return text
	}
	return lipgloss.NewStyle().MaxWidth(width-1).Render(text) + "…"
}

// wrap breaks text between words where a line would be wider than the terminal; the lines after the first are set in.
func (s style) wrap(text string, indent int) string {
	columns, _ := s.size()
	if columns-indent < 20 {
		return text
	}
	var out strings.Builder
	used := 0
	for i, word := range strings.Split(text, " ") {
		w := lipgloss.Width(word)
		switch {
		case i == 0:
		case used+1+w > columns-indent:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			used = 0
		default:
			out.WriteByte(' ')
			used++
		}
		out.WriteString(word)
		used += w
	}
	return out.String()
}

// table prints rows in columns, aligned, with a dim header. Cells may hold colour. On a terminal that is too narrow the
// columns of flexible give way, by number and in that order.
func (s style) table(w io.Writer, header []string, rows [][]string, flexible ...int) {
	width := make([]int, len(header))
	for i, h := range header {
		width[i] = lipgloss.Width(h)
		for _, r := range rows {
			width[i] = max(width[i], lipgloss.Width(r[i]))
		}
	}
	if columns, _ := s.size(); columns > 0 {
		narrow(width, columns, flexible)
	}
	line := func(cells []string, paint func(string) string) {
		var b strings.Builder
		for i, c := range cells {
			b.WriteString(pad(paint(cut(c, width[i])), width[i]+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(header, s.dim)
	for _, r := range rows {
		line(r, func(c string) string { return c })
	}
}

// narrow takes from the flexible columns, one after the other, until all fit, and leaves each some room.
func narrow(width []int, columns int, flexible []int) {
	const least = 8
	total := 2 * (len(width) - 1)
	for _, w := range width {
		total += w
	}
	for _, i := range flexible {
		less := max(0, min(total-columns, width[i]-least))
		width[i] -= less
		total -= less
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
