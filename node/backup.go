package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/node/archive"
)

// backup writes all of a running node's state: one snapshot of the store, then the blobs, which nobody deletes meanwhile.
// Blobs are written before what names them, so each that the snapshot names is there; some may be that it does not name.
func (n *Node) backup(ctx context.Context, p *parts, w io.Writer) (err error) {
	p.kept.hold()
	defer func() { err = errors.Join(err, p.kept.release(context.WithoutCancel(ctx))) }()
	a, err := archive.NewWriter(w, archive.Head{Made: time.Now().UTC(), Version: Version(), Region: n.cfg.Region, Account: n.cfg.Account,
		Store: driverName(n.cfg.Store), Seal: p.seal})
	if err != nil {
		return err
	}
	if err := p.store.Snapshot(ctx, a.Pair); err != nil {
		return err
	}
	for after := ""; ; {
		keys, err := p.blobs.List(ctx, "", after, blobPage)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := backupBlob(ctx, a, p.blobs, key); err != nil {
				return err
			}
		}
		if len(keys) < blobPage {
			break
		}
		after = keys[len(keys)-1]
	}
	_, err = a.Close()
	return err
}

// blobPage is how many keys are listed at once.
const blobPage = 1000

func backupBlob(ctx context.Context, a *archive.Writer, from blob.Store, key string) error {
	r, _, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	return errors.Join(a.Blob(key, r), r.Close())
}

func driverName(store string) string {
	if store == "" {
		return "folder"
	}
	return "postgres"
}

// VerifyBackup reads a whole backup.
func VerifyBackup(file string) (cli.Copied, error) {
	f, err := os.Open(file)
	if err != nil {
		return cli.Copied{}, err
	}
	defer f.Close()
	head, n, err := archive.Verify(f)
	if err != nil {
		return cli.Copied{}, fmt.Errorf("%s: %w", file, err)
	}
	return cli.Copied{Pairs: n.Pairs, Blobs: n.Blobs, Bytes: n.Bytes, Made: head.Made, Region: head.Region, Account: head.Account}, nil
}

// Restore makes an empty folder of state, and the store that a configuration names, of a backup. Nothing is touched before the
// whole backup was read once and found good.
func Restore(ctx context.Context, o cli.NodeOptions, file string, progress func(string)) (cli.Copied, error) {
	cfg, err := Load(o.Dev, o.Flags, o.Getenv, o.File, o.Must)
	if err != nil {
		return cli.Copied{}, err
	}
	if err := emptyFolder(cfg.Data); err != nil {
		return cli.Copied{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return cli.Copied{}, err
	}
	defer f.Close()
	progress("checking " + filepath.Base(file))
	head, counts, err := archive.Verify(f)
	if err == nil && len(head.Seal) != sealBytes {
		err = fmt.Errorf("%w: it holds no seal key", archive.ErrDamaged)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return cli.Copied{}, fmt.Errorf("%s: %w", file, err)
	}
	progress(fmt.Sprintf("restoring %d keys and records and %d blobs", counts.Pairs, counts.Blobs))
	if err := restore(ctx, cfg, f); err != nil {
		return cli.Copied{}, err
	}
	return cli.Copied{Pairs: counts.Pairs, Blobs: counts.Blobs, Bytes: counts.Bytes, Made: head.Made, Store: storeName(cfg), Region: head.Region,
		Account: head.Account}, nil
}

func storeName(cfg Config) string {
	if cfg.Store == "" {
		return filepath.Join(cfg.Data, storeFolder)
	}
	return postgres.Redact(cfg.Store)
}

// emptyFolder refuses a folder that holds anything.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a backup is restored into a folder of its own; name another with --data, or `rouse reset` this one", dir)
	}
	return nil
}

// restore brings over what a backup holds. The seal key comes last: a folder without it is none of a node.
func restore(ctx context.Context, cfg Config, f io.Reader) error {
	r, err := archive.NewReader(f)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	blobs, err := blob.OpenFolder(filepath.Join(cfg.Data, blobFolder))
	if err != nil {
		return err
	}
	defer blobs.Close()
	// The store is loaded from the pairs, which come first; blobs follow in the same reading, before the load commits.
	err = loadStore(ctx, cfg, func(yield func(kv.Pair) error) error {
		_, err := r.Read(yield, func(key string, body io.Reader) error {
			_, err := blobs.Put(ctx, key, body)
			return err
		})
		return err
	})
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(cfg.Data, sealFile), r.Head.Seal)
}

// loadStore fills the store that a configuration names, which must hold nothing.
func loadStore(ctx context.Context, cfg Config, from func(yield func(kv.Pair) error) error) error {
	if cfg.Store == "" {
		return pebble.Load(ctx, pebble.Config{Dir: filepath.Join(cfg.Data, storeFolder)}, from)
	}
	c, err := postgres.ParseURL(cfg.Store)
	if err != nil {
		return err
	}
	return postgres.Load(ctx, c, from)
}
