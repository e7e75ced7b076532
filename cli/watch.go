package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be quiet before a change counts as done: editors write several times.
const settle = 80 * time.Millisecond

// unrest is how long a change may go on before it is taken as it is: something may write without end.
const unrest = 2 * time.Second

// watchMax is how many folders are watched; a project with more is watched as far as that.
const watchMax = 4096

// ignored are folders in which changes mean nothing.
var ignored = []string{".git", ".rouse", ".aws-sam", "node_modules", "__pycache__", ".venv", "venv", ".idea", ".vscode", ".pytest_cache"}

// watcher notices changes of files. It goes on noticing while nobody asks, so that none is missed between two questions.
// Not safe for concurrent use.
type watcher struct {
	notify *fsnotify.Watcher
	paths  []string        // files and folders whose changes count
	files  map[string]bool // of these, the files
	own    []os.FileInfo   // what the command itself writes to: its changes would never end
}

// newWatcher makes a watcher that leaves out what the outputs are written to.
func newWatcher(outputs ...any) (*watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &watcher{notify: n, files: map[string]bool{}}
	for _, o := range outputs {
		if f, ok := o.(*os.File); ok {
			if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
				w.own = append(w.own, st)
			}
		}
	}
	return w, nil
}

func (w *watcher) close() error { return w.notify.Close() }

// watch says which files and folders count from now on. One that is not there is waited for.
func (w *watcher) watch(paths []string) {
	w.paths, w.files = paths, map[string]bool{}
	wanted := map[string]bool{}
	for _, p := range paths {
		st, err := os.Stat(p)
		switch {
		case err == nil && st.IsDir():
			tree(p, func(dir string) bool { wanted[dir] = true; return len(wanted) < watchMax })
		case err == nil:
			// Editors replace files, so the folder is watched for the name.
			w.files[p] = true
			wanted[filepath.Dir(p)] = true
		default:
			wanted[existing(p)] = true
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !wanted[dir] {
			_ = w.notify.Remove(dir) // it may be gone
		}
	}
	for dir := range wanted {
		_ = w.notify.Add(dir) // a folder that cannot be watched is one that does not report
	}
}

// existing is the nearest folder above path that is there.
func existing(path string) string {
	for d := filepath.Dir(path); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			return d
		}
	}
}

// next waits until files changed and all is quiet again, and returns them; nil when ctx is done.
func (w *watcher) next(ctx context.Context) ([]string, error) {
	var changed []string
	quiet, enough := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer quiet.Stop()
	defer enough.Stop()
	note := func(name string) {
		if len(changed) == 0 {
			enough.Reset(unrest)
		}
		if !slices.Contains(changed, name) {
			changed = append(changed, name)
		}
		quiet.Reset(settle)
	}
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			note("many files")
		case <-quiet.C:
			return changed, nil
		case <-enough.C:
			return changed, nil
		case e := <-w.notify.Events:
			if e.Op == fsnotify.Chmod || !w.concerns(e.Name) {
				continue
			}
			st, err := os.Stat(e.Name)
			if err == nil && slices.ContainsFunc(w.own, func(o os.FileInfo) bool { return os.SameFile(o, st) }) {
				continue
			}
			if err == nil && st.IsDir() {
				tree(e.Name, func(dir string) bool { return w.notify.Add(dir) == nil })
			}
			note(e.Name)
		}
	}
}

// concerns reports whether a changed file is one of those watched, or below one, or above one that is waited for, and not
// among what is ignored.
func (w *watcher) concerns(name string) bool {
	if w.files[name] {
		return true
	}
	base := filepath.Base(name)
	if strings.HasSuffix(base, "~") || strings.HasSuffix(base, ".swp") || strings.HasPrefix(base, ".#") || strings.HasSuffix(base, ".pyc") || base == "4913" {
		return false
	}
	for _, p := range w.paths {
		if w.files[p] {
			continue
		}
		if within(name, p) {
			return true
		}
		if !within(p, name) {
			continue
		}
		rel, err := filepath.Rel(p, name)
		parts := strings.Split(rel, string(filepath.Separator))
		if err == nil && !slices.ContainsFunc(parts, func(s string) bool { return slices.Contains(ignored, s) }) {
			return true
		}
	}
	return false
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// tree visits the folders at and below root in which changes count, until visit has enough.
func tree(root string, visit func(dir string) bool) {
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error { // what cannot be read is not watched
		if err != nil || !d.IsDir() {
			return nil
		}
		if p != root && slices.Contains(ignored, d.Name()) {
			return filepath.SkipDir
		}
		if !visit(p) {
			return filepath.SkipAll
		}
		return nil
	})
}
