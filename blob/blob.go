// Package blob keeps bytes by key: code archives, uploaded parts, objects, everything too large for a value of kv.
//
// # How it is used
//
// A blob is written whole, under a key that its writer has made up (a hash, a random id), before the transaction that
// refers to it; a writer that dies in between leaves an unreferenced blob, which its room sweeps after a grace period.
// So nothing here needs a transaction, and a reference never points to something that is not there.
//
// # What a Store promises
//
//   - Put is atomic and durable: until it returns nil the key has its old content or none, afterwards the new one, also
//     after a crash. A reader that has opened a blob goes on reading the content that it opened.
//   - Of two Puts of one key the one that ends last stays.
//   - Every blob carries its size and SHA-256. Who reads one from beginning to end gets ErrCorrupt instead of the end if
//     the bytes are not those that were written.
//   - All methods are safe for concurrent use.
//
// # Keys
//
// A key is 1 to KeyMax bytes of valid UTF-8: segments separated by "/", none of them empty, "." or "..", without NUL and
// control characters, each at most SegmentMax bytes as a file name. Others get ErrKey, whoever made them. Keys differ by
// case, also on file systems that do not.
//
// # What it leaves to others
//
// Names and limits that clients see, permissions, encryption, and the sweeping of what is not referenced any more.
package blob

import (
	"context"
	"errors"
	"io"
)

// KeyMax is how many bytes a key may have.
const KeyMax = 1024

// What a Store's errors are.
var (
	ErrNotFound = errors.New("blob: not found")
	ErrKey      = errors.New("blob: bad key")
	ErrRange    = errors.New("blob: range outside of the blob")
	ErrCorrupt  = errors.New("blob: content does not match its hash")
)

// Info describes a blob.
type Info struct {
	Size   int64
	SHA256 [32]byte
}

// Store keeps blobs. Safe for concurrent use.
type Store interface {
	// Put stores all that r yields under key, in place of what was there. The caller bounds r. An error of r ends it and
	// leaves the key as it was.
	Put(ctx context.Context, key string, r io.Reader) (Info, error)

	// Get reads n bytes from off, fewer where the blob ends; n < 0: to its end. off may be the blob's size but not
	// beyond it. The Info is that of the whole blob. The caller closes the reader.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error)

	// Stat describes the blob.
	Stat(ctx context.Context, key string) (Info, error)

	// Delete removes the blob. To remove what is not there is no error.
	Delete(ctx context.Context, key string) error

	// List answers with the keys that begin with prefix and stand after after, ascending by bytes, at most limit;
	// limit < 1: all.
	List(ctx context.Context, prefix, after string, limit int) ([]string, error)
}
