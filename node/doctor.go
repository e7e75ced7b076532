package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/guest/runtimes"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// Doctor looks at what this machine offers. runs is whether functions can run at all.
func Doctor(ctx context.Context, data string) (checks []cli.Check, runs bool) {
	dir, err := os.MkdirTemp("", "rouse-doctor-")
	if err != nil {
		return []cli.Check{{Group: "Node", Name: "temporary folder", State: "missing", Detail: err.Error()}}, false
	}
	defer os.RemoveAll(dir) // a leftover in the temporary folder harms nobody
	d, err := driver.Open(ctx, driver.Config{Name: driver.Auto, Dir: dir, Readable: []string{dir}, Egress: true})
	if err != nil {
		checks = append(checks, cli.Check{Group: "Isolation", Name: "sandboxes", State: "missing", Detail: err.Error()})
	} else {
		checks = append(checks, isolationChecks(d.Report())...)
		runs = true
		if err := d.Close(); err != nil {
			checks = append(checks, cli.Check{Group: "Isolation", Name: "cleaning up", State: "weak", Detail: err.Error()})
		}
	}
	checks = append(checks, runtimeChecks(ctx, filepath.Join(data, runtimeFolder), dir)...)
	return append(checks, toolChecks()...), runs
}

func isolationChecks(r sandbox.Report) []cli.Check {
	checks := []cli.Check{{Group: "Isolation", Name: "driver", State: "ok", Detail: r.Driver}}
	for _, c := range r.Checks {
		state := map[sandbox.State]string{sandbox.InForce: "ok", sandbox.Partial: "weak", sandbox.Missing: "missing"}[c.State]
		checks = append(checks, cli.Check{Group: "Isolation", Name: c.Name, State: state, Detail: c.Detail, Lift: c.Lift})
	}
	return checks
}

// runtimeChecks looks for interpreters where a node with this folder would.
func runtimeChecks(ctx context.Context, folder, spare string) []cli.Check {
	if _, err := os.Stat(folder); err != nil {
		folder = spare // nothing was added, and looking should leave nothing behind
	}
	r, err := runtimes.Open(ctx, runtimes.Config{Dir: folder, Path: filepath.SplitList(os.Getenv("PATH")), Home: os.Getenv("HOME")})
	if err != nil {
		return []cli.Check{{Group: "Runtimes", Name: "interpreters", State: "missing", Detail: err.Error()}}
	}
	var checks []cli.Check
	for _, e := range r.List() {
		detail := e.Host
		for _, sdk := range e.SDKs() {
			detail += ", " + sdk
		}
		checks = append(checks, cli.Check{Group: "Runtimes", Name: e.Interpreter.String(), State: "ok", Detail: detail})
	}
	for _, language := range []struct{ probe, name, lift string }{
		{"nodejs22.x", "node", "install Node.js 20 or newer, or run: rouse runtime add node@24"},
		{"python3.13", "python", "install python3"},
	} {
		if _, err := r.For(language.probe); err != nil {
			checks = append(checks, cli.Check{Group: "Runtimes", Name: language.name, State: "missing", Detail: "not installed",
				Lift: language.lift})
		}
	}
	return checks
}

// toolChecks looks for what `rouse deploy` builds with.
func toolChecks() []cli.Check {
	var checks []cli.Check
	for _, tool := range []struct{ name, use string }{
		{"npm", "to install the packages of Node functions"},
		{"go", "to build Go functions"},
		{"aws", "the AWS CLI, to talk to the node as to AWS"},
	} {
		c := cli.Check{Group: "Tools", Name: tool.name, State: "ok"}
		path, err := exec.LookPath(tool.name)
		if err != nil {
			c.State, c.Detail, c.Lift = "weak", "not installed", "needed "+strings.TrimPrefix(tool.use, "needed ")
		} else {
			c.Detail = path
		}
		checks = append(checks, c)
	}
	return checks
}

// Settings lists what can be configured, for the command line.
func Settings() []cli.Setting {
	out := make([]cli.Setting, len(settings))
	for i, s := range settings {
		out[i] = cli.Setting{Name: s.Name, Help: s.Help}
	}
	return out
}
