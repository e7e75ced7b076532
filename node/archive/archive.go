// Package archive is the file that a backup is: a store's snapshot, the blobs beside it and the key that seals its secrets, as one
// stream that is written while the node runs and read again in one go.
//
//	"rouse backup 1\n"  then, compressed by zstd, frames: a kind, and fields of a length and bytes
//	  h  what the backup is of, as JSON
//	  p  a pair of the snapshot: key, value
//	  b  a blob begins: key          c  a piece of it       e  its SHA-256
//	  z  the end: how many pairs and blobs there were, and the SHA-256 of all frames before it
//
// # What it promises
//
// A Writer makes a file whole with Close, and not before: one that was cut off, at any byte, has no end, and a Reader says so. A
// Reader hands over nothing larger than a store or a blob can hold, and checks each blob and, at the end, everything; whoever must
// not act on half a backup calls Verify first. Files that are something else, or of a format to come, are refused by name. Both
// serve one goroutine at a time.
//
// # What it leaves to others
//
// Where the pairs come from and go to, the consistency of what it is given, and the secrecy of the file: it holds the keys to
// everything in it.
package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/kv"
)

// Format is the number of the file's layout.
const Format = 1

const (
	name      = "rouse backup "
	headMax   = 64 << 10
	pieceSize = 256 << 10 // of a blob
	keyMax    = 32 + kv.KeyMax + len(kv.Pos{})
)

// Kinds of frames.
const (
	frameHead  = 'h'
	framePair  = 'p'
	frameBlob  = 'b'
	framePiece = 'c'
	frameSum   = 'e'
	frameEnd   = 'z'
)

var (
	ErrForeign = errors.New("this is not a backup of Rouse")
	ErrTorn    = errors.New("the backup is torn: it has no end")
	ErrDamaged = errors.New("the backup is damaged")
)

// Head says what a backup is of.
type Head struct {
	Made    time.Time `json:"made"`
	Version string    `json:"version"` // of the program that made it
	Region  string    `json:"region"`
	Account string    `json:"account"`
	Store   string    `json:"store"` // "folder" or "postgres"; either can take it
	Seal    []byte    `json:"seal"`  // what secrets are sealed with
}

// Counts is what a backup holds.
type Counts struct {
	Pairs, Blobs int64
	Bytes        int64 // of keys, values and blobs
}

// Writer writes a backup.
type Writer struct {
	out    *zstd.Encoder
	sum    hash.Hash
	counts Counts
	err    error
}

// NewWriter begins a backup.
func NewWriter(w io.Writer, h Head) (*Writer, error) {
	if _, err := fmt.Fprintf(w, "%s%d\n", name, Format); err != nil {
		return nil, err
	}
	out, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	a := &Writer{out: out, sum: sha256.New()}
	return a, a.frame(frameHead, b)
}

// frame writes one frame; after an error nothing more.
func (a *Writer) frame(kind byte, fields ...[]byte) error {
	head := []byte{kind}
	for _, f := range fields {
		head = binary.AppendUvarint(head, uint64(len(f)))
		a.put(head)
		a.put(f)
		head = head[:0]
	}
	return a.err
}

func (a *Writer) put(b []byte) {
	if a.err != nil {
		return
	}
	a.sum.Write(b)
	_, a.err = a.out.Write(b)
}

// Pair adds a pair of the snapshot.
func (a *Writer) Pair(p kv.Pair) error {
	a.counts.Pairs++
	a.counts.Bytes += int64(len(p.Key) + len(p.Value))
	return a.frame(framePair, p.Key, p.Value)
}

// Blob adds a blob.
func (a *Writer) Blob(key string, r io.Reader) error {
	if err := a.frame(frameBlob, []byte(key)); err != nil {
		return err
	}
	sum, piece := sha256.New(), make([]byte, pieceSize)
	for {
		n, err := io.ReadFull(r, piece)
		if n > 0 {
			sum.Write(piece[:n])
			a.counts.Bytes += int64(n)
			if ferr := a.frame(framePiece, piece[:n]); ferr != nil {
				return ferr
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	a.counts.Blobs++
	return a.frame(frameSum, sum.Sum(nil))
}

// Close ends the backup. Without it there is none.
func (a *Writer) Close() (Counts, error) {
	end := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(a.counts.Pairs)), uint64(a.counts.Blobs))
	err := a.frame(frameEnd, a.sum.Sum(nil), end)
	return a.counts, errors.Join(err, a.out.Close())
}

// Reader reads a backup.
type Reader struct {
	Head   Head
	in     *bufio.Reader
	dec    *zstd.Decoder
	sum    hash.Hash
	counts Counts
}

// NewReader reads a backup's beginning. Close it.
func NewReader(r io.Reader) (*Reader, error) {
	begin := make([]byte, len(name))
	if _, err := io.ReadFull(r, begin); err != nil || string(begin) != name {
		return nil, ErrForeign
	}
	var format int
	line, err := readLine(r)
	if _, serr := fmt.Sscanf(line, "%d", &format); err != nil || serr != nil {
		return nil, ErrForeign
	}
	if format != Format {
		return nil, fmt.Errorf("the backup has format %d; this Rouse knows %d", format, Format)
	}
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	a := &Reader{dec: dec, in: bufio.NewReader(dec), sum: sha256.New()}
	kind, err := a.byte()
	var b []byte
	if err == nil && kind == frameHead {
		b, err = a.field(headMax)
	}
	if err == nil {
		err = json.Unmarshal(b, &a.Head)
	}
	if err != nil {
		dec.Close()
		return nil, a.tell(err)
	}
	return a, nil
}

// readLine reads a short line byte by byte: what follows it is not this function's.
func readLine(r io.Reader) (string, error) {
	var b [1]byte
	for line := ""; len(line) < 16; {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return line, nil
		}
		line += string(b[:])
	}
	return "", ErrForeign
}

