package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// status is what the node says of itself.
type status struct {
	Version   string    `json:"version"`
	Mode      string    `json:"mode"`
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Plain     string    `json:"plain"`
	URL       string    `json:"url"`
	Data      string    `json:"data"`
	Store     string    `json:"store"`
	Isolation struct {
		Driver  string   `json:"driver"`
		Summary string   `json:"summary"`
		InForce []string `json:"inForce"`
		Missing []string `json:"missing"`
	} `json:"isolation"`
	Instances struct {
		Idle     int `json:"idle"`
		Busy     int `json:"busy"`
		Starting int `json:"starting"`
	} `json:"instances"`
	Memory struct {
		Node      int64 `json:"node"`
		Instances int64 `json:"instances"`
	} `json:"memory"`
}

// runtimeRow is an installed interpreter.
type runtimeRow struct {
	Name   string   `json:"name"`
	Path   string   `json:"path"`
	Serves []string `json:"serves"`
	Exact  []string `json:"exact"`

	Modules []string `json:"modules"` // what comes with it
}

func (c *client) status(ctx context.Context) (status, error) {
	var s status
	err := c.get(ctx, "/_rouse/api/status", &s)
	return s, err
}

// runtimes lists the interpreters, and which of AWS's runtime names, and of these others, they serve.
func (c *client) runtimes(ctx context.Context, others ...string) ([]runtimeRow, error) {
	var r struct{ Runtimes []runtimeRow }
	slices.Sort(others)
	query := url.Values{"for": slices.Compact(others)}
	err := c.get(ctx, "/_rouse/api/runtimes?"+query.Encode(), &r)
	return r.Runtimes, err
}

func (a *app) statusCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "status",
		Short:   "Say how the node is",
		Long:    "Say how the node is: its address, what isolates functions and what does not, where its state is, what is running.",
		Example: "  rouse status\n  rouse status --json | jq .instances",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.status(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			fmt.Fprintf(a.Out, "%s %s, %s, up for %s, process %d\n", a.style.strong("rouse"), s.Version, modes[s.Mode],
				time.Since(s.Started).Round(time.Second), s.PID)
			a.facts(s)
			return nil
		},
	})
}

// modes are what a node is for, in words.
var modes = map[string]string{"dev": "development", "serve": "production"}

// facts prints what a node says of itself below its title.
func (a *app) facts(s status) {
	a.fact("Endpoint", a.style.code(s.URL)+a.style.dim("  region "+s.Region+", account "+s.Account))
	if s.Plain != "" {
		a.fact("First API", a.style.code("http://"+s.Plain))
	}
	a.fact("Data", s.Data)
	if strings.Contains(s.Store, "://") {
		a.fact("Store", s.Store+a.style.dim("  blobs and the seal key stay in the data folder"))
	}
	a.fact("Instances", fmt.Sprintf("%d idle, %d busy, %d starting", s.Instances.Idle, s.Instances.Busy, s.Instances.Starting))
	a.fact("Memory", fmt.Sprintf("%s this process, %s counted for instances", size(s.Memory.Node), size(s.Memory.Instances)))
	a.fact("Isolation", isolation(s))
	if len(s.Isolation.InForce) > 0 {
		a.fact("", a.style.good("with ")+strings.Join(s.Isolation.InForce, ", "))
	}
	for _, m := range s.Isolation.Missing {
		a.fact("", a.style.warn("without ")+m)
	}
}

// egressList is what a node says instead of "public egress" when a list limits it.
const egressList = "public egress to a list"

// isolation is one line on what separates functions from each other and from the machine; `rouse status` and `rouse doctor`
// have the rest.
func isolation(s status) string {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(s.Isolation.InForce, n) })
	}
	var with, without []string
	for _, p := range []struct {
		there      bool
		with, lack string
	}{
		{strings.HasPrefix(s.Isolation.Driver, "ns"), "namespaces", "no namespaces"},
		{has("memory limit", "cpu limit"), "cgroups", "no memory and CPU limits"},
		{has("system call filter"), "seccomp", "no system call filter"},
		{has("public egress") || has(egressList), "", "no internet"},
	} {
		switch {
		case !p.there:
			without = append(without, p.lack)
		case p.with != "":
			with = append(with, p.with)
		}
	}
	line := strings.Join(with, ", ")
	if line == "" {
		line = "processes of their own"
	}
	switch {
	case has("public egress"):
		line += " · functions reach the internet"
	case has(egressList):
		line += " · functions reach what --egress lists"
	}
	if len(without) > 0 {
		line += " · " + strings.Join(without, ", ") + " (see rouse doctor)"
	}
	return line
}

