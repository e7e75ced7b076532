package expr_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

var rewrite = flag.Bool("rewrite", false, "write what was got into testdata")

// The files of testdata consist of blocks: lines that say something, a line of dashes, and one line of result for each
// expression among them. Of the lines before the dashes,
//
//	names, values, item, schema    hold for the whole block; schema is the partition key and the sort key, as a:S b:N;
//	                               beside an item, an expression gets only the names and values that it has
//	together                       binds all expressions of the block in one request
//	create                         says that the item is not stored, and only has its key
//	written                        shows what UPDATED_OLD and UPDATED_NEW would
//	condition, filter, keycondition, projection, update
//	                               are expressions, in which \n, \t and \r mean what they do in Go
//	expected, queryfilter, keyconditions, updates, attributes
//	                               are legacy parameters, in JSON; operator is their ConditionalOperator
//
// The result of a condition is its tree, or what it says of the item; of a projection its paths, or the part of the item;
// of a key condition the range; of an update its tree, or the new item.
func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, %v, want some", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runTable(t, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// runTable runs all blocks of a file and returns the file with the results that it got.
func runTable(t *testing.T, text string) string {
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n\n")
		}
		question, want, found := strings.Cut(block, "\n----\n")
		if !found {
			question = strings.TrimSuffix(question, "\n----")
		}
		b := readBlock(t, question)
		if b == nil {
			out.WriteString(block)
			continue
		}
		got := strings.Join(b.run(), "\n")
		out.WriteString(question + "\n----\n" + got)
		if got != want && !*rewrite {
			t.Errorf("%s\n--- got\n%s\n--- want\n%s", question, got, want)
		}
	}
	return out.String() + "\n"
}

// block is a block of a table.
type block struct {
	names    map[string]string
	values   item.Item
	item     item.Item
	schema   []expr.KeyAttribute
	operator string
	together bool
	create   bool
	written  bool
	asks     [][2]string // what, text
}

// readBlock reads what a block asks; nil for a block of comments.
func readBlock(t *testing.T, text string) *block {
	b := &block{}
	must := func(err error) {
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		var err error
		switch word {
		case "#", "":
		case "names":
			must(json.Unmarshal([]byte(rest), &b.names))
		case "values":
			b.values, err = readItem(rest)
		case "item":
			b.item, err = readItem(rest)
		case "schema":
			for a := range strings.FieldsSeq(rest) {
				name, of, _ := strings.Cut(a, ":")
				k, _ := item.ParseType(of)
				b.schema = append(b.schema, expr.KeyAttribute{Name: name, Type: k})
			}
		case "operator":
			b.operator = rest
		case "together":
			b.together = true
		case "create":
			b.create = true
		case "written":
			b.written = true
		default:
			b.asks = append(b.asks, [2]string{word, strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(rest)})
		}
		must(err)
	}
	if len(b.asks) == 0 {
		return nil
	}
	return b
}

// run answers what the block asks.
func (b *block) run() []string {
	if b.together {
		return b.bind(b.asks...)
	}
	var out []string
	for _, ask := range b.asks {
		out = append(out, b.bind(ask)...)
	}
	return out
}

// bind binds expressions in one request.
func (b *block) bind(asks ...[2]string) []string {
	r := expr.Request{Names: b.names, Values: b.values}
	if b.item != nil {
		r.Names, r.Values = mentioned(b.names, asks), mentioned(b.values, asks)
	}
	for _, ask := range asks {
		switch text := ask[1]; ask[0] {
		case "condition":
			r.Condition = &text
		case "filter":
			r.Filter = &text
		case "keycondition":
			r.KeyCondition = &text
		case "projection":
			r.Projection = &text
		case "update":
			r.Update = &text
		default:
			return []string{b.legacy(ask[0], text)}
		}
	}
	bound, err := expr.NewCache(8).Bind(r)
	if err != nil {
		return []string{failure(err)}
	}
	var out []string
	for _, ask := range asks {
		switch ask[0] {
		case "condition":
			out = append(out, b.match(bound.Condition))
		case "filter":
			out = append(out, b.match(bound.Filter))
		case "keycondition":
			out = append(out, b.keyRange(bound.KeyCondition))
		case "projection":
			out = append(out, b.project(bound.Projection))
		case "update":
			out = append(out, b.apply(bound.Update))
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`[#:]\w+`)

// mentioned is the part of m that expressions mention; nil when it is empty.
func mentioned[M ~map[string]V, V any](m M, asks [][2]string) M {
	var out M
	for _, ask := range asks {
		for _, key := range placeholder.FindAllString(ask[1], -1) {
			if v, ok := m[key]; ok {
				if out == nil {
					out = M{}
				}
				out[key] = v
			}
		}
	}
	return out
}

// failure shows an error, which has to be one of DynamoDB's validation.
func failure(err error) string {
	e, ok := err.(*rouse.Error)
	if !ok || e.Kind != rouse.Invalid || e.Code != "ValidationException" {
		return fmt.Sprintf("error of the wrong kind: %#v", err)
	}
	return "error: " + e.Message
}

func (b *block) match(c *expr.Condition) string {
	switch {
	case c == nil:
		return "none"
	case b.item == nil:
		return c.Tree()
	}
	ok, err := c.Match(b.item)
	if err != nil {
		return failure(err)
	}
	return fmt.Sprint(ok)
}

func (b *block) keyRange(k *expr.KeyCondition) string {
	if b.schema == nil {
		return "on " + strings.Join(k.Names(), ", ")
	}
	r, err := k.ForKey(b.schema[0], append(b.schema, expr.KeyAttribute{})[1])
	if err != nil {
		return failure(err)
	}
	return r.String()
}

func (b *block) project(p *expr.Projection) string {
	if b.item == nil {
		return fmt.Sprint(p.Paths())
	}
	return writeItem(p.Of(b.item))
}

func (b *block) apply(u *expr.Update) string {
	if b.item == nil {
		return u.Tree()
	}
	apply := u.Apply
	if b.create {
		apply = u.Create
	}
	it, err := apply(b.item)
	if err != nil {
		return failure(err)
	}
	if b.written {
		return "old " + writeItem(u.Written(b.item)) + " new " + writeItem(u.Written(it))
	}
	return writeItem(it)
}
