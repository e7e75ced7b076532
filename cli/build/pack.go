package build

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits of what is packed: Lambda's size, and a number of files that no function has.
const (
	filesMax = 100_000
	bytesMax = 250 << 20
)

// left are names that are never part of a function.
var left = []string{".git", ".rouse", ".aws-sam", ".venv", "venv", "__pycache__", ".DS_Store", ".idea", ".vscode", ".pytest_cache"}

// walk lists the files below dir, sorted, as slash paths.
func walk(dir string, skip ...string) ([]string, error) {
	var files []string
	var bytes int64
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		if slices.Contains(left, d.Name()) || slices.Contains(skip, d.Name()) || strings.HasSuffix(d.Name(), ".pyc") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			bytes += info.Size()
		}
		if d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0 {
			files = append(files, filepath.ToSlash(rel))
		}
		if len(files) > filesMax || bytes > bytesMax {
			return fmt.Errorf("%s holds more than a function may (%d files, %d MiB): name the folder of its code alone", dir, filesMax, bytesMax>>20)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// stamp changes when a part has to be built again: with any file's name, size or time, and with the settings.
func (cfg Config) stamp(p part) (string, error) {
	files, err := walk(p.path, "node_modules")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%+v\n", p.path, p.method, cfg.Arch, p.settings)
	for _, f := range files {
		st, err := os.Lstat(filepath.Join(p.path, f))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\x00%d\x00%d\x00%o\n", f, st.Size(), st.ModTime().UnixNano(), st.Mode())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// pack zips a folder.
func (cfg Config) pack(p part, dir string) (Artifact, error) {
	if cfg.Only != "" && dir == cfg.Dir {
		return cfg.packFiles(p.id, dir, []string{cfg.Only})
	}
	files, err := walk(dir)
	if err != nil {
		return Artifact{}, err
	}
	if len(files) == 0 {
		return Artifact{}, fmt.Errorf("its code %s is an empty folder", dir)
	}
	return cfg.packFiles(p.id, dir, files)
}

// packFiles zips files of a folder: the same bytes for the same content, whoever packs it and when.
func (cfg Config) packFiles(id, dir string, files []string) (Artifact, error) {
	if err := os.MkdirAll(cfg.Work, 0o755); err != nil {
		return Artifact{}, err
	}
	out, err := os.CreateTemp(cfg.Work, "pack-*.zip")
	if err != nil {
		return Artifact{}, err
	}
	err = writeZip(out, dir, files)
	if err = errors.Join(err, out.Close()); err != nil {
		return Artifact{}, errors.Join(err, os.Remove(out.Name()))
	}
	a, err := hashed(out.Name(), id)
	if err != nil {
		return Artifact{}, err
	}
	a.File = filepath.Join(cfg.Work, a.Hash+".zip")
	return a, os.Rename(out.Name(), a.File)
}

func writeZip(w io.Writer, dir string, files []string) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, f := range files {
		if err := add(z, dir, f); err != nil {
			return err
		}
	}
	return z.Close()
}

// add puts one file into the archive. Links are followed: what a function gets does not depend on where it was packed.
func add(z *zip.Writer, dir, name string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return addLinked(z, dir, name)
	}
	mode := fs.FileMode(0o644)
	if st.Mode()&0o100 != 0 {
		mode = 0o755
	}
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(mode)
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// addLinked packs the folder that a link leads to, such as a package linked into node_modules. A link to a folder above
// itself would never end, so links inside it are not followed to folders again.
func addLinked(z *zip.Writer, dir, name string) error {
	target, err := filepath.EvalSymlinks(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	files, err := walk(target)
	if err != nil {
		return err
	}
	for _, f := range files {
		if st, err := os.Stat(filepath.Join(target, f)); err != nil || st.IsDir() {
			continue
		}
		if err := add(z, dir, name+"/"+f); err != nil {
			return err
		}
	}
	return nil
}

// hashed names a file by its content.
func hashed(file, id string) (Artifact, error) {
	f, err := os.Open(file)
	if err != nil {
		return Artifact{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Artifact{Hash: hex.EncodeToString(h.Sum(nil)), File: file, Size: n, For: id}, err
}

// copyTree copies a folder's files, without those that are never part of a function.
func (cfg Config) copyTree(from, to string, skip ...string) error {
	files, err := walk(from, skip...)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := copyFile(filepath.Join(from, f), filepath.Join(to, f)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
