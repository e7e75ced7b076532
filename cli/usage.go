package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

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
			if since <= 0 {
				return usageError("rouse usage: --since %s: want a time that has passed, such as 24h", since)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			only := ""
			if len(args) == 1 {
				if only, err = c.named(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			if records {
				return a.printRecords(cmd.Context(), c, only)
			}
			return a.printUsage(cmd.Context(), c, only, since)
		},
	})
	cmd.Flags().DurationVar(&since, "since", 30*24*time.Hour, "how far back, a `TIME` such as 24h; default 30 days")
	cmd.Flags().BoolVar(&records, "records", false, "show the last 100 attempts, newest first")
	return cmd
}

// usage is what functions used between two moments.
type usage struct {
	From      time.Time   `json:"from"`
	To        time.Time   `json:"to"`
	PriceBook string      `json:"priceBook"`
	Currency  string      `json:"currency"`
	Functions []usageLine `json:"functions"`
}

// usageLine is the usage of one function.
type usageLine struct {
	Function    string        `json:"function"`
	Invocations int64         `json:"invocations"`
	Errors      int64         `json:"errors"`
	Throttles   int64         `json:"throttles"`
	Cold        int64         `json:"cold"`
	Billed      time.Duration `json:"billed"` // ns
	GBSeconds   float64       `json:"gbSeconds"`
	MemoryPeak  int64         `json:"memoryPeak"` // bytes
	Cost        float64       `json:"cost"`
}

func (a *app) printUsage(ctx context.Context, c *client, only string, since time.Duration) error {
	var u usage
	from := time.Now().Add(-since).UTC().Format(time.RFC3339)
	if err := c.get(ctx, "/_rouse/api/usage?from="+url.QueryEscape(from), &u); err != nil {
		return err
	}
	u.Functions = orEmpty(slices.DeleteFunc(u.Functions, func(l usageLine) bool { return only != "" && l.Function != only }))
	if a.json {
		return a.printJSON(u)
	}
	if len(u.Functions) == 0 {
		fmt.Fprintf(a.Out, "Nothing ran since %s.\n", u.From.Local().Format("2006-01-02 15:04"))
		return nil
	}
	var rows [][]string
	total := 0.0
	for _, l := range u.Functions {
		total += l.Cost
		failed := fmt.Sprint(l.Errors)
		if l.Errors > 0 {
			failed = a.style.bad(failed)
		}
		rows = append(rows, []string{a.style.name(l.Function, l.Function), fmt.Sprint(l.Invocations), failed, fmt.Sprint(l.Cold),
			short(l.Billed), fmt.Sprintf("%.3f", l.GBSeconds), size(l.MemoryPeak), fmt.Sprintf("%.8f", l.Cost)})
	}
	a.style.table(a.Out, []string{"FUNCTION", "CALLS", "ERRORS", "COLD", "BILLED", "GB-S", "PEAK", "COST " + u.Currency}, rows, 0)
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

// cold is the time that a caller waited before the handler ran, and where it went; "" for a warm start. Phases that nobody
// could feel are left out.
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
		if p.took >= 500*time.Microsecond {
			parts = append(parts, p.name+" "+short(p.took))
		}
	}
	if len(parts) == 0 {
		return "cold start " + short(total)
	}
	return "cold start " + short(total) + ": " + strings.Join(parts, ", ")
}

// record is one attempt.
type record struct {
	Function, Cause, Outcome, ErrorType string
	At                                  time.Time
	Attempt                             int
	Timing                              timing
	Cost                                float64
}

func (a *app) printRecords(ctx context.Context, c *client, only string) error {
	var r struct{ Records json.RawMessage }
	if err := c.get(ctx, "/_rouse/api/records?limit=100&function="+url.QueryEscape(only), &r); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r.Records) // whole, as the node keeps them
	}
	var records []record
	if err := decode(bytes.NewReader(r.Records), &records); err != nil {
		return err
	}
	if len(records) == 0 {
		fmt.Fprintln(a.Out, "Nothing ran yet.")
		return nil
	}
	var rows [][]string
	for _, m := range records {
		outcome := a.style.good(m.Outcome)
		if m.Outcome != "ok" {
			outcome = a.style.bad(strings.TrimSpace(m.Outcome + " " + m.ErrorType))
		}
		if m.Attempt > 1 {
			outcome += a.style.warn(fmt.Sprintf(" (try %d)", m.Attempt))
		}
		rows = append(rows, []string{m.At.Local().Format("01-02 15:04:05"), a.style.name(nick(m.Function), m.Function), m.Cause, outcome,
			short(m.Timing.Run), size(m.Timing.MemoryPeak), fmt.Sprintf("%.8f", m.Cost), a.style.dim(m.Timing.cold())})
	}
	a.style.table(a.Out, []string{"TIME", "FUNCTION", "CAUSE", "OUTCOME", "RAN", "PEAK", "COST", ""}, rows, 7, 3)
	return nil
}
