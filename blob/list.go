package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// List answers with keys in order.
func (f *Folder) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	l := lister{folder: f, prefix: prefix, after: after, limit: limit}
	if err := l.dir(ctx, ".", ""); err != nil {
		return nil, fmt.Errorf("blob: list %q: %w", prefix, err)
	}
	return l.keys, nil
}

// lister walks the folder in the order of keys and enters no folder that cannot hold an answer.
type lister struct {
	folder        *Folder
	prefix, after string
	limit         int
	keys          []string
}

func (l *lister) full() bool { return l.limit > 0 && len(l.keys) >= l.limit }

// dir walks the folder name, which holds the keys that begin with base.
func (l *lister) dir(ctx context.Context, name, base string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := l.entries(name, base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case l.full():
			return nil
		case e.dir != "":
			if err := l.dir(ctx, e.dir, e.key); err != nil {
				return err
			}
		case strings.HasPrefix(e.key, l.prefix) && e.key > l.after:
			l.keys = append(l.keys, e.key)
		}
	}
	return nil
}

// entry is a blob, or a folder of blobs whose keys begin with key.
type entry struct {
	key string
	dir string // "" for a blob
}

// entries are those of a folder that may hold answers, ascending. The key of a folder ends in "/", which puts it where
// its blobs belong among its neighbours.
func (l *lister) entries(name, base string) ([]entry, error) {
	found, err := fs.ReadDir(l.folder.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, d := range found {
		raw, isBlob := strings.CutSuffix(d.Name(), blobMark)
		segment, ok := unescape(raw)
		if !ok || isBlob == d.IsDir() {
			continue // not ours
		}
		e := entry{key: base + segment}
		if d.IsDir() {
			e.key += "/"
			e.dir = strings.TrimPrefix(name+"/"+d.Name(), "./")
			before := e.key < l.after && !strings.HasPrefix(l.after, e.key)
			if before || !strings.HasPrefix(e.key, l.prefix) && !strings.HasPrefix(l.prefix, e.key) {
				continue
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries, nil
}
