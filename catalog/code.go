package catalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog/archive"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Code is where an archive comes from: the request itself or an object in a bucket.
type Code struct {
	Zip           []byte
	Bucket        string
	Key           string
	ObjectVersion string
}

func (c Code) given() bool { return len(c.Zip) > 0 || c.Bucket != "" || c.Key != "" }

// codeRecord counts who holds an archive.
type codeRecord struct {
	Key     string    // the blob
	Refs    int64     // versions and layer versions that hold it
	Touched time.Time // last time it was announced or let go
}

// stored is an archive that is in blob and announced, so that it stays for Config.Grace even without a reference.
type stored struct {
	sha      string // base64
	key      string
	size     int64
	unzipped int64
}

const blobPrefix = "code/"

// keep inspects the archive and puts it into blob.
func (c *Catalog) keep(ctx context.Context, code Code) (stored, error) {
	r, size, done, err := c.openCode(ctx, code)
	if err != nil {
		return stored{}, err
	}
	defer done()
	m, err := archive.Inspect(r, size, c.limits)
	if err != nil {
		return stored{}, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return stored{}, fmt.Errorf("hash code: %w", err)
	}
	sum := h.Sum(nil)
	s := stored{sha: base64.StdEncoding.EncodeToString(sum), size: size, unzipped: m.Unzipped}
	if s.key, err = c.announceCode(ctx, s.sha, sum); err != nil {
		return stored{}, err
	}
	if info, err := c.blobs.Stat(ctx, s.key); err == nil && info.Size == size && bytes.Equal(info.SHA256[:], sum) {
		return s, nil
	}
	info, err := c.blobs.Put(ctx, s.key, io.NewSectionReader(r, 0, size))
	if err != nil {
		return stored{}, fmt.Errorf("store code: %w", err)
	}
	if !bytes.Equal(info.SHA256[:], sum) {
		return stored{}, fmt.Errorf("store code: the blob %s has another hash than what was written", s.key)
	}
	return s, nil
}

// openCode answers a reader of the whole archive; done must be called at the end.
func (c *Catalog) openCode(ctx context.Context, code Code) (r io.ReaderAt, size int64, done func(), err error) {
	if code.Bucket == "" && code.Key == "" {
		if len(code.Zip) > ZippedMax {
			return nil, 0, nil, rouse.Errorf(rouse.TooLarge, "Zipped size must be smaller than %d bytes", ZippedMax).
				WithCode("RequestEntityTooLargeException")
		}
		return bytes.NewReader(code.Zip), int64(len(code.Zip)), func() {}, nil
	}
	if len(code.Zip) > 0 {
		return nil, 0, nil, invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
	}
	if c.cfg.Fetch == nil {
		return nil, 0, nil, rouse.Errorf(rouse.Unsupported, "Rouse does not implement code from S3 (S3Bucket, S3Key)")
	}
	body, err := c.cfg.Fetch(ctx, code.Bucket, code.Key, code.ObjectVersion)
	if err != nil {
		return nil, 0, nil, err
	}
	defer body.Close()
	return c.spooled(body)
}

// spooled copies body to a temporary file, because a zip is read from its end.
func (c *Catalog) spooled(body io.Reader) (r io.ReaderAt, size int64, done func(), err error) {
	f, err := c.spool()
	if err != nil {
		return nil, 0, nil, err
	}
	size, err = io.Copy(f, io.LimitReader(body, UnzippedMax+1))
	if err == nil && size > UnzippedMax {
		err = invalid("Unzipped size must be smaller than %d bytes", UnzippedMax)
	}
	if err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	return f, size, func() { _ = f.Close() }, nil
}

func (c *Catalog) codeRecordKey(sha string) []byte { return c.global("code", sha) }

// announceCode says in kv that the archive is about to be stored and referred to, and answers its blob's key. The random
// part makes the key of bytes that were swept and came again another one.
func (c *Catalog) announceCode(ctx context.Context, sha string, sum []byte) (key string, err error) {
	salt := make([]byte, 4)
	_, _ = rand.Read(salt) // never fails
	fresh := blobPrefix + hex.EncodeToString(sum) + "-" + hex.EncodeToString(salt)
	err = c.store.Update(ctx, func(tx kv.Tx) error {
		rec := codeRecord{Key: fresh}
		if _, err := read(tx, c.codeRecordKey(sha), &rec); err != nil {
			return err
		}
		rec.Touched = tx.Now()
		key = rec.Key
		return write(tx, c.codeRecordKey(sha), rec)
	})
	if err != nil {
		return "", fmt.Errorf("announce code: %w", err)
	}
	return key, nil
}