func (a *app) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the node in order",
		Long:    "Stop the node in order. What runs may end, for a second; what was accepted is on disk and goes on at the next start.",
		Example: "  rouse stop",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			resp, err := c.do(cmd.Context(), http.MethodPost, "/_rouse/api/stop", "rouse", nil, nil)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if err := a.waitUntilGone(cmd.Context(), c); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, "Stopped.")
			return nil
		},
	}
}

// waitUntilGone waits until the node's door no longer answers and, where its folder is at hand, until the node has removed its
// file there: the last thing that it does, so that the next one finds ports and folder free.
func (a *app) waitUntilGone(ctx context.Context, c *client) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/_rouse/health", nil)
		if err != nil {
			return err
		}
		resp, err := c.http.Do(req)
		if info, there, _ := a.nodeInfo(); err != nil && ctx.Err() == nil && (!there || info.URL != c.url) {
			return nil
		}
		if err == nil {
			resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return errors.New("the node was told to stop and still answers")
		case <-tick.C:
		}
	}
}

func (a *app) versionCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  rouse version\n  rouse version --json",
		Args:    atMost(0),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": a.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			fmt.Fprintln(a.Out, a.versionLine())
			return nil
		},
	})
}

func (a *app) versionLine() string {
	return fmt.Sprintf("rouse %s %s/%s %s", a.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func (a *app) runtimeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runtime",
		Short: "List or add the interpreters that functions run on",
		Long: "List the interpreters that functions run on, and the AWS runtime names that each serves; or add one. Node.js and the " +
			"AWS SDK for JavaScript (sdk-js; sdk-js-v2 for functions that load aws-sdk) come from the npm registry, pinned and verified.",
		Example: "  rouse runtime list\n  rouse runtime add node@24\n  rouse runtime add sdk-js\n  rouse runtime add sdk-js-v2",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("rouse runtime: %q is neither list nor add\nSee: rouse runtime --help", args[0])
			}
			return c.Help()
		},
	}
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List interpreters and the runtimes that they serve", Args: atMost(0),
		Example: "  rouse runtime list\n  rouse runtime list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			rows, err := c.runtimes(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(orEmpty(rows))
			}
			a.printRuntimes(rows)
			return nil
		},
	})
	add := &cobra.Command{
		Use: "add NAME", Short: "Install an interpreter or an SDK: node@24, sdk-js, sdk-js-v2",
		Example: "  rouse runtime add node@24\n  rouse runtime add sdk-js\n  rouse runtime add sdk-js-v2", Args: exactly(1, "what to install, such as node@24 or sdk-js"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.addRuntime(cmd.Context(), c, args[0])
		},
	}
	cmd.AddCommand(list, add)
	return cmd
}

func (a *app) printRuntimes(rows []runtimeRow) {
	if len(rows) == 0 {
		fmt.Fprintln(a.Out, "No interpreters. `rouse runtime add node@24` fetches Node.js; install python3 for Python.")
		return
	}
	var out [][]string
	for _, r := range rows {
		var exact, near []string
		for _, s := range r.Serves {
			if slices.Contains(r.Exact, s) {
				exact = append(exact, s)
			} else {
				near = append(near, s)
			}
		}
		out = append(out, []string{r.Name, a.style.good(strings.Join(exact, " ")), strings.Join(near, " "), strings.Join(r.Modules, ", "),
			a.style.dim(r.Path)})
	}
	a.style.table(a.Out, []string{"INTERPRETER", "IS", "NEAREST FOR", "COMES WITH", "PATH"}, out, 4, 2, 3)
}

func (a *app) addRuntime(ctx context.Context, c *client, name string) error {
	b, err := json.Marshal(map[string]string{"Name": name})
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, "/_rouse/api/runtimes", "rouse", b, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for lines := json.NewDecoder(resp.Body); ; {
		var p struct {
			Step, Error string
			Done        bool
		}
		if err := lines.Decode(&p); err != nil {
			return &exitError{ExitNoNode, fmt.Errorf("the node ended before %s was installed", name)}
		}
		switch {
		case p.Error != "":
			return errors.New(p.Error)
		case p.Done:
			fmt.Fprintf(a.Out, "%s is installed.\n", name)
			return nil
		default:
			fmt.Fprintln(a.Err, a.errStyle.dim(p.Step))
		}
	}
}
