package api

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Patch is one of the operations by which REST APIs are updated: JSON Patch with values that are always strings, and with
// paths of AWS's making.
type Patch struct {
	Op    string `wire:"op" enum:"add|remove|move|test|replace|copy"`
	Path  string `wire:"path"`
	Value string `wire:"value"`
	From  string `wire:"from"`
}

// path splits the path at its slashes and decodes ~1 and ~0.
func (p Patch) path() []string {
	parts := strings.Split(strings.TrimPrefix(p.Path, "/"), "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(parts[i], "~1", "/"), "~0", "~")
	}
	return parts
}

// only refuses operations other than ops.
func (p Patch) only(ops ...string) error {
	if !slices.Contains(ops, p.Op) {
		return bad("Invalid patch operation specified. Must be one of: [%s]", strings.Join(ops, ", "))
	}
	return nil
}

// choose refuses an operation on a path that is not among those that it may replace, as AWS words it.
func (p Patch) choose(paths ...string) error {
	if p.Op != "replace" {
		return bad("Invalid patch path  '%s' specified for op '%s'. Please choose supported operations", p.Path, p.Op)
	}
	if !slices.Contains(paths, p.Path) {
		return bad("Invalid patch path  '%s' specified for op 'replace'. Must be one of: [%s]", p.Path, strings.Join(paths, ", "))
	}
	return nil
}

// text replaces or removes a string.
func (p Patch) text(into *string) error {
	switch p.Op {
	case "replace", "add":
		*into = p.Value
	case "remove":
		*into = ""
	default:
		return p.only("add", "replace", "remove")
	}
	return nil
}

// integer reads whole numbers, in any form that JSON has for them.
func (p Patch) integer() (int, error) {
	if n, err := strconv.Atoi(p.Value); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(p.Value, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, bad("Invalid number %q for %s", p.Value, p.Path)
	}
	return int(f), nil
}

func (p Patch) boolean(into *bool) error {
	switch p.Value {
	case "true":
		*into = true
	case "false":
		*into = false
	default:
		return bad("Invalid boolean value %q for %s", p.Value, p.Path)
	}
	return nil
}

// member adds, replaces or removes one string of a set; name is the last part of the path.
func (p Patch) member(into *[]string, name string) error {
	list := slices.Clone(*into)
	at := slices.Index(list, name)
	switch p.Op {
	case "add":
		if at < 0 {
			list = append(list, name)
		}
	case "replace":
		if at < 0 || p.Value == "" {
			return bad("Invalid patch path %s", p.Path)
		}
		list = append(slices.Delete(list, at, at+1), p.Value)
	case "remove":
		if at < 0 {
			return bad("Invalid patch path %s", p.Path)
		}
		list = slices.Delete(list, at, at+1)
	default:
		return p.only("add", "replace", "remove")
	}
	*into = list
	return nil
}

// entry adds, replaces or removes one entry of a map. unknown is the error for an entry that is not there.
func (p Patch) entry(into *map[string]string, key string, unknown error) error {
	_, there := (*into)[key]
	switch p.Op {
	case "add", "replace":
		if p.Op == "replace" && !there && unknown != nil {
			return unknown
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[key] = p.Value
	case "remove":
		if !there && unknown != nil {
			return unknown
		}
		delete(*into, key)
	default:
		return p.only("add", "replace", "remove")
	}
	return nil
}

// flag is entry for maps of booleans.
func (p Patch) flag(into *map[string]bool, key string, unknown error) error {
	if _, there := (*into)[key]; !there && p.Op != "add" {
		return unknown
	}
	if p.Op == "remove" {
		delete(*into, key)
		return nil
	}
	if err := p.only("add", "replace", "remove"); err != nil {
		return err
	}
	v := false
	if p.Value != "" {
		if err := p.boolean(&v); err != nil {
			return err
		}
	}
	if *into == nil {
		*into = map[string]bool{}
	}
	(*into)[key] = v
	return nil
}
