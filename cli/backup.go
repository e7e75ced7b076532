package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// Copied is what a backup, a restored node or a copied store holds.
type Copied struct {
	Pairs, Blobs, Bytes int64
	Sum                 []byte    // of a copied store, the same on both sides
	Made                time.Time // of a backup
	Store               string    // where it is, for people
	Region, Account     string    // of the node that a backup is of
}

// State is what commands do with a node's state while it does not run. The node hands it over: it knows how state is kept.
type State struct {
	// Copy copies a store to where there is none yet, and compares.
	Copy func(ctx context.Context, from, to string, progress func(string)) (Copied, error)
	// Restore makes an empty folder of state, and its store, of a backup.
	Restore func(ctx context.Context, o NodeOptions, file string, progress func(string)) (Copied, error)
	// Verify reads a whole backup.
	Verify func(file string) (Copied, error)
}

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all state of the running node to a file",
		Long: "Write all state of the running node to a file: its store as of one moment, its code and other files, and the key that seals its " +
			"secrets. The node goes on meanwhile. Whoever has the file has everything, so it is made readable by you alone; keep it so. " +
			"A file that exists is not written over.",
		Example: "  rouse backup monday.rouse\n  rouse backup --endpoint https://rouse.example.org /backups/$(date +%F).rouse",
		Args:    exactly(1, "the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.backup(cmd.Context(), c, a.path(args[0]))
		},
	}
}

// backup writes the file beside its place and gives it its name when it is whole, checked and on disk.
func (a *app) backup(ctx context.Context, c *client, file string) (err error) {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s is there already", file)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // readable by its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	resp, err := c.do(ctx, http.MethodGet, "/_rouse/api/backup", "rouse", nil, nil)
	if err == nil {
		_, err = io.Copy(f, resp.Body)
		resp.Body.Close()
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	got, err := a.State.Verify(f.Name())
	if err != nil {
		return fmt.Errorf("the backup did not arrive whole: %w", err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(file)); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s holds %s.\n", file, a.contents(got))
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// contents is what was copied, in words.
func (a *app) contents(c Copied) string {
	text := fmt.Sprintf("%d keys and records", c.Pairs)
	if c.Blobs > 0 {
		text += fmt.Sprintf(" and %d files", c.Blobs)
	}
	return text + ", " + size(c.Bytes)
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a node's state of a backup",
		Long: "Make a node's state of a backup, in a folder that is empty or not there yet (--data) and, if it is named, on a PostgreSQL " +
			"server (--store) where no store is yet. The backup is read and checked as a whole before anything is written. Either kind of " +
			"store takes backups of both.",
		Example: "  rouse restore monday.rouse --data /var/lib/rouse\n  rouse restore monday.rouse --data /var/lib/rouse --store postgres://rouse@db.example.org/rouse",
		Args:    exactly(1, "the backup"),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := a.State.Restore(cmd.Context(), a.nodeOptions(cmd, false, a.dir()), a.path(args[0]), a.step)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "Restored %s, as of %s, into %s.\n", a.contents(got), got.Made.Local().Format("2006-01-02 15:04:05"), got.Store)
			fmt.Fprintf(a.Out, "It is of region %s and account %s: serve it with these.\n", got.Region, got.Account)
			return nil
		},
	}
	a.settingFlags(cmd, func(name string) bool { return name == "store" })
	return cmd
}

// step says on the way what is being done.
func (a *app) step(what string) { fmt.Fprintln(a.Err, a.errStyle.dim(what)) }
