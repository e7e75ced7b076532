package stack_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

// doubtful is a store that does not know the outcome of its next Update: 'y' was carried out, 'n' not.
type doubtful struct {
	kv.Store
	next atomic.Int32
}

func (d *doubtful) Update(ctx context.Context, fn func(kv.Tx) error) error {
	switch d.next.Swap(0) {
	case 'n':
		return kv.ErrUnknown
	case 'y':
		if err := d.Store.Update(ctx, fn); err != nil {
			return err
		}
		return kv.ErrUnknown
	}
	return d.Store.Update(ctx, fn)
}

// TestDoubt: an operation that was written is carried out, also when nobody knew that it was; one that was not leaves nothing.
func TestDoubt(t *testing.T) {
	for _, written := range []bool{true, false} {
		doubt := map[bool]int32{true: 'y', false: 'n'}[written]
		store := &doubtful{Store: kvtest.Memory(t)}
		e := start(t, store, newCloud())
		store.next.Store(doubt)
		if _, err := e.Deploy(t.Context(), admin, request(shop)); !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("deploy: got %v, want %v", err, kv.ErrUnknown)
		}
		if !written {
			if _, err := e.Stack(t.Context(), account, "shop"); rouse.KindOf(err) != rouse.NotFound {
				t.Errorf("a stack that was not written: got %v, want none", err)
			}
			e.want(e.deploy(shop), stack.CreateComplete)
		}
		st := e.wait("shop")
		e.want(st, stack.CreateComplete)
		store.next.Store(doubt)
		if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("delete: got %v, want %v", err, kv.ErrUnknown)
		}
		if written {
			e.want(e.wait(st.ID), stack.DeleteComplete)
		} else {
			e.want(e.wait(st.ID), stack.CreateComplete)
		}
	}
}
