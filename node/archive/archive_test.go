package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/node/archive"
)

var head = archive.Head{Made: time.Unix(1e9, 0).UTC(), Version: "1", Region: "eu-central-1", Account: "000000000000", Store: "folder", Seal: []byte("seal")}

// written is a backup of some pairs and blobs.
func written(t testing.TB, pairs, blobs int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, head)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pairs {
		if err := w.Pair(kv.Entry{Kind: kv.EntryKey, Name: fmt.Append(nil, "k", i), Value: make([]byte, i*100)}.Pair()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range blobs {
		if err := w.Blob(fmt.Sprint("blob/", i), strings.NewReader(strings.Repeat("x", i*300_000))); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.Close(); err != nil || n.Pairs != int64(pairs) || n.Blobs != int64(blobs) {
		t.Fatalf("Close: got %+v, %v, want %d pairs and %d blobs", n, err, pairs, blobs)
	}
	return b.Bytes()
}

func TestThereAndBack(t *testing.T) {
	r, err := archive.NewReader(bytes.NewReader(written(t, 20, 3)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !reflect.DeepEqual(r.Head, head) {
		t.Errorf("head: got %+v, want %+v", r.Head, head)
	}
	pairs, sizes := 0, map[string]int{}
	n, err := r.Read(func(p kv.Pair) error {
		if want := pairs * 100; len(p.Value) != want || string(p.Key) != fmt.Sprint("kk", pairs) {
			t.Errorf("pair %d: got %q with %d bytes, want %d", pairs, p.Key, len(p.Value), want)
		}
		pairs++
		return nil
	}, func(key string, r io.Reader) error {
		if key == "blob/1" {
			return nil // whoever does not want one leaves it
		}
		b, err := io.ReadAll(r)
		sizes[key] = len(b)
		return err
	})
	if err != nil || n.Pairs != 20 || n.Blobs != 3 || !reflect.DeepEqual(sizes, map[string]int{"blob/0": 0, "blob/2": 600_000}) {
		t.Errorf("Read: got %+v, %v and blobs %v, want 20 pairs and 3 blobs as they were", n, err, sizes)
	}
}

// TestTornAndForeign: whatever is not a whole backup is refused.
func TestTornAndForeign(t *testing.T) {
	whole := written(t, 5, 2)
	for n := range len(whole) {
		if _, _, err := archive.Verify(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("a backup cut off after %d of %d bytes: got nil, want an error", n, len(whole))
		}
	}
	for n := range len(whole) {
		bad := bytes.Clone(whole)
		bad[n] ^= 0x20
		// Some bits of the compression say nothing of the content, which then is what it was, by its SHA-256.
		if h, c, err := archive.Verify(bytes.NewReader(bad)); err == nil && (!reflect.DeepEqual(h, head) || c.Pairs != 5 || c.Blobs != 2) {
			t.Fatalf("a backup with byte %d changed: got %+v and nil, want an error", n, c)
		}
	}
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":     {nil, archive.ErrForeign},
		"foreign":   {[]byte("PK\x03\x04 and so on, long enough"), archive.ErrForeign},
		"cut off":   {whole[:len(whole)-20], archive.ErrTorn},
		"continued": {append(bytes.Clone(whole), whole...), archive.ErrDamaged},
	} {
		if _, _, err := archive.Verify(bytes.NewReader(c.file)); !errors.Is(err, c.want) && name != "continued" || err == nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, _, err := archive.Verify(strings.NewReader("rouse backup 2\nwhatever")); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a format to come: got %v, want it named", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(written(f, 3, 1))
	f.Add([]byte("rouse backup 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _, _ = archive.Verify(bytes.NewReader(b)) })
}
