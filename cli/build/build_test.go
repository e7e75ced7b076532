package build_test

import (
	"archive/zip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/rouse-dev/rouse/cli/build"
)

// folder makes a folder with files in it. A text that starts with "-> " is a link's target; a name that ends in "*" is
// executable.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, files)
	return dir
}

func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for f, text := range files {
		mode := fs.FileMode(0o644)
		if name, ok := strings.CutSuffix(f, "*"); ok {
			f, mode = name, 0o755
		}
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// run builds template in dir with a work folder of its own, and fails the test when that fails.
func run(t testing.TB, dir, template string) build.Result {
	t.Helper()
	res, err := build.Build(context.Background(), []byte(template), config(t, dir))
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return res
}

func config(t testing.TB, dir string) build.Config {
	return build.Config{Dir: dir, Work: t.TempDir(), Environ: os.Environ()}
}

// refused builds and wants an error that says all of texts.
func refused(t *testing.T, dir, template string, texts ...string) {
	t.Helper()
	_, err := build.Build(context.Background(), []byte(template), config(t, dir))
	if err == nil {
		t.Errorf("got no error, want one that says %q, of\n%s", texts, template)
		return
	}
	for _, want := range texts {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %q, want one that says %q", err, want)
		}
	}
}

// contents reads an archive: names to texts, links as "-> target", executables with a "*" behind their names.
func contents(t testing.TB, a build.Artifact) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(a.File)
	if err != nil {
		t.Fatalf("artifact of %s: %v", a.For, err)
	}
	defer z.Close()
	got := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, text := f.Name, string(b)
		switch {
		case f.Mode()&fs.ModeSymlink != 0:
			text = "-> " + text
		case f.Mode()&0o100 != 0:
			name += "*"
		}
		got[name] = text
	}
	return got
}

