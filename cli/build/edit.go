package build

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// edit replaces one scalar of the text.
type edit struct {
	part part
	new  string
}

// edit names the artifact where the part's path stands.
func (p part) edit(hash string) edit {
	if p.asCode {
		return edit{p, fmt.Sprintf("{%q: %q, %q: %q}", "S3Bucket", bucket, "S3Key", hash)}
	}
	return edit{p, fmt.Sprintf("%q", "s3://"+bucket+"/"+hash)}
}

// apply makes the edits, last first, so that the columns of earlier ones stay true. No line moves.
func apply(text []byte, edits []edit) ([]byte, error) {
	lines := bytes.Split(text, []byte("\n"))
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b edit) int {
		m, n := a.part.node, b.part.node
		if m.Line != n.Line {
			return n.Line - m.Line
		}
		return n.Column - m.Column
	})
	for i, e := range edits {
		if i > 0 && e.part.node == edits[i-1].part.node {
			continue // a path that several share
		}
		line := []rune(string(lines[e.part.node.Line-1]))
		from, to, err := span(line, e.part.node)
		if err != nil {
			return nil, e.part.wrong("%w", err)
		}
		lines[e.part.node.Line-1] = []byte(string(line[:from]) + e.new + string(line[to:]))
	}
	return bytes.Join(lines, []byte("\n")), nil
}

var errManyLines = errors.New("write the path in one line")

// span is where a scalar stands in its line, quotes included. An anchor or a tag before it stays.
func span(line []rune, n *yaml.Node) (from, to int, err error) {
	from = n.Column - 1
	if n.Line == 1 && len(line) > 0 && line[0] == '\ufeff' {
		from++ // a byte order mark is no column
	}
	for from < len(line) && (line[from] == '&' || line[from] == '!') {
		for from < len(line) && line[from] != ' ' && line[from] != '\t' {
			from++
		}
		for from < len(line) && (line[from] == ' ' || line[from] == '\t') {
			from++
		}
	}
	if from >= len(line) {
		return 0, 0, errManyLines
	}
	switch quote := line[from]; quote {
	case '"', '\'':
		for to = from + 1; to < len(line); to++ {
			if line[to] == '\\' && quote == '"' {
				to++
			} else if line[to] == quote && quote == '\'' && to+1 < len(line) && line[to+1] == quote {
				to++ // two are one
			} else if line[to] == quote {
				return from, to + 1, nil
			}
		}
		return 0, 0, errManyLines
	}
	old := []rune(n.Value)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || !strings.HasPrefix(string(line[from:]), n.Value) {
		return 0, 0, errManyLines
	}
	return from, from + len(old), nil
}
