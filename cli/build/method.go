package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// built is the folder to pack for a part: its own when there is nothing to build.
func (cfg Config) built(ctx context.Context, p part) (string, error) {
	method, err := cfg.choose(p)
	if err != nil || method == nil {
		return p.path, err
	}
	out := filepath.Join(cfg.Work, p.id)
	stamp, err := cfg.stamp(p)
	if err != nil {
		return "", err
	}
	if was, err := os.ReadFile(out + ".stamp"); err == nil && string(was) == stamp {
		if _, err := os.Stat(out); err == nil {
			return out, nil
		}
	}
	if err := errors.Join(os.RemoveAll(out), os.RemoveAll(out+".stamp"), os.MkdirAll(out, 0o755)); err != nil {
		return "", err
	}
	if err := method(ctx, p, out); err != nil {
		return "", err
	}
	return out, os.WriteFile(out+".stamp", []byte(stamp), 0o644)
}

// choose is how a part is built, nil for not at all.
func (cfg Config) choose(p part) (func(context.Context, part, string) error, error) {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(p.path, name))
		return err == nil
	}
	switch m := p.method; {
	case m == "esbuild":
		return cfg.esbuild, nil
	case m == "go1.x":
		return cfg.golang, nil
	case m == "makefile":
		return cfg.makefile, nil
	case p.language() == "layer" && m == "":
		return nil, nil
	case strings.HasPrefix(m, "nodejs"):
		return cfg.npm, nil
	case strings.HasPrefix(m, "python"):
		return cfg.pip, nil
	case m != "":
		return nil, fmt.Errorf("Rouse does not implement BuildMethod %s; esbuild, go1.x, makefile, nodejs and python are there", m)
	}
	switch p.language() {
	case "node":
		if has("package.json") && !has("node_modules") && dependencies(p.path) {
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
	return nil, nil
}

// dependencies reports whether a package.json names any that have to be installed.
func dependencies(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	var m struct{ Dependencies map[string]string }
	return err == nil && json.Unmarshal(b, &m) == nil && len(m.Dependencies) > 0
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

// run runs a tool. When it fails, what it printed is the error.
func (cfg Config) run(ctx context.Context, dir string, extra []string, name string, args ...string) error {
	cfg.Step(name + " " + strings.Join(args[:min(len(args), 2)], " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clone(cfg.Environ), extra...)
	var said bytes.Buffer
	cmd.Stdout = io.MultiWriter(cfg.Log, &said)
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is needed to build it and is not installed", name)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(said.String(), 30))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (cfg Config) golang(ctx context.Context, p part, out string) error {
	args := []string{"build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(out, "bootstrap"), "."}
	if _, err := os.Stat(filepath.Join(p.path, "go.mod")); errors.Is(err, os.ErrNotExist) && !inModule(p.path) {
		return cfg.goFiles(ctx, p, args)
	}
	return cfg.run(ctx, p.path, cfg.goEnv(), "go", args...)
}

func (cfg Config) goEnv() []string {
	return []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + cfg.Arch}
}

// inModule reports whether a folder above dir has a go.mod.
func inModule(dir string) bool {
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// goFiles builds a main.go that belongs to no module: it may use the standard library.
func (cfg Config) goFiles(ctx context.Context, p part, args []string) error {
	files, err := filepath.Glob(filepath.Join(p.path, "*.go"))
	if err != nil {
		return err
	}
	args = args[:len(args)-1]
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			args = append(args, filepath.Base(f))
		}
	}
	return cfg.run(ctx, p.path, append(cfg.goEnv(), "GO111MODULE=auto"), "go", args...)
}

func (cfg Config) makefile(ctx context.Context, p part, out string) error {
	return cfg.run(ctx, p.path, []string{"ARTIFACTS_DIR=" + out, "GOOS=linux", "GOARCH=" + cfg.Arch}, "make", "build-"+p.id)
}

// npm installs the production dependencies of a copy of the code.
func (cfg Config) npm(ctx context.Context, p part, out string) error {
	if err := cfg.copyTree(p.path, out, "node_modules"); err != nil {
		return err
	}
	return cfg.run(ctx, out, nil, "npm", cfg.npmInstall(out, "--omit=dev")...)
}

// npmInstall prefers the lock file's exact versions.
func (cfg Config) npmInstall(dir string, more ...string) []string {
	verb := "install"
	if _, err := os.Stat(filepath.Join(dir, "package-lock.json")); err == nil {
		verb = "ci"
	}
	return append([]string{verb, "--no-audit", "--no-fund", "--loglevel=error"}, more...)
}

func (cfg Config) pip(ctx context.Context, p part, out string) error {
	if err := cfg.copyTree(p.path, out); err != nil {
		return err
	}
	return cfg.run(ctx, out, nil, "python3", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", "requirements.txt", "-t", out)
}

// esbuild bundles the entry points with the esbuild of the project, of the PATH, or one that npm fetches.
func (cfg Config) esbuild(ctx context.Context, p part, out string) error {
	dir := p.path
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil && !installed(dir) {
		dir = filepath.Join(cfg.Work, p.id+".src")
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return err
		}
		if err := cfg.copyTree(p.path, dir, "node_modules"); err != nil {
			return err
		}
		if err := cfg.run(ctx, dir, nil, "npm", cfg.npmInstall(dir)...); err != nil {
			return err
		}
	}
	tool, args := cfg.findEsbuild(dir)
	more, err := p.esbuildArgs(out)
	if err != nil {
		return err
	}
	return cfg.run(ctx, dir, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, tool, append(args, more...)...)
}

// installed reports whether a folder's packages are there, in it or above it.
func installed(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node_modules"))
	return err == nil
}

func (cfg Config) findEsbuild(dir string) (tool string, args []string) {
	for d := dir; ; d = filepath.Dir(d) {
		bin := filepath.Join(d, "node_modules", ".bin", "esbuild")
		if _, err := os.Stat(bin); err == nil {
			return bin, nil
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if bin, err := exec.LookPath("esbuild"); err == nil {
		return bin, nil
	}
	return "npx", []string{"--yes", "esbuild"}
}

// esbuildArgs are what sam build passes on from BuildProperties.
func (p part) esbuildArgs(out string) ([]string, error) {
	s := p.settings
	if len(s.EntryPoints) == 0 {
		return nil, errors.New("Metadata.BuildProperties.EntryPoints: name the files to bundle, such as [app.ts]")
	}
	args := slices.Clone(s.EntryPoints)
	args = append(args, "--bundle", "--platform=node", "--outdir="+out, "--log-level=warning")
	if s.Minify == nil || *s.Minify {
		args = append(args, "--minify")
	}
	if s.Sourcemap != nil && *s.Sourcemap {
		args = append(args, "--sourcemap")
	}
	if s.KeepNames {
		args = append(args, "--keep-names")
	}
	target := s.Target
	if target == "" {
		target = "es2020"
	}
	args = append(args, "--target="+target)
	format := s.Format
	if format == "" {
		format = "cjs"
	}
	args = append(args, "--format="+format)
	for _, e := range s.External {
		args = append(args, "--external:"+e)
	}
	for _, l := range s.Loader {
		args = append(args, "--loader:"+l)
	}
	for _, d := range s.Define {
		args = append(args, "--define:"+d)
	}
	for _, o := range s.OutExtension {
		args = append(args, "--out-extension:"+o)
	}
	switch m := s.MainFields.(type) {
	case string:
		args = append(args, "--main-fields="+m)
	case []any:
		fields := make([]string, len(m))
		for i, f := range m {
			fields[i] = fmt.Sprint(f)
		}
		args = append(args, "--main-fields="+strings.Join(fields, ","))
	}
	return args, nil
}
