package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/blob"
)

func folder(t *testing.T, dir string) *blob.Folder {
	t.Helper()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatalf("OpenFolder: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f blob.Store, key, content string) blob.Info {
	t.Helper()
	info, err := f.Put(t.Context(), key, strings.NewReader(content))
	if err != nil {
		t.Fatalf("Put %q: got %v, want nil", key, err)
	}
	return info
}

func get(t *testing.T, f blob.Store, key string, off, n int64) string {
	t.Helper()
	r, _, err := f.Get(t.Context(), key, off, n)
	if err != nil {
		t.Fatalf("Get %q: got %v, want nil", key, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %q: got %v, want nil", key, err)
	}
	return string(b)
}

func TestPutGet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "blobs")
	f := folder(t, dir)
	for _, content := range []string{"", "x", "hello, world", strings.Repeat("0123456789", 200_000)} {
		info := put(t, f, "code/a", content)
		want := blob.Info{Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
		if info != want {
			t.Errorf("Put of %d bytes: got %v, want %v", len(content), info, want)
		}
		if got := get(t, f, "code/a", 0, -1); got != content {
			t.Errorf("Get: got %d bytes, want the %d that were put", len(got), len(content))
		}
		f2 := folder(t, dir) // as after a restart
		if info, err := f2.Stat(t.Context(), "code/a"); err != nil || info != want {
			t.Errorf("Stat: got %v, %v, want %v", info, err, want)
		}
	}
}

func TestGetRanges(t *testing.T) {
	f := folder(t, t.TempDir())
	put(t, f, "k", "0123456789")
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, -1, "0123456789"}, {0, 10, "0123456789"}, {0, 99, "0123456789"}, {3, 4, "3456"}, {8, 5, "89"}, {9, -1, "9"}, {10, -1, ""}, {10, 5, ""}, {4, 0, ""}} {
		if got := get(t, f, "k", c.off, c.n); got != c.want {
			t.Errorf("Get from %d, %d bytes: got %q, want %q", c.off, c.n, got, c.want)
		}
	}
	for _, off := range []int64{-1, 11, 1 << 62} {
		if r, _, err := f.Get(t.Context(), "k", off, 1); !errors.Is(err, blob.ErrRange) {
			t.Errorf("Get from %d: got %v, %v, want ErrRange", off, r, err)
		}
	}
}

func TestAbsent(t *testing.T) {
	f, ctx := folder(t, t.TempDir()), t.Context()
	if _, err := f.Stat(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat of nothing: got %v, want ErrNotFound", err)
	}
	if _, _, err := f.Get(ctx, "a/b", 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get of nothing: got %v, want ErrNotFound", err)
	}
	if err := f.Delete(ctx, "a/b"); err != nil {
		t.Errorf("Delete of nothing: got %v, want nil", err)
	}
	put(t, f, "a/b", "x")
	if _, err := f.Stat(ctx, "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat of a folder: got %v, want ErrNotFound", err)
	}
	if err := f.Delete(ctx, "a/b"); err != nil {
		t.Errorf("Delete: got %v, want nil", err)
	}
	if _, err := f.Stat(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat after Delete: got %v, want ErrNotFound", err)
	}
}

func TestHostileKeys(t *testing.T) {
	dir := t.TempDir()
	f, ctx := folder(t, filepath.Join(dir, "blobs")), t.Context()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../secret", "a/../../secret", "a/./b", "a\x00b", "\x00", "a\nb",
		"a\x7f", "\xff\xfe", strings.Repeat("x", blob.KeyMax+1), strings.Repeat("x", blob.SegmentMax+1), strings.Repeat("X", 100),
	} {
		if _, err := f.Put(ctx, key, strings.NewReader("x")); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Put %.40q: got %v, want ErrKey", key, err)
		}
		if _, _, err := f.Get(ctx, key, 0, -1); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Get %.40q: got %v, want ErrKey", key, err)
		}
		if _, err := f.Stat(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Stat %.40q: got %v, want ErrKey", key, err)
		}
		if err := f.Delete(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Delete %.40q: got %v, want ErrKey", key, err)
		}
	}
	if got := tree(t, dir); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("files after hostile keys: got %v, want the secret alone", got)
	}
}

func TestHostileLinks(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, filepath.Join(dir, "blobs"))
	if err := os.Mkdir(filepath.Join(dir, "outside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join(dir, "blobs", "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "a/b", strings.NewReader("x")); err == nil {
		t.Error("Put through a link out of the folder: got nil, want an error")
	}
	if got := tree(t, filepath.Join(dir, "outside")); len(got) != 0 {
		t.Errorf("files outside: got %v, want none", got)
	}
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestKeysThatAreNearlyTheSame(t *testing.T) {
	f := folder(t, t.TempDir())
	keys := []string{"a", "A", "a/a", "a/A", "a~", "a~/b", "a%", "%61", "a.b", ".a", "a ", "ä", "日本", "a:b", "a\\b", "con", "a~~",
		strings.Repeat("y", blob.SegmentMax)}
	for _, k := range keys {
		put(t, f, k, "content of "+k)
	}
	for _, k := range keys {
		if got, want := get(t, f, k, 0, -1), "content of "+k; got != want {
			t.Errorf("Get %q: got %q, want %q", k, got, want)
		}
	}
	got, err := f.List(t.Context(), "", "", 0)
	slices.Sort(keys)
	if err != nil || !slices.Equal(got, keys) {
		t.Errorf("List: got %q, %v, want %q", got, err, keys)
	}
}

// TestListModel compares List with a sorted slice.
func TestListModel(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "A", "a.b", "a-", "~", ".x", "a0", "%2f"})
	key := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
	})
	rapid.Check(t, func(rt *rapid.T) {
		f := folder(t, t.TempDir())
		keys := rapid.SliceOfNDistinct(key, 0, 8, rapid.ID).Draw(rt, "keys")
		for _, k := range keys {
			put(t, f, k, k)
		}
		slices.Sort(keys)
		cut := func(label string) string {
			k := key.Draw(rt, label)
			return k[:rapid.IntRange(0, len(k)).Draw(rt, label+" length")]
		}
		prefix, after, limit := cut("prefix"), cut("after"), rapid.IntRange(0, 4).Draw(rt, "limit")
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after && (limit == 0 || len(want) < limit) {
				want = append(want, k)
			}
		}
		if got, err := f.List(t.Context(), prefix, after, limit); err != nil || !slices.Equal(got, want) {
			rt.Fatalf("List(%q, %q, %d) of %q: got %q, %v, want %q", prefix, after, limit, keys, got, err, want)
		}
	})
}

