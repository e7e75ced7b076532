package kvtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

// TestMemoryInBubbles: one store after the other, in bubbles, with the bubble's time.
func TestMemoryInBubbles(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			store, ctx := kvtest.Memory(t), t.Context()
			before := store.Now()
			hint, stop := store.Wake([]byte("topic"))
			defer stop()
			go func() {
				time.Sleep(36 * time.Hour)
				store.Update(ctx, func(tx kv.Tx) error {
					tx.Set([]byte("k"), []byte("v"))
					tx.Wake([]byte("topic"))
					return nil
				})
			}()
			<-hint
			if got, want := store.Now().Sub(before), 36*time.Hour; got != want {
				t.Errorf("time passed on the store's clock: got %v, want %v", got, want)
			}
		})
	}
}
