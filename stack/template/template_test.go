package template_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/template"
)

var rewrite = flag.Bool("rewrite", false, "write what was got into testdata")

// TestTables runs testdata/*.txt. A case is "=== name", a template, "---", and what evaluating it answers: the
// properties of its resources as JSON, or its problems.
func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files (%v), want some", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, c := range strings.Split(string(raw), "=== ")[1:] {
			name, rest, _ := strings.Cut(c, "\n")
			in, want, _ := strings.Cut(rest, "---\n")
			got := evaluate("t.yaml", []byte(in))
			out.WriteString("=== " + name + "\n" + in + "---\n" + got + "\n")
			if !*rewrite && got != strings.TrimRight(want, "\n")+"\n" {
				t.Errorf("%s: %s:\ngot\n%s\nwant\n%s", file, name, got, want)
			}
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// evaluate evaluates a template in a fixed scope: resources refer to "ref-ID" and "att-ID-ATTR", except those called
// Later, which are unknown, and exports are "export-NAME".
func evaluate(file string, text []byte) string {
	root, err := template.Read(file, text)
	if err == nil {
		root, err = template.Include(root, func(name string) ([]byte, error) {
			if name == "inc.yaml" {
				return []byte("A: !Ref P\nB: [1, 2]\n"), nil
			}
			return nil, errors.New("no file " + name)
		})
	}
	if err != nil {
		return err.Error() + "\n"
	}
	t, err := template.Split(file, root)
	if err != nil {
		return err.Error() + "\n"
	}
	params, err := t.Fill(map[string]string{})
	if err != nil {
		return err.Error() + "\n"
	}
	s := template.NewScope(t, params)
	s.Account, s.Region, s.StackName, s.StackID = "123456789012", "us-east-1", "shop",
		"arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1"
	s.Notifications = []string{"arn:aws:sns:us-east-1:123456789012:n"}
	s.Ref = func(id string) *template.Value {
		if id == "Later" {
			return nil
		}
		return template.Str(template.Pos{}, "ref-"+id)
	}
	s.Attr = func(id, attr string) (*template.Value, error) {
		if id == "Later" {
			return nil, nil
		}
		if attr == "Nope" {
			return nil, errors.New(id + " has no attribute Nope")
		}
		return template.Str(template.Pos{}, "att-"+id+"-"+attr), nil
	}
	s.Import = func(name string) (string, error) { return "export-" + name, nil }
	var out bytes.Buffer
	for _, r := range t.Resources {
		if !s.Holds(r.ID, r.Condition, r.Pos) {
			out.WriteString(r.ID + ": not in this deployment\n")
			continue
		}
		v := s.Eval(r.ID, r.Properties)
		b, _ := json.Marshal(v)
		out.WriteString(r.ID + ": " + string(b) + "\n")
	}
	for _, o := range t.Outputs {
		b, _ := json.Marshal(s.Eval("Outputs", o.Value, o.Name))
		out.WriteString("output " + o.Name + ": " + string(b) + "\n")
	}
	if err := s.Problems().Err(); err != nil {
		return err.Error() + "\n"
	}
	return out.String()
}