func TestFailedPutLeavesTheOld(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, dir)
	put(t, f, "k", "old")
	boom := errors.New("boom")
	half := io.MultiReader(strings.NewReader("half of the new"), iotest.ErrReader(boom))
	if _, err := f.Put(t.Context(), "k", half); !errors.Is(err, boom) {
		t.Errorf("Put from a failing reader: got %v, want %v", err, boom)
	}
	ctx, cancel := context.WithCancel(t.Context())
	endless := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err := f.Put(ctx, "k", endless); !errors.Is(err, context.Canceled) {
		t.Errorf("Put of a caller that left: got %v, want context.Canceled", err)
	}
	if got := get(t, f, "k", 0, -1); got != "old" {
		t.Errorf("Get after failed Puts: got %q, want %q", got, "old")
	}
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("files after failed Puts: got %v, want one", got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	put(t, folder(t, dir), "k", "v")
	left := filepath.Join(dir, ".tmp", "HALFWRITTEN")
	if err := os.WriteFile(left, []byte("rub"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := folder(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half-written file after a restart: got %v, want it gone", err)
	}
	if got := get(t, f, "k", 0, -1); got != "v" {
		t.Errorf("Get after a restart: got %q, want %q", got, "v")
	}
	if keys, err := f.List(t.Context(), "", "", 0); err != nil || !slices.Equal(keys, []string{"k"}) {
		t.Errorf("List: got %v, %v, want [k]", keys, err)
	}
}

func TestCorrupt(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, dir)
	for name, spoil := range map[string]func(b []byte) []byte{
		"content": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"hash":    func(b []byte) []byte { b[20] ^= 1; return b },
		"magic":   func(b []byte) []byte { b[0] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"empty":   func([]byte) []byte { return nil },
	} {
		put(t, f, "k", "some content")
		p := filepath.Join(dir, "k~")
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, spoil(b), 0o600); err != nil {
			t.Fatal(err)
		}
		r, _, err := f.Get(t.Context(), "k", 0, -1)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("read of a file with %s spoilt: got %v, want ErrCorrupt", name, err)
		}
	}
}

// TestConcurrent: a reader sees one whole content or another, never a mix, while writers replace and delete.
func TestConcurrent(t *testing.T) {
	f, ctx := folder(t, t.TempDir()), t.Context()
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 10_000+i) }
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 15 {
				key := fmt.Sprintf("dir%d/k", i%3)
				if _, err := f.Put(ctx, key, bytes.NewReader(content(w))); err != nil {
					t.Errorf("Put: got %v, want nil", err)
				}
				if i%5 == 4 {
					if err := f.Delete(ctx, key); err != nil {
						t.Errorf("Delete: got %v, want nil", err)
					}
				}
			}
		})
		wg.Go(func() {
			for i := range 60 {
				r, info, err := f.Get(ctx, fmt.Sprintf("dir%d/k", i%3), 0, -1)
				if errors.Is(err, blob.ErrNotFound) {
					continue
				}
				if err != nil {
					t.Errorf("Get: got %v, want nil", err)
					continue
				}
				b, err := io.ReadAll(r)
				r.Close()
				if err != nil || int64(len(b)) != info.Size || !bytes.Equal(b, content(int(b[0]))) {
					t.Errorf("read: got %d bytes, %v, want one whole content", len(b), err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzKey: a key is refused, or it is stored inside the folder under its own name and nobody else's.
func FuzzKey(f *testing.F) {
	for _, k := range []string{"a/b", "../x", "/x", "a\x00", "A", "%2e%2e/x", "~", ".tmp/x", "a/~/b"} {
		f.Add(k)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, key string) {
		s := folder(t, filepath.Join(dir, "blobs"))
		if _, err := s.Put(t.Context(), key, strings.NewReader(key)); err != nil {
			if !errors.Is(err, blob.ErrKey) {
				t.Fatalf("Put %q: got %v, want nil or ErrKey", key, err)
			}
			return
		}
		if got := get(t, s, key, 0, -1); got != key {
			t.Errorf("Get %q: got %q, want the key back", key, got)
		}
		if keys, err := s.List(t.Context(), "", "", 0); err != nil || !slices.Equal(keys, []string{key}) {
			t.Errorf("List: got %q, %v, want [%q]", keys, err, key)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete %q: got %v, want nil", key, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("beside the folder: got %v, %v, want nothing", entries, err)
		}
		os.RemoveAll(filepath.Join(dir, "blobs"))
	})
}
