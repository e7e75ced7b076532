package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json to a command that lists something.
func (a *app) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// printJSON prints v as indented JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (a *app) listCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List functions and stacks",
		Example: "  rouse list\n  rouse list --json | jq -r '.functions[].FunctionName'",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			functions, err := c.functions(cmd.Context())
			if err != nil {
				return err
			}
			stacks, err := c.stacks(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"functions": orEmpty(functions), "stacks": orEmpty(stacks)})
			}
			interpreters, _ := c.runtimes(cmd.Context(), asked(functions)...) // who may not ask sees the names
			a.printStacks(stacks)
			a.printFunctions(functions, interpreters)
			return nil
		},
	})
}

// stack is what a node says of one.
type stack struct {
	StackName, StackStatus, Description string
	Outputs                             []output
}

type output struct{ OutputKey, OutputValue, Description string }

func (c *client) stacks(ctx context.Context) ([]stack, error) {
	var all []stack
	in := map[string]any{}
	for {
		var page struct {
			Stacks    []stack
			NextToken string
		}
		if err := c.call(ctx, "cloudformation", "DescribeStacks", in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Stacks...)
		if page.NextToken == "" {
			return all, nil
		}
		in["NextToken"] = page.NextToken
	}
}

func (a *app) printStacks(stacks []stack) {
	if len(stacks) == 0 {
		return
	}
	var rows [][]string
	for _, s := range stacks {
		state := strings.ToLower(strings.ReplaceAll(s.StackStatus, "_", " "))
		if strings.Contains(s.StackStatus, "FAILED") || strings.Contains(s.StackStatus, "ROLLBACK") {
			state = a.style.bad(state)
		} else {
			state = a.style.good(state)
		}
		rows = append(rows, []string{s.StackName, state, s.Description})
	}
	a.style.table(a.Out, []string{"STACK", "STATUS", "DESCRIPTION"}, rows, 2, 0)
	fmt.Fprintln(a.Out)
}

// printFunctions lists functions, each with its runtime and what it runs on where that is another.
func (a *app) printFunctions(functions []function, interpreters []runtimeRow) {
	if len(functions) == 0 {
		fmt.Fprintln(a.Out, "No functions. Deploy some: rouse deploy, or rouse dev.")
		return
	}
	var rows [][]string
	for _, f := range functions {
		runtime := f.Runtime
		if by, nearest := serving(runtime, interpreters); nearest != "" {
			runtime += a.style.warn(by)
		}
		rows = append(rows, []string{a.style.name(f.FunctionName, f.FunctionName), runtime, f.Handler, fmt.Sprintf("%d MB", f.MemorySize),
			people(time.Duration(f.Timeout) * time.Second), size(f.CodeSize)})
	}
	a.style.table(a.Out, []string{"FUNCTION", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "CODE"}, rows, 2, 1, 0)
}
