package wire

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse"
)

// refuseNode is one member in the tree of what an operation refuses. A nil node refuses nothing.
type refuseNode struct {
	op      string
	path    string   // as declared
	refused bool     // this member itself, or only some below it
	what    string   // what the member is part of: "code signing"; may be ""
	allowed []string // values that are not refused
	next    map[string]*refuseNode
}

// refuseTree builds the tree of op's Refuse options.
func refuseTree(op string, list []refusal) *refuseNode {
	if len(list) == 0 {
		return nil
	}
	root := &refuseNode{op: op}
	for _, r := range list {
		n := root
		for _, name := range strings.Split(r.path, ".") {
			n = n.grow(lowerFirst(name))
		}
		n.path, n.refused, n.allowed = r.path, true, r.allowed
		// Caller's JSON has X-Amz-Tenant-Id as TenantId.
		if name, ok := strings.CutPrefix(r.path, "X-Amz-"); ok {
			alias := root.grow(lowerFirst(strings.ReplaceAll(name, "-", "")))
			alias.path, alias.refused, alias.allowed = r.path, true, r.allowed
		}
	}
	return root
}

func (n *refuseNode) grow(name string) *refuseNode {
	c := n.next[name]
	if c == nil {
		c = &refuseNode{op: n.op}
		if n.next == nil {
			n.next = map[string]*refuseNode{}
		}
		n.next[name] = c
	}
	return c
}

// child is the node of the member called name.
func (n *refuseNode) child(name string) *refuseNode {
	if n == nil || n.next == nil {
		return nil
	}
	return n.next[lowerFirst(name)]
}

// tagged is the node of a field that carries the tag unsupported.
func tagged(op string, f *field) *refuseNode {
	return &refuseNode{op: op, path: f.name, refused: true, what: f.unsupported}
}

// text checks a value that came as text: a form field, a header, a query parameter.
func (n *refuseNode) text(v string) error {
	if n == nil || !n.refused || v == "" || v == "false" || n.allows(v) {
		return nil
	}
	return n.err(v)
}

// json checks a whole JSON value of the member and of what is below it. raw is valid JSON of bounded depth.
func (n *refuseNode) json(raw []byte) error {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return malformed("%v", err)
	}
	return n.value(v)
}

func (n *refuseNode) value(v any) error {
	if n == nil {
		return nil
	}
	if n.refused && !n.accepts(v) {
		return n.err(fmt.Sprint(v))
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if err := n.below(item); err != nil {
				return err
			}
		}
	case map[string]any:
		return n.below(v)
	}
	return nil
}

// below checks the members of an object, or, where an object is a map of objects, of its values.
func (n *refuseNode) below(v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for name, item := range m {
		if c := n.child(name); c != nil {
			if err := c.value(item); err != nil {
				return err
			}
			continue
		}
		if inner, ok := item.(map[string]any); ok && n.next != nil {
			for k, x := range inner {
				if err := n.child(k).value(x); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// accepts reports whether v is empty or one of the allowed values.
func (n *refuseNode) accepts(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v && n.allowed == nil || n.allows(fmt.Sprint(v))
	case string:
		return v == "" || n.allows(v)
	case []any:
		for _, item := range v {
			if !n.accepts(item) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, item := range v {
			if !n.accepts(item) {
				return false
			}
		}
		return true
	}
	return n.allows(fmt.Sprint(v))
}

func (n *refuseNode) allows(v string) bool {
	for _, a := range n.allowed {
		if a == v {
			return true
		}
	}
	return false
}

// err names the member, and the value where only values are refused. Other values may be secret.
func (n *refuseNode) err(value string) error {
	switch {
	case len(n.allowed) > 0:
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement %.100q for %s of %s, only %s",
			value, n.path, n.op, strings.Join(n.allowed, ", "))
	case n.what != "":
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement %s (%s of %s)", n.what, n.path, n.op)
	}
	return rouse.Errorf(rouse.Unsupported, "Rouse does not implement %s of %s", n.path, n.op)
}

// malformed is the error of a request that cannot be read. encodeError turns the code into the protocol's own.
func malformed(format string, args ...any) *rouse.Error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode(codeMalformed)
}

const codeMalformed = "SerializationException"
