// Package cache keeps folders on disk that can be made again: the unpacked code of functions and layers, one folder for
// each hash.
//
//	<Dir>/<key>/boot    the boot id of the machine when the folder was finished
//	<Dir>/<key>/size    its bytes, in decimal
//	<Dir>/<key>/tree/   the folder that Take answers; sealed read-only by whoever filled it
//	<Dir>/.tmp-*        folders being filled; leftovers of a process that died are removed by Open
//
// A folder is filled under a temporary name and renamed into place, so it is there whole or not at all, even if the
// process is killed in the middle. Files are not fsynced, because tens of thousands of them would make a first start take
// seconds. After a kill the page cache still holds them; after a crash of the machine it does not, and so a folder is
// trusted only within the boot that it was made in. Under another boot id it is made again.
//
// # Promises
//
// Any number of callers may Take one key at once: one fills, the others wait for it. A folder that somebody has taken and
// not yet released is never removed. When the total exceeds Max, the least recently used of the others go, so the total
// can stand above Max for as long as more than that is in use. A Cache is safe for concurrent use; two processes must not
// share a Dir.
//
// What is in the folders, and whether it is what the hash says, is the business of the one who fills them.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// Config of a Cache.
type Config struct {
	Dir string // required; made when absent
	Max int64  // bytes kept when nobody uses them; 0 means 10 GiB
}

const maxDefault = 10 << 30

// Cache is a set of folders by key.
type Cache struct {
	dir  string
	max  int64
	boot string

	mu      sync.Mutex
	folders map[string]*folder // guarded by mu
	total   int64              // bytes of all finished folders; guarded by mu
	clock   uint64             // ticks at each use; guarded by mu
}

// folder is one key. Its fields are guarded by Cache.mu, except that ready may be waited on without it.
type folder struct {
	key   string
	size  int64
	users int           // who took it or waits for it
	used  uint64        // clock at the last release
	ready chan struct{} // closed when filled or failed
	err   error         // why it failed; set before ready is closed
}

// Fill makes the content of an empty folder and answers its bytes. It may leave folders read-only.
type Fill func(ctx context.Context, dir string) (sizeBytes int64, err error)

// Open takes over what an earlier process left in cfg.Dir: finished folders of this boot are kept, the rest removed.
func Open(cfg Config) (*Cache, error) {
	if cfg.Dir == "" {
		return nil, errors.New("cache: Dir is required")
	}
	if cfg.Max == 0 {
		cfg.Max = maxDefault
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the code cache: %w", err)
	}
	c := &Cache{dir: cfg.Dir, max: cfg.Max, boot: bootID(), folders: map[string]*folder{}}
	found, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the code cache: %w", err)
	}
	for _, d := range found {
		size, ok := c.whole(d.Name())
		if !ok {
			if err := remove(filepath.Join(c.dir, d.Name())); err != nil {
				return nil, fmt.Errorf("clean the code cache: %w", err)
			}
			continue
		}
		f := &folder{key: d.Name(), size: size, ready: make(chan struct{})}
		close(f.ready)
		c.folders[f.key] = f
		c.total += size
	}
	c.mu.Lock()
	doomed := c.surplus()
	c.mu.Unlock()
	return c, c.discard(doomed)
}

// whole reports whether the folder called name was finished within this boot, and its size.
func (c *Cache) whole(name string) (size int64, ok bool) {
	if strings.HasPrefix(name, ".") || c.boot == "" {
		return 0, false
	}
	boot, err := os.ReadFile(filepath.Join(c.dir, name, "boot"))
	if err != nil || string(boot) != c.boot {
		return 0, false
	}
	b, err := os.ReadFile(filepath.Join(c.dir, name, "size"))
	if err != nil {
		return 0, false
	}
	size, err = strconv.ParseInt(string(b), 10, 64)
	return size, err == nil && size >= 0
}