// holdings are the archives that a version holds, each as often as it is held.
func (v *Version) holdings() map[string]int64 {
	held := map[string]int64{v.CodeSHA256: 1}
	for _, l := range v.Layers {
		held[l.CodeSHA256]++
	}
	return held
}

// hold counts the archives of v; by is 1 to hold and -1 to let go.
func (c *Catalog) hold(tx kv.Tx, held map[string]int64, by int64) error {
	for sha, n := range held {
		var rec codeRecord
		ok, err := read(tx, c.codeRecordKey(sha), &rec)
		if err != nil {
			return err
		}
		if !ok {
			if by < 0 {
				return fmt.Errorf("catalog: let go of code %s: nobody holds it", sha)
			}
			return conflict("The code was removed before it could be used. Please try again.")
		}
		if rec.Refs += n * by; rec.Refs < 0 {
			return fmt.Errorf("catalog: code %s would be held %d times", sha, rec.Refs)
		}
		rec.Touched = tx.Now()
		if err := write(tx, c.codeRecordKey(sha), rec); err != nil {
			return err
		}
	}
	return nil
}

// addCode counts an archive in the account's totals; Lambda counts every version.
func (c *Catalog) addCode(tx kv.Tx, account string, bytes int64) error {
	return c.total(tx, account, func(t *totals) error {
		if t.CodeBytes += bytes; bytes > 0 && t.CodeBytes > CodeTotalMax {
			return rouse.Errorf(rouse.Limit, "Code storage limit exceeded.").WithCode("CodeStorageExceededException")
		}
		return nil
	})
}

// Sweep deletes archives that nobody has held for Config.Grace, and blobs that no record names. It answers how many
// blobs went. Run calls it.
func (c *Catalog) Sweep(ctx context.Context) (deleted int, err error) {
	next := tuple.Prefix("", c.cfg.Region, "catalog", "code")
	for {
		var doomed []string
		var last []byte
		err := c.store.View(ctx, func(v kv.View) error {
			doomed, last = nil, nil
			before := c.store.Now().Add(-c.cfg.Grace)
			for p, err := range v.Scan(next, pageMax) {
				if err != nil {
					return err
				}
				var rec codeRecord
				if err := json.Unmarshal(p.Value, &rec); err != nil {
					return fmt.Errorf("decode code record: %w", err)
				}
				last = p.Key
				if rec.Refs == 0 && rec.Touched.Before(before) {
					parts, err := tuple.Parse(p.Key)
					if err != nil {
						return err
					}
					doomed = append(doomed, parts[len(parts)-1].(string))
				}
			}
			return nil
		})
		if err != nil {
			return deleted, fmt.Errorf("sweep code: %w", err)
		}
		for _, sha := range doomed {
			if err := c.forget(ctx, sha); err != nil {
				return deleted, fmt.Errorf("sweep code: %w", err)
			}
		}
		if last == nil {
			break
		}
		next.From = tuple.After(last)
	}
	return c.sweepBlobs(ctx)
}

// forget removes the record of an archive that is still unused. Its blob is now one that no record names.
func (c *Catalog) forget(ctx context.Context, sha string) error {
	return c.store.Update(ctx, func(tx kv.Tx) error {
		var rec codeRecord
		ok, err := read(tx, c.codeRecordKey(sha), &rec)
		if err != nil || !ok || rec.Refs > 0 || !rec.Touched.Before(tx.Now().Add(-c.cfg.Grace)) {
			return err
		}
		tx.Delete(c.codeRecordKey(sha))
		return nil
	})
}

// sweepBlobs deletes blobs without a record. An archive's record is written before its blob and names it, so such a blob
// can never be referred to again.
func (c *Catalog) sweepBlobs(ctx context.Context) (deleted int, err error) {
	for after := ""; ; {
		keys, err := c.blobs.List(ctx, blobPrefix, after, pageMax)
		if err != nil {
			return deleted, fmt.Errorf("sweep code: %w", err)
		}
		if len(keys) == 0 {
			return deleted, nil
		}
		after = keys[len(keys)-1]
		named := make([]bool, len(keys))
		err = c.store.View(ctx, func(v kv.View) error {
			for i, key := range keys {
				var rec codeRecord
				if _, err := read(v, c.codeRecordKey(shaOf(key)), &rec); err != nil {
					return err
				}
				named[i] = rec.Key == key
			}
			return nil
		})
		if err != nil {
			return deleted, fmt.Errorf("sweep code: %w", err)
		}
		for i, key := range keys {
			if named[i] {
				continue
			}
			if err := c.blobs.Delete(ctx, key); err != nil {
				return deleted, fmt.Errorf("sweep code: %w", err)
			}
			deleted++
		}
	}
}

