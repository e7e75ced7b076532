package sam_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/sam"
	"github.com/rouse-dev/rouse/stack/template"
)

var rewrite = flag.Bool("rewrite", false, "write what was got into testdata")

func transform(file string, text []byte) (*template.Template, template.Problems, error) {
	root, err := template.Read(file, text)
	if err != nil {
		return nil, nil, err
	}
	t, err := template.Split(file, root)
	if err != nil {
		return nil, nil, err
	}
	ps, err := t.Fill(nil)
	if err != nil {
		return nil, nil, err
	}
	return sam.Transform(t, ps, "us-east-1")
}

// TestGolden holds what templates expand to, above all the names of generated resources.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.yaml")
	if len(files) == 0 {
		t.Fatal("got no golden files, want some")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := transform(filepath.Base(file), text)
		if err != nil {
			t.Errorf("%s: got error %v, want none", file, err)
			continue
		}
		raw, _ := json.Marshal(out.Tree())
		var got bytes.Buffer
		if err := json.Indent(&got, raw, "", " "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		golden := strings.TrimSuffix(file, ".yaml") + ".json"
		if *rewrite {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got.Bytes(), want)
		}
	}
}

// TestErrors runs testdata/errors.txt: "=== name", a template, "---", what the transform says of it.
func TestErrors(t *testing.T) {
	const file = "testdata/errors.txt"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range strings.Split(string(raw), "=== ")[1:] {
		name, rest, _ := strings.Cut(c, "\n")
		in, want, _ := strings.Cut(rest, "---\n")
		_, _, err := transform("t.yaml", []byte(in))
		got := "nothing\n"
		if err != nil {
			got = err.Error() + "\n"
		}
		out.WriteString("=== " + name + "\n" + in + "---\n" + got + "\n")
		if !*rewrite && got != strings.TrimRight(want, "\n")+"\n" {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnsupportedIsItsOwnKind(t *testing.T) {
	_, _, err := transform("t.yaml", []byte("Transform: AWS::Serverless-2016-10-31\nResources: {T: {Type: AWS::Serverless::StateMachine}}\n"))
	if got := rouse.KindOf(err); got != rouse.Unsupported {
		t.Errorf("got kind %v (%v), want unsupported", got, err)
	}
}

func TestTracingIsAWarning(t *testing.T) {
	_, warnings, err := transform("t.yaml", []byte(`Transform: AWS::Serverless-2016-10-31
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {InlineCode: x, Handler: a, Runtime: b, Tracing: Active}}
`))
	want := "t.yaml:3:101: F: Tracing: the mode is kept and nothing is traced yet"
	if err != nil || len(warnings) != 1 || warnings[0].Error() != want {
		t.Errorf("got warnings %v and error %v, want %q", warnings, err, want)
	}
}

// FuzzTransform holds: no template crashes the transform, and its output splits into sections again.
func FuzzTransform(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.*")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 20_000 {
			return
		}
		out, _, err := transform("t.yaml", text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(out.Tree()); err != nil {
			t.Errorf("got output that is not JSON: %v", err)
		}
	})
}
