// Package project tells what a path holds: an application with a template, or code without one.
//
// A template is used as it is. Code without one is looked at, not run: from a file's name and a few lines of its text it
// is clear whether it is a Lambda handler, a web handler ({ fetch }, WSGI, ASGI) or a program that listens on $PORT, and a
// small template is written for it in memory: one function behind an HTTP API that takes every path. Shape says what was
// seen, in words for the user, so that a wrong guess is noticed at once.
//
//	handler.py     def handler(event, context)            Lambda handler          handler.handler
//	app.py         app = Flask(…), FastAPI(…), def app    WSGI or ASGI            app:app
//	index.mjs      export const handler = …               Lambda handler          index.handler
//	index.mjs      export default { fetch }               web handler             index.mjs#default
//	main.go        lambda.Start(…)                        Lambda handler          bootstrap
//	main.go        http.ListenAndServe(…)                 program on $PORT        web:bootstrap
//
// The package reads files and nothing else. It is pure in what it decides and safe for concurrent use.
package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Project is what a path holds.
type Project struct {
	Dir      string // folder that relative paths in the template start from
	Template string // file of the template; "" when there is none
	Text     []byte // of the template, found or written
	Name     string // for the stack
	Shape    string // how code without a template was seen; "" with one
	Entry    string // the file that code without a template starts with, or the template
	Only     string // the one file that is the code, when its folder is not the project's own; "" for the whole folder
}

// templates are the names that a folder's template may have, in the order in which they are looked for.
var templates = []string{"template.yaml", "template.yml", "template.json"}

// entries are the files that a folder without a template may start with.
var entries = []string{"handler.py", "lambda_function.py", "app.py", "main.py", "index.mjs", "index.js", "handler.mjs", "handler.js",
	"app.mjs", "app.js", "index.ts", "handler.ts", "app.ts", "main.go"}

// Runtimes chooses the runtime name for a language, "node" or "python": one that is installed.
type Runtimes func(language string) string

// Find tells what path holds. Errors say what was looked for and where.
func Find(path string, runtimes Runtimes) (Project, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Project{}, err
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Project{}, fmt.Errorf("%s: there is no such file or folder", path)
	}
	if err != nil {
		return Project{}, err
	}
	if st.IsDir() {
		return findIn(path, runtimes)
	}
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json", ".template":
		return withTemplate(path)
	}
	return withoutTemplate(path, shared(filepath.Dir(path)), runtimes)
}

func findIn(dir string, runtimes Runtimes) (Project, error) {
	for _, name := range templates {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return withTemplate(filepath.Join(dir, name))
		}
	}
	for _, name := range entries {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return withoutTemplate(filepath.Join(dir, name), false, runtimes)
		}
	}
	return Project{}, fmt.Errorf("%s holds neither a template (%s) nor code to start with (%s)", dir,
		strings.Join(templates, ", "), strings.Join(entries, ", "))
}

func withTemplate(file string) (Project, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Project{}, err
	}
	dir := filepath.Dir(file)
	return Project{Dir: dir, Template: file, Entry: file, Text: text, Name: stackName(filepath.Base(dir))}, nil
}

// shared reports whether a folder is a place for everything, which is not to be packed as one function's code.
func shared(dir string) bool {
	home, err := os.UserHomeDir()
	return err == nil && dir == home || slices.Contains([]string{"/", "/tmp", "/var/tmp", "/root", "/home", "/usr", "/etc", "/opt",
		filepath.Clean(os.TempDir())}, dir)
}

// shape is how code was seen.
type shape struct {
	seen    string // for the user
	runtime string
	handler string
	build   string // BuildMethod; "" for none
	entry   string // of esbuild
}

func withoutTemplate(file string, alone bool, runtimes Runtimes) (Project, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Project{}, err
	}
	var s shape
	base := filepath.Base(file)
	switch ext := filepath.Ext(file); ext {
	case ".py":
		s, err = seePython(base, string(b))
		s.runtime = runtimes("python")
	case ".js", ".mjs", ".cjs", ".ts", ".mts":
		s, err = seeNode(base, string(b))
		s.runtime = runtimes("node")
	case ".go":
		s, err = seeGo(string(b))
	default:
		return Project{}, fmt.Errorf("%s: want a template (.yaml, .json), Python (.py), JavaScript (.js, .mjs, .ts) or Go (.go)", file)
	}
	if err != nil {
		return Project{}, fmt.Errorf("%s: %w", file, err)
	}
	dir := filepath.Dir(file)
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if !alone && slices.Contains([]string{"index", "main", "app", "handler", "lambda_function"}, name) && filepath.Base(dir) != "/" {
		name = filepath.Base(dir)
	}
	p := Project{Dir: dir, Entry: file, Name: stackName(name), Shape: base + ": " + s.seen}
	if alone {
		p.Only = base
	}
	p.Text = write(p.Name, s)
	return p, nil
}

