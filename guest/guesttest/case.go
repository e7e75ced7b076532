package guesttest

import (
	"maps"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// testCase is one function and what its callers must see. A language whose source is empty does not take part.
type testCase struct {
	name     string
	node     string // index.js
	esm      string // index.mjs
	python   string // index.py
	provided string // name of a handler in testdata/functions

	file    map[string]string // another name of the source, by language
	files   map[string]string // beside it
	layers  map[string]string // in /opt
	env     map[string]string // of the function, beside COLOUR
	format  string            // LogFormat
	handler map[string]string // another handler, by language
	init    *failure          // Load fails so
	since   int               // the oldest Node.js on which it works; 0 for all
	calls   []call
}

// call is one invocation and its outcome.
type call struct {
	event         string // "" is {}
	clientContext string
	trace         string
	buffered      bool          // Call.Stream is unset
	timeout       time.Duration // the caller gives up after it

	want  string // JSON, or the body itself when raw
	raw   bool
	head  *rouse.Head
	fails *failure
	state guest.State
	dies  bool                // the program ends after the answer, sooner or later: any state will do
	logs  map[string][]string // by language; TIME, ID and … stand for what changes
}

// failure is an error by language: the shapes are Lambda's, and Lambda's differ.
type failure struct {
	typ, message map[string]string
	keys         map[string][]string
	logs         map[string][]string
}

func (c testCase) source(l language) string {
	switch l.name {
	case "node":
		return c.node
	case "node-esm":
		return c.esm
	case "python":
		return c.python
	}
	return c.provided
}

// all is the same text for every language.
func all(s string) map[string]string {
	return map[string]string{"node": s, "python": s, "provided": s}
}

// merged is all of some files.
func merged(files ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, f := range files {
		maps.Copy(all, f)
	}
	return all
}

func rep(s string, n int) string { return strings.Repeat(s, n) }

func by(node, python, provided string) map[string]string {
	return map[string]string{"node": node, "python": python, "provided": provided}
}