func names(m map[string]string) []string {
	var list []string
	for n := range m {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

func same(t *testing.T, what string, got map[string]string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(names(got), want) {
		t.Errorf("%s: got %q, want %q", what, names(got), want)
	}
}

var hashes = regexp.MustCompile(`[0-9a-f]{64}`)

// TestPathsAreReplaced: in every spelling of YAML and JSON, where they stand and nowhere else.
func TestPathsAreReplaced(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "1", "it's/index.js": "2", "a b/index.js": "3", "ü/x.js": "4"})
	const fn = "Type: AWS::Serverless::Function"
	tests := []struct{ name, template, want string }{
		{"plain", "Resources:\n  F:\n    " + fn + "\n    Properties:\n      CodeUri: src/ # the code\n      Handler: src/\n",
			"Resources:\n  F:\n    " + fn + "\n    Properties:\n      CodeUri: \"s3://rouse-assets/HASH\" # the code\n      Handler: src/\n"},
		{"double quotes", "Resources:\n  F:\n    " + fn + "\n    Properties: { CodeUri: \"./src\", Handler: x }\n",
			"Resources:\n  F:\n    " + fn + "\n    Properties: { CodeUri: \"s3://rouse-assets/HASH\", Handler: x }\n"},
		{"single quotes with one inside", "Resources:\n  F:\n    " + fn + "\n    Properties: { CodeUri: 'it''s', Handler: x }\n",
			"Resources:\n  F:\n    " + fn + "\n    Properties: { CodeUri: \"s3://rouse-assets/HASH\", Handler: x }\n"},
		{"plain in a flow", "Resources: { F: { " + fn + ", Properties: { CodeUri: a b, Handler: x } } }\n",
			"Resources: { F: { " + fn + ", Properties: { CodeUri: \"s3://rouse-assets/HASH\", Handler: x } } }\n"},
		{"on the next line", "Resources:\n  F:\n    " + fn + "\n    Properties:\n      CodeUri:\n        src\n",
			"Resources:\n  F:\n    " + fn + "\n    Properties:\n      CodeUri:\n        \"s3://rouse-assets/HASH\"\n"},
		{"behind letters of several bytes", "Resources: { Ü: { Type: x, Description: \"äöü€😀\" }, F: { " + fn + ", Properties: { CodeUri: ü } } }\n",
			"Resources: { Ü: { Type: x, Description: \"äöü€😀\" }, F: { " + fn + ", Properties: { CodeUri: \"s3://rouse-assets/HASH\" } } }\n"},
		{"an escape", "Resources: { F: { " + fn + ", Properties: { CodeUri: \"s\\u0072c\" } } }\n",
			"Resources: { F: { " + fn + ", Properties: { CodeUri: \"s3://rouse-assets/HASH\" } } }\n"},
		{"an anchor and its alias", "Resources:\n  F: { " + fn + ", Properties: { CodeUri: &c src } }\n  G: { " + fn + ", Properties: { CodeUri: *c } }\n",
			"Resources:\n  F: { " + fn + ", Properties: { CodeUri: &c \"s3://rouse-assets/HASH\" } }\n  G: { " + fn + ", Properties: { CodeUri: *c } }\n"},
		{"a tag", "Resources:\n  F: { " + fn + ", Properties: { CodeUri: !!str src } }\n",
			"Resources:\n  F: { " + fn + ", Properties: { CodeUri: !!str \"s3://rouse-assets/HASH\" } }\n"},
		{"lines of Windows", "Resources:\r\n  F:\r\n    " + fn + "\r\n    Properties:\r\n      CodeUri: src\r\n      Handler: x\r\n",
			"Resources:\r\n  F:\r\n    " + fn + "\r\n    Properties:\r\n      CodeUri: \"s3://rouse-assets/HASH\"\r\n      Handler: x\r\n"},
		{"two in a line", "Resources: { F: { " + fn + ", Properties: { CodeUri: src } }, G: { " + fn + ", Properties: { CodeUri: src } } }\n",
			"Resources: { F: { " + fn + ", Properties: { CodeUri: \"s3://rouse-assets/HASH\" } }, G: { " + fn + ", Properties: { CodeUri: \"s3://rouse-assets/HASH\" } } }\n"},
		{"JSON", "{\n  \"Resources\": {\n    \"F\": {\n      \"Type\": \"AWS::Serverless::Function\",\n      \"Properties\": {\"CodeUri\": \"src/\", \"Handler\": \"x\"}\n    }\n  }\n}",
			"{\n  \"Resources\": {\n    \"F\": {\n      \"Type\": \"AWS::Serverless::Function\",\n      \"Properties\": {\"CodeUri\": \"s3://rouse-assets/HASH\", \"Handler\": \"x\"}\n    }\n  }\n}"},
		{"JSON in one line with a mark", "\ufeff{\"Resources\":{\"F\":{\"Type\":\"AWS::Serverless::Function\",\"Properties\":{\"CodeUri\":\"src\"}}}}",
			"\ufeff{\"Resources\":{\"F\":{\"Type\":\"AWS::Serverless::Function\",\"Properties\":{\"CodeUri\":\"s3://rouse-assets/HASH\"}}}}"},
		{"Code of a raw function", "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code: ./src\n      Handler: x\n",
			"Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code: {\"S3Bucket\": \"rouse-assets\", \"S3Key\": \"HASH\"}\n      Handler: x\n"},
		{"Content of a raw layer in JSON", `{"Resources":{"L":{"Type":"AWS::Lambda::LayerVersion","Properties":{"Content":"src"}}}}`,
			`{"Resources":{"L":{"Type":"AWS::Lambda::LayerVersion","Properties":{"Content":{"S3Bucket": "rouse-assets", "S3Key": "HASH"}}}}}`},
		{"a layer", "Resources:\n  L: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: src } }\n",
			"Resources:\n  L: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: \"s3://rouse-assets/HASH\" } }\n"},
		{"Globals", "Globals:\n  Function:\n    CodeUri: src\nResources:\n  F: { " + fn + " }\n  G: { " + fn + ", Properties: { Handler: x } }\n",
			"Globals:\n  Function:\n    CodeUri: \"s3://rouse-assets/HASH\"\nResources:\n  F: { " + fn + " }\n  G: { " + fn + ", Properties: { Handler: x } }\n"},
		{"inline code beside Globals", "Globals:\n  Function:\n    CodeUri: nowhere\nResources:\n  F: { " + fn + ", Properties: { InlineCode: x } }\n",
			"Globals:\n  Function:\n    CodeUri: nowhere\nResources:\n  F: { " + fn + ", Properties: { InlineCode: x } }\n"},
	}
	for _, tt := range tests {
		res := run(t, dir, tt.template)
		if got := hashes.ReplaceAllString(string(res.Template), "HASH"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		for _, a := range res.Artifacts {
			if !strings.Contains(string(res.Template), a.Hash) {
				t.Errorf("%s: the template does not name the artifact of %s", tt.name, a.For)
			}
		}
	}
}

// TestNothingToBuild: what names no local code stays as it is, and what is wrong with it is the deployment's to say.
func TestNothingToBuild(t *testing.T) {
	for _, template := range []string{
		"", "\t", "{", "- a\n- b\n", "Resources: 1\n", "Resources:\n  F: x\n",
		"Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: s3://b/k } }\n",
		"Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: https://x/y.zip } }\n",
		"Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: { Bucket: b, Key: k } } }\n",
		"Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: !Sub \"${X}/y\" } }\n",
		"Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: \"\" } }\n",
		"Resources:\n  F: { Type: AWS::Lambda::Function, Properties: { Code: { ZipFile: x } } }\n",
		"Resources:\n  F: { Type: AWS::S3::Bucket, Properties: { CodeUri: src } }\n",
	} {
		res := run(t, t.TempDir(), template)
		if string(res.Template) != template || len(res.Artifacts) != 0 {
			t.Errorf("got %d artifacts and\n%s\nwant the template as it was:\n%s", len(res.Artifacts), res.Template, template)
		}
	}
}

func TestMistakes(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "1", "empty/.git/x": "", "bare/x.py": ""})
	function := func(properties, metadata string) string {
		return "Resources:\n  Hello:\n    Type: AWS::Serverless::Function\n    Metadata: " + metadata + "\n    Properties:\n      Runtime: nodejs22.x\n      " +
			properties + "\n"
	}
	refused(t, dir, function("CodeUri: srcs", "{}"), "template:7:16: Hello: CodeUri: there is no file or folder "+filepath.Join(dir, "srcs"))
	refused(t, dir, function("CodeUri: empty", "{}"), "template:7:16: Hello: CodeUri: ", "is an empty folder")
	refused(t, dir, function("CodeUri: |\n        src", "{}"), "Hello: CodeUri: ")
	refused(t, dir, function("CodeUri: \"src\\\n        /x\"", "{}"), "Hello: CodeUri: ")
	refused(t, dir, function("CodeUri: src", "{ BuildMethod: rust-cargolambda }"), "Rouse does not implement BuildMethod rust-cargolambda")
	refused(t, dir, function("CodeUri: src", "{ BuildMethod: go1.x, BuildProperties: { Fast: true } }"), "Rouse does not implement Metadata.BuildProperties.Fast")
	refused(t, dir, function("CodeUri: src", "{ BuildMethod: esbuild, BuildProperties: [a] }"), "Hello: Metadata.BuildProperties: line 4: want names and values")
	refused(t, dir, function("CodeUri: src", "{ BuildMethod: esbuild, BuildProperties: { External: [[a]] } }"), "line 4: External: want a list of texts")
	refused(t, dir, function("CodeUri: bare", "{ BuildMethod: python3.13 }"), "requirements.txt")
	refused(t, dir, function("CodeUri: bare", "{ BuildMethod: nodejs22.x }"), "package.json")
	both := "Globals: { Function: { CodeUri: src } }\nResources:\n" +
		"  A: { Type: AWS::Serverless::Function, Metadata: { BuildMethod: makefile } }\n  B: { Type: AWS::Serverless::Function }\n"
	refused(t, dir, both, "template:1:33: B: CodeUri: A and B share this path and are built differently")
	two := "Resources:\n  A: { Type: AWS::Serverless::Function, Properties: { CodeUri: no } }\n  B: { Type: AWS::Serverless::Function, Properties: { CodeUri: neither } }\n"
	refused(t, dir, two, "template:2:64: A: CodeUri: there is no", "template:3:64: B: CodeUri: there is no")
}

