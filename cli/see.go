package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
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

func (a *app) listCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List functions and stacks",
		Example: "  rouse list\n  rouse list --json | jq '.functions[].FunctionName'",
		Args:    exactly(0),
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
			a.printStacks(stacks)
			a.printFunctions(functions)
			return nil
		},
	})
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// stack is a row of the list of stacks.
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
		state := a.style.good(s.StackStatus)
		if strings.Contains(s.StackStatus, "FAILED") || strings.Contains(s.StackStatus, "ROLLBACK") {
			state = a.style.bad(s.StackStatus)
		}
		rows = append(rows, []string{s.StackName, state, s.Description})
	}
	a.style.table(a.Out, []string{"STACK", "STATUS", "DESCRIPTION"}, rows)
	fmt.Fprintln(a.Out)
}

func (a *app) printFunctions(functions []function) {
	if len(functions) == 0 {
		fmt.Fprintln(a.Out, "No functions. Deploy some: rouse deploy, or rouse dev.")
		return
	}
	var rows [][]string
	for _, f := range functions {
		rows = append(rows, []string{a.style.name(f.FunctionName), f.Runtime, f.Handler, fmt.Sprintf("%d MB", f.MemorySize),
			fmt.Sprintf("%d s", f.Timeout), size(f.CodeSize), f.State})
	}
	a.style.table(a.Out, []string{"FUNCTION", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "CODE", "STATE"}, rows)
}

func (a *app) usageCommand() *cobra.Command {
	var since time.Duration
	var records bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:     "usage [FUNCTION]",
		Short:   "Show what functions used and what that costs",
		Long:    "Show invocations, errors, time and cost per function by the price book in force, or single attempts with --records.",
		Example: "  rouse usage\n  rouse usage --since 24h\n  rouse usage --records products",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			only := ""
			if len(args) == 1 {
				only = args[0]
			}
			if records {
				return a.printRecords(cmd.Context(), c, only)
			}
			return a.printUsage(cmd.Context(), c, only, since)
		},
	})
	cmd.Flags().DurationVar(&since, "since", 30*24*time.Hour, "how far back")
	cmd.Flags().BoolVar(&records, "records", false, "show single attempts, newest first")
	return cmd
}

// usageLine is the usage of one function.
type usageLine struct {
	Function    string        `json:"function"`
	Invocations int64         `json:"invocations"`
	Errors      int64         `json:"errors"`
	Throttles   int64         `json:"throttles"`
	Cold        int64         `json:"cold"`
	Billed      time.Duration `json:"billed"`
	GBSeconds   float64       `json:"gbSeconds"`
	MemoryPeak  int64         `json:"memoryPeak"`
	Cost        float64       `json:"cost"`
}

func (a *app) printUsage(ctx context.Context, c *client, only string, since time.Duration) error {
	var u struct {
		From, To            time.Time
		PriceBook, Currency string
		Functions           []usageLine
	}
	from := time.Now().Add(-since).UTC().Format(time.RFC3339)
	if err := c.get(ctx, "/_rouse/api/usage?from="+url.QueryEscape(from), &u); err != nil {
		return err
	}
	u.Functions = slices.DeleteFunc(u.Functions, func(l usageLine) bool { return only != "" && l.Function != only })
	if a.json {
		return a.printJSON(u)
	}
	if len(u.Functions) == 0 {
		fmt.Fprintln(a.Out, "Nothing ran.")
		return nil
	}
	var rows [][]string
	total := 0.0
	for _, l := range u.Functions {
		total += l.Cost
		rows = append(rows, []string{a.style.name(l.Function), fmt.Sprint(l.Invocations), fmt.Sprint(l.Errors), fmt.Sprint(l.Cold),
			short(l.Billed), fmt.Sprintf("%.3f", l.GBSeconds), size(l.MemoryPeak), fmt.Sprintf("%.8f", l.Cost)})
	}
	a.style.table(a.Out, []string{"FUNCTION", "INVOCATIONS", "ERRORS", "COLD", "BILLED", "GB-SECONDS", "PEAK", "COST " + u.Currency}, rows)
	fmt.Fprintf(a.Out, "\n%s %.8f %s since %s, by the price book %q\n", a.style.strong("Total"), total, u.Currency,
		u.From.Local().Format("2006-01-02 15:04"), u.PriceBook)
	return nil
}

// timing is where the time of an attempt went, in nanoseconds.
type timing struct {
	Start                                      string
	Queued, Sandbox, Mount, Runtime, Init, Run time.Duration
	Billed                                     time.Duration
	MemoryMB                                   int
	MemoryPeak                                 int64
}

// cold is the time that a caller waited before the handler ran, and where it went; "" for a warm start.
func (t timing) cold() string {
	if t.Start != "cold" {
		return ""
	}
	total := t.Queued + t.Sandbox + t.Mount + t.Runtime + t.Init
	var parts []string
	for _, p := range []struct {
		name string
		took time.Duration
	}{{"queued", t.Queued}, {"sandbox", t.Sandbox}, {"mount", t.Mount}, {"runtime", t.Runtime}, {"init", t.Init}} {
		if p.took >= 50*time.Microsecond {
			parts = append(parts, p.name+" "+short(p.took))
		}
	}
	return "cold " + short(total) + " (" + strings.Join(parts, ", ") + ")"
}

