package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

func TestCodeDir(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	c := reopen(t, cfg)
	in := newFunction(t, "")
	in.Code.Zip = pack(t, map[string]string{"bootstrap*": "#!", "lib/a.py": "a", "link@": "lib/a.py"})
	v, err := c.Create(t.Context(), ref("f"), in)
	if err != nil {
		t.Fatal(err)
	}
	dir, release, err := c.CodeDir(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if b, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || string(b) != "a" {
		t.Errorf("link: got %q, %v; want a", b, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "bootstrap")); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("bootstrap: got %v, %v; want 0555", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("folder: got %v, %v; want 0755, so that its owner can delete it", info.Mode(), err)
	}
	again, release2, err := c.CodeDir(t.Context(), v)
	if err != nil || again != dir {
		t.Errorf("again: got %s, %v; want %s", again, err, dir)
	}
	release2()
	if d, release, err := c.LayersDir(t.Context(), v); err != nil || d != "" {
		t.Errorf("layers of a function without: got %q, %v; want none", d, err)
	} else {
		release()
	}
}

// TestSealedCode: where nothing else keeps a function from its own code, nobody may write into its folders.
func TestSealedCode(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	cfg.Sealed = true
	c := reopen(t, cfg)
	dir, release, err := c.CodeDir(t.Context(), create(t, c, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("folder: got %v, %v; want 0555", info.Mode(), err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // or TempDir could not remove it
		t.Error(err)
	}
}

// TestCorruptCode: a blob that is not what it was is never unpacked.
func TestCorruptCode(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	c := reopen(t, cfg)
	v := create(t, c, "f")
	if _, err := cfg.Blobs.Put(t.Context(), v.CodeKey, bytes.NewReader(pack(t, map[string]string{"evil": "x"}))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CodeDir(t.Context(), v); err == nil || rouse.KindOf(err) != rouse.Internal {
		t.Errorf("got %v, want an internal error", err)
	}
}

func TestLayers(t *testing.T) {
	c := open(t, func(cfg *catalog.Config) { cfg.Grace = time.Nanosecond })
	publish := func(name string, files map[string]string) string {
		t.Helper()
		v, err := c.PublishLayer(t.Context(), catalog.LayerName{Account: account, Name: name}, catalog.NewLayerVersion{
			Code: catalog.Code{Zip: pack(t, files)}, Runtimes: []string{"nodejs22.x"}})
		if err != nil {
			t.Fatal(err)
		}
		return c.LayerARN(account, name, v.Number).String()
	}
	one := publish("one", map[string]string{"shared": "1", "one": "1"})
	two := publish("two", map[string]string{"shared": "2", "two": "2"})
	in := newFunction(t, "x")
	in.Layers = []string{one, two}
	v, err := c.Create(t.Context(), ref("f"), in)
	if err != nil {
		t.Fatal(err)
	}
	// The layers go; the function keeps them.
	for _, name := range []string{"one", "two"} {
		if err := c.DeleteLayer(t.Context(), catalog.LayerName{Account: account, Name: name}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("sweep: got %d, %v; want 0, the function holds the layers", n, err)
	}
	dir, release, err := c.LayersDir(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for name, want := range map[string]string{"shared": "2", "one": "1", "two": "2"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v; want %q", name, b, err, want)
		}
	}
	if got := publish("one", map[string]string{"x": ""}); !strings.HasSuffix(got, ":2") {
		t.Errorf("published again: got %s, want version 2: numbers are never reused", got)
	}
	in = newFunction(t, "x")
	in.Layers = []string{publish("three", map[string]string{"x": "1"}), publish("three", map[string]string{"x": "2"})}
	_, err = c.Create(t.Context(), ref("g"), in)
	wantErr(t, err, rouse.Invalid, "InvalidParameterValueException", "Two different versions of the same layer are not allowed to be referenced in the same function.")
	if vs, next := c.LayerVersions(catalog.LayerName{Account: account, Name: "three"}, catalog.LayerFilter{}, 0, 1); len(vs) != 1 || vs[0].Number != 2 || next != 2 {
		t.Errorf("versions: got %v, next %d; want the newest first", vs, next)
	}
	if vs, _ := c.Layers(account, catalog.LayerFilter{Runtime: "python3.13"}, "", 10); len(vs) != 0 {
		t.Errorf("layers for python: got %d, want none", len(vs))
	}
	if err := c.Delete(t.Context(), ref("f")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Sweep(t.Context()); err != nil || n != 3 {
		t.Errorf("sweep after the function: got %d, %v; want its code and two layers", n, err)
	}
}

func TestFetch(t *testing.T) {
	var body []byte
	denied := rouse.Errorf(rouse.Invalid, "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.").
		WithCode("InvalidParameterValueException")
	c := open(t, func(cfg *catalog.Config) {
		cfg.Fetch = func(_ context.Context, bucket, key, version string) (io.ReadCloser, error) {
			if bucket != "b" || key != "k" || version != "v" {
				return nil, denied
			}
			return io.NopCloser(bytes.NewReader(body)), nil
		}
	})
	in := newFunction(t, "x")
	body = in.Code.Zip
	in.Code = catalog.Code{Bucket: "b", Key: "k", ObjectVersion: "v"}
	v, err := c.Create(t.Context(), ref("f"), in)
	if err != nil || v.CodeSize != int64(len(body)) {
		t.Errorf("create: got %+v, %v; want the object's code", v, err)
	}
	in.Code.Key = "other"
	_, err = c.Create(t.Context(), ref("g"), in)
	if !errors.Is(err, denied) {
		t.Errorf("create without object: got %v, want %v", err, denied)
	}
}

// TestSameCodeTwice: functions share a blob, and it stays until the last one goes.
func TestSameCodeTwice(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	cfg.Grace = time.Nanosecond
	c := reopen(t, cfg)
	in := newFunction(t, "same")
	for _, fn := range []string{"a", "b"} {
		if _, err := c.Create(t.Context(), ref(fn), in); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		keys, err := cfg.Blobs.List(t.Context(), "code/", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(keys)
	}
	if got := count(); got != 1 {
		t.Errorf("blobs: got %d, want one", got)
	}
	for i, fn := range []string{"a", "b"} {
		if err := c.Delete(t.Context(), ref(fn)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := count(), 1-i; got != want {
			t.Errorf("blobs after %s: got %d, want %d", fn, got, want)
		}
	}
	if _, err := c.Create(t.Context(), ref("a"), in); err != nil {
		t.Fatal(err)
	}
	checkCode(t, c, "a")
}

// TestSweepBesideCreate: sweeping all the time takes nothing that a function got.
func TestSweepBesideCreate(t *testing.T) {
	c := open(t, func(cfg *catalog.Config) { cfg.Grace = time.Millisecond })
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := c.Sweep(context.Background()); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 60 {
		_, err := c.Create(t.Context(), ref("f"), newFunction(t, "same"))
		if rouse.KindOf(err) == rouse.Conflict && err != nil {
			continue // swept between blob and reference: said so, and nothing is left
		}
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Version(ref("f"))
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := c.OpenCode(t.Context(), v.CodeKey)
		if err != nil {
			t.Fatalf("code of a function that was just made: %v", err)
		}
		body.Close()
		if err := c.Delete(t.Context(), ref("f")); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("sweep: %v", err)
	}
}
