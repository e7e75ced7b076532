package project_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/rouse-dev/rouse/cli/project"
)

// runtimes answers with names that no real node would, to see that they arrive.
func runtimes(language string) string { return language + "-here" }

// folder makes a folder of a known name with files in it.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for f, text := range files {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// function is what the written template says of its one function.
func function(t *testing.T, text []byte) (properties map[string]any, method string) {
	t.Helper()
	var doc struct {
		Resources map[string]struct {
			Type       string         `yaml:"Type"`
			Metadata   map[string]any `yaml:"Metadata"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("the written template is not YAML: %v\n%s", err, text)
	}
	fn, ok := doc.Resources["Function"]
	if !ok || fn.Type != "AWS::Serverless::Function" {
		t.Fatalf("the written template has no function:\n%s", text)
	}
	method, _ = fn.Metadata["BuildMethod"].(string)
	return fn.Properties, method
}

func TestShapes(t *testing.T) {
	tests := []struct {
		file, text                     string
		handler, runtime, method, seen string
	}{
		{"handler.py", "import json\n\ndef handler(event, context):\n  pass\n", "handler.handler", "python-here", "", "a Lambda handler, handler(event, context)"},
		{"app.py", "def lambda_handler(event, _):\n  pass", "app.lambda_handler", "python-here", "", "a Lambda handler"},
		{"typed.py", "def handler(event: dict, context: object) -> dict:\n  pass", "typed.handler", "python-here", "", "a Lambda handler"},
		{"m.py", "app = FastAPI()\nhandler = Mangum(app)\n", "m.handler", "python-here", "", "a Lambda handler"},
		{"app.py", "from flask import Flask\napp = Flask(__name__)\n", "app:app", "python-here", "", "WSGI or ASGI"},
		{"app.py", "app: Flask = Flask(__name__)\n", "app:app", "python-here", "", "WSGI or ASGI"},
		{"app.py", "def app(environ, start_response):\n  pass", "app:app", "python-here", "", "WSGI or ASGI"},
		{"site.py", "async def application(scope, receive, send):\n  pass", "site:application", "python-here", "", "WSGI or ASGI"},
		{"main.py", "serve(int(os.environ[\"PORT\"]))", "web:main.py", "python-here", "", "listens on $PORT"},
		{"main.py", "serve(int(os.environ.get('PORT', 80)))", "web:main.py", "python-here", "", "listens on $PORT"},
		{"main.py", "serve(os.getenv('PORT'))", "web:main.py", "python-here", "", "listens on $PORT"},
		{"index.mjs", "export const handler = async () => 1", "index.handler", "node-here", "", "a Lambda handler, handler"},
		{"index.js", "exports.handler = async () => 1", "index.handler", "node-here", "", "a Lambda handler, handler"},
		{"index.js", "module.exports.handler = () => 1", "index.handler", "node-here", "", "a Lambda handler"},
		{"index.js", "const handler = 1;\nmodule.exports = { handler };", "index.handler", "node-here", "", "a Lambda handler"},
		{"index.js", "module.exports = { x, lambdaHandler: f };", "index.lambdaHandler", "node-here", "", "a Lambda handler"},
		{"a.cjs", "exports.lambdaHandler = () => 1", "a.lambdaHandler", "node-here", "", "a Lambda handler, lambdaHandler"},
		{"index.mjs", "async function handler() {}\nexport { handler };", "index.handler", "node-here", "", "a Lambda handler"},
		{"index.mjs", "export { main as handler }", "index.handler", "node-here", "", "a Lambda handler"},
		{"index.mjs", "export async function handler() {}", "index.handler", "node-here", "", "a Lambda handler"},
		{"index.mjs", "export default { fetch(request) { return new Response('x') } }", "index.mjs#fetch", "node-here", "", "a web handler"},
		{"index.mjs", "export default {\n  port: 1,\n  async fetch(r) {}\n}", "index.mjs#fetch", "node-here", "", "a web handler"},
		{"hono.mjs", "const app = new Hono()\nexport default app\n", "hono.mjs#fetch", "node-here", "", "a web handler"},
		{"index.cjs", "module.exports = { fetch: () => new Response() }", "index.cjs#fetch", "node-here", "", "a web handler"},
		{"server.js", "// exports.handler = 1\nhttp.createServer(f).listen(process.env.PORT)", "web:server.js", "node-here", "", "listens on $PORT"},
		{"index.ts", "export const handler: Handler = async () => 1", "index.handler", "node-here", "esbuild", "built by esbuild"},
		{"index.ts", "export default { fetch }", "index.js#fetch", "node-here", "esbuild", "built by esbuild"},
		{"main.go", "package main\nfunc main() { lambda.Start(handle) }", "bootstrap", "provided.al2023", "go1.x", "lambda.Start"},
		{"main.go", "package main\nfunc main() { lambda.StartWithOptions(handle) }", "bootstrap", "provided.al2023", "go1.x", "lambda.Start"},
		{"main.go", "// Page.\n\npackage main\n// lambda.Start\nfunc main() { http.ListenAndServe(\":\"+os.Getenv(\"PORT\"), nil) }", "web:bootstrap", "provided.al2023", "go1.x", "listens on $PORT"},
		{"main.go", "package main\nfunc main() { gin.Default().Run() }", "web:bootstrap", "provided.al2023", "go1.x", "listens on $PORT"},
	}
	for _, tt := range tests {
		dir := folder(t, "shop", map[string]string{tt.file: tt.text})
		p, err := project.Find(filepath.Join(dir, tt.file), runtimes)
		if err != nil {
			t.Errorf("%s %q: %v", tt.file, tt.text, err)
			continue
		}
		props, method := function(t, p.Text)
		if props["Handler"] != tt.handler || props["Runtime"] != tt.runtime || method != tt.method {
			t.Errorf("%s %q: got handler %v, runtime %v, method %q, want %s, %s, %q", tt.file, tt.text, props["Handler"], props["Runtime"],
				method, tt.handler, tt.runtime, tt.method)
		}
		if !strings.HasPrefix(p.Shape, tt.file+": ") || !strings.Contains(p.Shape, tt.seen) {
			t.Errorf("%s: got shape %q, want one that says %q", tt.file, p.Shape, tt.seen)
		}
		if p.Dir != dir || p.Only != "" || props["CodeUri"] != "." {
			t.Errorf("%s: got folder %s, only %q, CodeUri %v, want the whole of %s", tt.file, p.Dir, p.Only, props["CodeUri"], dir)
		}
	}
}

func TestNotACode(t *testing.T) {
	tests := []struct{ file, text, want string }{
		{"a.py", "print(1)\n", "want a handler(event, context)"},
		{"a.py", "  def handler(event, context): pass", "want a handler(event, context)"},
		{"a.py", "if handler == 1: pass", "want a handler(event, context)"},
		{"a.py", "def handler(event): pass", "want a handler(event, context)"},
		{"a.js", "console.log(1)", "want an exported handler"},
		{"a.js", "/* exports.handler = 1 */\n// export default { fetch }", "want an exported handler"},
		{"a.mjs", "export default function (request) {}", "want an exported handler"},
		{"a.go", "package shop\nfunc main() {}", "want a package main"},
		{"a.go", "", "want a package main"},
		{"a.rb", "puts 1", "want a template"},
		{"a", "", "want a template"},
	}
	for _, tt := range tests {
		dir := folder(t, "x", map[string]string{tt.file: tt.text})
		_, err := project.Find(filepath.Join(dir, tt.file), runtimes)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.file) {
			t.Errorf("%s %q: got %v, want an error that names the file and says %q", tt.file, tt.text, err, tt.want)
		}
	}
}

// TestGoBesideMain: the call of lambda.Start may stand in another file of the program; tests do not count.
func TestGoBesideMain(t *testing.T) {
	dir := folder(t, "x", map[string]string{"main.go": "package main\nfunc main() { run() }", "run.go": "package main\nfunc run() { lambda.Start(f) }"})
	p, err := project.Find(dir, runtimes)
	if err != nil {
		t.Fatal(err)
	}
	if props, _ := function(t, p.Text); props["Handler"] != "bootstrap" {
		t.Errorf("got handler %v, want bootstrap", props["Handler"])
	}
	dir = folder(t, "x", map[string]string{"main.go": "package main\nfunc main() { run() }", "run_test.go": "package main\nfunc run() { lambda.Start(f) }"})
	if p, err = project.Find(dir, runtimes); err != nil {
		t.Fatal(err)
	}
	if props, _ := function(t, p.Text); props["Handler"] != "web:bootstrap" {
		t.Errorf("with a test: got handler %v, want web:bootstrap", props["Handler"])
	}
}

func TestFolders(t *testing.T) {
	handler := "def handler(event, context): pass"
	tests := []struct {
		name  string
		files map[string]string
		entry string // "" for an error
		err   string
	}{
		{"template first", map[string]string{"template.yaml": "Resources: {}", "handler.py": handler}, "template.yaml", ""},
		{"yml", map[string]string{"template.yml": "Resources: {}"}, "template.yml", ""},
		{"json", map[string]string{"template.json": "{}"}, "template.json", ""},
		{"code", map[string]string{"app.py": handler, "README": ""}, "app.py", ""},
		{"the one that is a beginning", map[string]string{"main.py": "print(1)", "index.mjs": "export const handler = 1"}, "index.mjs", ""},
		{"none that is", map[string]string{"main.py": "print(1)"}, "", "main.py: want a handler"},
		{"empty", nil, "", "there is neither a template nor code"},
		{"a folder of that name", map[string]string{"template.yaml/x": "", "app.py/x": ""}, "", "there is neither a template nor code"},
	}
	for _, tt := range tests {
		dir := folder(t, "shop", tt.files)
		p, err := project.Find(dir, runtimes)
		if tt.entry == "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want an error that says %q", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || p.Entry != filepath.Join(dir, tt.entry) {
			t.Errorf("%s: got entry %q (%v), want %s", tt.name, p.Entry, err, tt.entry)
		}
		if got := filepath.Base(p.Template); strings.HasPrefix(tt.entry, "template.") != (got == tt.entry) {
			t.Errorf("%s: got template %q", tt.name, p.Template)
		}
		if p.Name != "shop" {
			t.Errorf("%s: got name %q, want shop", tt.name, p.Name)
		}
	}
	if _, err := project.Find(folder(t, "x", nil), runtimes); !errors.Is(err, project.ErrNothing) {
		t.Errorf("an empty folder: got %v, want ErrNothing", err)
	}
	if _, err := project.Find(filepath.Join(t.TempDir(), "no"), runtimes); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing path: got %v", err)
	}
}

// TestFoldersForEverything: of /tmp, or of the home folder, only the one file is the function's code.
func TestFoldersForEverything(t *testing.T) {
	home := folder(t, "me", map[string]string{"greet.py": "def handler(event, context): pass", "secret": "s",
		"Downloads/index.mjs": "export const handler = 1", "code/handler.py": "def handler(event, context): pass"})
	t.Setenv("HOME", home)
	for _, tt := range []struct{ path, only, name string }{
		{"greet.py", "greet.py", "greet"},
		{"Downloads/index.mjs", "index.mjs", "index"},
		{"Downloads", "index.mjs", "index"},
		{"code/handler.py", "", "code"},
	} {
		p, err := project.Find(filepath.Join(home, tt.path), runtimes)
		if err != nil || p.Only != tt.only || p.Name != tt.name {
			t.Errorf("%s: got only %q, name %q (%v), want %q, %q", tt.path, p.Only, p.Name, err, tt.only, tt.name)
		}
	}
	f, err := os.CreateTemp("/tmp", "rouse-*.py")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString("def handler(event, context): pass"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err := project.Find(f.Name(), runtimes); err != nil || p.Only != filepath.Base(f.Name()) {
		t.Errorf("a file in /tmp: got only %q (%v), want the file's name", p.Only, err)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ folder, want string }{
		{"shop", "shop"},
		{"my shop_2", "my-shop-2"},
		{"2nd", "app-2nd"},
		{"Café ☕", "Caf"},
		{"茶", "app"},
		{strings.Repeat("a", 59) + "-b", strings.Repeat("a", 59)},
	} {
		p, err := project.Find(folder(t, tt.folder, map[string]string{"template.yaml": ""}), runtimes)
		if err != nil || p.Name != tt.want {
			t.Errorf("folder %q: got name %q (%v), want %q", tt.folder, p.Name, err, tt.want)
		}
	}
}

// FuzzFind: whatever a file holds, it is seen as something or refused, and what is written for it is a template.
func FuzzFind(f *testing.F) {
	f.Add("handler.py", "def handler(event, context): pass")
	f.Add("app.py", "app = Flask()")
	f.Add("index.mjs", "export default { fetch }")
	f.Add("index.ts", "export const handler = 1")
	f.Add("main.go", "package main; func main() { lambda.Start(1) }")
	f.Add("a\"b.py", "app = 1")
	f.Add("main.go", "package\x00`")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name, text string) {
		name = filepath.Base(name)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Skip("no name of a file")
		}
		defer os.Remove(path)
		p, err := project.Find(path, runtimes)
		if err != nil || p.Template != "" {
			return
		}
		if props, _ := function(t, p.Text); props["Handler"] == "" {
			t.Errorf("%q: the written function has no handler:\n%s", name, p.Text)
		}
	})
}
