package pool_test

import (
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox/driver"
)

// whatIsPublishedIsCompiled: in the background, without running any of it, and used at the first start.
func whatIsPublishedIsCompiled(t *testing.T, in place) {
	if in.driver != driver.NS {
		t.Skip("without mounts after the start nothing is done ahead")
	}
	folder := filepath.Join(t.TempDir(), "compiled")
	b := newBed(t, in, func(c *pool.Config) { c.Maker.Compiled = folder })
	v := b.function(t, "ahead", "1", "print('it runs')\ndef handler(event, context):\n    return __file__\n")
	v.CodeSHA256, v.CodeSize = "hash", 1<<20
	b.pool.Warm(v)
	until(t, "it is compiled", func() bool {
		made, err := filepath.Glob(filepath.Join(folder, "*"))
		return err == nil && len(made) == 1
	})
	b.mu.Lock()
	lines := b.lines
	b.mu.Unlock()
	if len(lines) > 0 {
		t.Errorf("while it was compiled something ran: %q", lines)
	}
	var out rouse.Buffer
	res, err := b.pool.Attempt(t.Context(), v, rouse.Invocation{ID: "8f5e1a7c-0000-4000-8000-000000000002", Function: v.ARN, Event: []byte("{}")}, &out)
	if err != nil || res.Error != nil || out.String() != `"/var/task/app.py"` {
		t.Errorf("got %s, %v, %v, want its file", out.Bytes(), res.Error, err)
	}
}
