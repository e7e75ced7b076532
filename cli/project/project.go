// Package project tells what a path holds: an application with a template, or code without one.
//
// A template is used as it is. Code without one is looked at, not run: from a file's name and a few lines of its text it
// is clear whether it is a Lambda handler, a web handler ({ fetch }, WSGI, ASGI) or a program that listens on $PORT, and a
// small template is written for it in memory: one function behind an HTTP API that takes every path. Shape says what was
// seen, in words for the user, so that a wrong guess is noticed at once. A handler is preferred to an application, and an
// application to a program, since the same file is often all three: its last lines are for running it by hand.
//
//	handler.py     def handler(event, context)            Lambda handler          handler.handler
//	app.py         app = Flask(…), FastAPI(…), def app    WSGI or ASGI            app:app
//	main.py        … os.environ["PORT"] …                 program on $PORT        web:main.py
//	index.mjs      export const handler = …               Lambda handler          index.handler
//	index.mjs      export default { fetch }, or app       web handler             index.mjs#fetch
//	server.js      http.createServer(…).listen(…)         program on $PORT        web:server.js
//	main.go        lambda.Start(…)                        Lambda handler          bootstrap
//	main.go        any other program                      program on $PORT        web:bootstrap
//
// A file in a folder for everything (/tmp, the home folder, Downloads) is taken alone; elsewhere its whole folder is the
// function's code.
//
// The package reads files and nothing else. It is pure in what it decides and safe for concurrent use.
package project

import (
	"errors"
	"fmt"
	"io"
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
var entries = []string{"handler.py", "lambda_function.py", "app.py", "main.py", "wsgi.py", "asgi.py", "index.mjs", "index.js",
	"handler.mjs", "handler.js", "app.mjs", "app.js", "server.mjs", "server.js", "index.ts", "handler.ts", "app.ts", "main.go"}

// ErrNothing is what Find answers for a folder that holds neither a template nor code to start with.
var ErrNothing = errors.New("there is neither a template nor code to start with")

// seenMax is how much of a file is looked at, in bytes.
const seenMax = 1 << 20

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
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && !st.IsDir() {
			return withTemplate(filepath.Join(dir, name))
		}
	}
	var first error // of a file that looks like a beginning and is none: better than to say that there is nothing
	for _, name := range entries {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.IsDir() {
			continue
		}
		p, err := withoutTemplate(filepath.Join(dir, name), shared(dir), runtimes)
		if err == nil {
			return p, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("%s: %w", dir, ErrNothing)
	}
	return Project{}, first
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
	if home, err := os.UserHomeDir(); err == nil {
		if rel, err := filepath.Rel(home, dir); err == nil && slices.Contains([]string{".", "Desktop", "Downloads", "Documents"}, rel) {
			return true
		}
	}
	return slices.Contains([]string{"/", "/tmp", "/private/tmp", "/var/tmp", "/root", "/home", "/Users", "/usr", "/etc", "/opt", "/mnt",
		filepath.Clean(os.TempDir())}, dir)
}

func withoutTemplate(file string, alone bool, runtimes Runtimes) (Project, error) {
	text, err := read(file)
	if err != nil {
		return Project{}, err
	}
	var s shape
	base, dir := filepath.Base(file), filepath.Dir(file)
	switch ext := filepath.Ext(file); ext {
	case ".py":
		s, err = seePython(base, text)
		s.runtime = runtimes("python")
	case ".js", ".mjs", ".cjs", ".ts", ".mts":
		s, err = seeNode(base, text)
		s.runtime = runtimes("node")
	case ".go":
		s, err = seeGo(text)
		if err == nil && !alone && s.handler != "bootstrap" {
			s, err = seeGo(text, beside(file)...)
		}
	default:
		return Project{}, fmt.Errorf("%s: want a template (.yaml, .json), Python (.py), JavaScript (.js, .mjs, .ts) or Go (.go)", file)
	}
	if err != nil {
		return Project{}, fmt.Errorf("%s: %w", file, err)
	}
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if !alone && slices.Contains(entries, base) {
		name = filepath.Base(dir)
	}
	p := Project{Dir: dir, Entry: file, Name: stackName(name), Shape: base + ": " + s.seen}
	if alone {
		p.Only = base
	}
	p.Text = write(p.Name, s)
	return p, nil
}

// read is the beginning of a file.
func read(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, seenMax))
	return string(b), err
}

// beside are the texts of the other files of a Go program.
func beside(file string) []string {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.go"))
	if err != nil {
		return nil // the folder's name is a pattern of its own
	}
	var texts []string
	for _, f := range files {
		if f == file || strings.HasSuffix(f, "_test.go") {
			continue
		}
		if text, err := read(f); err == nil {
			texts = append(texts, text)
		}
	}
	return texts
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

var notInNames = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// stackName makes a name that CloudFormation and Lambda both take.
func stackName(s string) string {
	s = strings.Trim(notInNames.ReplaceAllString(s, "-"), "-")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = strings.Trim("app-"+s, "-")
	}
	return strings.Trim(s[:min(len(s), 60)], "-")
}
