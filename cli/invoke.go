package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) invokeCommand() *cobra.Command {
	var async, showLog bool
	cmd := &cobra.Command{
		Use:   "invoke NAME [PAYLOAD | @FILE | -]",
		Short: "Call a function",
		Long: "Call a function with a JSON event: given as it is, read from a file (@event.json) or from standard input (-).\n" +
			"The result goes to standard output. When the function fails, its error does, and the exit code is 4.",
		Example: "  rouse invoke hello\n  rouse invoke hello '{\"name\":\"you\"}' --log\n  rouse invoke hello:live @event.json\n" +
			"  echo '[1,2]' | rouse invoke sum -",
		Args: atMost(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("invoke: name a function; `rouse list` shows them")
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
		b, err = io.ReadAll(a.In)
	case isFile:
		from = file
		if !filepath.IsAbs(file) {
			file = filepath.Join(a.dir(), file)
		}
		b, err = os.ReadFile(file)
	default:
		b = []byte(args[0])
	}
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, usageError("%s is not JSON: %w", from, err)
	}
	return b, nil
}

func (a *app) invoke(ctx context.Context, name string, event []byte, async, showLog bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	name, qualifier, _ := strings.Cut(name, ":")
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
	if code(err) == "ResourceNotFoundException" {
		return fmt.Errorf("%w\n%s", err, a.known(ctx, c))
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if async {
		fmt.Fprintf(a.Err, "Accepted as %s\n", resp.Header.Get("X-Amzn-Requestid"))
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
				fmt.Fprintln(a.Err, a.errStyle.dim(line))
			}
		}
	}
	fmt.Fprintln(a.Out, strings.TrimRight(string(body), "\n"))
	if resp.Header.Get("X-Amz-Function-Error") != "" {
		return &exitError{ExitFunction, nil}
	}
	return nil
}

// known names the functions that there are, for whoever mistyped one.
func (a *app) known(ctx context.Context, c *client) string {
	list, err := c.functions(ctx)
	if err != nil || len(list) == 0 {
		return "There are no functions yet: deploy some with `rouse deploy` or `rouse dev`."
	}
	names := make([]string, 0, len(list))
	for _, f := range list[:min(len(list), 10)] {
		names = append(names, f.FunctionName)
	}
	if len(list) > 10 {
		names = append(names, "…")
	}
	return "Functions: " + strings.Join(names, ", ")
}

// function is a row of `rouse list`.
type function struct {
	FunctionName, Runtime, Handler, LastModified, State string
	MemorySize, Timeout                                 int
	CodeSize                                            int64
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
