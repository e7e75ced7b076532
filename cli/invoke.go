package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/spf13/cobra"
)

func (a *app) invokeCommand() *cobra.Command {
	var async, showLog bool
	cmd := &cobra.Command{
		Use:   "invoke NAME [PAYLOAD | @FILE | -]",
		Short: "Call a function",
		Long: "Call a function with a JSON event: given as it is, read from a file (@event.json) or from standard input (-). " +
			"NAME is the function's own name, or the one that its template gives it. The result goes to standard output. When the " +
			"function fails, its error does, and the exit code is 4.",
		Example: "  rouse invoke hello\n  rouse invoke hello '{\"name\":\"you\"}' --log\n  rouse invoke hello:live @event.json\n" +
			"  echo '[1,2]' | rouse invoke sum -",
		Args: atMost(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usageError("rouse invoke: name a function; `rouse list` shows them")
			}
			if async && showLog {
				return usageError("rouse invoke: --log waits for the end and --async does not; `rouse logs` shows it later")
			}
			event, err := a.payload(args[1:])
			if err != nil {
				return err
			}
			return a.invoke(cmd.Context(), args[0], event, async, showLog)
		},
	}
	cmd.Flags().BoolVar(&async, "async", false, "do not wait: the event is kept until it has been handled")
	cmd.Flags().BoolVar(&showLog, "log", false, "print the invocation's log to standard error")
	return cmd
}

// payload reads the event that the arguments name and checks that it is JSON, so that the mistake is shown where it is.
func (a *app) payload(args []string) ([]byte, error) {
	if len(args) == 0 {
		return []byte("{}"), nil
	}
	var b []byte
	var err error
	from := "the payload"
	switch file, isFile := strings.CutPrefix(args[0], "@"); {
	case args[0] == "-":
		from = "standard input"
		b, err = io.ReadAll(io.LimitReader(a.In, rouse.EventMax+1))
	case isFile:
		from = file
		b, err = os.ReadFile(a.path(file))
	default:
		b = []byte(args[0])
	}
	if err != nil {
		return nil, usageError("rouse invoke: %w", err)
	}
	return b, checkJSON(b, from)
}

// checkJSON says where a text stops being JSON.
func checkJSON(b []byte, from string) error {
	var v any
	err := json.Unmarshal(b, &v)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case len(bytes.TrimSpace(b)) == 0:
		return usageError("%s is empty; want JSON, such as {}", from)
	case errors.As(err, &syntax):
		before := b[:min(max(int(syntax.Offset)-1, 0), len(b))]
		line, column := 1+bytes.Count(before, []byte("\n")), len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:])))+1
		return usageError("%s is not JSON, at line %d, column %d: %w", from, line, column, err)
	}
	return usageError("%s is not JSON: %w", from, err)
}

func (a *app) invoke(ctx context.Context, name string, event []byte, async, showLog bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	qualifier := ""
	if !strings.HasPrefix(name, "arn:") {
		name, qualifier, _ = strings.Cut(name, ":")
	}
	if name, err = c.named(ctx, name); err != nil {
		return err
	}
	path := "/2015-03-31/functions/" + url.PathEscape(name) + "/invocations"
	if qualifier != "" {
		path += "?Qualifier=" + url.QueryEscape(qualifier)
	}
	header := map[string]string{"X-Amz-Invocation-Type": "RequestResponse"}
	if async {
		header["X-Amz-Invocation-Type"] = "Event"
	} else if showLog {
		header["X-Amz-Log-Type"] = "Tail"
	}
	resp, err := c.do(ctx, http.MethodPost, path, "lambda", event, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if async {
		fmt.Fprintf(a.Err, "Accepted as %s.\n", resp.Header.Get("X-Amzn-Requestid"))
		return nil
	}
	return a.printResult(resp)
}

// printResult prints what the function answered, and its log before it when that was asked for.
func (a *app) printResult(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	if tail, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result")); err == nil {
		for _, line := range strings.Split(strings.TrimRight(string(tail), "\n"), "\n") {
			if line != "" {
				fmt.Fprintln(a.Err, a.errStyle.dim(strings.ReplaceAll(line, "\t", "  ")))
			}
		}
	}
	fmt.Fprintln(a.Out, strings.TrimRight(string(body), "\n"))
	if resp.Header.Get("X-Amz-Function-Error") != "" {
		return &exitError{ExitFunction, nil}
	}
	return nil
}
