package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// esbuildVersion is fetched by npm where a project brings no esbuild of its own.
const esbuildVersion = "0.28.2"

// packages are what a package.json asks for.
type packages struct {
	all   map[string]string // production dependencies
	local []string          // folders that dependencies of any kind name by path
}

// dependencies reads a package.json; one that cannot be read has none, and npm will say why.
func dependencies(dir string) packages {
	var m struct{ Dependencies, DevDependencies, OptionalDependencies map[string]string }
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil || json.Unmarshal(b, &m) != nil {
		return packages{}
	}
	found := packages{all: m.Dependencies}
	for _, list := range []map[string]string{m.Dependencies, m.DevDependencies, m.OptionalDependencies} {
		for _, spec := range list {
			path, isFile := strings.CutPrefix(spec, "file:")
			if !isFile && !strings.HasPrefix(spec, "./") && !strings.HasPrefix(spec, "../") {
				continue
			}
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			found.local = append(found.local, path)
		}
	}
	slices.Sort(found.local)
	found.local = slices.Compact(found.local)
	return found
}

// there reports whether all packages are installed where code in dir finds them: in it or above it.
func (p packages) there(dir string) bool {
	for name := range p.all {
		if above(dir, filepath.Join("node_modules", name)) == "" {
			return false
		}
	}
	return true
}

// npm puts production dependencies beside the code.
func (cfg Config) npm(ctx context.Context, p part) ([]root, error) {
	at, err := cfg.installed(ctx, p, "--omit=dev")
	if err != nil {
		return nil, err
	}
	code := cfg.code(p)
	code.skip = []string{"node_modules"}
	modules := root{dir: filepath.Join(at, "node_modules"), prefix: "node_modules"}
	if p.layer() {
		code.prefix, modules.prefix = "nodejs", "nodejs/node_modules"
	}
	if !exists(modules.dir) {
		return []root{code}, nil // nothing was asked for
	}
	return []root{modules, code}, nil
}

