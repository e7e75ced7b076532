package project

import (
	"errors"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// shape is how code was seen.
type shape struct {
	seen    string // for the user
	runtime string
	handler string
	build   string // BuildMethod; "" for none
	entry   string // of esbuild
}

// listens is what a program that speaks HTTP by itself is called.
const listens = "a program that listens on $PORT"

var (
	pyHandler = regexp.MustCompile(`(?m)^(?:(?:async\s+)?def\s+(handler|lambda_handler|main)\s*\(\s*\w+(?:\s*:[^,)\n]+)?\s*,\s*\w+` +
		`|(handler|lambda_handler)\s*(?::[^=\n]+)?=[^=])`)
	pyApp  = regexp.MustCompile(`(?m)^(?:(?:async\s+)?def\s+(app|application)\s*\(|(app|application)\s*(?::[^=\n]+)?=[^=])`)
	pyPort = regexp.MustCompile(`\b(?:environ\b.{0,8}|getenv\()\s*["']PORT["']`)
)

func seePython(base, text string) (shape, error) {
	module := strings.TrimSuffix(base, ".py")
	if m := pyHandler.FindStringSubmatch(text); m != nil {
		return shape{seen: "a Lambda handler, " + m[1] + m[2] + "(event, context)", handler: module + "." + m[1] + m[2]}, nil
	}
	if m := pyApp.FindStringSubmatch(text); m != nil {
		name := m[1] + m[2]
		return shape{seen: "a web application (WSGI or ASGI), " + name, handler: module + ":" + name}, nil
	}
	if pyPort.MatchString(text) {
		return shape{seen: listens, handler: "web:" + base}, nil
	}
	return shape{}, errors.New(`want a handler(event, context), a WSGI or ASGI app, or a program that listens on os.environ["PORT"]`)
}

var (
	jsComment = regexp.MustCompile(`(?ms)^[ \t]*(?://[^\n]*|/\*.*?\*/)`)
	jsHandler = regexp.MustCompile(`(?m)\bexports\.(handler|lambdaHandler)\s*=[^=]` +
		`|^\s*export\s+(?:const|let|var|async\s+function|function)\s+(handler|lambdaHandler)\b` +
		`|^\s*export\s*\{(?:[^}]*[\s,])?(handler|lambdaHandler)\s*[,}]` +
		`|\bmodule\.exports\s*=\s*\{(?:[^}]*[\s,])?(handler|lambdaHandler)\s*[,:(}]`)
	jsFetch = regexp.MustCompile(`(?ms)^\s*export\s+default\s*\{.*\bfetch\b` +
		`|^\s*export\s+default\s+(?:[A-Za-z_$][\w$]*|new\s+\w.*?)\s*(?:;|$)` +
		`|\bmodule\.exports\s*=\s*\{[^}]*\bfetch\b`)
	jsListens = regexp.MustCompile(`\bprocess\.env\.PORT\b|\.listen\s*\(`)
)

func seeNode(base, text string) (shape, error) {
	ext := filepath.Ext(base)
	module := strings.TrimSuffix(base, ext)
	typed := ext == ".ts" || ext == ".mts"
	file := base
	if typed {
		file = module + ".js"
	}
	text = jsComment.ReplaceAllString(text, "")
	var s shape
	if m := jsHandler.FindStringSubmatch(text); m != nil {
		name := strings.Join(m[1:], "")
		s = shape{seen: "a Lambda handler, " + name, handler: module + "." + name}
	} else if jsFetch.MatchString(text) {
		s = shape{seen: "a web handler, export default { fetch }", handler: file + "#fetch"}
	} else if jsListens.MatchString(text) {
		s = shape{seen: listens, handler: "web:" + file}
	} else {
		return shape{}, errors.New("want an exported handler, export default { fetch }, or a program that listens on process.env.PORT")
	}
	if typed {
		s.build, s.entry = "esbuild", base
		s.seen += ", built by esbuild"
	}
	return s, nil
}

// seeGo looks at a program: its main file and, when they are known, the others of its folder. What does not call
// lambda.Start is a web server: how it listens is often a framework's own affair.
func seeGo(main string, others ...string) (shape, error) {
	s := shape{runtime: "provided.al2023", build: "go1.x"}
	if !isMain(main) {
		return s, errors.New("want a package main that calls lambda.Start or listens on $PORT")
	}
	for _, text := range append([]string{main}, others...) {
		if callsLambdaStart(text) {
			s.seen, s.handler = "a Lambda handler, lambda.Start", "bootstrap"
			return s, nil
		}
	}
	s.seen, s.handler = listens, "web:bootstrap"
	return s, nil
}

func isMain(text string) bool {
	var before string
	main := false
	goTokens(text, func(name string) bool {
		main = before == "package" && name == "main"
		before = name
		return name == "package"
	})
	return main
}

func callsLambdaStart(text string) bool {
	var last [2]string
	found := false
	goTokens(text, func(name string) bool {
		found = last[0] == "lambda" && last[1] == "." && strings.HasPrefix(name, "Start")
		last[0], last[1] = last[1], name
		return !found
	})
	return found
}

// goTokens hands over the words of a Go file, without comments and strings, until visit has enough. Mistakes in the file
// are the compiler's to tell.
func goTokens(text string, visit func(string) bool) {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", files.Base(), len(text)), []byte(text), func(token.Position, string) {}, 0)
	for {
		_, tok, literal := s.Scan()
		switch tok {
		case token.EOF:
			return
		case token.STRING, token.CHAR:
			literal = "literal"
		case token.IDENT:
		default:
			literal = tok.String()
		}
		if !visit(literal) {
			return
		}
	}
}
