// Package format keeps the number of the layout in which a room stores its keys, so that a room never reads what it does
// not understand.
//
// A room calls Check when it opens. A store without a number gets the room's own; an older number is brought up, one
// migration after the other, each number written when its step is done; a newer one is refused, because it belongs to a
// newer Rouse. Check is safe for concurrent use by several nodes as long as migrations are: a step may run twice, after a
// crash or on two nodes at once, and has to end in the same state.
//
// What the steps do is the room's business. The store's own layout has a number of its own, kept by its driver.
package format

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Migration brings a room's keys from one number to the next. It may take many transactions and may run twice.
type Migration func(ctx context.Context, store kv.Store) error

type record struct {
	Version int `json:"version"`
}

// Key is where the number of room stands.
func Key(room string) []byte { return tuple.Key("rouse", "format", room) }

// Check makes sure that room's keys have layout version, at least 1. migrate[i] leads from version i+1 to i+2; there must
// be version-1 of them.
func Check(ctx context.Context, store kv.Store, room string, version int, migrate ...Migration) error {
	if version < 1 || len(migrate) != version-1 {
		return fmt.Errorf("format of %s: version %d with %d migrations; want one less than the version", room, version, len(migrate))
	}
	for {
		at, err := read(ctx, store, room, version)
		switch {
		case err != nil:
			return fmt.Errorf("format of %s: %w", room, err)
		case at == version:
			return nil
		case at > version:
			return fmt.Errorf("format of %s: the store has version %d, written by a newer Rouse; this one knows %d", room, at, version)
		case at < 1:
			return fmt.Errorf("format of %s: the store has version %d, which never was", room, at)
		}
		if err := migrate[at-1](ctx, store); err != nil {
			return fmt.Errorf("format of %s: migrate from version %d: %w", room, at, err)
		}
		if err := advance(ctx, store, room, at); err != nil {
			return fmt.Errorf("format of %s: %w", room, err)
		}
	}
}

// read is the number in the store; a store that has none gets fresh.
func read(ctx context.Context, store kv.Store, room string, fresh int) (at int, err error) {
	err = store.Update(ctx, func(tx kv.Tx) error {
		v, ok, err := tx.Get(Key(room))
		if err != nil {
			return err
		}
		if !ok {
			at = fresh
			return set(tx, room, fresh)
		}
		at, err = parse(v)
		return err
	})
	return at, err
}

// advance writes the number after from, unless another node has.
func advance(ctx context.Context, store kv.Store, room string, from int) error {
	return store.Update(ctx, func(tx kv.Tx) error {
		v, _, err := tx.Get(Key(room))
		if err != nil {
			return err
		}
		at, err := parse(v)
		if err != nil || at != from {
			return err
		}
		return set(tx, room, from+1)
	})
}

func parse(v []byte) (int, error) {
	var r record
	if err := json.Unmarshal(v, &r); err != nil {
		return 0, fmt.Errorf("read number: %w", err)
	}
	return r.Version, nil
}

func set(tx kv.Tx, room string, version int) error {
	v, err := json.Marshal(record{version})
	if err != nil {
		return err
	}
	tx.Set(Key(room), v)
	return nil
}
