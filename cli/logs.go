package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var since time.Duration
	var filter string
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "logs [FUNCTION]",
		Short: "Show what functions wrote, or follow it",
		Long: "Show what a function wrote. FUNCTION is its own name, the one that its template gives it, or a log group such as " +
			"/aws/lambda/products. With -f, show the lines as they come, of all functions when none is named.",
		Example: "  rouse logs products\n  rouse logs products --since 1h --filter '?ERROR ?Exception'\n  rouse logs -f\n" +
			"  rouse logs products --json | jq -r .text",
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !follow && len(args) == 0:
				return usageError("rouse logs: name a function, or follow all of them with -f")
			case follow && (cmd.Flags().Changed("since") || filter != ""):
				return usageError("rouse logs: -f shows what comes from now on; --since and --filter are for what has been")
			case since <= 0:
				return usageError("rouse logs: --since %s: want a time that has passed, such as 10m", since)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				if name = args[0]; !strings.Contains(name, "/") {
					if name, err = c.named(cmd.Context(), name); err != nil {
						return err
					}
				}
			}
			if follow {
				return a.followLogs(cmd.Context(), c, name)
			}
			return a.printLogs(cmd.Context(), c, name, since, filter)
		},
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come, of all functions when none is named")
	cmd.Flags().DurationVar(&since, "since", 10*time.Minute, "how far back, a `TIME` such as 1h; default 10 minutes")
	cmd.Flags().StringVar(&filter, "filter", "", "a CloudWatch filter `PATTERN`")
	return cmd
}

// logEvent is a log line for programs.
type logEvent struct {
	At       time.Time `json:"at"`
	Function string    `json:"function"`
	Stream   string    `json:"stream"`
	Text     string    `json:"text"`
}

// printEvent prints a log line as a line of JSON.
func (a *app) printEvent(e logEvent) error {
	e.Text = strings.TrimRight(e.Text, "\n")
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

func (a *app) printLogs(ctx context.Context, c *client, name string, since time.Duration, filter string) error {
	group := name
	if !strings.Contains(name, "/") {
		var f struct{ LoggingConfig struct{ LogGroup string } }
		if err := c.call(ctx, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": name}, &f); err != nil {
			return err
		}
		if group = f.LoggingConfig.LogGroup; group == "" {
			group = "/aws/lambda/" + name
		}
	}
	in := map[string]any{"logGroupName": group, "startTime": time.Now().Add(-since).UnixMilli()}
	if filter != "" {
		in["filterPattern"] = filter
	}
	for n := 0; ; {
		var page struct {
			Events []struct {
				Timestamp              int64
				Message, LogStreamName string
			}
			NextToken string
		}
		err := c.call(ctx, "logs", "FilterLogEvents", in, &page)
		if code(err) == "ResourceNotFoundException" {
			if strings.Contains(name, "/") {
				return fmt.Errorf("there is no log group %s", name)
			}
			fmt.Fprintf(a.Err, "%s has written nothing yet.\n", nick(name))
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			n++
			at := time.UnixMilli(e.Timestamp)
			if !a.json {
				a.printLine(at, e.Message)
			} else if err := a.printEvent(logEvent{at.UTC(), name, e.LogStreamName, e.Message}); err != nil {
				return err
			}
		}
		if page.NextToken == "" {
			if n == 0 {
				fmt.Fprintf(a.Err, "Nothing in the last %s; --since goes further back.\n", people(since))
			}
			return nil
		}
		in["nextToken"] = page.NextToken
	}
}

// people is a duration without the zeros at its end: 10m, 1h30m.
func people(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// printLine prints one line of a function's log; the platform's own lines are dim.
func (a *app) printLine(at time.Time, text string) {
	st := a.style
	begin := st.dim(at.Local().Format("15:04:05.000")) + " "
	if platformLine(text) {
		fmt.Fprintln(a.Out, begin+st.dim(strings.ReplaceAll(strings.TrimSpace(text), "\t", "  ")))
		return
	}
	l := tidy(text)
	var b bytes.Buffer
	b.WriteString(begin)
	switch l.level {
	case "ERROR":
		b.WriteString(st.bad("ERROR") + " ")
	case "WARN":
		b.WriteString(st.warn("WARN") + " ")
	}
	b.WriteString(strings.Join(l.text, "\n"+strings.Repeat(" ", len("15:04:05.000 "))))
	fmt.Fprintln(a.Out, b.String())
}

// followLogs prints lines as they come, until an interrupt, which is how one stops looking, or until the node ends.
func (a *app) followLogs(ctx context.Context, c *client, name string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	query := "?lines=true"
	if name != "" {
		query += "&function=" + url.QueryEscape(name)
	}
	s := a.screen("15:04:05.000")
	connected := func() {
		of := "all functions"
		if name != "" {
			of = nick(name)
		}
		fmt.Fprintln(a.Err, a.errStyle.dim("Following "+of+"; Ctrl-C ends."))
	}
	err := c.feed(ctx, query, connected, func(m moment) error {
		switch {
		case m.Line == nil:
		case !a.json:
			s.show(m)
		default:
			return a.printEvent(logEvent{m.At.UTC(), m.Line.Function, m.Line.Stream, m.Line.Text})
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return &exitError{ExitNoNode, errors.New("the node has ended")}
	}
	return err
}
