package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/cli/project"
	"github.com/spf13/cobra"
)

// slowDeploy is after how long a redeployment says that it is under way: a save must show within a second.
const slowDeploy = 600 * time.Millisecond

func (a *app) devCommand() *cobra.Command {
	var params []string
	var noWatch bool
	cmd := &cobra.Command{
		Use:     "dev [TEMPLATE | FILE | DIR]",
		Aliases: []string{"up"},
		Short:   "Run an application here, and again as you edit",
		Long: "Start a node of your own, deploy the application to it, serve its first API at http://127.0.0.1:3000, stream its logs " +
			"and deploy again within a second of each change. The node keeps its state in .rouse beside the application; the AWS " +
			"CLI and SDKs reach it with the key test/test (see rouse env).\n\n" +
			"An application is a SAM or CloudFormation template, or code without one: a Lambda handler, a web handler " +
			"(export default { fetch }, a WSGI or ASGI app) or a program that listens on $PORT.",
		Example: "  rouse dev\n  rouse dev handler.py\n  rouse dev examples/shop -p CouponSecret=s3cret\n" +
			"  rouse dev --listen 127.0.0.1:0 --plain 127.0.0.1:8080",
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parameters, err := parseParameters(params)
			if err != nil {
				return err
			}
			return a.dev(cmd, args, parameters, !noWatch)
		},
	}
	cmd.Flags().StringArrayVarP(&params, "parameter", "p", nil, "a template parameter, `NAME=VALUE`; may be repeated")
	cmd.Flags().BoolVar(&noWatch, "no-watch", false, "do not deploy again when files change")
	a.settingFlags(cmd, func(name string) bool {
		return !strings.HasPrefix(name, "price.") && name != "allow-weak-isolation" && name != "public-url"
	})
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
		path = a.path(args[0])
	}
	dir := path
	p, findErr := project.Find(path, anyRuntime)
	switch {
	case findErr == nil && p.Only == "":
		dir = p.Dir
	case findErr == nil:
		dir = a.dir()
	case len(args) == 1 && !errors.Is(findErr, project.ErrNothing):
		return usageError("%w", findErr)
	}
	ctx, stop := signals(cmd.Context())
	defer stop()
	node, err := a.startNode(context.WithoutCancel(ctx), cmd, true, dir)
	if err != nil {
		return err
	}
	folder := dir
	if p.Only != "" {
		folder = p.Entry
	}
	d := &development{app: a, node: node, path: path, folder: folder, missing: findErr, parameters: parameters, watching: watch, screen: a.screen("15:04:05")}
	err = d.run(ctx)
	stop() // from here on an interrupt ends the process
	return errors.Join(err, a.stopNode(node))
}

// development is one run of `rouse dev`.
type development struct {
	*app
	node       Node
	c          *client
	path       string // of the application, as asked for
	folder     string // what is watched from the start: the application's folder, or its one file
	missing    error  // why there is no application yet; nil when there is one
	parameters map[string]string
	watching   bool
	screen     *screen
	deployment *deployment // nil until there is an application
	shown      bool        // whether the screen says what it is
	broken     bool        // whether the last deployment failed
	watch      []string    // what the last build was made of
	routes     []route     // as shown last
}

// run goes on beside a started node until the user stops it or the node ends.
func (d *development) run(ctx context.Context) error {
	d.endpoint = d.node.URL()
	var err error
	if d.c, err = d.client(); err != nil {
		return err
	}
	s, err := d.c.status(ctx)
	if err != nil {
		return err
	}
	d.title(modes["dev"], d.node)
	fmt.Fprintln(d.Out)
	d.fact("Isolation", isolation(s))
	d.fact("Data", d.near(s.Data))
	var w *watcher
	if d.watching {
		// From before the first build on, so that no change is missed; what does not concern it is left out later.
		if w, err = newWatcher(d.Out, d.Err); err != nil {
			fmt.Fprintf(d.Err, "%s changes are not noticed: %v\n", d.errStyle.warn("warning:"), err)
		} else {
			defer w.close() //nolint:errcheck // nothing was written
			w.watch([]string{d.folder})
		}
	}
	d.first(ctx, s)
	if ctx.Err() != nil {
		return nil
	}
	if w != nil {
		w.watch(d.paths())
	}
	return d.live(ctx, s, w)
}

