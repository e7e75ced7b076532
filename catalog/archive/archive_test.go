package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog/archive"
)

var limits = archive.Limits{Unzipped: 1 << 20, Entries: 100}

// item is one entry of a test's archive.
type item struct {
	name string
	mode fs.FileMode
	body string
}

func pack(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: zip.Deflate, Modified: time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)}
		h.SetMode(it.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, it.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inspect(b []byte) (archive.Manifest, error) {
	return archive.Inspect(bytes.NewReader(b), int64(len(b)), limits)
}

const (
	reg = fs.FileMode(0o644)
	lnk = fs.ModeSymlink | 0o777
)

func TestRefused(t *testing.T) {
	many := make([]item, 101)
	for i := range many {
		many[i] = item{fmt.Sprint(i), reg, ""}
	}
	for name, c := range map[string]struct {
		items []item
		want  string
	}{
		"parent":             {[]item{{"../x", reg, ""}}, `"../x" leads out`},
		"parent inside":      {[]item{{"a/../../x", reg, ""}}, "leads out"},
		"absolute":           {[]item{{"/etc/passwd", reg, ""}}, "leads out"},
		"dot":                {[]item{{"a/./b", reg, ""}}, "no plain name"},
		"double slash":       {[]item{{"a//b", reg, ""}}, "no plain name"},
		"backslash":          {[]item{{`..\x`, reg, ""}}, "backslash"},
		"nul":                {[]item{{"a\x00b", reg, ""}}, "NUL"},
		"long part":          {[]item{{strings.Repeat("x", 256), reg, ""}}, "longer than 255"},
		"long name":          {[]item{{strings.Repeat("x/", 1025) + "x", reg, ""}}, "at most 2048"},
		"twice":              {[]item{{"a", reg, "1"}, {"a", reg, "2"}}, "twice"},
		"twice by dot":       {[]item{{"a", reg, "1"}, {"./a", reg, "2"}}, "twice"},
		"file and folder":    {[]item{{"a/", fs.ModeDir | 0o755, ""}, {"a", reg, ""}}, "twice"},
		"below a file":       {[]item{{"a", reg, ""}, {"a/b", reg, ""}}, "not a folder"},
		"below a file first": {[]item{{"a/b", reg, ""}, {"a", reg, ""}}, "not a folder"},
		"below a link":       {[]item{{"a", lnk, "b"}, {"a/c", reg, ""}}, "not a folder"},
		"link out":           {[]item{{"a", lnk, "../x"}}, "leads out"},
		"link deep out":      {[]item{{"d/a", lnk, "../../x"}}, "leads out"},
		"link absolute":      {[]item{{"a", lnk, "/etc/passwd"}}, "leads out"},
		"link by link":       {[]item{{"d/e/l", lnk, ".."}, {"x", lnk, "d/e/l/../../y"}}, "leads out"},
		"link loop":          {[]item{{"a", lnk, "b"}, {"b", lnk, "a"}}, "leads out"},
		"link empty":         {[]item{{"a", lnk, ""}}, "no usable target"},
		"link long":          {[]item{{"a", lnk, strings.Repeat("x", 1025)}}, "no usable target"},
		"device":             {[]item{{"a", fs.ModeDevice | 0o666, ""}}, "neither a file"},
		"pipe":               {[]item{{"a", fs.ModeNamedPipe | 0o666, ""}}, "neither a file"},
		"socket":             {[]item{{"a", fs.ModeSocket | 0o666, ""}}, "neither a file"},
		"many entries":       {many, "has 101 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inspect(pack(t, c.items...))
			wantRefusal(t, err, c.want)
			if err != nil && !strings.HasPrefix(err.Error(), "Could not unzip uploaded file. Please check your file, then try to upload again.") {
				t.Errorf("got %q, want Lambda's sentence first", err)
			}
		})
	}
}

func wantRefusal(t *testing.T, err error, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) || e.Kind != rouse.Invalid || e.Code != "InvalidParameterValueException" || !strings.Contains(e.Message, text) {
		t.Fatalf("got %v, want InvalidParameterValueException with %q", err, text)
	}
}

func TestSizes(t *testing.T) {
	_, err := inspect(nil)
	wantRefusal(t, err, "Could not unzip")
	_, err = inspect([]byte("PK\x03\x04 this is no archive"))
	wantRefusal(t, err, "Could not unzip")
	_, err = inspect(pack(t))
	wantRefusal(t, err, "Uploaded file must be a non-empty zip")
	m, err := inspect(pack(t, item{"a", reg, strings.Repeat("x", 1<<19)}, item{"b", reg, strings.Repeat("y", 1<<19)}))
	if err != nil || m.Unzipped != 1<<20 || m.Entries != 2 {
		t.Errorf("at the limit: got %+v, %v; want 1 MiB in 2 entries", m, err)
	}
	bomb := pack(t, item{"a", reg, strings.Repeat("x", 1<<20+1)})
	_, err = inspect(bomb)
	wantRefusal(t, err, "Unzipped size must be smaller than 1048576 bytes")
	// The same bomb, whose directory says that it is small.
	lie(t, bomb, 5)
	_, err = inspect(bomb)
	wantRefusal(t, err, "")
}

// lie overwrites the uncompressed size in the first directory entry.
func lie(t *testing.T, b []byte, size uint32) {
	t.Helper()
	i := bytes.Index(b, []byte("PK\x01\x02"))
	if i < 0 {
		t.Fatal("no directory entry")
	}
	binary.LittleEndian.PutUint32(b[i+24:], size)
}

