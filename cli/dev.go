package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/cli/project"
	"github.com/spf13/cobra"
)

func (a *app) devCommand() *cobra.Command {
	var params []string
	var noWatch bool
	cmd := &cobra.Command{
		Use:     "dev [TEMPLATE | FILE | DIR]",
		Aliases: []string{"up"},
		Short:   "Run an application here, and again as you edit",
		Long: "Start a node of your own, deploy the application to it, serve its first API at http://127.0.0.1:3000, stream its logs and\n" +
			"deploy again within a second of each change. The node keeps its state in .rouse beside the application; the AWS CLI\n" +
			"and SDKs reach it with the key test/test (see rouse env).\n\n" +
			"An application is a SAM or CloudFormation template, or code without one: a Lambda handler, a web handler\n" +
			"(export default { fetch }, a WSGI or ASGI app) or a Go program that listens on $PORT.",
		Example: "  rouse dev\n  rouse dev handler.py\n  rouse dev examples/shop/template.yaml -p CouponSecret=s3cret",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parameters, err := parseParameters(params)
			if err != nil {
				return err
			}
			return a.dev(cmd, args, parameters, !noWatch)
		},
	}
	cmd.Flags().StringArrayVarP(&params, "parameter", "p", nil, "a template parameter, NAME=VALUE")
	cmd.Flags().BoolVar(&noWatch, "no-watch", false, "do not deploy again when files change")
	a.settingFlags(cmd, func(name string) bool { return !strings.HasPrefix(name, "price.") && name != "allow-weak-isolation" })
	return cmd
}

// anyRuntime stands for the node's runtimes before there is a node.
func anyRuntime(language string) string {
	if language == "python" {
		return "python3.13"
	}
	return "nodejs22.x"
}

func (a *app) dev(cmd *cobra.Command, args []string, parameters map[string]string, watch bool) error {
	path := a.dir()
	if len(args) == 1 {
		if path = args[0]; !filepath.IsAbs(path) {
			path = filepath.Join(a.dir(), path)
		}
	}
	dir := path
	p, findErr := project.Find(path, anyRuntime)
	switch {
	case findErr == nil && p.Only == "":
		dir = p.Dir
	case findErr == nil:
		dir = a.dir()
	case len(args) == 1:
		return usageError("%w", findErr)
	}
	ctx, stop := signals(cmd.Context())
	defer stop()
	node, err := a.startNode(context.WithoutCancel(ctx), cmd, true, dir)
	if err != nil {
		return err
	}
	err = a.develop(ctx, node, args, findErr, parameters, watch)
	stop() // from here on an interrupt ends the process
	return errors.Join(err, a.stopNode(node))
}

// develop runs beside a started node until the user stops it or the node ends.
func (a *app) develop(ctx context.Context, node Node, args []string, findErr error, parameters map[string]string, watch bool) error {
	a.endpoint = node.URL()
	c, err := a.client()
	if err != nil {
		return err
	}
	s, err := c.status(ctx)
	if err != nil {
		return err
	}
	a.title("development", node)
	fmt.Fprintln(a.Out)
	a.devFacts(s)
	var d *deployment
	var out outcome
	var failed error
	if findErr == nil {
		if d, err = a.deployment(ctx, c, args); err != nil {
			return err
		}
		d.parameters = parameters
		out, failed = d.deploy(ctx)
		if ctx.Err() != nil {
			return nil
		}
	}
	a.devApplication(ctx, c, s, d, out, failed, findErr)
	fmt.Fprintln(a.Out, "\nReady.")

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := make(chan error, 1)
	go func() { feed <- c.feed(ctx, "", nil, func(m moment) error { a.printMoment(m); return nil }) }()
	redeployed := make(chan error, 1)
	if d != nil && watch {
		go func() { redeployed <- a.redeploy(ctx, d, out.watch) }()
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.Out)
		return nil
	case err := <-node.Done():
		return err
	case err := <-redeployed:
		return err
	case err := <-feed:
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
}

// devFacts is what the screen says of the node itself.
func (a *app) devFacts(s status) {
	a.fact("Isolation", s.Isolation.Summary)
	for _, m := range s.Isolation.Missing {
		a.fact("", a.style.warn("without ")+m)
	}
	a.fact("Data", tilde(s.Data))
	a.fact("Region", s.Region+a.style.dim(", account "+s.Account))
}

// tilde shortens a path in the user's home.
func tilde(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "/" || !strings.HasPrefix(path, home+string(filepath.Separator)) {
		return path
	}
	return "~" + path[len(home):]
}

