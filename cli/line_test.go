package cli

import (
	"slices"
	"testing"
)

// TestTidy: lines of each runtime as people read them. The door shows them too, but not from runtimes that are not installed.
func TestTidy(t *testing.T) {
	const id = "c7f2c4a5-1b0a-4e3a-9d55-0123456789ab"
	const at = "2026-11-23T16:01:58.341Z"
	for _, tt := range []struct {
		text  string
		level string
		want  []string
	}{
		{"plain\n", "", []string{"plain"}},
		{"", "", []string{""}},
		{at + "\t" + id + "\tINFO\thello { a: 1 }\n", "", []string{"hello { a: 1 }"}},
		{at + "\tundefined\tWARN\tcareful", "WARN", []string{"careful"}},
		{at + "\t" + id + "\tERROR\tbad\nin two lines", "ERROR", []string{"bad", "in two lines"}},
		{at + "\t" + id + "\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\",\"errorMessage\":\"x\",\"stack\":[\"TypeError: x\",\"    at f (/var/task/i.js:1:2)\",\"    at run (/var/runtime/b.cjs:2:3)\"]}",
			"ERROR", []string{"TypeError: x", "    at f (/var/task/i.js:1:2)"}},
		{at + "\tundefined\tERROR\tUncaught Exception \t{\"errorType\":\"E\",\"errorMessage\":\"x\",\"stack\":[\"E: x\",\"    at g (/var/runtime/b.cjs:2:3)\"]}",
			"ERROR", []string{"E: x"}},
		{at + "\t" + id + "\tERROR\tInvoke Error \t{\"errorType\":\"E\",\"errorMessage\":\"x\"}", "ERROR", []string{"E: x"}},
		{at + "\t" + id + "\tERROR\tInvoke Error \t{\"other\":1}", "ERROR", []string{"Invoke Error \t{\"other\":1}"}},
		{"[ERROR] KeyError: 'tea'\nTraceback (most recent call last):", "ERROR", []string{"KeyError: 'tea'", "Traceback (most recent call last):"}},
		{"[WARNING]\t" + at + "\t" + id + "\tlow", "WARN", []string{"low"}},
		{"[INFO]\t" + at + "\t" + id + "\tfine\n", "", []string{"fine"}},
		{at + " " + id + " Task timed out after 3.00 seconds", "ERROR", []string{"Task timed out after 3.00 seconds"}},
		{"RequestId: " + id + " Error: Runtime exited with error: exit status 3\nRuntime.ExitError", "ERROR", []string{"Runtime exited with error: exit status 3"}},
		{"a\x1b[31mb\x07\r\u009bc\td", "", []string{"a·[31mb···c\td"}},
	} {
		got := tidy(tt.text)
		if got.level != tt.level || !slices.Equal(got.text, tt.want) {
			t.Errorf("%q: got %q %q, want %q %q", tt.text, got.level, got.text, tt.level, tt.want)
		}
	}
}

// FuzzTidy: whatever a function writes, nothing of it moves the cursor or ends a line.
func FuzzTidy(f *testing.F) {
	f.Add("2026-11-23T16:01:58.341Z\tx\tERROR\tInvoke Error \t{\"errorType\":\"E\",\"stack\":[\"a\\u001b\\n\"]}")
	f.Add("[ERROR] \x1b]0;title\x07")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range tidy(text).text {
			for _, r := range l {
				if r < 0x20 && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
					t.Errorf("%q: got %q", text, l)
				}
			}
		}
	})
}
