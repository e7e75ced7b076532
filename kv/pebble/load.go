package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-dev/rouse/kv"
)

// loadBatch is how many bytes go into one batch of Load.
const loadBatch = 4 << 20

// Load makes a new store in cfg.Dir of what from yields: the pairs of a Snapshot of any driver. Records keep their positions, and
// those to come stand in a new epoch, above them. The store appears whole: it is made beside its folder and renamed, and a
// folder that is there already is refused.
func Load(ctx context.Context, cfg Config, from func(yield func(kv.Pair) error) error) error {
	files := cfg.FS
	if files == nil {
		files = vfs.Default
	}
	if _, err := files.Stat(cfg.Dir); err == nil {
		return fmt.Errorf("kv: load store: there is one in %s already", cfg.Dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kv: load store: %w", err)
	}
	half := cfg.Dir + ".loading"
	if err := files.RemoveAll(half); err != nil {
		return fmt.Errorf("kv: load store: %w", err)
	}
	part := cfg
	part.Dir = half
	s, err := Open(part)
	if err != nil {
		return err
	}
	err = s.load(ctx, from)
	if err = errors.Join(err, s.Close()); err != nil {
		return errors.Join(err, files.RemoveAll(half))
	}
	if err := files.Rename(half, cfg.Dir); err != nil {
		return fmt.Errorf("kv: load store: %w", err)
	}
	above, err := files.OpenDir(files.PathDir(cfg.Dir))
	if err != nil {
		return fmt.Errorf("kv: load store: %w", err)
	}
	return errors.Join(above.Sync(), above.Close())
}

// load fills a store that nobody else knows yet, and syncs it at the end.
func (s *Store) load(ctx context.Context, from func(yield func(kv.Pair) error) error) error {
	b := s.db.NewBatch()
	defer func() { b.Close() }()
	flush := func(o *pebble.WriteOptions) error {
		err := s.db.Apply(b, o)
		b.Reset()
		return s.mend(err)
	}
	var epoch uint32
	err := from(func(p kv.Pair) error {
		e, err := kv.ParseEntry(p)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		epoch = max(epoch, e.Pos.Epoch())
		whole := e.Pair() // its keys are those of this driver's own rows; a trimmed position has no commit to wait for here
		if err := b.Set(whole.Key, whole.Value, nil); err != nil {
			return s.mend(err)
		}
		if b.Len() < loadBatch {
			return nil
		}
		return flush(pebble.NoSync)
	})
	if err != nil {
		return err
	}
	if epoch >= kv.EpochMax {
		return fmt.Errorf("kv: load store: a record of epoch %d: there is none above it", epoch)
	}
	if err := b.Set(keyEpoch, number(uint64(epoch)+1), nil); err != nil {
		return s.mend(err)
	}
	return flush(pebble.Sync)
}
