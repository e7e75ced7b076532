package build

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
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

// leftOut reports whether a file or folder of this name is never part of a function: editors' and caches' among them.
func leftOut(name string) bool {
	return slices.Contains(left, name) || strings.HasSuffix(name, ".pyc") || strings.HasPrefix(name, ".#") || strings.HasSuffix(name, "~")
}

// root is a folder whose files are packed.
type root struct {
	dir    string
	prefix string   // where they go in the archive
	only   string   // one file of it; "" for all
	skip   []string // names that are left out besides the usual ones
	tops   []string // folders that links may lead into; nil: anywhere
}

// entry is one file on its way into an archive.
type entry struct {
	name string // in the archive, with slashes
	path string
	link string // target of a link that is kept as one
	info fs.FileInfo
}

// lister collects entries within the limits.
type lister struct {
	root  root
	files []entry
	bytes int64
}

// list finds the files of a root, sorted by name.
func list(r root) ([]entry, error) {
	l := lister{root: r}
	var err error
	if r.only != "" {
		err = l.file(r.only, filepath.Join(r.dir, r.only))
	} else {
		err = l.walk(r.dir, "", true)
	}
	slices.SortFunc(l.files, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return l.files, err
}

// walk adds what lies below dir. Links to folders are followed when deep is set, and not within what was reached by such a
// link: a link to a folder above itself would never end.
func (l *lister) walk(dir, below string, deep bool) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		if leftOut(d.Name()) || slices.Contains(l.root.skip, d.Name()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		name := path.Join(below, filepath.ToSlash(rel))
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			return l.symlink(name, p, deep)
		case d.Type().IsRegular():
			return l.file(name, p)
		}
		return nil
	})
}

// symlink adds a link: as one when it leads to a place in the same folder, since packages find each other by them; what it
// leads to elsewhere. One that leads nowhere is left out.
func (l *lister) symlink(name, p string, deep bool) error {
	target, err := filepath.EvalSymlinks(p)
	if err != nil {
		return nil
	}
	st, err := os.Stat(target)
	if err != nil {
		return nil
	}
	if rel, ok := l.inside(p, target); ok && deep {
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		l.files = append(l.files, entry{name: path.Join(l.root.prefix, name), path: p, link: rel, info: info})
		return l.check()
	}
	if l.root.tops != nil && !slices.ContainsFunc(l.root.tops, func(top string) bool { return within(top, target) }) {
		return fmt.Errorf("the link %s leads out of the project, to %s: what is elsewhere on this machine is not packed", p, target)
	}
	if !st.IsDir() {
		return l.file(name, p)
	}
	if !deep {
		return nil
	}
	return l.walk(target, name, false)
}

// inside is the way from a link to its target when both are packed.
func (l *lister) inside(link, target string) (string, bool) {
	top, err := filepath.EvalSymlinks(l.root.dir)
	if err != nil || !within(top, target) {
		return "", false
	}
	for _, name := range strings.Split(target[len(top):], string(filepath.Separator)) {
		if leftOut(name) || slices.Contains(l.root.skip, name) {
			return "", false
		}
	}
	here, err := filepath.EvalSymlinks(filepath.Dir(link))
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(here, target)
	return filepath.ToSlash(rel), err == nil
}

func (l *lister) file(name, p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	l.bytes += info.Size()
	l.files = append(l.files, entry{name: path.Join(l.root.prefix, name), path: p, info: info})
	return l.check()
}

func (l *lister) check() error {
	if len(l.files) > filesMax || l.bytes > bytesMax {
		return fmt.Errorf("%s holds more than a function may (%d files, %d MiB): name the folder of its code alone", l.root.dir, filesMax, bytesMax>>20)
	}
	return nil
}