// first deploys the application and says what it is, or why it is not.
func (d *development) first(ctx context.Context, s status) {
	out, err := outcome{}, error(nil)
	if d.missing == nil {
		out, err = d.deploy(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return
	case d.missing != nil:
		d.nothing()
	case err != nil:
		d.broken = true
		fmt.Fprintf(d.Out, "\n  %s\n", d.style.bad("Not deployed"))
		for _, l := range strings.Split(err.Error(), "\n") {
			fmt.Fprintf(d.Out, "  %s\n", d.style.wrap(printable(l), 4))
		}
		fmt.Fprintf(d.Out, "\n  %s\n\n", d.style.dim("Waiting for a change that mends it."))
	default:
		d.deployed(ctx, s, out)
	}
	d.fact("AWS tools", d.style.code(d.toNode(d.c)+" exec -- aws lambda list-functions"))
	d.fact("Stop", "Ctrl-C")
	fmt.Fprintln(d.Out)
}

// nothing is what a screen without an application says.
func (d *development) nothing() {
	fmt.Fprintln(d.Out)
	if !errors.Is(d.missing, project.ErrNothing) {
		fmt.Fprintf(d.Out, "  %s\n\n", d.missing)
	}
	fmt.Fprintf(d.Out, "  There is no application here yet.\n\n")
	dir := ""
	if d.path != d.dir() {
		dir = " " + shellQuote(d.near(d.path))
	}
	lines := [][2]string{{d.self() + " init" + dir, "starts one, and it runs here at once"},
		{d.self() + " dev FILE", "runs one file: a handler or a web application"}}
	for _, l := range lines {
		fmt.Fprintf(d.Out, "    %s  %s\n", d.style.code(pad(l[0], max(len(lines[0][0]), len(lines[1][0])))), d.style.dim(l[1]))
	}
	fmt.Fprintln(d.Out)
}

// deployed is what the screen says of a deployed application.
func (d *development) deployed(ctx context.Context, s status, out outcome) {
	d.shown = true
	what := out.Stack + d.style.dim(", as it was")
	if len(out.Changed) > 0 {
		what = out.Stack + d.style.dim(", deployed in "+short(out.Took))
	}
	d.fact("Stack", what)
	if d.deployment.project.Shape != "" {
		d.fact("Seen as", d.deployment.project.Shape)
	}
	functions, err := d.c.functions(ctx)
	for _, f := range functions {
		d.screen.room(f.FunctionName)
	}
	if err == nil {
		err = d.printApplication(ctx, d.c, functions, s.Plain)
	}
	if err == nil {
		d.routes, err = d.c.routes(ctx)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(d.Err, d.errStyle.warn(err.Error()))
	}
}

// deploy finds the application and brings it to the node.
func (d *development) deploy(ctx context.Context) (outcome, error) {
	dep, err := d.app.deployment(ctx, d.c, d.path)
	if err != nil {
		return outcome{}, err
	}
	if d.deployment != nil {
		dep.project.Name = d.deployment.project.Name
	}
	dep.parameters, dep.noPlan, dep.noProgress = d.parameters, true, d.shown
	d.deployment = dep
	out, err := dep.deploy(ctx)
	if out.watch != nil {
		d.watch = out.watch
	}
	return out, err
}

// feedLost is how long a node may take to end after its feed did, before that is told.
const feedLost = 3 * time.Second

// screenPace is how many moments per second the screen asks for: more than anybody reads, and what is beyond it is counted.
const screenPace = 200

// live shows what happens, and deploys again, until something ends it.
func (d *development) live(ctx context.Context, s status, w *watcher) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	feed, connected, watched := make(chan error, 1), make(chan struct{}), make(chan error, 1)
	work.Go(func() {
		feed <- d.c.feed(ctx, fmt.Sprintf("?brief=true&pace=%d", screenPace), func() { close(connected) }, d.moment)
	})
	select {
	case <-connected: // what happens from now on is shown
	case <-ctx.Done():
		return nil
	case err := <-feed:
		return err
	}
	if w != nil {
		work.Go(func() { watched <- d.redeploy(ctx, s, w) })
	}
	d.screen.print("Ready.\n")
	var lost <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			d.screen.print("\n")
			return nil
		case err := <-d.node.Done():
			return err
		case err := <-watched:
			if ctx.Err() == nil {
				d.screen.say(time.Now(), d.style.warn("changes are not noticed:"), fmt.Sprint(err))
			}
		case <-feed:
			lost = time.After(feedLost) // the node is ending, and will say why
		case <-lost:
			d.screen.say(time.Now(), d.style.warn("what happens is no longer shown; `rouse logs -f` may show it"))
		}
	}
}

func (d *development) moment(m moment) error {
	d.screen.show(m)
	return nil
}

// paths are the files and folders whose change asks for another deployment.
func (d *development) paths() []string {
	if d.deployment == nil {
		return []string{d.path}
	}
	p := d.deployment.project
	paths := slices.Clone(d.watch)
	switch {
	case p.Template != "":
		paths = append(paths, p.Template)
	case p.Only != "":
		paths = append(paths, p.Entry)
	default:
		paths = append(paths, p.Dir)
	}
	return paths
}

