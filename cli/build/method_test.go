package build_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/cli/build"
)

// need skips a test whose tools are not installed, and fails it where they must be.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%s is not installed", tool)
		}
	}
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}

// builder builds a project again and again, and notes what it ran.
type builder struct {
	cfg      build.Config
	template string
	steps    []string
}

func newBuilder(t *testing.T, dir, template string) *builder {
	b := &builder{cfg: config(t, dir), template: template}
	b.cfg.Step = func(what string) { b.steps = append(b.steps, what) }
	return b
}

// build builds once more and returns the only artifact.
func (b *builder) build(t *testing.T) build.Artifact {
	t.Helper()
	b.steps = nil
	res, err := build.Build(context.Background(), []byte(b.template), b.cfg)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return res.Artifacts[0]
}

// ran reports whether the last build ran a tool.
func (b *builder) ran(tool string) bool {
	return slices.ContainsFunc(b.steps, func(s string) bool { return strings.HasPrefix(s, "F: "+tool) })
}

func function(properties, metadata string) string {
	return "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Metadata: " + metadata + "\n    Properties: { CodeUri: src, " + properties + " }\n"
}

func layer(metadata string) string {
	return "Resources:\n  F:\n    Type: AWS::Serverless::LayerVersion\n    Metadata: " + metadata + "\n    Properties: { ContentUri: src }\n"
}

const hello = "package main\n\nfunc main() { println(word()) }\n"

func TestGo(t *testing.T) {
	need(t, "go")
	dir := folder(t, map[string]string{"go.mod": "module x\n\ngo 1.21\n", "src/main.go": "package main\n\nimport \"x/words\"\n\nfunc main() { println(words.Hello) }\n",
		"src/data.txt": "left out", "words/words.go": "package words\n\nconst Hello = \"one\"\n"})
	b := newBuilder(t, dir, function("Handler: bootstrap, Runtime: provided.al2023", "{ BuildMethod: go1.x }"))
	a := b.build(t)
	same(t, "archive", contents(t, a), "bootstrap*")
	if again := b.build(t); again.Hash != a.Hash || b.ran("go") {
		t.Errorf("unchanged: got another program (%v) or another run of the compiler (%v)", again.Hash != a.Hash, b.ran("go"))
	}
	put(t, dir, map[string]string{"words/words.go": "package words\n\nconst Hello = \"two\"\n"})
	if c := b.build(t); c.Hash == a.Hash {
		t.Error("a change of another package in the module was not seen")
	}
	put(t, dir, map[string]string{"src/main.go": "package main\n\nfunc main() { nothing() }\n"})
	_, err := build.Build(context.Background(), []byte(b.template), b.cfg)
	if err == nil || !strings.Contains(err.Error(), "main.go:3:15: undefined: nothing") || !strings.HasPrefix(err.Error(), "template:5:28: F: CodeUri: go build: ") {
		t.Errorf("got %v, want the compiler's words", err)
	}
	put(t, dir, map[string]string{"src/main.go": "package main\n\nfunc main() {}\n"})
	b.build(t)
}

func TestGoWithoutModule(t *testing.T) {
	need(t, "go")
	dir := folder(t, map[string]string{"src/main.go": hello, "src/word.go": "package main\n\nfunc word() string { return \"hi\" }\n",
		"src/word_test.go": "package main\n\nfunc word() string { return \"twice\" }\n"})
	b := newBuilder(t, dir, function("Handler: bootstrap, Runtime: provided.al2023", "{ BuildMethod: go1.x }"))
	a := b.build(t)
	same(t, "archive", contents(t, a), "bootstrap*")

	cfg := config(t, filepath.Join(dir, "src"))
	cfg.Only = "main.go"
	put(t, dir, map[string]string{"src/main.go": "package main\n\nfunc main() {}\n"})
	res, err := build.Build(context.Background(), []byte(strings.ReplaceAll(b.template, "CodeUri: src", "CodeUri: .")), cfg)
	if err != nil || len(res.Artifacts) != 1 {
		t.Errorf("one file alone: %v", err)
	}
}

func TestMakefile(t *testing.T) {
	need(t, "make")
	dir := folder(t, map[string]string{"src/Makefile": "build-F:\n\tcp in.sh $(ARTIFACTS_DIR)/bootstrap\n\tchmod +x $(ARTIFACTS_DIR)/bootstrap\n", "src/in.sh": "#!/bin/sh\n"})
	b := newBuilder(t, dir, function("Handler: x, Runtime: provided.al2023", "{ BuildMethod: makefile }"))
	same(t, "archive", contents(t, b.build(t)), "bootstrap*")
	put(t, dir, map[string]string{"src/in.sh": "#!/bin/bash\n"})
	if got := contents(t, b.build(t))["bootstrap*"]; got != "#!/bin/bash\n" {
		t.Errorf("after a change: got %q", got)
	}
	refused(t, dir, strings.ReplaceAll(b.template, "  F:", "  G:"), "G: CodeUri: make build-G: exit status 2", "No rule to make target")
}

