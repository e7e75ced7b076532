package tables

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func (sh *Shell) export() *cobra.Command {
	return sh.own(&cobra.Command{
		Use:   "export TABLE FILE",
		Short: "Write all items to a file, a line of JSON each",
		Long: "Write all items to a file, a line of JSON each; - is standard output. The file appears when it is whole. What is " +
			"written meanwhile may be in it or not. `rouse table import` reads it.",
		Example: "  rouse table export Orders orders.jsonl\n  rouse table export Orders - | gzip > orders.jsonl.gz",
		Args:    sh.args(2, 2, "a table and a file"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			began, n := time.Now(), 0
			write := func() error {
				out := bufio.NewWriterSize(sh.Out, 1<<16)
				to := *sh
				to.Out = out
				t.sh = &to
				_, err := t.pages(ctx, "Scan", map[string]any{}, 0, func(it item) error {
					n++
					return t.line(it)
				})
				if err != nil {
					return err
				}
				return out.Flush()
			}
			if args[1] == "-" {
				err = write()
			} else {
				err = sh.toFile(args[1], write)
			}
			if ctx.Err() != nil {
				return errors.New("interrupted; nothing is exported")
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(sh.Err, "%s exported in %s.\n", plural(n, "item"), took(began))
			return nil
		},
	})
}

// took is how long something took, for people.
func took(began time.Time) string {
	switch d := time.Since(began); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// toFile gives what write prints to a file, which appears when it is whole.
func (sh *Shell) toFile(named string, write func() error) (err error) {
	file := sh.Path(named)
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return sh.Usage("rouse table export: %w", err)
	}
	out := sh.Out
	sh.Out = tmp
	defer func() {
		sh.Out = out
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if err := write(); err != nil {
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