// Take answers the folder of key, filled first when it is not there. release must be called once, when nobody uses the
// folder any more; until then it stays. key is a file name: letters, digits and hyphens.
func (c *Cache) Take(ctx context.Context, key string, fill Fill) (dir string, release func(), err error) {
	if !plain(key) {
		return "", nil, fmt.Errorf("cache: %q is not a key", key)
	}
	for {
		f, mine := c.claim(key)
		if mine {
			c.fill(ctx, f, fill)
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			c.release(f)
			return "", nil, ctx.Err()
		}
		if f.err == nil {
			return filepath.Join(c.dir, key, "tree"), sync.OnceFunc(func() { c.release(f) }), nil
		}
		c.release(f)
		// Another caller's context may have ended in the middle of filling: that says nothing about this one's.
		if mine || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return "", nil, f.err
		}
	}
}

// claim counts the caller as a user of key's folder; mine tells it to fill it.
func (c *Cache) claim(key string) (f *folder, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.folders[key]
	if !ok {
		f = &folder{key: key, ready: make(chan struct{})}
		c.folders[key] = f
	}
	f.users++
	return f, !ok
}

func (c *Cache) fill(ctx context.Context, f *folder, fill Fill) {
	size, err := c.make(ctx, f.key, fill)
	c.mu.Lock()
	if err != nil {
		f.err = err
		delete(c.folders, f.key)
	} else {
		f.size = size
		c.total += size
	}
	close(f.ready)
	doomed := c.surplus()
	c.mu.Unlock()
	_ = c.discard(doomed) // what cannot be removed now is removed by the next Open
}

// make fills a temporary folder and renames it into place.
func (c *Cache) make(ctx context.Context, key string, fill Fill) (size int64, err error) {
	tmp, err := os.MkdirTemp(c.dir, ".tmp-")
	if err != nil {
		return 0, fmt.Errorf("make a folder for code: %w", err)
	}
	defer func() {
		if err != nil {
			_ = remove(tmp)
		}
	}()
	tree := filepath.Join(tmp, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return 0, fmt.Errorf("make a folder for code: %w", err)
	}
	if size, err = fill(ctx, tree); err != nil {
		return 0, err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(tmp, "size"), strconv.AppendInt(nil, size, 10), 0o444),
		os.WriteFile(filepath.Join(tmp, "boot"), []byte(c.boot), 0o444),
		os.Chmod(tmp, 0o755), // MkdirTemp makes it 0700; instances run as other users
	)
	if err != nil {
		return 0, fmt.Errorf("finish a folder for code: %w", err)
	}
	final := filepath.Join(c.dir, key)
	if err := remove(final); err != nil { // an evicted folder that could not be moved aside
		return 0, fmt.Errorf("finish a folder for code: %w", err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return 0, fmt.Errorf("finish a folder for code: %w", err)
	}
	return size, nil
}

func (c *Cache) release(f *folder) {
	c.mu.Lock()
	f.users--
	c.clock++
	f.used = c.clock
	doomed := c.surplus()
	c.mu.Unlock()
	_ = c.discard(doomed)
}

// surplus takes the least recently used folders out of the table until the rest fits, and moves them aside so that their
// names are free at once. The caller holds mu and discards them after it.
func (c *Cache) surplus() (doomed []string) {
	for c.total > c.max {
		var oldest *folder
		for _, f := range c.folders {
			if f.users == 0 && (oldest == nil || f.used < oldest.used) {
				oldest = f
			}
		}
		if oldest == nil {
			return doomed
		}
		c.total -= oldest.size
		delete(c.folders, oldest.key)
		aside := filepath.Join(c.dir, fmt.Sprintf(".old-%d-%s", c.clock, oldest.key))
		if err := os.Rename(filepath.Join(c.dir, oldest.key), aside); err == nil {
			doomed = append(doomed, aside)
		}
		c.clock++
	}
	return doomed
}

func (c *Cache) discard(paths []string) error {
	var errs []error
	for _, p := range paths {
		errs = append(errs, remove(p))
	}
	return errors.Join(errs...)
}

// Size is the bytes of all finished folders, for the one who shows it.
func (c *Cache) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// remove deletes a sealed folder: an ordinary user must first be allowed to write into it again.
func remove(dir string) error {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

func plain(key string) bool {
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return key != "" && len(key) <= 128
}

// bootID tells one boot of the machine from another; "" where the system does not say, and then nothing is kept from one
// process to the next.
func bootID() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