func TestEncryptedAndBroken(t *testing.T) {
	b := pack(t, item{"a", reg, strings.Repeat("abc", 1000)})
	enc := bytes.Clone(b)
	enc[bytes.Index(enc, []byte("PK\x01\x02"))+8] |= 1
	_, err := inspect(enc)
	wantRefusal(t, err, "encrypted")
	crc := bytes.Clone(b)
	crc[bytes.Index(crc, []byte("PK\x01\x02"))+16] ^= 1
	_, err = inspect(crc)
	wantRefusal(t, err, `"a"`)
}

// TestDirectoryBudget: a directory of millions of entries is not read to its end.
func TestDirectoryBudget(t *testing.T) {
	one := make([]byte, 46+100)
	copy(one, "PK\x01\x02")
	binary.LittleEndian.PutUint16(one[28:], 100)
	n := (25 << 20) / len(one)
	b := bytes.Repeat(one, n)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(len(b)))
	_, err := inspect(append(b, end...))
	wantRefusal(t, err, "directory is larger")
}

func unpack(t testing.TB, dir string, archives ...[]byte) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, b := range archives {
		if err := archive.Unpack(root, bytes.NewReader(b), int64(len(b)), limits); err != nil {
			return err
		}
	}
	return archive.Seal(root, false)
}

// tree describes a folder, one line for each member.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%v %s", info.Mode(), name)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			fmt.Fprintf(&b, " -> %s", target)
			return errors.Join(err, errLine(&b))
		case info.Mode().IsRegular():
			body, err := os.ReadFile(p)
			fmt.Fprintf(&b, " %q", body)
			return errors.Join(err, errLine(&b))
		}
		return errLine(&b)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func errLine(b *strings.Builder) error { return b.WriteByte('\n') }

func scratch(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(p, 0o700)
			}
			return nil
		})
	})
	return dir
}

func TestUnpack(t *testing.T) {
	b := pack(t,
		item{"./", fs.ModeDir | 0o755, ""},
		item{"bootstrap", 0o700, "#!"},
		item{"secret", 0o000, "s"},
		item{"lib/deep/x.py", reg, "x"},
		item{"lib/", fs.ModeDir | 0o700, ""},
		item{"lib/", fs.ModeDir | 0o755, ""},
		item{"lib/link", lnk, "deep/../deep/x.py"},
		item{"su", fs.ModeSetuid | 0o755, "su"},
	)
	if _, err := inspect(b); err != nil {
		t.Fatal(err)
	}
	dir := scratch(t)
	if err := unpack(t, dir, b); err != nil {
		t.Fatal(err)
	}
	want := `dr-xr-xr-x .
-r-xr-xr-x bootstrap "#!"
dr-xr-xr-x lib
dr-xr-xr-x lib/deep
-r--r--r-- lib/deep/x.py "x"
Lrwxrwxrwx lib/link -> deep/../deep/x.py
-r--r--r-- secret "s"
-r-xr-xr-x su "su"
`
	if got := tree(t, dir); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	info, err := os.Stat(filepath.Join(dir, "bootstrap"))
	if want := time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC); err != nil || !info.ModTime().Equal(want) {
		t.Errorf("time: got %v, %v; want %v", info.ModTime(), err, want)
	}
}

// TestLayersOverOneAnother: the later one wins, and never writes through a link of the earlier one.
func TestLayersOverOneAnother(t *testing.T) {
	first := pack(t, item{"a/x", reg, "1"}, item{"b", lnk, "a"}, item{"c", reg, "1"}, item{"d/e", reg, "1"})
	second := pack(t, item{"a/x", reg, "2"}, item{"b/y", reg, "2"}, item{"c/z", reg, "2"}, item{"d", reg, "2"})
	dir := scratch(t)
	if err := unpack(t, dir, first, second); err != nil {
		t.Fatal(err)
	}
	want := `dr-xr-xr-x .
dr-xr-xr-x a
-r--r--r-- a/x "2"
dr-xr-xr-x b
-r--r--r-- b/y "2"
dr-xr-xr-x c
-r--r--r-- c/z "2"
-r--r--r-- d "2"
`
	if got := tree(t, dir); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// FuzzInspect: no input makes the reader panic, and what it passes unpacks, whole and inside the folder.
func FuzzInspect(f *testing.F) {
	f.Add(pack(f, item{"a", reg, "1"}, item{"d/l", lnk, "../a"}))
	f.Add(pack(f, item{"../a", reg, "1"}))
	f.Add(pack(f, item{"a/b/c", 0o755, strings.Repeat("x", 5000)}, item{"a/b", fs.ModeDir | 0o755, ""}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := inspect(b)
		if err != nil {
			if rouse.KindOf(err) != rouse.Invalid {
				t.Errorf("got %v, want an error of kind invalid", err)
			}
			return
		}
		outer := scratch(t)
		dir := filepath.Join(outer, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unpack(t, dir, b); err != nil {
			t.Fatalf("passed but does not unpack: %v", err)
		}
		var size int64
		err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Mode()&fs.ModeSymlink != 0 {
				if to, err := filepath.EvalSymlinks(p); err == nil && !strings.HasPrefix(to, dir) {
					t.Errorf("%s leads to %s, outside of %s", p, to, dir)
				}
			}
			if !d.IsDir() {
				size += info.Size()
			}
			return nil
		})
		if err != nil || size != m.Unzipped {
			t.Errorf("unpacked %d bytes (%v), the manifest says %d", size, err, m.Unzipped)
		}
		if all, err := os.ReadDir(outer); err != nil || len(all) != 1 {
			t.Errorf("beside the folder: got %v, %v; want nothing", all, err)
		}
	})
}