// write is the template of one function behind an HTTP API.
func write(name string, s shape) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Transform: AWS::Serverless-2016-10-31\nResources:\n  Function:\n    Type: AWS::Serverless::Function\n")
	if s.build != "" {
		fmt.Fprintf(&b, "    Metadata:\n      BuildMethod: %s\n", s.build)
		if s.entry != "" {
			fmt.Fprintf(&b, "      BuildProperties: { EntryPoints: [%q], Target: node20, Sourcemap: true }\n", s.entry)
		}
	}
	fmt.Fprintf(&b, "    Properties:\n      FunctionName: %q\n      CodeUri: .\n      Handler: %q\n      Runtime: %s\n      Timeout: 30\n"+
		"      MemorySize: 256\n      Events:\n        Any: { Type: HttpApi }\n", name, s.handler, s.runtime)
	return []byte(b.String())
}

var (
	pyHandler = regexp.MustCompile(`(?m)^(?:async\s+)?def\s+(handler|lambda_handler|main)\s*\(\s*\w+\s*,\s*\w+`)
	pyApp     = regexp.MustCompile(`(?m)^(?:(?:async\s+)?def\s+(app|application)\s*\(|(app|application)\s*(?::[^=\n]+)?=)`)
)

func seePython(base, text string) (shape, error) {
	module := strings.TrimSuffix(base, ".py")
	if m := pyHandler.FindStringSubmatch(text); m != nil {
		return shape{seen: "a Lambda handler, " + m[1] + "(event, context)", handler: module + "." + m[1]}, nil
	}
	if m := pyApp.FindStringSubmatch(text); m != nil {
		name := m[1] + m[2]
		return shape{seen: "a web application (WSGI or ASGI), " + name, handler: module + ":" + name}, nil
	}
	return shape{}, errors.New("want a handler(event, context), or a WSGI or ASGI app")
}

var (
	jsHandler = regexp.MustCompile(`(?m)\bexports\.(handler|lambdaHandler)\s*=|^\s*export\s+(?:const|let|var|async\s+function|function)\s+(handler|lambdaHandler)\b|^\s*export\s*\{[^}]*\b(handler)\b`)
	jsFetch   = regexp.MustCompile(`(?ms)^\s*export\s+default\b.*\bfetch\b|module\.exports\s*=\s*\{[^}]*\bfetch\b`)
)

func seeNode(base, text string) (shape, error) {
	ext := filepath.Ext(base)
	module := strings.TrimSuffix(base, ext)
	typed := ext == ".ts" || ext == ".mts"
	s := shape{}
	if m := jsHandler.FindStringSubmatch(text); m != nil {
		name := m[1] + m[2] + m[3]
		s = shape{seen: "a Lambda handler, " + name, handler: module + "." + name}
	} else if jsFetch.MatchString(text) {
		file := base
		if typed {
			file = module + ".js"
		}
		s = shape{seen: "a web handler, export default { fetch }", handler: file + "#default"}
	} else {
		return shape{}, errors.New("want an exported handler, or export default { fetch }")
	}
	if typed {
		s.build, s.entry = "esbuild", base
		s.seen += ", built by esbuild"
	}
	return s, nil
}

func seeGo(text string) (shape, error) {
	s := shape{runtime: "provided.al2023", build: "go1.x"}
	switch {
	case strings.Contains(text, "lambda.Start"):
		s.seen, s.handler = "a Lambda handler, lambda.Start", "bootstrap"
	case strings.Contains(text, "ListenAndServe") || strings.Contains(text, `"PORT"`) || strings.Contains(text, "net.Listen"):
		s.seen, s.handler = "a program that listens on $PORT", "web:bootstrap"
	default:
		return s, errors.New("want a main that calls lambda.Start or listens on $PORT")
	}
	return s, nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// stackName makes a name that CloudFormation and Lambda both take.
func stackName(s string) string {
	s = strings.Trim(notInNames.ReplaceAllString(s, "-"), "-")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = strings.Trim("app-"+s, "-")
	}
	return s[:min(len(s), 60)]
}
