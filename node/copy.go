package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
)

// CopyStore copies a store that no node works on to where there is none yet, each named by a folder of state or a URL of PostgreSQL,
// then reads both and compares them.
func CopyStore(ctx context.Context, from, to string, progress func(string)) (cli.Copied, error) {
	if err := differ(from, to); err != nil {
		return cli.Copied{}, err
	}
	source, err := openNamed(ctx, from)
	if err != nil {
		return cli.Copied{}, err
	}
	defer source.Close()
	progress("copying")
	var sent tally
	err = loadStore(ctx, named(to), func(yield func(kv.Pair) error) error {
		return source.Snapshot(ctx, func(p kv.Pair) error {
			if err := sent.add(p); err != nil {
				return err
			}
			return yield(p)
		})
	})
	if err != nil {
		return cli.Copied{}, err
	}
	progress(fmt.Sprintf("comparing %d keys and records", sent.pairs))
	target, err := openNamed(ctx, to)
	if err != nil {
		return cli.Copied{}, err
	}
	var got tally
	err = errors.Join(target.Snapshot(ctx, got.add), target.Close())
	if err != nil {
		return cli.Copied{}, err
	}
	if got != sent {
		return cli.Copied{}, fmt.Errorf("the copy is not the same: %d keys and records of %d bytes, checksum %x; the original has %d of %d bytes, "+
			"checksum %x", got.pairs, got.bytes, got.sum[:8], sent.pairs, sent.bytes, sent.sum[:8])
	}
	return cli.Copied{Pairs: got.pairs, Bytes: got.bytes, Sum: got.sum[:], Store: storeName(named(to))}, nil
}

// named is the part of a configuration that says where a store is.
func named(store string) Config {
	if postgres.IsURL(store) {
		return Config{Store: store}
	}
	return Config{Data: store}
}

// differ refuses names that cannot be meant.
func differ(from, to string) error {
	if from == to {
		return errors.New("both names are of one store")
	}
	for _, name := range []string{from, to} {
		if cfg := named(name); cfg.Store == "" {
			if st, err := os.Stat(cfg.Data); err != nil || !st.IsDir() {
				return fmt.Errorf("%s is neither a folder of a node's state nor a URL such as postgres://user@host/database", name)
			}
		}
	}
	if cfg := named(from); cfg.Store == "" {
		if _, err := os.Stat(filepath.Join(cfg.Data, storeFolder)); err != nil {
			return fmt.Errorf("there is no store in %s", from)
		}
	}
	return nil
}

// whileRunning is what can be done about a node that has the store.
const whileRunning = "a node that runs is copied by `rouse backup` and `rouse restore`"

// openNamed opens a store. One in a folder that a node is running on says so.
func openNamed(ctx context.Context, name string) (kv.Store, error) {
	cfg := named(name)
	if cfg.Store == "" {
		if err := alreadyThere(cfg.Data); err != nil {
			return nil, fmt.Errorf("%w; %s", err, whileRunning)
		}
	}
	s, err := openState(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil && cfg.Store == "" {
		return nil, fmt.Errorf("%w; %s", err, whileRunning)
	}
	if err != nil {
		return nil, err
	}
	return s.Store, nil
}

// tally counts and sums pairs in any order: two stores with one tally hold the same.
type tally struct {
	pairs, bytes int64
	sum          [sha256.Size]byte // of the pairs' SHA-256, as four numbers
}

func (t *tally) add(p kv.Pair) error {
	e, err := kv.ParseEntry(p)
	if err != nil {
		return err
	}
	p = e.Pair() // without what a driver notes for itself
	h := sha256.New()
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(p.Key)))
	h.Write(size[:])
	h.Write(p.Key)
	h.Write(p.Value)
	one := h.Sum(nil)
	for i := 0; i < len(t.sum); i += 8 {
		binary.BigEndian.PutUint64(t.sum[i:], binary.BigEndian.Uint64(t.sum[i:])+binary.BigEndian.Uint64(one[i:]))
	}
	t.pairs++
	t.bytes += int64(len(p.Key) + len(p.Value))
	return nil
}