// Close lets go of the reader's memory.
func (a *Reader) Close() { a.dec.Close() }

func (a *Reader) byte() (byte, error) {
	b, err := a.in.ReadByte()
	if err == nil {
		a.sum.Write([]byte{b})
	}
	return b, err
}

// field reads one field.
func (a *Reader) field(most int) ([]byte, error) {
	n, err := a.length()
	if err != nil {
		return nil, err
	}
	if n > uint64(most) {
		return nil, fmt.Errorf("%w: a field of %d bytes", ErrDamaged, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(a.in, b); err != nil {
		return nil, err
	}
	a.sum.Write(b)
	return b, nil
}

func (a *Reader) length() (n uint64, err error) {
	for shift := 0; shift < 63; shift += 7 {
		b, err := a.byte()
		if err != nil {
			return 0, err
		}
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: a length that is none", ErrDamaged)
}

// tell is what an error of reading says of the backup.
func (a *Reader) tell(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTorn
	case errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrReservedBlockType):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Read hands over all pairs and blobs in the order in which they were written, and checks the end. What it has handed over before
// an error is not to be trusted. A blob that is not read to its end is skipped.
func (a *Reader) Read(pair func(kv.Pair) error, blob func(key string, r io.Reader) error) (Counts, error) {
	for {
		before := a.sum.Sum(nil)
		kind, err := a.byte()
		if err == nil {
			switch kind {
			case framePair:
				err = a.readPair(pair)
			case frameBlob:
				err = a.readBlob(blob)
			case frameEnd:
				return a.counts, a.tell(a.readEnd(before))
			default:
				err = fmt.Errorf("%w: a frame of unknown kind %q", ErrDamaged, kind)
			}
		}
		if err != nil {
			return a.counts, a.tell(err)
		}
	}
}

func (a *Reader) readPair(pair func(kv.Pair) error) error {
	k, err := a.field(keyMax)
	if err != nil {
		return err
	}
	v, err := a.field(kv.ValueMax)
	if err != nil {
		return err
	}
	a.counts.Pairs++
	a.counts.Bytes += int64(len(k) + len(v))
	return pair(kv.Pair{Key: k, Value: v})
}

func (a *Reader) readBlob(each func(key string, r io.Reader) error) error {
	key, err := a.field(blob.KeyMax)
	if err != nil {
		return err
	}
	b := &body{a: a, sum: sha256.New()}
	if err := each(string(key), b); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, b); err != nil {
		return err
	}
	a.counts.Blobs++
	a.counts.Bytes += b.size
	return nil
}

// body is a blob's content.
type body struct {
	a     *Reader
	sum   hash.Hash
	piece []byte
	size  int64
	ended bool
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.piece) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		if err := b.next(); err != nil {
			return 0, b.a.tell(err)
		}
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	return n, nil
}

// next reads a piece, or the end.
func (b *body) next() error {
	kind, err := b.a.byte()
	if err != nil {
		return err
	}
	switch kind {
	case framePiece:
		b.piece, err = b.a.field(pieceSize)
		b.sum.Write(b.piece)
		b.size += int64(len(b.piece))
		return err
	case frameSum:
		want, err := b.a.field(sha256.Size)
		if err == nil && !bytes.Equal(want, b.sum.Sum(nil)) {
			err = fmt.Errorf("%w: a blob is not what it was", ErrDamaged)
		}
		b.ended = true
		return err
	}
	return fmt.Errorf("%w: a frame of kind %q within a blob", ErrDamaged, kind)
}

// readEnd compares the end with what came before it.
func (a *Reader) readEnd(before []byte) error {
	sum, err := a.field(sha256.Size)
	if err != nil {
		return err
	}
	end, err := a.field(2 * binary.MaxVarintLen64)
	if err != nil {
		return err
	}
	pairs, n := binary.Uvarint(end)
	blobs, m := binary.Uvarint(end[max(n, 0):])
	if !bytes.Equal(sum, before) || n <= 0 || m <= 0 || int64(pairs) != a.counts.Pairs || int64(blobs) != a.counts.Blobs {
		return fmt.Errorf("%w: its end does not match what it holds", ErrDamaged)
	}
	if _, err := a.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	return nil
}

// Verify reads a whole backup and answers with what it holds.
func Verify(r io.Reader) (Head, Counts, error) {
	a, err := NewReader(r)
	if err != nil {
		return Head{}, Counts{}, err
	}
	defer a.Close()
	n, err := a.Read(func(p kv.Pair) error { _, err := kv.ParseEntry(p); return err }, func(string, io.Reader) error { return nil })
	return a.Head, n, err
}