// stampOf changes with any file's name, size, time or mode, and with the facts.
func stampOf(files []entry, facts ...string) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(facts); err != nil {
		return "", err
	}
	for _, e := range files {
		fmt.Fprintf(h, "%q %q %q %d %d %o\n", e.name, e.path, e.link, e.info.Size(), e.info.ModTime().UnixNano(), e.info.Mode())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// packed is what is remembered of an archive.
type packed struct {
	Stamp string
	Hash  string
}

// young is how old the newest file must be for its time to be trusted: within a tick of the file system's clock, two
// versions of a file may bear the same one.
const young = 50 * time.Millisecond

// pack puts a part's roots into one archive, or finds the one that it made of the same files before.
func (cfg Config) pack(p part, roots []root) (Artifact, error) {
	began := time.Now()
	files := map[string]entry{}
	tops := cfg.tops()
	for _, r := range roots {
		r.tops = slices.Concat(tops, plain(r.dir))
		found, err := list(r)
		if err != nil {
			return Artifact{}, err
		}
		for _, e := range found {
			files[e.name] = e
		}
	}
	if len(files) == 0 {
		return Artifact{}, fmt.Errorf("%s is an empty folder", p.path)
	}
	tree := make([]entry, 0, len(files))
	newest := time.Time{}
	for _, e := range files {
		tree = append(tree, e)
		if e.info.ModTime().After(newest) {
			newest = e.info.ModTime()
		}
	}
	slices.SortFunc(tree, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	stamp, err := stampOf(tree)
	if err != nil {
		return Artifact{}, err
	}
	note := cfg.place(p, "packed")
	if a, ok := cfg.remembered(note, stamp, p.id); ok {
		return a, nil
	}
	cfg.Step(p.id + ": pack")
	a, err := cfg.write(p.id, tree)
	if err == nil && newest.Before(began.Add(-young)) {
		b, _ := json.Marshal(packed{stamp, a.Hash})
		err = os.WriteFile(note, b, 0o644)
	}
	return a, err
}

// tops are the folders that belong to the project: the template's, the repository that it is in, and what is built.
func (cfg Config) tops() []string {
	tops := slices.Concat(plain(cfg.Dir), plain(cfg.Work))
	repository := above(cfg.Dir, ".git")
	if home, err := os.UserHomeDir(); err == nil && repository != "" && !within(repository, home) { // a home may be kept in one
		tops = append(tops, plain(repository)...)
	}
	return tops
}

// plain is a folder's path without links, if it is there.
func plain(dir string) []string {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	return []string{path}
}

// remembered is the archive that was made of the same files before.
func (cfg Config) remembered(note, stamp, id string) (Artifact, bool) {
	var was packed
	b, err := os.ReadFile(note)
	if err != nil || json.Unmarshal(b, &was) != nil || was.Stamp != stamp {
		return Artifact{}, false
	}
	file := filepath.Join(cfg.Work, was.Hash+".zip")
	st, err := os.Stat(file)
	if err != nil {
		return Artifact{}, false
	}
	return Artifact{Hash: was.Hash, File: file, Size: st.Size(), For: id}, true
}

// write makes an archive: the same bytes for the same content, whoever packs it and when.
func (cfg Config) write(id string, files []entry) (Artifact, error) {
	if err := os.MkdirAll(cfg.Work, 0o755); err != nil {
		return Artifact{}, err
	}
	out, err := os.CreateTemp(cfg.Work, "pack-*.zip")
	if err != nil {
		return Artifact{}, err
	}
	err = writeZip(out, files)
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

func writeZip(w io.Writer, files []entry) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, e := range files {
		if err := add(z, e); err != nil {
			return err
		}
	}
	return z.Close()
}

func add(z *zip.Writer, e entry) error {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	switch {
	case e.link != "":
		h.SetMode(fs.ModeSymlink | 0o777)
	case e.info.Mode()&0o111 != 0:
		h.SetMode(0o755)
	default:
		h.SetMode(0o644)
	}
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	if e.link != "" {
		_, err = io.WriteString(w, e.link)
		return err
	}
	r, err := os.Open(e.path)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
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

// copyTree copies a folder's files, without those that are never part of a function. Links within it stay links.
func copyTree(from, to string, skip ...string) error {
	files, err := list(root{dir: from, skip: skip})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range files {
		target := filepath.Join(to, filepath.FromSlash(e.name))
		if e.link != "" {
			if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.Symlink(filepath.FromSlash(e.link), target)); err != nil {
				return err
			}
			continue
		}
		if err := copyFile(e.path, target); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, st.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
