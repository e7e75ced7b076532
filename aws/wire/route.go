package wire

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// parseRoute splits "METHOD /path STATUS". What is wrong with it, Compile says.
func parseRoute(route string) (method, path string, status int) {
	f := strings.Fields(route)
	status = 200
	if len(f) > 0 {
		method = f[0]
	}
	if len(f) > 1 {
		path = f[1]
	}
	if len(f) > 2 {
		status, _ = strconv.Atoi(f[2])
	}
	return method, path, status
}

// router finds operations by method and path. Static steps win over labels, labels over greedy ones.
type router struct{ root routeNode }

type routeNode struct {
	static map[string]*routeNode
	label  *routeNode
	greedy *routeNode
	routes []*route // that end here; those with a query first
}

// route is where one operation, implemented or not, is reached.
type route struct {
	method string
	entry  *Entry // nil: known and not implemented
	name   string
	labels []string    // names in the order of the path
	query  [][2]string // parameters that must be there; an empty value means any
	suffix []string    // static steps behind a greedy label
}

// add enters a route. Labels are steps of their own: "/functions/{name}/code".
func (r *router) add(rt *route, path string) error {
	path, query, _ := strings.Cut(path, "?")
	if !strings.HasPrefix(path, "/") || rt.method == "" {
		return fmt.Errorf("%s: route %q %q: want METHOD /path", rt.name, rt.method, path)
	}
	if query != "" {
		for _, p := range strings.Split(query, "&") {
			k, v, _ := strings.Cut(p, "=")
			rt.query = append(rt.query, [2]string{k, v})
		}
	}
	n := &r.root
	steps := splitPath(path)
	for i, s := range steps {
		if !strings.HasPrefix(s, "{") {
			n = n.step(s)
			continue
		}
		name, ok := strings.CutSuffix(s[1:], "}")
		if !ok || name == "" {
			return fmt.Errorf("%s: route %q: a label fills its step", rt.name, path)
		}
		if name, ok = strings.CutSuffix(name, "+"); ok {
			for _, rest := range steps[i+1:] {
				if strings.HasPrefix(rest, "{") {
					return fmt.Errorf("%s: route %q: only static steps may follow a greedy label", rt.name, path)
				}
				rt.suffix = append(rt.suffix, rest)
			}
			rt.labels = append(rt.labels, name)
			if n.greedy == nil {
				n.greedy = &routeNode{}
			}
			return n.greedy.put(rt)
		}
		rt.labels = append(rt.labels, name)
		if n.label == nil {
			n.label = &routeNode{}
		}
		n = n.label
	}
	return n.put(rt)
}

func (n *routeNode) step(s string) *routeNode {
	if n.static == nil {
		n.static = map[string]*routeNode{}
	}
	if n.static[s] == nil {
		n.static[s] = &routeNode{}
	}
	return n.static[s]
}

// put keeps longer suffixes and queries first, so that they are tried first.
func (n *routeNode) put(rt *route) error {
	at := len(n.routes)
	for i, o := range n.routes {
		if o.method == rt.method && len(o.query) == len(rt.query) && len(o.suffix) == len(rt.suffix) {
			if fmt.Sprint(o.query, o.suffix) == fmt.Sprint(rt.query, rt.suffix) {
				return fmt.Errorf("%s and %s have the same route", o.name, rt.name)
			}
		}
		if at == len(n.routes) && len(rt.query)+len(rt.suffix) > len(o.query)+len(o.suffix) {
			at = i
		}
	}
	n.routes = append(n.routes[:at], append([]*route{rt}, n.routes[at:]...)...)
	return nil
}

// splitPath cuts an escaped path into steps; a slash at the end counts for nothing, as with AWS.
func splitPath(path string) []string {
	path = strings.TrimPrefix(strings.TrimSuffix(path, "/"), "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// find returns the route of a request and the texts of its labels.
func (r *router) find(req *http.Request) (*route, []string) {
	steps := splitPath(req.URL.EscapedPath())
	var query url.Values
	if req.URL.RawQuery != "" {
		query = req.URL.Query()
	}
	return r.root.find(req.Method, steps, query, make([]string, 0, 4))
}

func (n *routeNode) find(method string, steps []string, query url.Values, labels []string) (*route, []string) {
	if len(steps) == 0 {
		for _, rt := range n.routes {
			if rt.matches(method, query) {
				return rt, labels
			}
		}
		return nil, nil
	}
	if c := n.static[steps[0]]; c != nil {
		if rt, l := c.find(method, steps[1:], query, labels); rt != nil {
			return rt, l
		}
	}
	if n.label != nil && !dotted(steps[:1]) {
		if text, err := url.PathUnescape(steps[0]); err == nil {
			if rt, l := n.label.find(method, steps[1:], query, append(labels, text)); rt != nil {
				return rt, l
			}
		}
	}
	if n.greedy != nil {
		for _, rt := range n.greedy.routes {
			if text, ok := rt.greedyText(steps); ok && rt.matches(method, query) {
				return rt, append(labels, text)
			}
		}
	}
	return nil, nil
}

// greedyText is what the greedy label takes of steps.
func (rt *route) greedyText(steps []string) (string, bool) {
	n := len(steps) - len(rt.suffix)
	if n < 1 || dotted(steps[:n]) {
		return "", false
	}
	for i, s := range rt.suffix {
		if steps[n+i] != s {
			return "", false
		}
	}
	text, err := url.PathUnescape(strings.Join(steps[:n], "/"))
	return text, err == nil
}

// dotted reports whether a step is empty, "." or "..". Signatures are made over paths without them, so a path with them
// could lead a signed request to another operation: no label takes them.
func dotted(steps []string) bool {
	for _, s := range steps {
		if s == "" || s == "." || s == ".." {
			return true
		}
	}
	return false
}

func (rt *route) matches(method string, query url.Values) bool {
	if rt.method != method {
		return false
	}
	for _, q := range rt.query {
		if v, ok := query[q[0]]; !ok || q[1] != "" && v[0] != q[1] {
			return false
		}
	}
	return true
}
