package cli

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/rouse-dev/rouse/cli/tables"
)

// Lists on the first screen: longer ones are cut where the terminal is low.
const (
	listLow  = 8 // lines, on a terminal of up to lowLines
	listHigh = 20
	lowLines = 30
)

// route is a line of an application's screen.
type route struct{ Method, Path, Function string }

// fact prints one line of a screen: a name and what it is, which may have several lines.
func (a *app) fact(name, value string) {
	lines := strings.Split(value, "\n")
	for i, l := range lines {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(a.Out, "  %s %s\n", a.style.dim(fmt.Sprintf("%-10s", name)), a.style.wrap(l, factIndent))
	}
}

// factIndent is where values of facts begin.
const factIndent = 13

// listed prints rows below a name, as many as the terminal has room for; more says where the rest is.
func (a *app) listed(name string, rows [][]string, more string) {
	most := len(rows)
	if columns, lines := a.style.size(); columns > 0 {
		most = listHigh
		if lines <= lowLines {
			most = listLow
		}
	}
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], lipgloss.Width(c))
		}
	}
	if columns, _ := a.style.size(); columns > 0 {
		width[len(width)-1] = 0
		total := factIndent
		for _, w := range width {
			total += w + 2
		}
		width[len(width)-1] = max(12, columns-total)
	}
	var lines []string
	for i, r := range rows {
		if i == most-1 && len(rows) > most {
			lines = append(lines, a.style.dim(fmt.Sprintf("… and %d more: %s", len(rows)-i, more)))
			break
		}
		var b strings.Builder
		for j, c := range r {
			if j == len(r)-1 {
				b.WriteString(cut(c, width[j]))
			} else {
				b.WriteString(pad(c, width[j]+2))
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	for i, l := range lines {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(a.Out, "  %s %s\n", a.style.dim(fmt.Sprintf("%-10s", name)), l)
	}
}

// printApplication prints functions, tables, and routes with a line to try.
func (a *app) printApplication(ctx context.Context, c *client, functions []function, plain string) error {
	interpreters, err := c.runtimes(ctx, asked(functions)...)
	if err != nil {
		return err
	}
	if len(functions) > 0 {
		var rows [][]string
		for _, f := range functions {
			rows = append(rows, []string{a.style.name(nick(f.FunctionName), f.FunctionName), a.given(f.Runtime, interpreters)})
		}
		fmt.Fprintln(a.Out)
		a.listed("Functions", rows, a.self()+" list")
	}
	if err := a.printTables(ctx, c); err != nil {
		return err
	}
	routes, err := c.routes(ctx)
	if err != nil {
		return err
	}
	if len(routes) > 0 && plain != "" {
		var rows [][]string
		for _, r := range routes {
			rows = append(rows, []string{r.Method, r.Path, a.style.name(nick(r.Function), r.Function)})
		}
		fmt.Fprintln(a.Out)
		a.listed("Routes", rows, a.self()+" exec -- aws apigatewayv2 get-routes --api-id …")
	}
	fmt.Fprintln(a.Out)
	switch {
	case len(routes) > 0 && plain != "":
		a.fact("Try", a.style.code(tryLine(routes, "http://"+plain)))
	case len(functions) > 0:
		a.fact("Try", a.style.code(a.toNode(c)+" invoke "+nick(functions[0].FunctionName)))
	}
	return nil
}

// printTables prints tables, and which of them live in memory or have a stream.
func (a *app) printTables(ctx context.Context, c *client) error {
	facts, err := tables.Facts(ctx, c.call)
	if err != nil || len(facts) == 0 {
		return err
	}
	var rows [][]string
	for _, f := range facts {
		rows = append(rows, []string{a.style.strong(nick(f.Name)), a.style.dim(f.Note)})
	}
	fmt.Fprintln(a.Out)
	a.listed("Tables", rows, a.self()+" table list")
	return nil
}

// given says what a runtime name runs on: the interpreter itself, or the nearest there is, shown as such.
func (a *app) given(runtime string, interpreters []runtimeRow) string {
	by, nearest := serving(runtime, interpreters)
	if nearest == "" {
		return runtime + a.style.dim(by)
	}
	return runtime + a.style.warn(by) + a.style.dim(nearest)
}

// serving is what serves a runtime name, " on node 20.20.2", and, where that is not what was asked for, what it is instead.
func serving(runtime string, interpreters []runtimeRow) (by, nearest string) {
	for _, r := range interpreters {
		switch {
		case slices.Contains(r.Exact, runtime):
			return " on " + r.Name, ""
		case slices.Contains(r.Serves, runtime):
			return " on " + r.Name, ", the nearest installed"
		}
	}
	const system = "provided.al"
	if strings.HasPrefix(runtime, system) && runtime != system+"2" && runtime != system+"2023" {
		return " as " + system + "2023", ", the nearest known"
	}
	return "", ""
}

// asked lists the runtime names that functions have.
func asked(functions []function) []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.Runtime
	}
	return names
}

