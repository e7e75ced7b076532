package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
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
}

func (c *client) status(ctx context.Context) (status, error) {
	var s status
	err := c.get(ctx, "/_rouse/api/status", &s)
	return s, err
}

func (c *client) runtimes(ctx context.Context) ([]runtimeRow, error) {
	var r struct{ Runtimes []runtimeRow }
	err := c.get(ctx, "/_rouse/api/runtimes", &r)
	return r.Runtimes, err
}

func (a *app) statusCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Say how the node is",
		Args:  exactly(0),
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
			fmt.Fprintf(a.Out, "%s %s, %s, up for %s, process %d\n", a.style.strong("rouse"), s.Version, s.Mode,
				time.Since(s.Started).Round(time.Second), s.PID)
			a.facts(s)
			return nil
		},
	})
}

// fact prints one line of a screen: a name and what it is.
func (a *app) fact(name, value string) {
	fmt.Fprintf(a.Out, "  %s %s\n", a.style.dim(fmt.Sprintf("%-10s", name)), value)
}

// facts prints what a node says of itself below its title.
func (a *app) facts(s status) {
	a.fact("Endpoint", a.style.code(s.URL)+a.style.dim("  region "+s.Region+", account "+s.Account))
	a.fact("Isolation", s.Isolation.Summary)
	for _, m := range s.Isolation.Missing {
		a.fact("", a.style.warn("without ")+m)
	}
	a.fact("Data", s.Data)
	a.fact("Instances", fmt.Sprintf("%d idle, %d busy, %d starting", s.Instances.Idle, s.Instances.Busy, s.Instances.Starting))
	a.fact("Memory", fmt.Sprintf("%s this process, %s counted for instances", size(s.Memory.Node), size(s.Memory.Instances)))
}

func (a *app) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop the node in order",
		Args:  exactly(0),
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

// waitUntilGone waits until the node's door no longer answers.
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
		if err != nil && ctx.Err() == nil {
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

func (a *app) resetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Delete the state of a stopped node",
		Long:  "Delete the folder of a node's state: functions, logs, usage, everything. The node must not be running.",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := a.dataFolder()
			if err != nil {
				return err
			}
			return a.reset(folder, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// reset deletes a folder, if it is one of Rouse's and nobody uses it.
func (a *app) reset(folder string, yes bool) error {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(a.Out, "There is no state at %s.\n", folder)
		return nil
	}
	if _, err := os.Stat(filepath.Join(folder, "store")); err != nil {
		return fmt.Errorf("%s is not a folder of Rouse's state: it has no store; nothing was deleted", folder)
	}
	if _, err := os.Stat(filepath.Join(folder, NodeFile)); err == nil {
		if info, _, err := a.nodeInfo(); err == nil && answers(info.URL) {
			return fmt.Errorf("a node is running on %s (process %d); stop it first: rouse stop", folder, info.PID)
		}
	}
	if !yes {
		fmt.Fprintf(a.Err, "Delete %s and everything in it? [y/N] ", folder)
		answer, _ := bufio.NewReader(a.In).ReadString('\n')
		if s := strings.ToLower(strings.TrimSpace(answer)); s != "y" && s != "yes" {
			return errors.New("nothing was deleted")
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Deleted %s.\n", folder)
	return nil
}

// answers reports whether a node's door is open.
func answers(url string) bool {
	c := http.Client{Timeout: time.Second}
	resp, err := c.Get(url + "/_rouse/health")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return true
}

func (a *app) versionCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": a.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			fmt.Fprintf(a.Out, "rouse %s %s/%s %s\n", a.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return nil
		},
	})
}

func (a *app) runtimeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runtime",
		Short:   "List or add the interpreters that functions run on",
		Example: "  rouse runtime list\n  rouse runtime add node@24\n  rouse runtime add sdk-js",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("runtime: %q is neither list nor add", args[0])
			}
			return c.Help()
		},
	}
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List interpreters and the runtimes that they serve", Args: exactly(0),
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
		Use: "add NAME", Short: "Install an interpreter or an SDK: node@24, sdk-js", Args: exactly(1),
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
	var out [][]string
	for _, r := range rows {
		serves := make([]string, len(r.Serves))
		for i, s := range r.Serves {
			serves[i] = a.style.dim(s)
			for _, e := range r.Exact {
				if e == s {
					serves[i] = a.style.good(s)
				}
			}
		}
		out = append(out, []string{r.Name, r.Path, strings.Join(serves, " ")})
	}
	a.style.table(a.Out, []string{"INTERPRETER", "PATH", "RUNTIMES (exact first, the rest run on the nearest)"}, out)
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
			return fmt.Errorf("the node ended before %s was installed: %w", name, err)
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
