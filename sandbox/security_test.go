package sandbox_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageIsTrue holds docs/SECURITY.md to the tree: every row of its table of escape attempts names tests, and every
// test that the page names is in the file that it links to; what it calls attempts, the program that makes them knows.
func TestSecurityPageIsTrue(t *testing.T) {
	const page = "../docs/SECURITY.md"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]+_test\.go)\)`)
	for _, l := range link.FindAllStringSubmatch(string(b), -1) {
		code, err := os.ReadFile(filepath.Join("../docs", l[2]))
		if err != nil {
			t.Errorf("%s: got %v", l[1], err)
		} else if !strings.Contains(string(code), "\nfunc "+l[1]+"(") {
			t.Errorf("%s: got none in %s, want it there", l[1], l[2])
		}
	}
	_, table, ok := strings.Cut(string(b), "## Escape attempts\n")
	if !ok {
		t.Fatal("the page has no table of escape attempts")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	attempts, quoted := escapes(t), regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "attempt" {
			continue
		}
		rows++
		if !link.MatchString(cells[2]) {
			t.Errorf("the row of %q: got no test", strings.TrimSpace(cells[0]))
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(attempts, `"`+name[1]) {
				t.Errorf("the row of %q: got %q, want an attempt of ns/testdata/escape", strings.TrimSpace(cells[0]), name[1])
			}
		}
	}
	if rows < 30 {
		t.Errorf("rows of the table: got %d, want all of them", rows)
	}
}

// escapes is the source of the program that tries to escape.
func escapes(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("ns/testdata/escape/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the program that tries to escape: got %v, %v", files, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
