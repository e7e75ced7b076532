package cli

import (
	"context"
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

// watchMax is how many folders are watched; a project with more is watched as far as that.
const watchMax = 4096

// ignored are folders in which changes mean nothing.
var ignored = []string{".git", ".rouse", ".aws-sam", "node_modules", "__pycache__", ".venv", "venv", ".idea", ".vscode", ".pytest_cache"}

// waitForChange returns the name of a file below paths that changed, once all is quiet again; "" when ctx is done.
func waitForChange(ctx context.Context, paths []string, work string) (string, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return "", fmt.Errorf("watch files: %w", err)
	}
	defer w.Close()
	files := map[string]bool{}
	for _, p := range paths {
		st, err := os.Stat(p)
		switch {
		case err != nil:
			continue
		case st.IsDir():
			watchTree(w, p)
		default:
			// Editors replace files, so the folder is watched for the name.
			files[p] = true
			_ = w.Add(filepath.Dir(p)) // a folder that cannot be watched is one that does not report
		}
	}
	return nextChange(ctx, w, files, paths, work)
}

func nextChange(ctx context.Context, w *fsnotify.Watcher, files map[string]bool, paths []string, work string) (string, error) {
	changed := ""
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", nil
		case err := <-w.Errors:
			return "", fmt.Errorf("watch files: %w", err)
		case <-quiet.C:
			if changed != "" {
				return filepath.Base(changed), nil
			}
		case e := <-w.Events:
			if e.Op == fsnotify.Chmod || strings.HasPrefix(e.Name, work) || !concerns(e.Name, files, paths) {
				continue
			}
			changed = e.Name
			quiet.Reset(settle)
			if st, err := os.Stat(e.Name); err == nil && st.IsDir() {
				watchTree(w, e.Name)
			}
		}
	}
}

// concerns reports whether a changed file is one of those watched, or below one, and not among what is ignored.
func concerns(name string, files map[string]bool, paths []string) bool {
	if files[name] {
		return true
	}
	base := filepath.Base(name)
	if strings.HasSuffix(base, "~") || strings.HasSuffix(base, ".swp") || strings.HasPrefix(base, ".#") || strings.HasSuffix(base, ".pyc") || base == "4913" {
		return false
	}
	for _, p := range paths {
		rel, err := filepath.Rel(p, name)
		if err != nil || files[p] || strings.HasPrefix(rel, "..") {
			continue
		}
		if !slices.ContainsFunc(strings.Split(filepath.ToSlash(rel), "/"), func(s string) bool { return slices.Contains(ignored, s) }) {
			return true
		}
	}
	return false
}

func watchTree(w *fsnotify.Watcher, root string) {
	n := 0
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error { // what cannot be read is not watched
		if err != nil || !d.IsDir() {
			return nil
		}
		if p != root && slices.Contains(ignored, d.Name()) || n >= watchMax {
			return filepath.SkipDir
		}
		n++
		return w.Add(p)
	})
}
