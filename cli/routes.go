package cli

import (
	"context"
	"fmt"
	"sort"
	"strings"
)

// route is a line of an application's screen.
type route struct{ Method, Path, Function string }

// printApplication prints functions, and routes with a line to try.
func (a *app) printApplication(ctx context.Context, c *client, plain string) error {
	functions, err := c.functions(ctx)
	if err != nil {
		return err
	}
	interpreters, err := c.runtimes(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "\n  %s\n", a.style.strong("Functions"))
	wide := 0
	for _, f := range functions {
		wide = max(wide, len(f.FunctionName))
	}
	for _, f := range functions {
		fmt.Fprintf(a.Out, "    %s%s  %s\n", a.style.name(f.FunctionName), strings.Repeat(" ", wide-len(f.FunctionName)),
			a.given(f.Runtime, interpreters))
	}
	routes, err := c.routes(ctx)
	if err != nil || len(routes) == 0 || plain == "" {
		return err
	}
	base := "http://" + plain
	fmt.Fprintf(a.Out, "\n  %s %s\n", a.style.strong("Routes"), a.style.code(base))
	wide = 0
	for _, r := range routes {
		wide = max(wide, len(r.Path))
	}
	for _, r := range routes {
		fmt.Fprintf(a.Out, "    %-7s %-*s  %s\n", r.Method, wide, r.Path, a.style.name(r.Function))
	}
	fmt.Fprintf(a.Out, "\n")
	a.fact("Try", a.style.code(tryLine(routes, base)))
	return nil
}

// given says what a runtime name runs on: the interpreter itself, or the nearest there is, shown as such.
func (a *app) given(runtime string, interpreters []runtimeRow) string {
	for _, r := range interpreters {
		for _, s := range r.Serves {
			if s != runtime {
				continue
			}
			for _, e := range r.Exact {
				if e == runtime {
					return runtime + a.style.dim(" on "+r.Name)
				}
			}
			return runtime + a.style.warn(" on "+r.Name) + a.style.dim(", the nearest installed")
		}
	}
	return runtime
}

// routes lists what the first API serves, in the order in which people read it.
func (c *client) routes(ctx context.Context) ([]route, error) {
	routes, err := c.httpRoutes(ctx)
	if err == nil && len(routes) == 0 {
		routes, err = c.restRoutes(ctx)
	}
	sort.SliceStable(routes, func(i, j int) bool { return routes[i].Path < routes[j].Path })
	return routes, err
}

func (c *client) httpRoutes(ctx context.Context) ([]route, error) {
	var apis struct {
		Items []struct{ ApiId, CreatedDate string }
	}
	if err := c.call(ctx, "apigatewayv2", "GetApis", nil, &apis); err != nil || len(apis.Items) == 0 {
		return nil, err
	}
	sort.SliceStable(apis.Items, func(i, j int) bool { return apis.Items[i].CreatedDate < apis.Items[j].CreatedDate })
	in := map[string]any{"ApiId": apis.Items[0].ApiId}
	var integrations struct {
		Items []struct{ IntegrationId, IntegrationUri string }
	}
	if err := c.call(ctx, "apigatewayv2", "GetIntegrations", in, &integrations); err != nil {
		return nil, err
	}
	target := map[string]string{}
	for _, i := range integrations.Items {
		target["integrations/"+i.IntegrationId] = functionOf(i.IntegrationUri)
	}
	var found struct {
		Items []struct{ RouteKey, Target string }
	}
	if err := c.call(ctx, "apigatewayv2", "GetRoutes", in, &found); err != nil {
		return nil, err
	}
	var routes []route
	for _, r := range found.Items {
		method, path, ok := strings.Cut(r.RouteKey, " ")
		if !ok {
			method, path = "ANY", "/*"
		}
		routes = append(routes, route{method, path, target[r.Target]})
	}
	return routes, nil
}

func (c *client) restRoutes(ctx context.Context) ([]route, error) {
	var apis struct{ Items []struct{ Id string } }
	if err := c.call(ctx, "apigateway", "GetRestApis", nil, &apis); err != nil || len(apis.Items) == 0 {
		return nil, err
	}
	var found struct {
		Items []struct {
			Path            string
			ResourceMethods map[string]struct{ MethodIntegration struct{ Uri string } }
		}
	}
	in := map[string]any{"restApiId": apis.Items[0].Id, "embed": []string{"methods"}, "limit": 500}
	if err := c.call(ctx, "apigateway", "GetResources", in, &found); err != nil {
		return nil, err
	}
	var routes []route
	for _, r := range found.Items {
		for method, m := range r.ResourceMethods {
			routes = append(routes, route{method, r.Path, functionOf(m.MethodIntegration.Uri)})
		}
	}
	return routes, nil
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

// tryLine is a command that works: a plain GET when there is one.
func tryLine(routes []route, base string) string {
	best := ""
	for _, r := range routes {
		if (r.Method == "GET" || r.Method == "ANY") && !strings.ContainsAny(r.Path, "{*") && len(r.Path) > len(best) {
			best = r.Path
		}
	}
	if best != "" {
		return "curl " + base + best
	}
	for _, r := range routes {
		if r.Path == "/*" || strings.Contains(r.Path, "+}") {
			return "curl " + base + "/"
		}
	}
	r := routes[0]
	path := r.Path
	for strings.Contains(path, "{") {
		i, j := strings.Index(path, "{"), strings.Index(path, "}")
		if j < i {
			break
		}
		path = path[:i] + "1" + path[j+1:]
	}
	if r.Method == "GET" || r.Method == "ANY" {
		return "curl " + base + path
	}
	return "curl -X " + r.Method + " " + base + path + " -d '{}'"
}