// TestWatch: what is built is watched, and that is known although the build fails: the mending edit must be seen.
func TestWatch(t *testing.T) {
	dir := folder(t, map[string]string{"a/index.js": "1", "go.mod": "module x\n", "b/main.go": "package main\nfunc main() { x }\n"})
	template := "Resources:\n  A: { Type: AWS::Serverless::Function, Properties: { CodeUri: a } }\n" +
		"  A2: { Type: AWS::Serverless::Function, Properties: { CodeUri: a } }\n" +
		"  C: { Type: AWS::Serverless::Function, Properties: { CodeUri: missing } }\n" +
		"  B: { Type: AWS::Serverless::Function, Metadata: { BuildMethod: go1.x }, Properties: { CodeUri: b } }\n"
	res, err := build.Build(context.Background(), []byte(template), config(t, dir))
	if err == nil {
		t.Error("got no error, want that missing is missing")
	}
	want := []string{dir, filepath.Join(dir, "a"), filepath.Join(dir, "missing")} // a Go program's module, to its root
	if !slices.Equal(res.Watch, want) {
		t.Errorf("got watch %q, want %q", res.Watch, want)
	}
}

// TestOnly: of a folder for everything, one file is packed and watched, and what lies beside it asks for nothing.
func TestOnly(t *testing.T) {
	dir := folder(t, map[string]string{"hello.py": "1", "requirements.txt": "nothing-there==1", "secret": "s"})
	cfg := config(t, dir)
	cfg.Only = "hello.py"
	res, err := build.Build(context.Background(), []byte("Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: ., Runtime: python3.13 } }\n"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "archive", contents(t, res.Artifacts[0]), "hello.py")
	if want := []string{filepath.Join(dir, "hello.py")}; !slices.Equal(res.Watch, want) {
		t.Errorf("got watch %q, want %q", res.Watch, want)
	}
}

// TestSharedPath: functions of one path share one artifact.
func TestSharedPath(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "1"})
	res := run(t, dir, "Resources:\n  A: { Type: AWS::Serverless::Function, Properties: { CodeUri: src, Runtime: nodejs22.x } }\n"+
		"  B: { Type: AWS::Serverless::Function, Properties: { CodeUri: src/, Runtime: nodejs22.x } }\n"+
		"  C: { Type: AWS::Lambda::Function, Properties: { Code: src, Runtime: nodejs22.x } }\n")
	if len(res.Artifacts) != 1 || res.Artifacts[0].For != "A" {
		t.Errorf("got artifacts %+v, want the one of A", res.Artifacts)
	}
	if got := len(hashes.FindAll(res.Template, -1)); got != 3 {
		t.Errorf("got %d names of it in the template, want 3:\n%s", got, res.Template)
	}
}