// redeploy deploys again after each change of the application's files until ctx is done.
func (d *development) redeploy(ctx context.Context, s status, w *watcher) error {
	for {
		changed, err := w.next(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		d.again(ctx, s, d.changed(changed))
		w.watch(d.paths())
	}
}

// again deploys after a change of what is called name.
func (d *development) again(ctx context.Context, s status, name string) {
	began := time.Now()
	late := time.AfterFunc(slowDeploy, func() { d.screen.say(time.Now(), d.style.dim("↻ "+name+" changed, building …")) })
	out, err := d.deploy(ctx)
	late.Stop()
	broken := d.broken
	d.broken = err != nil
	switch {
	case ctx.Err() != nil || errors.Is(err, project.ErrNothing) && !d.shown:
	case err != nil:
		d.screen.problem(time.Now(), d.style.bad("not deployed"), err)
	case !d.shown:
		d.found(ctx, s, out)
	case len(out.Changed) > 0:
		d.screen.say(time.Now(), d.style.good("↻ ")+name+effect(out.Changed), d.style.dim("deployed in "+short(time.Since(began))))
		d.tellRoutes(ctx)
	case broken:
		d.screen.say(time.Now(), d.style.good("↻ ")+name, d.style.dim("mended: the application is as it was"))
	}
}

// found says what application there is now, where there was none or only a mistake.
func (d *development) found(ctx context.Context, s status, out outcome) {
	var text bytes.Buffer
	plain, own := *d.app, *d
	plain.Out, own.app = &text, &plain
	own.deployed(ctx, s, out)
	d.shown, d.routes = true, own.routes
	d.screen.print("\n" + text.String() + "\n")
}

// changed is what to call the files that changed.
func (d *development) changed(files []string) string {
	there := slices.DeleteFunc(slices.Clone(files), func(f string) bool { _, err := os.Stat(f); return err != nil })
	if len(there) > 0 {
		files = there // editors write under other names and rename
	}
	if len(files) == 1 {
		return filepath.Base(files[0])
	}
	return fmt.Sprintf("%s and %s", filepath.Base(files[0]), count(len(files)-1, "other file"))
}

// effect is what a deployment changed, without what follows of itself.
func effect(changes []change) string {
	var names []string
	for _, c := range changes {
		switch c.ResourceType {
		case "AWS::Lambda::Permission", "AWS::IAM::Role", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage":
			continue
		}
		mark := map[string]string{"Add": "+", "Remove": "-"}[c.Action]
		names = append(names, mark+c.LogicalID)
	}
	const most = 4
	if len(names) > most {
		names = append(names[:most-1], fmt.Sprintf("%d more", len(names)-most+1))
	}
	if len(names) == 0 {
		return ""
	}
	return " → " + strings.Join(names, ", ")
}

// tellRoutes says which routes are new and which are gone.
func (d *development) tellRoutes(ctx context.Context) {
	now, err := d.c.routes(ctx)
	if err != nil {
		return // the deployment stands; the next one looks again
	}
	key := func(r route) string { return r.Method + " " + r.Path }
	has := func(list []route, r route) bool {
		for _, o := range list {
			if key(o) == key(r) {
				return true
			}
		}
		return false
	}
	for _, r := range now {
		if !has(d.routes, r) {
			d.screen.say(time.Now(), "  "+d.style.good("+ ")+key(r)+"  "+d.style.name(nick(r.Function), r.Function))
		}
	}
	for _, r := range d.routes {
		if !has(now, r) {
			d.screen.say(time.Now(), "  "+d.style.bad("- ")+key(r))
		}
	}
	d.routes = now
}

// near is a path as it is best read from the working folder.
func (a *app) near(path string) string {
	if rel, err := filepath.Rel(a.dir(), path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	home, ok := a.getenv("HOME")
	if !ok || home == "" || home == "/" || !strings.HasPrefix(path, home+string(filepath.Separator)) {
		return path
	}
	return "~" + path[len(home):]
}

// self is how the user calls this program.
func (a *app) self() string {
	exe, err := os.Executable()
	if err != nil {
		return "rouse"
	}
	path, _ := a.getenv("PATH")
	for _, dir := range filepath.SplitList(path) {
		if dir == filepath.Dir(exe) {
			return filepath.Base(exe)
		}
	}
	if rel, err := filepath.Rel(a.dir(), exe); err == nil && !strings.HasPrefix(rel, "..") {
		return shellQuote(rel)
	}
	return shellQuote(exe)
}

// toNode is how the user calls this program for a node: with its address, where it would not be found by itself.
func (a *app) toNode(c *client) string {
	other := *a
	other.endpoint = ""
	if found, err := other.client(); err == nil && found.url == c.url {
		return a.self()
	}
	return a.self() + " --endpoint " + c.url
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
