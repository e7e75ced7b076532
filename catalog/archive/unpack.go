package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

const (
	fileMode = 0o444
	execMode = 0o555
)

// Unpack writes the archive into root, over what is there already: an entry replaces what has its name, a folder is
// merged. The archive must have passed Inspect with the same limits; they are checked again on the way. Folders stay
// writable until Seal.
func Unpack(root *os.Root, r io.ReaderAt, size int64, limits Limits) error {
	entries, err := open(r, size, limits)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	left := limits.Unzipped
	made := map[string]bool{".": true}
	for _, e := range entries {
		if err := makeFolders(root, path.Dir(e.name), made); err != nil {
			return err
		}
		switch e.kind {
		case folder:
			err = makeFolders(root, e.name, made)
		case link:
			err = writeLink(root, e)
		case file:
			var n int64
			n, err = writeFile(root, e, left, buf)
			left -= n
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeFolders makes dir and what is above it. What stands in the way, a file or link of a lower layer, is replaced: it is
// never followed.
func makeFolders(root *os.Root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeFolders(root, path.Dir(dir), made); err != nil {
		return err
	}
	info, err := root.Lstat(dir)
	if err == nil && !info.IsDir() {
		if err := root.Remove(dir); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("unpack: %w", err)
	}
	made[dir] = true
	return nil
}

// vacate removes what has the entry's name in a lower layer.
func vacate(root *os.Root, name string) error {
	if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := root.RemoveAll(name); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

func writeLink(root *os.Root, e entry) error {
	_, target, err := read(e, linkMax, make([]byte, linkMax+1))
	if err != nil {
		return err
	}
	if err := vacate(root, e.name); err != nil {
		return err
	}
	if err := root.Symlink(target, e.name); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

func writeFile(root *os.Root, e entry, left int64, buf []byte) (int64, error) {
	if err := vacate(root, e.name); err != nil {
		return 0, err
	}
	r, err := e.zip.Open()
	if err != nil {
		return 0, badZip("the entry %q: %v", e.name, err)
	}
	defer r.Close()
	mode := fs.FileMode(fileMode)
	if e.exec {
		mode = execMode
	}
	f, err := root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("unpack: %w", err)
	}
	n, err := io.CopyBuffer(onlyWriter{f}, io.LimitReader(r, left+1), buf)
	if err == nil {
		err = f.Chmod(mode)
	}
	err = errors.Join(err, f.Close())
	if n > left {
		return n, badZip("the archive is larger than it was")
	}
	if err != nil {
		return n, fmt.Errorf("unpack the entry %q: %w", e.name, err)
	}
	if t := e.time; t.After(time.Unix(0, 0)) {
		// Python compares the time in a .pyc with its source's, so a layer's byte code needs it. Not vital.
		_ = root.Chtimes(e.name, t, t)
	}
	return n, nil
}

// Seal makes every folder of root readable for all and unwritable, deepest first; to the owner too unless ownerWrites. Called
// once, after the last Unpack.
func Seal(root *os.Root, ownerWrites bool) error {
	mode := fs.FileMode(0o555)
	if ownerWrites {
		mode = 0o755
	}
	var dirs []string
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := root.Chmod(dirs[i], mode); err != nil {
			return fmt.Errorf("seal: %w", err)
		}
	}
	return nil
}