// shaOf is the hash in a blob's key, as records have it; "" for a key that is none of ours.
func shaOf(key string) string {
	const hexed = 2 * sha256.Size
	if len(key) < len(blobPrefix)+hexed {
		return ""
	}
	sum, err := hex.DecodeString(key[len(blobPrefix) : len(blobPrefix)+hexed])
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// CodeDir answers the folder with the unpacked code of v, to be read only. It stays there until release is called, once.
func (c *Catalog) CodeDir(ctx context.Context, v *Version) (dir string, release func(), err error) {
	return c.unpacked(ctx, []LayerRef{{CodeSHA256: v.CodeSHA256, CodeKey: v.CodeKey, CodeUnzipped: v.CodeUnzipped}})
}

// LayersDir answers the folder with the layers of v, unpacked over one another in their order; "" when it has none.
func (c *Catalog) LayersDir(ctx context.Context, v *Version) (dir string, release func(), err error) {
	if len(v.Layers) == 0 {
		return "", func() {}, nil
	}
	return c.unpacked(ctx, v.Layers)
}

// unpacked answers the folder of one or more archives over one another. Its key is their common hash.
func (c *Catalog) unpacked(ctx context.Context, archives []LayerRef) (string, func(), error) {
	key := sha256.New()
	for _, a := range archives {
		sum, err := base64.StdEncoding.DecodeString(a.CodeSHA256)
		if err != nil {
			return "", nil, fmt.Errorf("catalog: %q is not a hash", a.CodeSHA256)
		}
		if len(archives) == 1 {
			return c.code.Take(ctx, hex.EncodeToString(sum), c.filler(archives))
		}
		key.Write(sum)
	}
	return c.code.Take(ctx, "layers-"+hex.EncodeToString(key.Sum(nil)), c.filler(archives))
}

// filler unpacks archives into a folder of the cache and seals it as far as the configuration asks.
func (c *Catalog) filler(archives []LayerRef) func(context.Context, string) (int64, error) {
	return func(ctx context.Context, dir string) (size int64, err error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return 0, fmt.Errorf("unpack code: %w", err)
		}
		defer root.Close()
		for _, a := range archives {
			if err := c.unpackOne(ctx, root, a); err != nil {
				return 0, err
			}
			size += a.CodeUnzipped
		}
		return size, archive.Seal(root, !c.cfg.Sealed)
	}
}

// unpackOne fetches an archive, verifies that its hash is the version's, and unpacks it.
func (c *Catalog) unpackOne(ctx context.Context, root *os.Root, a LayerRef) error {
	body, _, err := c.blobs.Get(ctx, a.CodeKey, 0, -1)
	if err != nil {
		return fmt.Errorf("read code: %w", err)
	}
	defer body.Close()
	h := sha256.New()
	r, size, done, err := c.spooled(io.TeeReader(body, h))
	if err != nil {
		return fmt.Errorf("read code: %w", err)
	}
	defer done()
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != a.CodeSHA256 {
		return fmt.Errorf("catalog: the blob %s has the hash %s, want %s", a.CodeKey, got, a.CodeSHA256)
	}
	return archive.Unpack(root, r, size, c.limits)
}

// OpenCode opens the archive called key, a Version's or LayerVersion's CodeKey, for download. The caller closes it.
func (c *Catalog) OpenCode(ctx context.Context, key string) (body io.ReadCloser, sizeBytes int64, err error) {
	if shaOf(key) == "" {
		return nil, 0, rouse.Errorf(rouse.NotFound, "there is no code %q", key)
	}
	body, info, err := c.blobs.Get(ctx, key, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, 0, rouse.Errorf(rouse.NotFound, "there is no code %q", key)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open code: %w", err)
	}
	return body, info.Size, nil
}

// combined refuses code and layers that are too large together.
func combined(code int64, layers []LayerRef) error {
	total := code
	for _, l := range layers {
		total += l.CodeUnzipped
	}
	if total > UnzippedMax {
		return invalid("Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is "+
			"%d bytes.", UnzippedMax, total)
	}
	return nil
}
