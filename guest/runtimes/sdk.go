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
	"strings"
	"sync"

	"github.com/rouse-dev/rouse"
)

const fetchAtOnce = 8

//go:embed sdk-js/package-lock.json
var lockV3 []byte

// The lock file of v2 has what Node.js loads of it and nothing that stands in for Node.js in a browser. All lies within
// aws-sdk, so that functions find that and not what it is made of, as where Lambda had it.
//
//go:embed sdk-js-v2/package-lock.json
var lockV2 []byte

// sdk is an AWS SDK for JavaScript that can be added.
type sdk struct {
	name string // as Add and the folder below DIR call it
	lock []byte // the packages
	main string // pattern of the places of those whose version is the SDK's, the highest of them
	at   string // below DIR, the link to the packages in use, which NODE_PATH names
}

// sdkOf is the SDK that has this name.
func sdkOf(name string) (sdk, bool) {
	switch name {
	case "sdk-js":
		return sdk{name, lockV3, modulesDir + "/@aws-sdk/client-*", modulesDir}, true
	case "sdk-js-v2":
		return sdk{name, lockV2, modulesDir + "/aws-sdk", filepath.Join(name, modulesDir)}, true
	}
	return sdk{}, false
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

// top is the highest version of the packages whose place matches a pattern.
func (l lock) top(pattern string) string {
	var top string
	for p, d := range l.Packages {
		if ok, _ := path.Match(pattern, p); ok && parseVersion(d.Version).compare(parseVersion(top)) > 0 {
			top = d.Version
		}
	}
	return top
}

func (r *Registry) addSDK(ctx context.Context, s sdk, temp string, progress func(string)) error {
	l, err := readLock(s.lock)
	if err != nil {
		return err
	}
	version := l.top(s.main)
	if r.sdkVersion(s) == version {
		progress("the AWS SDK for JavaScript " + version + " is there already")
		return nil
	}
	root := filepath.Join(temp, "sdk")
	if err := r.fetchAll(ctx, l, root, temp, progress); err != nil {
		return err
	}
	to := filepath.Join(r.cfg.Dir, s.name, version)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := place(root, to); err != nil {
		return err
	}
	link := filepath.Join(temp, "link")
	at := filepath.Join(r.cfg.Dir, s.at)
	target, err := filepath.Rel(filepath.Dir(at), filepath.Join(to, modulesDir))
	if err != nil {
		return err
	}
	if err := os.Symlink(target, link); err != nil {
		return err
	}
	if err := os.Rename(link, at); err != nil {
		return err
	}
	progress("installed the AWS SDK for JavaScript " + version)
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
	return unpack(f, filepath.Join(root, filepath.FromSlash(at)), func(name string) bool { return !isBallast(at, name) })
}

// isBallast: sources, declarations and bundles for browsers are half of an SDK, and no function loads them. at is where the
// package is.
func isBallast(at, name string) bool {
	return strings.HasSuffix(name, ".d.ts") || strings.HasSuffix(name, ".map") || strings.HasPrefix(name, "dist-types/") ||
		at == modulesDir+"/aws-sdk" && strings.HasPrefix(name, "dist/")
}

// sdkVersion is the version of an SDK that is installed, "" for none.
func (r *Registry) sdkVersion(s sdk) string {
	at := filepath.Join(r.cfg.Dir, s.at)
	to, err := os.Readlink(at)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return filepath.Base(filepath.Dir(to))
}
