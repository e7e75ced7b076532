package template

import (
	"sort"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Problem is one mistake in a template: where, in what, what is wrong and, where it can be said, what would be right.
type Problem struct {
	Pos         Pos    `json:"pos"`
	Resource    string `json:"resource,omitempty"` // logical id, or the section: "Outputs"
	Path        string `json:"path,omitempty"`     // property: "Environment.Variables"
	Text        string `json:"text"`
	Unsupported bool   `json:"unsupported,omitempty"` // right on AWS; Rouse does not implement it
}

// Error is "file:line:column: resource: property: text".
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Pos.String())
	b.WriteString(": ")
	if p.Resource != "" {
		b.WriteString(p.Resource + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is what is wrong with a template.
type Problems []Problem

// Error has one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when nothing is wrong, else an error of kind Unsupported when all is right on AWS, and Invalid otherwise.
// The problems stand in the order of the file, each once, at most problemsMax of them.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sorted := append(Problems(nil), ps...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i].Pos, sorted[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
	out, kind := sorted[:0], rouse.Unsupported
	for i, p := range sorted {
		if i > 0 && p == sorted[i-1] {
			continue
		}
		if !p.Unsupported {
			kind = rouse.Invalid
		}
		out = append(out, p)
	}
	if len(out) > problemsMax {
		out = out[:problemsMax]
	}
	return &rouse.Error{Kind: kind, Code: "ValidationError", Message: out.Error(), Err: out}
}

// suggestMax is how many letters a suggestion may be away.
const suggestMax = 4

// Suggest is "; did you mean X?" for the one of names that name is a misspelling or the beginning of, or "".
func Suggest(name string, names []string) string {
	best, score := "", min(1+len(name)/3, suggestMax)
	for _, n := range names {
		if strings.EqualFold(n, name) {
			best, score = n, 0
			break
		}
		if len(name) > 5 && strings.HasPrefix(n, name) && score > 1 {
			best, score = n, 1
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n), score); d < len(name) &&
			(d < score || (d == score && best == "")) {
			best, score = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the number of inserted, deleted, changed or swapped bytes between a and b, or limit+1 when it is larger.
func distance(a, b string, limit int) int {
	if len(a) > 128 || len(b) > 128 || len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