// installed is a copy of a part's folder in which npm has installed its packages. It is made anew when what asks for
// packages changes, and not when the code does.
func (cfg Config) installed(ctx context.Context, p part, flags ...string) (string, error) {
	deps := dependencies(p.path)
	stamp, err := npmStamp(p, deps, flags)
	if err != nil {
		return "", err
	}
	dir, done, again, err := cfg.fresh(p, "npm", stamp)
	if err != nil {
		return "", err
	}
	at := dir
	outside := slices.DeleteFunc(slices.Clone(deps.local), func(d string) bool { return within(p.path, d) })
	if len(outside) > 0 {
		// Their paths must lead to them from the copy too, so the copy stands as deep below dir as they are away.
		base := p.path
		for slices.ContainsFunc(outside, func(d string) bool { return !within(base, d) }) {
			base = filepath.Dir(base)
		}
		rel, err := filepath.Rel(base, p.path)
		if err != nil {
			return "", err
		}
		at = filepath.Join(dir, rel)
		if !again {
			if err := copyOutside(base, dir, outside); err != nil {
				return "", err
			}
		}
	}
	if again {
		return at, nil
	}
	if err := copyTree(p.path, at, "node_modules"); err != nil {
		return "", err
	}
	verb := "install"
	if exists(filepath.Join(at, "package-lock.json")) || exists(filepath.Join(at, "npm-shrinkwrap.json")) {
		verb = "ci" // the exact versions
	}
	args := append([]string{verb, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"}, flags...)
	if err := cfg.run(ctx, p, at, nil, "npm", args...); err != nil {
		return "", err
	}
	return at, done()
}

// copyOutside copies packages that are named by path and lie outside the code, to where the path leads from its copy.
func copyOutside(base, dir string, outside []string) error {
	for _, d := range outside {
		rel, err := filepath.Rel(base, d)
		if err != nil {
			return err
		}
		st, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("package.json names %s: %w", d, errors.Unwrap(err))
		}
		to := filepath.Join(dir, rel)
		if st.IsDir() {
			err = copyTree(d, to, "node_modules")
		} else {
			err = copyFile(d, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// npmStamp changes with what asks for packages.
func npmStamp(p part, deps packages, flags []string) (string, error) {
	var tree []entry
	for _, d := range deps.local {
		more, err := list(root{dir: d, skip: []string{"node_modules"}})
		if err != nil {
			return "", fmt.Errorf("package.json names %s: %w", d, err)
		}
		tree = append(tree, more...)
	}
	facts := append([]string{p.path}, flags...)
	for _, name := range []string{"package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join(p.path, name))
		if err != nil && (!errors.Is(err, os.ErrNotExist) || name == "package.json") {
			return "", err
		}
		facts = append(facts, string(b))
	}
	return stampOf(tree, facts...)
}

// esbuild bundles the entry points with the esbuild of the project, of the PATH, or one that npm fetches.
func (cfg Config) esbuild(ctx context.Context, p part) ([]root, error) {
	packages := p.path
	if cfg.code(p).only == "" && !dependencies(p.path).there(p.path) {
		var err error
		if packages, err = cfg.installed(ctx, p); err != nil {
			return nil, err
		}
	}
	tool, err := cfg.findEsbuild(ctx, p, packages)
	if err != nil {
		return nil, err
	}
	out, _, _, err := cfg.fresh(p, "esbuild", "")
	if err != nil {
		return nil, err
	}
	args, err := p.esbuildArgs(out)
	if err != nil {
		return nil, err
	}
	err = cfg.run(ctx, p, p.path, []string{"NODE_PATH=" + filepath.Join(packages, "node_modules")}, tool, args...)
	return []root{{dir: out}}, err
}

func (cfg Config) findEsbuild(ctx context.Context, p part, packages string) (string, error) {
	bin := filepath.Join("node_modules", ".bin", "esbuild")
	for _, dir := range []string{packages, p.path} {
		if d := above(dir, bin); d != "" {
			return filepath.Join(d, bin), nil
		}
	}
	if tool, err := exec.LookPath("esbuild"); err == nil {
		return tool, nil
	}
	own := filepath.Join(cfg.Work, "esbuild-"+esbuildVersion)
	if tool := filepath.Join(own, bin); exists(tool) {
		return tool, nil
	}
	if err := os.MkdirAll(own, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(own, bin), cfg.run(ctx, p, own, nil, "npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error",
		"--prefix", own, "esbuild@"+esbuildVersion)
}

// esbuildArgs passes BuildProperties on as sam build does: each under esbuild's own name, which refuses what it does not
// know; on top of SAM's defaults.
func (p part) esbuildArgs(out string) ([]string, error) {
	entries, err := p.entryPoints()
	if err != nil {
		return nil, err
	}
	args := append(entries, "--bundle", "--platform=node", "--outdir="+out, "--log-level=warning")
	for _, d := range []struct{ name, flag string }{{"Minify", "--minify"}, {"Target", "--target=es2020"}, {"Format", "--format=cjs"}} {
		if p.setting(d.name) == nil {
			args = append(args, d.flag)
		}
	}
	for _, s := range p.settings {
		flag := "--" + kebab(s.name)
		switch {
		case s.name == "EntryPoints":
		case s.list && slices.Contains(oneFlag, s.name):
			args = append(args, flag+"="+strings.Join(s.values, ","))
		case s.list:
			for _, v := range s.values {
				args = append(args, flag+":"+v)
			}
		case strings.EqualFold(s.values[0], "true"):
			args = append(args, flag)
		case strings.EqualFold(s.values[0], "false"):
		default:
			args = append(args, flag+"="+s.values[0])
		}
	}
	return args, nil
}

// oneFlag are esbuild's options that take a list in one flag.
var oneFlag = []string{"MainFields", "ResolveExtensions", "Conditions"}

// kebab is esbuild's spelling of SAM's: OutExtension is out-extension.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// entryPoints are those named, or the file of the handler.
func (p part) entryPoints() ([]string, error) {
	if s := p.setting("EntryPoints"); s != nil {
		for _, v := range s.values {
			if strings.HasPrefix(v, "-") {
				return nil, fmt.Errorf("Metadata.BuildProperties.EntryPoints: %q is no file", v)
			}
		}
		return slices.Clone(s.values), nil
	}
	module := strings.TrimSuffix(p.handler, filepath.Ext(p.handler))
	for _, ext := range []string{".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs"} {
		if module != "" && exists(filepath.Join(p.path, module+ext)) {
			return []string{module + ext}, nil
		}
	}
	return nil, errors.New("Metadata.BuildProperties.EntryPoints: name the files to bundle, such as [app.ts]")
}
