package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed all:starters
var starters embed.FS

func (a *app) initCommand() *cobra.Command {
	var language string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Start an application: a template and a function",
		Long: "Write a small application into DIR (here by default): a SAM template and one function behind an HTTP API. " +
			"Nothing that exists is overwritten.",
		Example: "  rouse init hello\n  rouse init hello --language python\n  rouse dev hello",
		Args:    atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := a.dir()
			if len(args) == 1 {
				dir = a.path(args[0])
			}
			return a.init(dir, language)
		},
	}
	cmd.Flags().StringVarP(&language, "language", "l", "node", "`LANGUAGE` of the function: node, python or go")
	return cmd
}

func (a *app) init(dir, language string) error {
	if !slices.Contains([]string{"node", "python", "go"}, language) {
		return usageError("rouse init: language %q: want node, python or go", language)
	}
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
		return err
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, starterName(f))); err == nil {
			return fmt.Errorf("%s exists; nothing was written", a.near(filepath.Join(dir, starterName(f))))
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
		if err := create(to, b); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "  %s %s\n", a.style.good("+"), starterName(f))
	}
	run := a.self() + " dev"
	if dir != a.dir() {
		run += " " + shellQuote(a.near(dir))
	}
	fmt.Fprintf(a.Out, "\nRun it: %s\n", a.style.code(run))
	return nil
}

// create writes a file that was not there, and never over one that is.
func create(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// starterName is the file's name in the application: a go.mod cannot be embedded under its own name, since it would begin
// a module of its own.
func starterName(f string) string { return strings.TrimSuffix(f, ".txt") }
