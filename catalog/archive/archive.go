// Package archive reads the zip files that functions and layers come in, and trusts nothing that they say.
//
// There are two steps, and the second is only taken with what the first has passed:
//
//	Inspect  reads every byte of every entry once and refuses what is unsafe or too large → Manifest
//	Unpack   writes the entries into an open folder, and can write several archives over one another, as layers are
//
// What a client may get wrong is answered with Lambda's sentence and the name of the entry.
//
// # What is refused
//
// Names that are absolute, have "..", a backslash or a NUL; a name twice, or both as a file and as a folder; entries below
// a symbolic link; links that are absolute or lead out of the archive, followed as the kernel would follow them, through
// every other link of the archive; devices, sockets and pipes; encryption; more entries, names or bytes than Limits say.
// Sizes are those that come out of the inflater, not the declared ones, so an archive that lies is found while it is read
// and never costs more than the limit. The directory itself is read through a budget: a zip can claim millions of entries
// in a few megabytes.
//
// # What is kept
//
// The executable bit and the time of modification. Everything becomes readable to everybody and writable to nobody
// (0444, 0555), because the code is shared by instances that run as other users. Set-uid bits are dropped.
//
// # Promises
//
// Inspect holds no more than one entry's buffer and the directory in memory. Unpack works inside an os.Root, so even a
// mistake in the checks above could not write outside the folder. Neither keeps state; both are safe for concurrent use.
// Atomicity and durability of what Unpack writes are the caller's: see catalog's cache.
package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// Limits bound an archive. All are required.
type Limits struct {
	Unzipped int64 // bytes that all entries inflate to
	Entries  int   // files, folders and links
}

// directoryMax bounds the bytes that reading the directory may take: 100,000 entries of ordinary names are 15 MiB.
const directoryMax = 24 << 20

const (
	pathMax = 2048 // bytes of an entry's name; with /var/task before it still below the kernel's 4,096
	nameMax = 255  // bytes of one part of it, the limit of every file system
	linkMax = 1024 // bytes of a link's target
	hopsMax = 40   // links followed in one path, as Linux
)

// Manifest is what Inspect found.
type Manifest struct {
	Unzipped int64 // bytes
	Entries  int
}

// kind of an entry, as far as it is accepted.
type kind uint8

const (
	file kind = iota
	folder
	link
)

// entry is one accepted member of the archive.
type entry struct {
	name string // clean, relative, slash separated
	kind kind
	exec bool
	time time.Time
	zip  *zip.File
}

// badZip is Lambda's answer to whatever cannot be unzipped, with the reason that it never gives.
func badZip(format string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, "Could not unzip uploaded file. Please check your file, then try to upload again. (%s)",
		fmt.Sprintf(format, args...)).WithCode("InvalidParameterValueException")
}

// Inspect reads the whole archive in r, which has size bytes, and says what is in it. Errors of Kind Invalid tell the
// client what is wrong with the archive; others are r's.
func Inspect(r io.ReaderAt, size int64, limits Limits) (Manifest, error) {
	entries, err := open(r, size, limits)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	targets := map[string]string{}
	buf := make([]byte, 64<<10)
	for _, e := range entries {
		if e.kind == folder {
			continue
		}
		n, target, err := read(e, limits.Unzipped-m.Unzipped, buf)
		if err != nil {
			return Manifest{}, err
		}
		if m.Unzipped += n; m.Unzipped > limits.Unzipped {
			return Manifest{}, tooLarge(limits.Unzipped)
		}
		if e.kind == link {
			targets[e.name] = target
		}
	}
	for _, e := range entries {
		if e.kind == link && escapes(e.name, targets) {
			return Manifest{}, badZip("the symbolic link %q leads out of the archive", e.name)
		}
	}
	m.Entries = len(entries)
	return m, nil
}

func tooLarge(limit int64) error {
	return rouse.Errorf(rouse.Invalid, "Unzipped size must be smaller than %d bytes", limit).
		WithCode("InvalidParameterValueException")
}

// open reads the directory and accepts or refuses each entry by what the directory says of it.
func open(r io.ReaderAt, size int64, limits Limits) ([]entry, error) {
	budget := &budgetReader{r: r, left: directoryMax}
	z, err := zip.NewReader(budget, size)
	switch {
	case budget.left < 0:
		return nil, badZip("its directory is larger than %d bytes", directoryMax)
	case budget.err != nil:
		return nil, budget.err
	case err != nil:
		return nil, badZip("%v", err)
	case len(z.File) == 0:
		return nil, rouse.Errorf(rouse.Invalid, "Uploaded file must be a non-empty zip").
			WithCode("InvalidParameterValueException")
	case len(z.File) > limits.Entries:
		return nil, badZip("it has %d entries, at most %d are allowed", len(z.File), limits.Entries)
	}
	budget.open = true // entries have limits of their own
	var declared uint64
	for _, f := range z.File {
		if declared += f.UncompressedSize64; declared > uint64(limits.Unzipped) || f.UncompressedSize64 > uint64(limits.Unzipped) {
			return nil, tooLarge(limits.Unzipped)
		}
	}
	return accept(z.File)
}