// TestNpm: packages come from a folder, so that no network is needed. An edit of the code does not install them again.
func TestNpm(t *testing.T) {
	need(t, "npm")
	dir := folder(t, map[string]string{
		"src/index.js": "require('near'), require('far')", "src/package.json": `{"dependencies":{"near":"file:./near","far":"file:../../FAR/far"},"devDependencies":{"dev":"file:./dev"}}`,
		"src/near/package.json": `{"name":"near","version":"1.0.0"}`, "src/near/index.js": "1",
		"src/dev/package.json": `{"name":"dev","version":"1.0.0"}`,
	})
	far := folder(t, map[string]string{"far/package.json": `{"name":"far","version":"1.0.0"}`, "far/index.js": "2"})
	rel, err := filepath.Rel(filepath.Join(dir, "src"), filepath.Join(far, "far"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(dir, "src/package.json")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"src/package.json": strings.ReplaceAll(string(text), "../../FAR/far", filepath.ToSlash(rel))})
	b := newBuilder(t, dir, function("Handler: index.handler, Runtime: nodejs22.x", "{}"))
	got := contents(t, b.build(t))
	for _, name := range []string{"index.js", "package.json", "near/index.js", "node_modules/near/index.js", "node_modules/far/index.js"} {
		if _, ok := got[name]; !ok {
			t.Errorf("the archive lacks %s; it has %q", name, names(got))
		}
	}
	if _, ok := got["node_modules/dev/package.json"]; ok {
		t.Error("the archive has a development dependency")
	}
	if _, err := os.Stat(filepath.Join(dir, "src/node_modules")); err == nil {
		t.Error("npm wrote beside the user's code")
	}
	put(t, dir, map[string]string{"src/index.js": "changed"})
	if got := contents(t, b.build(t)); got["index.js"] != "changed" || b.ran("npm") || got["node_modules/far/index.js"] != "2" {
		t.Errorf("after an edit: got index.js %q, npm ran: %v, files %q", got["index.js"], b.ran("npm"), names(got))
	}
	put(t, far, map[string]string{"far/index.js": "22"})
	if got := contents(t, b.build(t)); got["node_modules/far/index.js"] != "22" {
		t.Error("a change of a package in a folder was not seen")
	}
	put(t, dir, map[string]string{"src/package.json": `{"dependencies":{"x":"file:../nowhere"}}`})
	refused(t, dir, b.template, "F: CodeUri: package.json names "+filepath.Join(dir, "nowhere"))
	put(t, dir, map[string]string{"src/package.json": `{"dependencies":`})
	same(t, "a broken package.json is npm's to tell, and Node's", contents(t, b.build(t)), "index.js", "package.json", "near/index.js",
		"near/package.json", "dev/package.json")
}

func TestNpmLayer(t *testing.T) {
	need(t, "npm")
	dir := folder(t, map[string]string{"src/package.json": `{"dependencies":{"near":"file:./near"}}`, "src/near/package.json": `{"name":"near","version":"1.0.0"}`})
	b := newBuilder(t, dir, layer("{ BuildMethod: nodejs22.x }"))
	got := contents(t, b.build(t))
	if _, ok := got["nodejs/node_modules/near/package.json"]; !ok {
		t.Errorf("got %q, want the package under nodejs/node_modules", names(got))
	}
	b = newBuilder(t, dir, layer("{}"))
	same(t, "a layer without a method", contents(t, b.build(t)), "package.json", "near/package.json")
}

// TestPackagesThatAreThere: node_modules beside the code are the user's own and are packed as they are.
func TestPackagesThatAreThere(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "", "src/package.json": `{"dependencies":{"x":"1"}}`, "src/node_modules/x/index.js": ""})
	b := newBuilder(t, dir, function("Handler: index.handler, Runtime: nodejs22.x", "{}"))
	same(t, "archive", contents(t, b.build(t)), "index.js", "package.json", "node_modules/x/index.js")
	b = newBuilder(t, dir, function("Handler: index.handler, Runtime: nodejs22.x", "{ BuildMethod: nodejs22.x, SkipBuild: true }"))
	same(t, "with SkipBuild", contents(t, b.build(t)), "index.js", "package.json", "node_modules/x/index.js")
	if len(b.steps) != 1 {
		t.Errorf("got steps %q, want the packing alone", b.steps)
	}
}

