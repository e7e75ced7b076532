package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// method makes what a part needs and says which files belong together; later ones take the place of earlier ones.
type method func(context.Context, part) ([]root, error)

// asIs is the method of Metadata.SkipBuild: true.
const asIs = "as it is"

// choose is how a part is built.
func (cfg Config) choose(p part) (method, error) {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(p.path, name))
		return err == nil
	}
	plain := func(context.Context, part) ([]root, error) { return []root{cfg.code(p)}, nil }
	switch m := p.method; {
	case m == asIs:
		return plain, nil
	case m == "esbuild":
		return cfg.esbuild, nil
	case m == "go1.x":
		return cfg.golang, nil
	case m == "makefile":
		return cfg.makefile, nil
	case p.layer() && m == "":
		return plain, nil
	case strings.HasPrefix(m, "nodejs"):
		return cfg.npm, p.only("UseNpmCi")
	case strings.HasPrefix(m, "python"):
		return cfg.pip, p.only()
	case m != "":
		return nil, fmt.Errorf("Rouse does not implement BuildMethod %s; esbuild, go1.x, makefile, nodejs and python are there", m)
	}
	if err := p.only("UseNpmCi"); err != nil {
		return nil, err
	}
	if cfg.code(p).only != "" {
		return plain, nil // what lies beside it is not its own
	}
	switch p.language() {
	case "node":
		if has("package.json") && !has("node_modules") && len(dependencies(p.path).all) > 0 {
			return cfg.npm, nil
		}
	case "python":
		if b, err := os.ReadFile(filepath.Join(p.path, "requirements.txt")); err == nil && requirements(string(b)) {
			return cfg.pip, nil
		}
	case "provided":
		if has("go.mod") && !has("bootstrap") {
			return cfg.golang, nil
		}
	}
	return plain, nil
}

// only refuses settings that the part's method does not know: none is accepted and ignored.
func (p part) only(names ...string) error {
	for _, s := range p.settings {
		if !slices.Contains(names, s.name) {
			return fmt.Errorf("Rouse does not implement Metadata.BuildProperties.%s for BuildMethod %q", s.name, p.method)
		}
	}
	return nil
}

// run runs a tool. When it fails, what it printed is the error.
func (cfg Config) run(ctx context.Context, p part, dir string, extra []string, name string, args ...string) error {
	called := filepath.Base(name)
	for _, a := range args {
		if strings.HasPrefix(a, "-") && a != "-m" {
			break
		}
		called += " " + a
	}
	cfg.Step(p.id + ": " + called)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clone(cfg.Environ), extra...)
	cmd.WaitDelay = time.Second // what it started may hold its output open
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%s is needed to build it and is not installed", name)
	case err != nil:
		return fmt.Errorf("%s: %w\n%s", called, err, lastLines(said.String(), 30))
	}
	return nil
}

// lastLines is the end of what a tool printed, set in.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-n):], "\n  ")
}

// fresh is an empty folder for what a part's method makes, and the stamp to write once it is made: the folder is used
// again while the stamp is the same. An empty stamp never is.
func (cfg Config) fresh(p part, what, stamp string) (dir string, done func() error, again bool, err error) {
	dir = cfg.place(p, what)
	file := dir + ".stamp"
	if was, err := os.ReadFile(file); err == nil && stamp != "" && string(was) == stamp {
		if _, err := os.Stat(dir); err == nil {
			return dir, nil, true, nil
		}
	}
	err = errors.Join(os.RemoveAll(file), os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
	return dir, func() error {
		if stamp == "" {
			return nil
		}
		return os.WriteFile(file, []byte(stamp), 0o644)
	}, false, err
}

// golang builds a program. The compiler keeps a cache of its own; the stamp spares even that where the sources are known:
// a module that reaches into no other folder.
func (cfg Config) golang(ctx context.Context, p part) ([]root, error) {
	if err := p.only(); err != nil {
		return nil, err
	}
	stamp, err := cfg.goStamp(p)
	if err != nil {
		return nil, err
	}
	out, done, again, err := cfg.fresh(p, "go", stamp)
	if err != nil || again {
		return []root{{dir: out}}, err
	}
	what := []string{"."}
	if moduleOf(p.path) == p.path && !exists(filepath.Join(p.path, "go.mod")) { // files that belong to no module
		if what, err = cfg.goFiles(p); err != nil {
			return nil, err
		}
	}
	args := append([]string{"build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o",
		filepath.Join(out, "bootstrap")}, what...)
	if err := cfg.run(ctx, p, p.path, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + cfg.Arch}, "go", args...); err != nil {
		return nil, err
	}
	return []root{{dir: out}}, done()
}