// accept checks names and types, and that no two entries want the same place.
func accept(files []*zip.File) ([]entry, error) {
	entries := make([]entry, 0, len(files))
	seen := make(map[string]kind, len(files))
	for _, f := range files {
		name, err := cleanName(f.Name)
		if err != nil {
			return nil, err
		}
		if name == "" { // the root itself, "./"
			continue
		}
		e := entry{name: name, exec: f.Mode()&0o111 != 0, time: f.Modified, zip: f}
		if e.kind, err = kindOf(f); err != nil {
			return nil, err
		}
		if f.Flags&1 != 0 {
			return nil, badZip("the entry %q is encrypted", f.Name)
		}
		if k, twice := seen[name]; twice {
			if k == folder && e.kind == folder { // some tools name a folder again, and it means nothing else
				continue
			}
			return nil, badZip("the entry %q is there twice", f.Name)
		}
		seen[name] = e.kind
		entries = append(entries, e)
	}
	// Parents second: an archive may name a folder after what is in it.
	for _, e := range entries {
		for p := path.Dir(e.name); p != "."; p = path.Dir(p) {
			if k, ok := seen[p]; ok && k != folder {
				return nil, badZip("the entry %q lies below %q, which is not a folder", e.name, p)
			}
		}
	}
	return entries, nil
}

// cleanName is the entry's place below the archive's root, "" for the root itself.
func cleanName(name string) (string, error) {
	if len(name) > pathMax {
		return "", badZip("the name of an entry has %d bytes, at most %d are allowed", len(name), pathMax)
	}
	if strings.ContainsAny(name, "\\\x00") {
		return "", badZip("the entry %q has a backslash or a NUL in its name", name)
	}
	s := strings.TrimSuffix(name, "/")
	for strings.HasPrefix(s, "./") {
		s = s[2:]
	}
	if s == "." || s == "" && name != "/" && name != "" {
		return "", nil
	}
	for _, part := range strings.Split(s, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return "", badZip("the entry %q leads out of the archive or has no plain name", name)
		case len(part) > nameMax:
			return "", badZip("the entry %q has a name longer than %d bytes", name, nameMax)
		}
	}
	return s, nil
}

func kindOf(f *zip.File) (kind, error) {
	mode := f.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return link, nil
	case mode.IsDir() || strings.HasSuffix(f.Name, "/"):
		return folder, nil
	case mode.IsRegular():
		return file, nil
	}
	return 0, badZip("the entry %q is neither a file, a folder nor a symbolic link", f.Name)
}

// read inflates e to its end, at most left bytes and one more, and answers how many bytes came out. For links it answers
// their target too.
func read(e entry, left int64, buf []byte) (n int64, target string, err error) {
	r, err := e.zip.Open()
	if err != nil {
		return 0, "", badZip("the entry %q: %v", e.name, err)
	}
	defer r.Close()
	if e.kind == link {
		var b bytes.Buffer
		n, err = io.CopyBuffer(&b, io.LimitReader(r, linkMax+1), buf)
		if err == nil && (n == 0 || n > linkMax || strings.ContainsRune(b.String(), 0)) {
			return 0, "", badZip("the symbolic link %q has no usable target", e.name)
		}
		target = b.String()
	} else {
		n, err = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(r, left+1), buf)
	}
	if err != nil {
		return 0, "", badEntry(e, err)
	}
	return n, target, nil
}

// badEntry tells a broken archive, which is the client's, from a broken disk, which is ours.
func badEntry(e entry, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("read the archive's entry %q: %w", e.name, err)
	}
	return badZip("the entry %q: %v", e.name, err)
}

// escapes follows the link called name as the kernel would, and reports whether it ever stands above the root, is
// absolute, or never ends. Links that lead to nothing are allowed.
func escapes(name string, targets map[string]string) bool {
	at := strings.Split(path.Dir(name), "/")
	if at[0] == "." {
		at = nil
	}
	rest := strings.Split(targets[name], "/")
	hops := 1
	if strings.HasPrefix(targets[name], "/") {
		return true
	}
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return true
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at[:len(at):len(at)], part)
		if t, ok := targets[strings.Join(at, "/")]; ok {
			if hops++; hops > hopsMax || strings.HasPrefix(t, "/") || len(at)+len(rest) > pathMax {
				return true
			}
			at = at[:len(at)-1]
			rest = append(strings.Split(t, "/"), rest...)
		}
	}
	return false
}

// onlyWriter hides io.Discard's ReadFrom, so that the caller's buffer is used.
type onlyWriter struct{ io.Writer }

// budgetReader lets only so many bytes be read until open is set.
type budgetReader struct {
	r    io.ReaderAt
	left int64
	open bool
	err  error // of r, other than the end
}

var errBudget = errors.New("archive: directory exceeds its limit")

func (b *budgetReader) ReadAt(p []byte, off int64) (int, error) {
	if b.open {
		return b.r.ReadAt(p, off)
	}
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBudget
	}
	n, err := b.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