// routes lists what the first API serves, in the order in which people read it.
func (c *client) routes(ctx context.Context) ([]route, error) {
	routes, err := c.httpRoutes(ctx)
	if err == nil && len(routes) == 0 {
		routes, err = c.restRoutes(ctx)
	}
	sort.SliceStable(routes, func(i, j int) bool {
		a, b := routes[i], routes[j]
		return a.Path < b.Path || a.Path == b.Path && a.Method < b.Method
	})
	return routes, err
}

// everything is how a route is shown that takes what no other takes.
const everything = "/*"

func (c *client) httpRoutes(ctx context.Context) ([]route, error) {
	type api struct{ ApiId, CreatedDate string }
	apis, err := pages[api](ctx, c, "GetApis", map[string]any{})
	if err != nil || len(apis) == 0 {
		return nil, err
	}
	sort.SliceStable(apis, func(i, j int) bool { return apis[i].CreatedDate < apis[j].CreatedDate })
	type integration struct{ IntegrationId, IntegrationUri string }
	integrations, err := pages[integration](ctx, c, "GetIntegrations", map[string]any{"ApiId": apis[0].ApiId})
	if err != nil {
		return nil, err
	}
	target := map[string]string{}
	for _, i := range integrations {
		target["integrations/"+i.IntegrationId] = functionOf(i.IntegrationUri)
	}
	type found struct{ RouteKey, Target string }
	all, err := pages[found](ctx, c, "GetRoutes", map[string]any{"ApiId": apis[0].ApiId})
	if err != nil {
		return nil, err
	}
	var routes []route
	for _, r := range all {
		method, path, ok := strings.Cut(r.RouteKey, " ")
		if !ok {
			method, path = "ANY", everything
		}
		routes = append(routes, route{method, path, target[r.Target]})
	}
	return routes, nil
}

// pages reads all pages of one of API Gateway's lists.
func pages[T any](ctx context.Context, c *client, operation string, in map[string]any) ([]T, error) {
	var all []T
	for {
		var page struct {
			Items     []T
			NextToken string
		}
		if err := c.call(ctx, "apigatewayv2", operation, in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.NextToken == "" {
			return all, nil
		}
		in["NextToken"] = page.NextToken
	}
}

func (c *client) restRoutes(ctx context.Context) ([]route, error) {
	var apis struct{ Items []struct{ Id string } }
	if err := c.call(ctx, "apigateway", "GetRestApis", nil, &apis); err != nil || len(apis.Items) == 0 {
		return nil, err
	}
	in := map[string]any{"restApiId": apis.Items[0].Id, "embed": []string{"methods"}, "limit": 500}
	var routes []route
	for {
		var page struct {
			Items []struct {
				Path            string
				ResourceMethods map[string]struct{ MethodIntegration struct{ Uri string } }
			}
			Position string
		}
		if err := c.call(ctx, "apigateway", "GetResources", in, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			for method, m := range r.ResourceMethods {
				routes = append(routes, route{method, r.Path, functionOf(m.MethodIntegration.Uri)})
			}
		}
		if page.Position == "" {
			return routes, nil
		}
		in["position"] = page.Position
	}
}

// functionOf is the name of the function that an integration's URI names.
func functionOf(uri string) string {
	_, rest, ok := strings.Cut(uri, ":function:")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// tryLine is a command that works: a plain GET when there is one, of a list before what may want somebody logged in.
func tryLine(routes []route, base string) string {
	best, score := routes[0], -1
	for _, r := range routes {
		s := 0
		if r.Method == "GET" || r.Method == "ANY" {
			s += 4
		}
		if !strings.ContainsAny(r.Path, "{*") {
			s += 2
		}
		if r.Path != "/" {
			s++
		}
		if slices.ContainsFunc(routes, func(o route) bool {
			return o.Method == r.Method && strings.HasPrefix(o.Path, r.Path+"/{")
		}) {
			s++
		}
		if s > score {
			best, score = r, s
		}
	}
	line := "curl " + shellQuote(base+sample(best.Path))
	switch best.Method {
	case "GET", "ANY":
	case "HEAD":
		line = "curl -I " + shellQuote(base+sample(best.Path))
	case "DELETE", "OPTIONS":
		line = "curl -X " + best.Method + " " + shellQuote(base+sample(best.Path))
	default:
		line += " -H 'content-type: application/json' -d '{}'"
		if best.Method != "POST" {
			line = strings.Replace(line, "curl ", "curl -X "+best.Method+" ", 1)
		}
	}
	return line
}

// sample is a path that a route takes.
func sample(path string) string {
	if path == everything {
		return "/"
	}
	var out []string
	for _, part := range strings.Split(path, "/") {
		switch {
		case !strings.HasPrefix(part, "{"):
		case strings.HasSuffix(part, "+}"):
			part = ""
		case strings.Contains(strings.ToLower(part), "name"):
			part = "world"
		default:
			part = "1"
		}
		out = append(out, part)
	}
	return strings.Join(out, "/")
}