// goFiles are the files of a program without a module: it may use the standard library.
func (cfg Config) goFiles(p part) ([]string, error) {
	if only := cfg.code(p).only; only != "" {
		return []string{only}, nil
	}
	entries, err := os.ReadDir(p.path)
	var files []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			files = append(files, e.Name())
		}
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no Go files", p.path)
	}
	return files, err
}

// goStamp changes with the sources of a program; "" when they are not known.
func (cfg Config) goStamp(p part) (string, error) {
	module := moduleOf(p.path)
	text, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if strings.Contains(string(text), "=> .") || above(p.path, "go.work") != "" {
		return "", nil
	}
	tree, err := list(root{dir: module, only: cfg.code(p).only, skip: []string{"node_modules"}})
	if err != nil {
		return "", nil // too much to look at: leave it to the compiler
	}
	compiler := ""
	if tool, err := exec.LookPath("go"); err == nil {
		if st, err := os.Stat(tool); err == nil {
			compiler = fmt.Sprint(tool, st.ModTime())
		}
	}
	return stampOf(tree, p.path, cfg.Arch, compiler)
}

// moduleOf is the folder of the Go module that dir belongs to, dir itself when it belongs to none.
func moduleOf(dir string) string {
	if d := above(dir, "go.mod"); d != "" {
		return d
	}
	return dir
}

// above is the nearest folder at or above dir that holds name, "" when none does.
func above(dir, name string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if exists(filepath.Join(d, name)) {
			return d
		}
		if d == filepath.Dir(d) {
			return ""
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// makefile runs the target build-ID, which fills $ARTIFACTS_DIR.
func (cfg Config) makefile(ctx context.Context, p part) ([]root, error) {
	if err := p.only(); err != nil {
		return nil, err
	}
	out, _, _, err := cfg.fresh(p, "make", "")
	if err != nil {
		return nil, err
	}
	err = cfg.run(ctx, p, p.path, []string{"ARTIFACTS_DIR=" + out, "GOOS=linux", "GOARCH=" + cfg.Arch}, "make", "build-"+p.id, "--no-print-directory")
	return []root{{dir: out}}, err
}

// pip installs requirements.txt beside the code, by the Python that the function asks for when there is one.
func (cfg Config) pip(ctx context.Context, p part) ([]root, error) {
	stamp, err := pipStamp(p)
	if err != nil {
		return nil, err
	}
	prefix := ""
	if p.layer() {
		prefix = "python"
	}
	code := cfg.code(p)
	code.prefix = prefix
	out, done, again, err := cfg.fresh(p, "pip", stamp)
	roots := []root{{dir: out, prefix: prefix}, code}
	if err != nil || again {
		return roots, err
	}
	python := p.runtime
	if err := exec.CommandContext(ctx, python, "-c", "").Run(); err != nil { // a version manager's stub may be there and not run
		python = "python3"
	}
	err = cfg.run(ctx, p, p.path, []string{"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_ROOT_USER_ACTION=ignore", "PYTHONDONTWRITEBYTECODE=1"},
		python, "-m", "pip", "install", "--quiet", "--no-compile", "-r", "requirements.txt", "-t", out)
	if err != nil {
		return nil, err
	}
	return roots, done()
}

// pipStamp changes with requirements.txt, and with every file when it names files.
func pipStamp(p part) (string, error) {
	text, err := os.ReadFile(filepath.Join(p.path, "requirements.txt"))
	if err != nil {
		return "", fmt.Errorf("BuildMethod %s: %w", p.method, err)
	}
	var tree []entry
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && strings.ContainsAny(line[:1], "-./") || strings.Contains(line, "file:") {
			if tree, err = list(root{dir: p.path}); err != nil {
				return "", err
			}
		}
	}
	return stampOf(tree, p.path, p.runtime, string(text))
}

// requirements reports whether the text names any package.
func requirements(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}