// outside matches what could lead out of the folder, or run tools.
var outside = regexp.MustCompile(`\.\.|/|\\|BuildMethod`)

// FuzzBuild: whatever the template is, lines stay where they are, and what was YAML is YAML.
func FuzzBuild(f *testing.F) {
	f.Add("Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: src/\n")
	f.Add("{\"Resources\":{\"F\":{\"Type\":\"AWS::Lambda::Function\",\"Properties\":{\"Code\":\"src\"}}}}")
	f.Add("Resources: {F: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: &a 'src'}}}")
	f.Add("Globals: {Function: {CodeUri: \"src\"}}\nResources: {F: {Type: AWS::Serverless::Function}}")
	dir := folder(f, map[string]string{"src/index.js": "1"})
	work := f.TempDir()
	f.Fuzz(func(t *testing.T, template string) {
		if outside.MatchString(strings.ReplaceAll(template, "src/", "")) {
			t.Skip("may lead out of the folder, or run tools")
		}
		res, err := build.Build(context.Background(), []byte(template), build.Config{Dir: dir, Work: work})
		if err != nil {
			return
		}
		if got, want := strings.Count(string(res.Template), "\n"), strings.Count(template, "\n"); got != want {
			t.Errorf("got %d lines, want %d", got, want)
		}
		var before, after yaml.Node
		if yaml.Unmarshal([]byte(template), &before) == nil {
			if err := yaml.Unmarshal(res.Template, &after); err != nil {
				t.Errorf("what was YAML is none: %v\n%q\n%q", err, template, res.Template)
			}
		}
	})
}
