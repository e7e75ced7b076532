package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Move a node's store between a folder and PostgreSQL",
		Long: "Move a node's store between a folder and PostgreSQL. A store is named by the folder of a node's state, or by a URL such as " +
			"postgres://rouse@db.example.org/rouse.",
		Example: "  rouse store copy .rouse postgres://rouse@db.example.org/rouse\n  rouse store copy postgres://rouse@db.example.org/rouse .rouse",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("rouse store: %q is not copy\nSee: rouse store --help", args[0])
			}
			return c.Help()
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a store that no node works on, and compare",
		Long: "Copy a store to where there is none yet, then read both and compare them. No node may work on either: one that runs is " +
			"refused; `rouse backup` copies it as it runs. The rest of a node's folder (blobs, the seal key) stays where it is: a node on " +
			"PostgreSQL still needs it, and several nodes have to share it.",
		Example: "  rouse store copy .rouse postgres://rouse@db.example.org/rouse\n" +
			"  rouse store copy .rouse 'postgres://rouse@db.example.org/rouse?schema=shop&sslmode=verify-full'\n" +
			"  rouse store copy postgres://rouse@db.example.org/rouse .rouse",
		Args: exactly(2, "the store to copy and where to copy it"),
		RunE: func(c *cobra.Command, args []string) error {
			from, to := a.storeName(args[0]), a.storeName(args[1])
			got, err := a.State.Copy(c.Context(), from, to, a.step)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "Copied %s to %s. Both sides are the same, checksum %x.\n", a.contents(got), got.Store, got.Sum[:8])
			if !strings.Contains(from, "://") && strings.Contains(to, "://") {
				fmt.Fprintf(a.Out, "Serve it with: rouse serve --data %s --store %s\n", args[0], got.Store)
			}
			return nil
		},
	})
	return cmd
}

// storeName is a store as the user named it: a URL, or a folder from the working folder.
func (a *app) storeName(named string) string {
	if strings.Contains(named, "://") {
		return named
	}
	return a.path(named)
}
