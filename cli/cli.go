// Package cli is the command line of Rouse: a client of the doors, like any other, that also starts nodes.
//
// Every command is a function of a World (files, environment, what starts a node) and answers with an exit code, so that
// tests run whole commands in one process. A command that needs a node finds it in this order: --endpoint,
// ROUSE_ENDPOINT, the node whose folder is .rouse (or --data) here or in a parent folder, http://127.0.0.1:4566. Calls
// are signed: with ROUSE_ACCESS_KEY_ID and ROUSE_SECRET_ACCESS_KEY, else with the development key when the node is one
// of development, else with AWS's variables.
//
// # What is printed
//
// Answers go to standard output, everything about the way there to standard error, so that a pipe gets the answer alone.
// On a terminal there is colour, and progress on whatever takes longer than a second; in a pipe there are plain lines.
// NO_COLOR is honoured. Wherever something is listed, --json prints it as JSON.
//
// # Exit codes
//
//	0  done
//	1  refused or failed by the node, or by AWS's rules
//	2  the command line itself is wrong
//	3  no node answered
//	4  the function failed (invoke)
//
// `rouse exec` ends with the code of what it ran: 127 when there is no such tool, 128 and the signal when one ended it.
//
// # While developing
//
//	files ──quiet for 80 ms──► build ──► change set ──► execute ──► "↻ index.js → Products"
//	node  ──feed──► one line per request, log line and attempt that no request caused
//
// Both end in the same place, a moment's line, written whole. The files stay watched while a deployment runs, so that a
// change is never missed; a deployment that fails leaves the application as it was and waits for the next change.
//
// Building artifacts and telling what a folder holds are the sub-packages build and project.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// World is what a command can touch.
type World struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // "NAME=value"
	Dir      string   // working folder; "" is the process's own
	Version  string
	Settings []Setting // of a node
	Start    func(context.Context, NodeOptions) (Node, error)
	Doctor   Doctor
	State    State
}

// Setting is one thing that can be configured of a node: a flag, ROUSE_NAME in the environment, a line in rouse.toml.
type Setting struct{ Name, Help string }

// NodeOptions say how to start a node.
type NodeOptions struct {
	Dev    bool
	Flags  map[string]string // settings given as flags
	Getenv func(string) (string, bool)
	File   string // rouse.toml
	Must   bool   // the file must exist
	Log    io.Writer
}

// Node is a running node.
type Node interface {
	// Done gives the reason when the node has ended: nil after a Stop.
	Done() <-chan error
	// Stop ends it in order; when ctx is done first, at once.
	Stop(ctx context.Context) error
	// URL is how it is reached from here.
	URL() string
	// FirstKey is the root key that was made at first start, "" when there was one already.
	FirstKey() (id, secret string)
}

// Exit codes.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitNoNode   = 3
	ExitFunction = 4
)

// exitError is an error with its exit code. A nil Err prints nothing: the command has said what there was to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a mistake in the command line.
func usageError(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Errorf(format, args...)}
}

// app is one run of the command line.
type app struct {
	World
	style    style
	errStyle style
	endpoint string
	data     string
	json     bool
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, w World) int {
	a := &app{World: w}
	a.style, a.errStyle = newStyle(w.Out, a.getenv), newStyle(w.Err, a.getenv)
	root := a.root()
	root.SetArgs(args)
	root.SetIn(w.In)
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	code := ExitFailed
	var e *exitError
	if errors.As(err, &e) {
		code = e.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(w.Err, "%s %s\n", a.errStyle.bad("error:"), text)
		if hint := hint(err); hint != "" {
			fmt.Fprintln(w.Err, hint)
		}
	}
	return code
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rouse",
		Short: "A complete serverless architecture in one binary",
		Long: "Rouse runs serverless applications: functions, APIs, schedules and their state, in one process, " +
			"AWS-compatible, on a laptop and in production.",
		Example: "  rouse dev handler.py            serve one file at http://127.0.0.1:3000\n" +
			"  rouse dev                       serve template.yaml, again at each change\n" +
			"  rouse invoke hello '{\"n\":1}'    call a function\n" +
			"  rouse exec -- aws lambda list-functions",
		Version:       a.Version,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              a.knownCommand,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%s: %w\nSee: %s --help", c.CommandPath(), err, c.CommandPath())
	})
	root.Flags().BoolP("version", "v", false, "print the version")
	root.SetVersionTemplate(a.versionLine() + "\n")
	root.SetHelpFunc(a.help)
	root.SetHelpCommand(a.helpCommand(root))
	root.PersistentFlags().StringVar(&a.endpoint, "endpoint", "", "`URL` of the node to talk to")
	root.PersistentFlags().StringVar(&a.data, "data", "", "`FOLDER` of the node's state (default .rouse)")
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
	}
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", a.devCommand(), a.serveCommand(), a.statusCommand(), a.stopCommand(), a.resetCommand(),
		a.backupCommand(), a.restoreCommand(), a.storeCommand())
	add("app", a.initCommand(), a.deployCommand(), a.deleteCommand(), a.listCommand(), a.invokeCommand())
	add("see", a.logsCommand(), a.usageCommand(), a.tableCommand())
	add("more", a.envCommand(), a.execCommand(), a.runtimeCommand(), a.doctorCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("more")
	return root
}

// knownCommand refuses what is no command, and names what was perhaps meant.
func (a *app) knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError("%s\nSee: rouse help", text)
}

// getenv reads the environment of the World.
func (a *app) getenv(name string) (string, bool) {
	for i := len(a.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(a.Environ[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// dir is the working folder.
func (a *app) dir() string {
	if a.Dir != "" {
		return a.Dir
	}
	d, err := os.Getwd()
	if err != nil {
		return "."
	}
	return d
}

// path is a path as the user wrote it, from the working folder.
func (a *app) path(named string) string {
	if filepath.IsAbs(named) {
		return named
	}
	return filepath.Join(a.dir(), named)
}

// atMost and exactly check the number of arguments.
func atMost(n int) cobra.PositionalArgs {
	return argCheck(func(args []string) error {
		if len(args) > n && n == 0 {
			return fmt.Errorf("%q is one argument too many: it takes none", args[0])
		}
		if len(args) > n {
			return fmt.Errorf("%q is one argument too many", args[n])
		}
		return nil
	})
}

func exactly(n int, what string) cobra.PositionalArgs {
	return argCheck(func(args []string) error {
		if len(args) < n {
			return errors.New("name " + what)
		}
		if len(args) > n {
			return fmt.Errorf("%q is one argument too many", args[n])
		}
		return nil
	})
}

func argCheck(check func([]string) error) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(args); err != nil {
			return usageError("%s: %w\nUsage: %s", c.CommandPath(), err, strings.TrimSuffix(c.UseLine(), " [flags]"))
		}
		return nil
	}
}
