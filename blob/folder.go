package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// Folder is a Store in a folder of the file system. One process may have it open at a time; the caller sees to that (the
// lock of the kv store beside it does).
//
// Each blob is a file: a header of headerSize bytes (magic, size, SHA-256), then the content. It is written under
// .tmp, synced, renamed to its place, and the folder that holds it is synced. Folders stay when they become empty.
type Folder struct {
	root *os.Root

	mu   sync.Mutex
	dirs map[string]bool // guarded by mu: folders that are known to be there and durable
}

var _ Store = (*Folder)(nil)

const (
	tmpDir     = ".tmp"
	headerSize = 48
	copySize   = 256 << 10 // bytes between two looks at the context
)

// magic begins every file: the format and its number.
var magic = [8]byte{'r', 'b', 'l', 'o', 'b', 0, 0, 1}

// OpenFolder opens the store in dir, makes it if it is not there, and sweeps what a crash has left half written.
func OpenFolder(dir string) (*Folder, error) {
	if err := makeRoot(dir); err != nil {
		return nil, fmt.Errorf("blob: open folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: open folder: %w", err)
	}
	err = root.RemoveAll(tmpDir)
	if err == nil {
		err = root.Mkdir(tmpDir, 0o700)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blob: sweep folder %s: %w", dir, err), root.Close())
	}
	return &Folder{root: root, dirs: map[string]bool{".": true}}, nil
}

// makeRoot makes dir and what is missing above it, durably.
func makeRoot(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeRoot(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close ends the use of the folder. Readers that are open stay good.
func (f *Folder) Close() error { return f.root.Close() }

// Put stores all that r yields.
func (f *Folder) Put(ctx context.Context, key string, r io.Reader) (Info, error) {
	name, err := file(key)
	if err != nil {
		return Info{}, err
	}
	tmp := path.Join(tmpDir, rand.Text())
	info, err := f.write(ctx, tmp, r)
	if err == nil {
		err = f.move(tmp, name)
	}
	if err != nil {
		f.root.Remove(tmp) // what is left is swept at the next start
		return Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	return info, nil
}

// write makes tmp a whole and durable file.
func (f *Folder) write(ctx context.Context, tmp string, r io.Reader) (info Info, err error) {
	w, err := f.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Write(make([]byte, headerSize)); err != nil {
		return Info{}, err
	}
	sum := sha256.New()
	if info.Size, err = copyAll(ctx, io.MultiWriter(w, sum), r); err != nil {
		return Info{}, err
	}
	sum.Sum(info.SHA256[:0])
	if _, err := w.WriteAt(header(info), 0); err != nil {
		return Info{}, err
	}
	return info, w.Sync()
}

// copyAll copies until r ends or ctx is done.
func copyAll(ctx context.Context, w io.Writer, r io.Reader) (size int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return size, err
		}
		n, err := io.CopyN(w, r, copySize)
		size += n
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// move gives tmp its name and makes that durable.
func (f *Folder) move(tmp, name string) error {
	dir := path.Dir(name)
	if err := f.makeDir(dir); err != nil {
		return err
	}
	if err := f.root.Rename(tmp, name); err != nil {
		return err
	}
	return f.syncDir(dir)
}

// makeDir makes dir and all above it, durably.
func (f *Folder) makeDir(dir string) error {
	f.mu.Lock()
	known := f.dirs[dir]
	f.mu.Unlock()
	if known {
		return nil
	}
	parent := path.Dir(dir)
	if err := f.makeDir(parent); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Even if it was there: another Put may have made it a moment ago and not synced it yet.
	if err := f.syncDir(parent); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirs[dir] = true
	return nil
}

func (f *Folder) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get reads part of a blob.
func (f *Folder) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	file, info, err := f.open(key)
	if err != nil {
		return nil, Info{}, err
	}
	if off < 0 || off > info.Size {
		return nil, Info{}, errors.Join(fmt.Errorf("%w: %s: offset %d of %d", ErrRange, key, off, info.Size), file.Close())
	}
	if n < 0 || n > info.Size-off {
		n = info.Size - off
	}
	r := &reader{file: file, content: io.NewSectionReader(file, headerSize+off, n), info: info, left: n}
	if n == info.Size {
		r.sum = sha256.New()
	}
	return r, info, nil
}

// open opens the file of key behind its header.
func (f *Folder) open(key string) (*os.File, Info, error) {
	name, err := file(key)
	if err != nil {
		return nil, Info{}, err
	}
	r, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Info{}, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	if err != nil {
		return nil, Info{}, fmt.Errorf("blob: open %s: %w", key, err)
	}
	info, err := readHeader(r)
	if err != nil {
		return nil, Info{}, errors.Join(fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err), r.Close())
	}
	return r, info, nil
}

// Stat describes a blob.
func (f *Folder) Stat(ctx context.Context, key string) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	r, info, err := f.open(key)
	if err != nil {
		return Info{}, err
	}
	return info, r.Close()
}

// Delete removes a blob.
func (f *Folder) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := file(key)
	if err != nil {
		return err
	}
	err = f.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.syncDir(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("blob: delete %s: %w", key, err)
	}
	return nil
}

func header(info Info) []byte {
	b := append(make([]byte, 0, headerSize), magic[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size))
	return append(b, info.SHA256[:]...)
}

func readHeader(r *os.File) (info Info, err error) {
	b := make([]byte, headerSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		return Info{}, fmt.Errorf("read header: %w", err)
	}
	if !bytes.Equal(b[:len(magic)], magic[:]) {
		return Info{}, errors.New("unknown header")
	}
	st, err := r.Stat()
	if err != nil {
		return Info{}, err
	}
	info.Size = int64(binary.BigEndian.Uint64(b[8:]))
	copy(info.SHA256[:], b[16:])
	if st.Size() != headerSize+info.Size {
		return Info{}, fmt.Errorf("%d bytes, the header says %d", st.Size()-headerSize, info.Size)
	}
	return info, nil
}

// reader reads one range. When that is the whole blob, the end comes only if the hash is right.
type reader struct {
	file    *os.File
	content *io.SectionReader
	info    Info
	sum     hash.Hash // nil: only a part is read
	left    int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.content.Read(p)
	r.left -= int64(n)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	switch {
	case !errors.Is(err, io.EOF):
		return n, err
	case r.left > 0: // the file was cut behind our back
		return n, ErrCorrupt
	case r.sum != nil && [32]byte(r.sum.Sum(nil)) != r.info.SHA256:
		return n, ErrCorrupt
	}
	return n, io.EOF
}

func (r *reader) Close() error { return r.file.Close() }
