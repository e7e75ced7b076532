package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// function is what a node says of one.
type function struct {
	FunctionName, Runtime, Handler, LastModified string
	MemorySize, Timeout                          int
	CodeSize                                     int64
}

// functions lists all of them.
func (c *client) functions(ctx context.Context) ([]function, error) {
	var all []function
	in := map[string]any{}
	for {
		var page struct {
			Functions  []function
			NextMarker string
		}
		if err := c.call(ctx, "lambda", "ListFunctions", in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Functions...)
		if page.NextMarker == "" {
			return all, nil
		}
		in["Marker"] = page.NextMarker
	}
}

var madeName = regexp.MustCompile(`^.+-([A-Za-z0-9]+)-[A-Z0-9]{12}$`)

// nick is what a function is called by people: its logical id, when its name was made by its stack.
func nick(name string) string {
	if m := madeName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// named finds the function that a user means: by its name, or by the logical id that its template gives it. A name with a
// qualifier, or an ARN, is taken as it is. When there is none, the error says which there are.
func (c *client) named(ctx context.Context, name string) (string, error) {
	if strings.Contains(name, ":") {
		return name, nil
	}
	list, err := c.functions(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, f := range list {
		if f.FunctionName == name {
			return name, nil
		}
		if strings.EqualFold(nick(f.FunctionName), name) {
			found = append(found, f.FunctionName)
		}
	}
	switch len(found) {
	case 0:
		return "", &exitError{ExitFailed, fmt.Errorf("there is no function %q\n%s", name, known(list))}
	case 1:
		return found[0], nil
	}
	return "", usageError("%q could be %s", name, strings.Join(found, " or "))
}

// known names the functions that there are, for whoever mistyped one.
func known(list []function) string {
	const most = 10
	if len(list) == 0 {
		return "There are no functions yet: deploy some with `rouse deploy` or `rouse dev`."
	}
	names := make([]string, 0, most+1)
	for _, f := range list[:min(len(list), most)] {
		names = append(names, nick(f.FunctionName))
	}
	if len(list) > most {
		names = append(names, fmt.Sprintf("and %d more (rouse list)", len(list)-most))
	}
	return "Functions: " + strings.Join(names, ", ")
}