// wheel is a package for pip.
func wheel(t *testing.T, name, text string) string {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, f := range [][2]string{{name + ".py", text}, {name + "-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"},
		{name + "-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}, {name + "-1.0.dist-info/RECORD", ""}} {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestPip(t *testing.T) {
	need(t, "python3")
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		missing(t, "pip is not installed")
	}
	dir := folder(t, map[string]string{"src/app.py": "import hi", "src/requirements.txt": "# ours\n./hi-1.0-py3-none-any.whl\n",
		"src/hi-1.0-py3-none-any.whl": wheel(t, "hi", "x = 1\n")})
	b := newBuilder(t, dir, function("Handler: app.handler, Runtime: python3.13", "{}"))
	got := contents(t, b.build(t))
	if got["hi.py"] != "x = 1\n" || got["app.py"] != "import hi" {
		t.Errorf("got %q, want the package beside the code", names(got))
	}
	if again := b.build(t); b.ran("py") {
		t.Errorf("unchanged: pip ran again for %s", again.For)
	}
	b = newBuilder(t, dir, layer("{ BuildMethod: python3.13 }"))
	if got := contents(t, b.build(t)); got["python/hi.py"] == "" || got["python/app.py"] == "" {
		t.Errorf("a layer: got %q, want all under python", names(got))
	}
	put(t, dir, map[string]string{"src/requirements.txt": "./nothing-1.0-py3-none-any.whl\n"})
	refused(t, dir, function("Handler: app.handler, Runtime: python3.13", "{}"), "F: CodeUri: python3", "nothing-1.0")
}

// TestEsbuild: what is passed on is what sam build passes on. A script that writes its arguments stands for esbuild.
func TestEsbuild(t *testing.T) {
	dir := folder(t, map[string]string{"src/app.ts": "", "src/node_modules/.bin/esbuild*": "#!/bin/sh\nfor a; do case $a in --outdir=*) out=${a#--outdir=};; *) all=\"$all $a\";; esac; done\n" +
		"echo \"$all\" > $out/app.js\n"})
	for _, tt := range []struct{ properties, want string }{
		{"", "app.ts --bundle --platform=node --log-level=warning --minify --target=es2020 --format=cjs"},
		{"EntryPoints: [a.ts, b/c.ts], Minify: false", "a.ts b/c.ts --bundle --platform=node --log-level=warning --target=es2020 --format=cjs"},
		{"Format: esm, Target: node20, Sourcemap: true, External: [x, \"@a/*\"], OutExtension: [.js=.mjs], KeepNames: true",
			"app.ts --bundle --platform=node --log-level=warning --minify --format=esm --target=node20 --sourcemap --external:x --external:@a/* --out-extension:.js=.mjs --keep-names"},
		{"MainFields: \"module,main\", Define: [A=1], Loader: [.png=file], SourcesContent: false, Sourcemap: inline",
			"app.ts --bundle --platform=node --log-level=warning --minify --target=es2020 --format=cjs --main-fields=module,main --define:A=1 --loader:.png=file --sourcemap=inline"},
		{"MainFields: [module, main]", "app.ts --bundle --platform=node --log-level=warning --minify --target=es2020 --format=cjs --main-fields=module,main"},
	} {
		b := newBuilder(t, dir, function("Handler: app.handler, Runtime: nodejs22.x", "{ BuildMethod: esbuild, BuildProperties: { "+tt.properties+" } }"))
		if got := strings.TrimSpace(contents(t, b.build(t))["app.js"]); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.properties, got, tt.want)
		}
	}
	refused(t, dir, function("Handler: none.handler, Runtime: nodejs22.x", "{ BuildMethod: esbuild }"), "Metadata.BuildProperties.EntryPoints: name the files to bundle")
	refused(t, dir, function("Handler: app.handler", "{ BuildMethod: esbuild, BuildProperties: { EntryPoints: [--outfile=/etc/x] } }"), "is no file")
}

// TestInterrupted: a build that is told to stop ends, and says so plainly.
func TestInterrupted(t *testing.T) {
	need(t, "make")
	dir := folder(t, map[string]string{"src/Makefile": "build-F:\n\tsleep 60\n"})
	cfg := config(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cfg.Step = func(string) { cancel() }
	if _, err := build.Build(ctx, []byte(function("Handler: x", "{ BuildMethod: makefile }")), cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