func (a *app) printRecords(ctx context.Context, c *client, only string) error {
	var r struct{ Records []json.RawMessage }
	if err := c.get(ctx, "/_rouse/api/records?limit=100&function="+url.QueryEscape(only), &r); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r.Records)
	}
	var rows [][]string
	for _, raw := range r.Records {
		var m struct {
			ID, Function, Cause, Outcome string
			At                           time.Time
			Attempt                      int
			Timing                       timing
			Cost                         float64
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("the node's answer is not what was expected: %w", err)
		}
		outcome := a.style.good(m.Outcome)
		if m.Outcome != "ok" {
			outcome = a.style.bad(m.Outcome)
		}
		rows = append(rows, []string{m.At.Local().Format("15:04:05.000"), a.style.name(m.Function), m.Cause, fmt.Sprint(m.Attempt), outcome,
			short(m.Timing.Run), size(m.Timing.MemoryPeak), fmt.Sprintf("%.8f", m.Cost), m.ID, a.style.dim(m.Timing.cold())})
	}
	a.style.table(a.Out, []string{"TIME", "FUNCTION", "CAUSE", "TRY", "OUTCOME", "RAN", "PEAK", "COST", "ID", ""}, rows)
	return nil
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var since time.Duration
	var filter string
	cmd := a.jsonFlag(&cobra.Command{
		Use:     "logs [FUNCTION]",
		Short:   "Show what functions wrote, or follow it",
		Example: "  rouse logs products\n  rouse logs products --since 1h --filter '?ERROR ?Exception'\n  rouse logs -f",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			if follow {
				return a.followLogs(cmd.Context(), c, name)
			}
			if name == "" {
				return usageError("logs: name a function, or follow all with -f")
			}
			return a.printLogs(cmd.Context(), c, name, since, filter)
		},
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come, of all functions when none is named")
	cmd.Flags().DurationVar(&since, "since", 10*time.Minute, "how far back")
	cmd.Flags().StringVar(&filter, "filter", "", "a CloudWatch filter pattern")
	return cmd
}

func (a *app) printLogs(ctx context.Context, c *client, name string, since time.Duration, filter string) error {
	group := name
	if !strings.Contains(name, "/") {
		group = "/aws/lambda/" + name
	}
	in := map[string]any{"logGroupName": group, "startTime": time.Now().Add(-since).UnixMilli()}
	if filter != "" {
		in["filterPattern"] = filter
	}
	for n := 0; ; {
		var page struct {
			Events []struct {
				Timestamp     int64
				Message       string
				LogStreamName string
			}
			NextToken string
		}
		err := c.call(ctx, "logs", "FilterLogEvents", in, &page)
		if code(err) == "ResourceNotFoundException" {
			return fmt.Errorf("no log of %s: it has not run yet, or there is no such function", name)
		}
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			n++
			if a.json {
				if err := json.NewEncoder(a.Out).Encode(e); err != nil {
					return err
				}
				continue
			}
			a.printLine(time.UnixMilli(e.Timestamp), "", e.Message)
		}
		if page.NextToken == "" {
			if n == 0 {
				fmt.Fprintf(a.Err, "Nothing in the last %s; --since goes further back.\n", since)
			}
			return nil
		}
		in["nextToken"] = page.NextToken
	}
}

// printLine prints one line of a log; the platform's own lines are dim.
func (a *app) printLine(at time.Time, function, text string) {
	text = strings.TrimRight(text, "\n")
	for _, p := range []string{"START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_"} {
		if strings.HasPrefix(text, p) {
			text = a.style.dim(strings.ReplaceAll(text, "\t", "  "))
		}
	}
	prefix := a.style.dim(at.Local().Format("15:04:05.000"))
	if function != "" {
		prefix += " " + a.style.name(function)
	}
	fmt.Fprintln(a.Out, prefix, text)
}

// moment is a line of the node's feed.
type moment struct {
	At      time.Time `json:"at"`
	Dropped int       `json:"dropped"`
	Request *struct {
		Method, Path, Function, Error string
		Status                        int
		Took                          time.Duration
		Timing                        timing
	} `json:"request"`
	Attempt *struct {
		ID, Function, Cause, Outcome, Error string
		Attempt                             int
		Timing                              timing
	} `json:"attempt"`
	Line *struct{ Function, Stream, Text string } `json:"line"`
}

// feed reads the node's feed until ctx is done, the node ends or show returns an error.
func (c *client) feed(ctx context.Context, query string, connected func(), show func(moment) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/_rouse/api/feed"+query, "rouse", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for first := true; ; first = false {
		b, err := lines.ReadBytes('\n')
		if err == io.EOF || ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if first && connected != nil {
			connected()
		}
		if len(b) <= 1 {
			continue
		}
		var m moment
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("the node's feed is not what was expected: %w", err)
		}
		if err := show(m); err != nil {
			return err
		}
	}
}

func (a *app) followLogs(ctx context.Context, c *client, name string) error {
	query := "?lines=true"
	if name != "" {
		query += "&function=" + url.QueryEscape(name)
	}
	err := c.feed(ctx, query, nil, func(m moment) error {
		if m.Line == nil {
			return nil
		}
		if a.json {
			return json.NewEncoder(a.Out).Encode(map[string]any{"at": m.At, "function": m.Line.Function, "stream": m.Line.Stream,
				"text": m.Line.Text})
		}
		if m.Dropped > 0 {
			fmt.Fprintln(a.Err, a.errStyle.warn(fmt.Sprintf("%d lines were too fast for this terminal", m.Dropped)))
		}
		shown := m.Line.Function
		if name != "" {
			shown = ""
		}
		a.printLine(m.At, shown, m.Line.Text)
		return nil
	})
	if ctx.Err() != nil || os.IsTimeout(err) {
		return nil
	}
	return err
}
