package format_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

func TestCheck(t *testing.T) {
	ctx, store := t.Context(), kvtest.Memory(t)
	var ran []int
	step := func(n int) format.Migration {
		return func(context.Context, kv.Store) error { ran = append(ran, n); return nil }
	}
	if err := format.Check(ctx, store, "queue", 1); err != nil {
		t.Fatalf("Check of a fresh store: got %v, want nil", err)
	}
	if err := format.Check(ctx, store, "queue", 3, step(1), step(2)); err != nil {
		t.Fatalf("Check of an older store: got %v, want nil", err)
	}
	if want := []int{1, 2}; !slices.Equal(ran, want) {
		t.Errorf("migrations run: got %v, want %v", ran, want)
	}
	if err := format.Check(ctx, store, "queue", 3, step(1), step(2)); err != nil || len(ran) != 2 {
		t.Errorf("Check of a current store: got %v after %d migrations, want nil after 2", err, len(ran))
	}
	if err := format.Check(ctx, store, "queue", 2, step(1)); err == nil || !strings.Contains(err.Error(), "newer Rouse") {
		t.Errorf("Check of a newer store: got %v, want it refused", err)
	}
	if err := format.Check(ctx, store, "table", 2, step(9)); err != nil || len(ran) != 2 {
		t.Errorf("Check of a fresh room at version 2: got %v after %d migrations, want nil and none run", err, len(ran))
	}
}

func TestCheckAfterFailedMigration(t *testing.T) {
	ctx, store := t.Context(), kvtest.Memory(t)
	boom, runs := errors.New("boom"), 0
	fine := func(context.Context, kv.Store) error { runs++; return nil }
	bad := func(context.Context, kv.Store) error { return boom }
	if err := format.Check(ctx, store, "queue", 1); err != nil {
		t.Fatal(err)
	}
	if err := format.Check(ctx, store, "queue", 3, fine, bad); !errors.Is(err, boom) {
		t.Fatalf("Check with a failing step: got %v, want %v", err, boom)
	}
	if err := format.Check(ctx, store, "queue", 3, fine, fine); err != nil {
		t.Fatalf("Check again: got %v, want nil", err)
	}
	if runs != 2 {
		t.Errorf("steps run: got %d, want 2, the one that was done not again", runs)
	}
}

func TestCheckRefuses(t *testing.T) {
	ctx, store := t.Context(), kvtest.Memory(t)
	for _, version := range []int{0, -1, 2} {
		if err := format.Check(ctx, store, "queue", version); err == nil {
			t.Errorf("Check with version %d and no migrations: got nil, want an error", version)
		}
	}
	for _, v := range []string{"", "{", `{"version":0}`, `{"version":-4}`} {
		err := store.Update(ctx, func(tx kv.Tx) error { tx.Set(format.Key("bad"), []byte(v)); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Check(ctx, store, "bad", 1); err == nil {
			t.Errorf("Check with %q stored: got nil, want an error", v)
		}
	}
}
