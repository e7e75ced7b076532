package runtimes

import (
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// Choice is which interpreter a runtime's name gets.
type Choice struct {
	Asked string // "nodejs18.x"
	Given Entry
	Exact bool // the same version: major for Node.js, major and minor for Python
}

// String says it for people: "nodejs18.x" when exact, "nodejs18.x on Node.js 20.20.2" otherwise.
func (c Choice) String() string {
	if c.Exact {
		return c.Asked
	}
	return c.Asked + " on " + display(c.Given.Kind) + " " + c.Given.Version
}

func display(k guest.Kind) string {
	if k == guest.Node {
		return "Node.js"
	}
	return "Python"
}

// For chooses the interpreter for a runtime's name: the same version, else the nearest newer, else the nearest older, where
// one with the AWS SDK goes before one that is up to four versions nearer.
// Errors are of Kind Unavailable when the language is not installed, Invalid for names that no interpreter serves.
func (r *Registry) For(name string) (Choice, error) {
	kind, asked, ok := parseName(name)
	if !ok {
		return Choice{}, rouse.Errorf(rouse.Invalid, "%q is not a runtime that an interpreter serves", name)
	}
	var best *Entry
	for _, e := range r.List() {
		if e.Kind != kind {
			continue
		}
		if best == nil || cost(asked, kind, e) < cost(asked, kind, *best) {
			best = &e
		}
	}
	if best == nil {
		how := "install Python 3"
		if kind == guest.Node {
			how = "install Node.js, or run: rouse runtime add node@" + fmt.Sprint(asked)
		}
		return Choice{}, rouse.Errorf(rouse.Unavailable, "%s needs %s, which is not on this machine: %s", name, display(kind), how)
	}
	return Choice{Asked: name, Given: *best, Exact: level(kind, *best) == asked}, nil
}

// level is the number that decides: the major version of Node.js, the minor one of Python 3.
func level(k guest.Kind, e Entry) int {
	v := parseVersion(e.Version)
	if k == guest.Node {
		return v[0]
	}
	return v[1]
}

// What an interpreter is off by. An AWS SDK, which Lambda's have, is worth a few versions: a function that imports it fails
// without it at once, and most run on a neighbouring version.
const (
	costOlder = 100
	costNoSDK = 4
)

// cost ranks an interpreter as an answer to want; of equals the earlier stays: lists have the newest first.
func cost(want int, k guest.Kind, e Entry) int {
	n := level(k, e)
	var c int
	switch {
	case n == want && e.SDK != "":
		return 0
	case n == want:
		return 1
	case n > want:
		c = n - want
	default:
		c = costOlder + want - n
	}
	if e.SDK == "" {
		c += costNoSDK
	}
	return c + 1
}

// parseName reads nodejs20.x and python3.12.
func parseName(name string) (k guest.Kind, level int, ok bool) {
	if n, found := strings.CutPrefix(name, "nodejs"); found {
		n, found = strings.CutSuffix(n, ".x")
		v := parseVersion(n)
		return guest.Node, v[0], found && fmt.Sprint(v[0]) == n && v[0] > 0
	}
	if n, found := strings.CutPrefix(name, "python3."); found {
		v := parseVersion(n)
		return guest.Python, v[0], fmt.Sprint(v[0]) == n
	}
	return 0, 0, false
}