func TestLimits(t *testing.T) {
	many := func(n int, head, line string) string { return head + strings.Repeat(line, n) }
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "N", strings.Repeat("x", 1+i%7)+string(rune('a'+i%26))+itoa(i)))
		}
		return b.String()
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "*" + p + "]\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"bytes": {many(1, "Description: ", strings.Repeat("x", 1<<20)), "at most 1048576 are allowed"},
		"resources": {"Resources:\n" + numbered(501, "  N: {Type: A}\n"),
			"Number of resources, 501, is greater than maximum allowed, 500"},
		"params": {"Parameters:\n" + numbered(201, "  N: {Type: String}\n") + "Resources: {A: {Type: B}}",
			"Number of parameters, 201"},
		"outputs": {"Resources: {A: {Type: B}}\nOutputs:\n" + numbered(201, "  N: {Value: x}\n"),
			"Number of outputs, 201"},
		"mappings": {"Mappings:\n" + numbered(201, "  N: {a: {b: c}}\n") + "Resources: {A: {Type: B}}",
			"Number of mappings, 201, is greater than maximum allowed, 200"},
		"bomb":      {bomb, "aliases expanded"},
		"deep":      {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "Template format error"},
		"deep json": {`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "nests deeper"},
		"describe":  {"Description: " + strings.Repeat("x", 1025) + "\nResources: {A: {Type: B}}", "it has 1025 bytes"},
		"utf8":      {"a: \xff", "not UTF-8"},
		"empty":     {"# nothing\n", "no documents"},
	} {
		_, err := parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %.200v, want one with %q", name, err, c.want)
		}
		if rouse.KindOf(err) != rouse.Invalid {
			t.Errorf("%s: got kind %v, want invalid", name, rouse.KindOf(err))
		}
	}
}

func parse(text string) (*template.Template, error) {
	root, err := template.Read("t.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return template.Split("t.yaml", root)
}

// TestEvaluationLimits: what a short template may make in the end.
func TestEvaluationLimits(t *testing.T) {
	const head = "Parameters: {P: {Type: String, Default: x}}\nResources:\n"
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+", ", n), ", ") }
	big := "!Sub ['" + strings.Repeat("${a}", 1<<10) + "', {a: " + strings.Repeat("x", 4<<10) + "}]" // 4 MiB
	wrong := ""
	for i := range 60 {
		wrong += "  R" + itoa(i) + ": {Type: B, Properties: {p: !Ref Nobody" + itoa(i) + "}}\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"sub":      {head + "  A: {Type: B, Properties: {p: " + strings.Replace(big, "['", "['y", 1) + "}}\n", "Fn::Sub makes more than 4194304 bytes"},
		"join":     {head + "  A: {Type: B, Properties: {p: !Join ['', [" + many(2, big) + "]]}}\n", "Fn::Join makes more than 4194304 bytes"},
		"includes": {head + "  A: {Type: B, Properties: {p: [" + many(51, "{'Fn::Transform': {Name: AWS::Include, Parameters: {Location: inc.yaml}}}") + "]}}\n", "more than 50 files"},
	} {
		if got := evaluate("t.yaml", []byte(c.text)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %.300s, want …%s…", name, got, c.want)
		}
	}
	if got := strings.Count(evaluate("t.yaml", []byte(head+wrong)), "Nobody"); got != 50 {
		t.Errorf("60 mistakes: got %d lines, want 50", got)
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func TestParameterCheck(t *testing.T) {
	const head = "Parameters:\n  P:\n    "
	for _, c := range []struct{ decl, value, want string }{
		{"Type: String\n    AllowedValues: [a, b]", "c", "Parameter 'P' must be one of AllowedValues"},
		{"Type: String\n    MinLength: 3\n    ConstraintDescription: three or more", "ab",
			"Parameter 'P' must contain at least 3 characters: three or more"},
		{"Type: String\n    MaxLength: 3", "abcd", "Parameter 'P' must contain at most 3 characters"},
		{"Type: String\n    AllowedPattern: '[a-z]+'", "A1", "Parameter 'P' must match pattern [a-z]+"},
		{"Type: Number\n    MinValue: 3", "2", "Parameter 'P' must be a number not less than 3"},
		{"Type: Number\n    MaxValue: 3", "4", "Parameter 'P' must be a number not greater than 3"},
		{"Type: Number", "x", "Parameter 'P' must be a number"},
		{"Type: List<Number>", "1, x", "Parameter 'P' must be a number"},
		{"Type: CommaDelimitedList\n    AllowedValues: [a, b]", "a, b", ""},
		{"Type: String", strings.Repeat("x", 4097), "Parameter 'P' must have at most 4096 bytes"},
	} {
		tm, err := parse(head + c.decl + "\nResources: {A: {Type: B}}\n")
		if err != nil {
			t.Fatalf("%s: %v", c.decl, err)
		}
		_, err = tm.Fill(map[string]string{"P": c.value})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s = %.20q: got %q, want %q", c.decl, c.value, got, c.want)
		}
	}
}

func TestNotes(t *testing.T) {
	for _, text := range []string{"Resources:\n  A:\n    Type: X\n    Type: Y\n",
		"{\"Resources\":\n{\"A\":\n{\"Type\": \"X\",\n\"Type\": \"Y\"}}}"} {
		var notes template.Problems
		root, err := template.ReadNoting("t.yaml", []byte(text), func(p template.Problem) { notes = append(notes, p) })
		if err != nil {
			t.Fatal(err)
		}
		tm, err := template.Split("t.yaml", root)
		if err != nil {
			t.Fatal(err)
		}
		if len(notes) != 1 || !strings.HasSuffix(notes[0].Error(), "key Type stands here and at line 3; this one counts") ||
			tm.Resources[0].Type != "Y" {
			t.Errorf("got notes %v and type %s, want the second Type to count, and a word about it", notes, tm.Resources[0].Type)
		}
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"Runtime", "Handler", "MemorySize", "Role"}
	for in, want := range map[string]string{"Runtme": "Runtime", "handler": "Handler", "MemroySize": "MemorySize",
		"Zebra": ""} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := template.Suggest(in, names); got != want {
			t.Errorf("Suggest(%q): got %q, want %q", in, got, want)
		}
	}
}

// FuzzEvaluate holds: no input crashes, and what is accepted evaluates twice to the same.
func FuzzEvaluate(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(raw), "=== ")[1:] {
			_, rest, _ := strings.Cut(c, "\n")
			in, _, _ := strings.Cut(rest, "---\n")
			f.Add([]byte(in))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 10_000 {
			return
		}
		if a, b := evaluate("t.yaml", text), evaluate("t.yaml", text); a != b {
			t.Errorf("got %s, then %s", a, b)
		}
	})
}