// devApplication is what the screen says of the application, or why there is none.
func (a *app) devApplication(ctx context.Context, c *client, s status, d *deployment, out outcome, failed, findErr error) {
	switch {
	case findErr != nil:
		fmt.Fprintf(a.Out, "\n  %s\n", a.style.dim("No application here: "+findErr.Error()))
	case failed != nil:
		fmt.Fprintf(a.Out, "\n%s %s\n%s\n", a.style.bad("not deployed:"), failed, a.style.dim("Waiting for a change."))
		return
	default:
		a.fact("Stack", fmt.Sprintf("%s%s", out.Stack, a.style.dim(fmt.Sprintf(", %s in %s", count(len(out.Changed), "change"), short(out.Took)))))
		if d.project.Shape != "" {
			a.fact("Seen as", d.project.Shape)
		}
		if err := a.printApplication(ctx, c, s.Plain); err != nil {
			fmt.Fprintln(a.Err, a.errStyle.warn(err.Error()))
		}
	}
	fmt.Fprintln(a.Out)
	a.fact("AWS tools", a.style.code(`eval "$(`+a.self()+` env)"; aws lambda list-functions`))
	a.fact("Stop", "Ctrl-C")
}

// self is how the user calls this program.
func (a *app) self() string {
	exe, err := os.Executable()
	if err != nil {
		return "rouse"
	}
	for _, dir := range filepath.SplitList(first(a.getenv("PATH"))) {
		if dir == filepath.Dir(exe) {
			return filepath.Base(exe)
		}
	}
	if rel, err := filepath.Rel(a.dir(), exe); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return exe
}

func first(s string, _ bool) string { return s }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printMoment prints what the feed tells: one line per request, attempt that no request caused, and log line.
func (a *app) printMoment(m moment) {
	st := a.style
	at := st.dim(m.At.Local().Format("15:04:05.000"))
	switch {
	case m.Request != nil:
		r := m.Request
		line := fmt.Sprintf("%s %s %s %s %s", at, st.status(r.Status), st.strong(r.Method), r.Path, st.dim(short(r.Took)))
		if r.Function != "" {
			line += " " + st.name(r.Function)
		}
		if cold := r.Timing.cold(); cold != "" {
			line += " " + st.dim(cold)
		}
		if r.Error != "" {
			line += " " + st.bad(r.Error)
		}
		fmt.Fprintln(a.Out, line)
	case m.Attempt != nil:
		t := m.Attempt
		if t.Cause == "http" || t.Cause == "url" {
			return // its request says it
		}
		mark := st.good(t.Outcome)
		if t.Outcome != "ok" {
			mark = st.bad(strings.TrimSpace(t.Outcome + " " + t.Error))
		}
		line := fmt.Sprintf("%s %s %s %s %s", at, mark, st.strong(t.Cause), st.name(t.Function), st.dim(short(t.Timing.Run)))
		if t.Attempt > 1 {
			line += st.warn(fmt.Sprintf(" attempt %d", t.Attempt))
		}
		if cold := t.Timing.cold(); cold != "" {
			line += " " + st.dim(cold)
		}
		fmt.Fprintln(a.Out, line)
	case m.Line != nil && !platformLine(m.Line.Text):
		a.printLine(m.At, m.Line.Function, m.Line.Text)
	}
}

// platformLine reports whether a log line is one that the platform wrote: the request's own line says the same, shorter.
func platformLine(text string) bool {
	for _, p := range []string{"START RequestId: ", "END RequestId: ", "REPORT RequestId: "} {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// redeploy deploys again after each change of the project's files until ctx is done.
func (a *app) redeploy(ctx context.Context, d *deployment, paths []string) error {
	d.quiet = true
	for {
		if d.project.Template != "" {
			paths = append(paths, d.project.Template)
		} else {
			paths = append(paths, d.project.Dir)
		}
		changed, err := waitForChange(ctx, paths, d.work)
		if err != nil || ctx.Err() != nil {
			return err
		}
		began := time.Now()
		p, err := project.Find(d.project.Entry, d.c.installed(ctx))
		if err != nil {
			fmt.Fprintf(a.Out, "%s %s\n", a.style.bad("not deployed:"), err)
			continue
		}
		p.Name = d.project.Name
		d.project = p
		out, err := d.deploy(ctx)
		if out.watch != nil {
			paths = out.watch
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Fprintf(a.Out, "%s %s\n", a.style.bad("not deployed:"), err)
		case len(out.Changed) > 0:
			fmt.Fprintf(a.Out, "%s %s %s\n", a.style.good("↻"), changed, a.style.dim("deployed in "+short(time.Since(began))))
		}
	}
}
