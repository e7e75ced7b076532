package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) resetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Delete the state of a stopped node",
		Long: "Delete the folder of a node's state: functions, logs, usage, everything. The node must not be running, " +
			"and the folder must hold nothing else.",
		Example: "  rouse reset\n  rouse reset --data /var/lib/rouse --yes",
		Args:    atMost(0),
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

// own are the names that a node and the command line make in a folder of state.
var own = []string{"store", "blobs", "code", "runtime", "sandbox", "build", "seal.key", NodeFile}

// mine refuses a folder that is not, as a whole, one of a node's state.
func mine(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	found := filepath.Base(folder) == ".rouse"
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".seal.key-") || strings.HasPrefix(name, "."+NodeFile+"-") {
			continue // of a write that was cut off
		}
		if !slices.Contains(own, name) {
			return fmt.Errorf("%s is not a folder of Rouse's state alone: it holds %s; nothing was deleted", folder, name)
		}
		found = found || name == "seal.key"
	}
	if !found {
		return fmt.Errorf("%s is not a folder of Rouse's state: it has no seal.key; nothing was deleted", folder)
	}
	return nil
}

// reset deletes a folder, if it is one of Rouse's and nobody uses it.
func (a *app) reset(folder string, yes bool) error {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(a.Out, "There is no state at %s.\n", folder)
		return nil
	}
	if err := mine(folder); err != nil {
		return err
	}
	if info, found, err := a.nodeInfo(); err != nil {
		return err
	} else if found && answers(info.URL) {
		return fmt.Errorf("a node is running on %s (process %d); stop it first: rouse stop", folder, info.PID)
	}
	if !yes {
		fmt.Fprintf(a.Err, "Delete %s and everything in it? [y/N] ", folder)
		answer, _ := bufio.NewReader(a.In).ReadString('\n')
		if s := strings.ToLower(strings.TrimSpace(answer)); s != "y" && s != "yes" {
			return errors.New("nothing was deleted")
		}
	}
	if err := removeAll(folder); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Deleted %s.\n", folder)
	return nil
}

// removeAll removes a folder with the unpacked code in it, whose folders nobody may write to.
func removeAll(folder string) error {
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(folder)
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
