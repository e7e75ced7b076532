package cli

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed all:starters
var starters embed.FS

func (a *app) initCommand() *cobra.Command {
	var language string
	cmd := &cobra.Command{
		Use:     "init [DIR]",
		Short:   "Start an application: a template and a function",
		Long:    "Write a small application into DIR (here by default): a SAM template and one function behind an HTTP API.\nNothing that exists is overwritten.",
		Example: "  rouse init hello --language python\n  cd hello && rouse dev",
		Args:    atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := a.dir()
			if len(args) == 1 {
				if dir = args[0]; !filepath.IsAbs(dir) {
					dir = filepath.Join(a.dir(), dir)
				}
			}
			return a.init(dir, language)
		},
	}
	cmd.Flags().StringVarP(&language, "language", "l", "node", "node, python or go")
	return cmd
}

func (a *app) init(dir, language string) error {
	root, err := fs.Sub(starters, "starters/"+language)
	if err != nil {
		return err
	}
	var files []string
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		return usageError("language %q: want node, python or go", language)
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(dir, starterName(f))); err == nil {
			return fmt.Errorf("%s exists; nothing was written", filepath.Join(dir, starterName(f)))
		}
	}
	for _, f := range files {
		b, err := fs.ReadFile(root, f)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, starterName(f))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "  %s %s\n", a.style.good("+"), starterName(f))
	}
	fmt.Fprintf(a.Out, "\nRun it: %s\n", a.style.code(a.self()+" dev "+dir))
	return nil
}

// starterName is the file's name in the application: a go.mod cannot be embedded under its own name, since it would begin
// a module of its own.
func starterName(f string) string { return strings.TrimSuffix(f, ".txt") }
