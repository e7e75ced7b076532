package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/pebble"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// state is the store that a node works on.
type state struct {
	kv.Store
	alone  bool         // no other process can have it open
	failed <-chan error // gets the reason when the store cannot go on; nil: it recovers by itself
	health func() error // why calls fail at the moment
	name   string       // for people, without secrets
}

// openState opens the store that a configuration names: in the folder of state, or on PostgreSQL.
func openState(ctx context.Context, cfg Config, log *slog.Logger) (state, error) {
	if cfg.Store == "" {
		s, err := pebble.Open(pebble.Config{Dir: filepath.Join(cfg.Data, storeFolder), Logger: log})
		if err != nil {
			return state{}, err
		}
		return state{Store: s, alone: true, failed: s.Failed(), health: func() error { return nil }, name: filepath.Join(cfg.Data, storeFolder)}, nil
	}
	c, err := postgres.ParseURL(cfg.Store)
	if err != nil {
		return state{}, err
	}
	c.Logger = log
	s, err := postgres.Open(ctx, c)
	if err != nil {
		return state{}, err
	}
	log.Info("store on PostgreSQL; blobs, code and the seal key stay in the data folder, and nodes that share this store have to share those",
		"store", postgres.Redact(cfg.Store), "data", cfg.Data)
	return state{Store: s, health: s.Health, name: postgres.Redact(cfg.Store)}, nil
}

// pollIdle is how long owners of duties rely on hints alone: only those of a store that others work on can be lost.
func (s state) pollIdle() time.Duration {
	if s.alone {
		return 0 // their default
	}
	return time.Second
}

// sealedBy is where the store keeps the hash of the key that its secrets are sealed with.
func sealedBy() []byte { return tuple.Key("rouse", "seal") }

// checkSeal refuses a seal key that is not the store's: what another one has sealed could not be read, and what this one seals
// would be lost to the others.
func checkSeal(ctx context.Context, s kv.Store, cfg Config, key []byte) error {
	sum := sha256.Sum256(append([]byte("rouse seal\x00"), key...))
	return s.Update(ctx, func(tx kv.Tx) error {
		was, ok, err := tx.Get(sealedBy())
		if err != nil {
			return err
		}
		if !ok {
			tx.Set(sealedBy(), sum[:])
			return nil
		}
		if !slices.Equal(was, sum[:]) {
			return fmt.Errorf("%s is not the key that seals the secrets of this store; copy the file from the node that made the store, "+
				"or from a backup", filepath.Join(cfg.Data, sealFile))
		}
		return nil
	})
}

// keeper is the blobs as the rooms see them. While a backup is made nothing is deleted: what the snapshot of the store names has
// to be there until it was copied. Safe for concurrent use.
type keeper struct {
	*blob.Folder

	mu    sync.Mutex
	holds int             // guarded by mu: backups under way
	later map[string]bool // guarded by mu: deleted meanwhile, and not written again
}

func newKeeper(f *blob.Folder) *keeper { return &keeper{Folder: f, later: map[string]bool{}} }

// Delete removes a blob, now or when the last backup is made.
func (k *keeper) Delete(ctx context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holds > 0 {
		k.later[key] = true
		return nil
	}
	return k.Folder.Delete(ctx, key)
}

// Put stores a blob. It stays, even if an older one of its key was to be deleted.
func (k *keeper) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	info, err := k.Folder.Put(ctx, key, r)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.later, key)
	return info, err
}

// hold keeps all blobs until release.
func (k *keeper) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds++
}

func (k *keeper) release(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holds--; k.holds > 0 {
		return nil
	}
	var errs []error
	for key := range k.later {
		errs = append(errs, k.Folder.Delete(ctx, key))
	}
	clear(k.later)
	return errors.Join(errs...)
}
