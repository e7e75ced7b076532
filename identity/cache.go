package identity

import (
	"sync"

	"github.com/rouse-dev/rouse/identity/policy"
)

// Limits of the cache of compiled documents. A document takes some three times its text.
const (
	cacheMax     = 4096
	cacheTextMax = 8 << 20 // bytes of text
)

// cache keeps compiled documents by their text. It has two generations: when the young one is full it becomes the old
// one, and what is used again moves back. That bounds it without bookkeeping on every hit.
type cache struct {
	mu    sync.RWMutex
	young map[cacheKey]*policy.Document // guarded by mu
	old   map[cacheKey]*policy.Document // guarded by mu
	bytes int                           // of the texts in young; guarded by mu
}

type cacheKey struct {
	text string
	kind policy.Kind
}

func newCache() *cache {
	return &cache{young: map[cacheKey]*policy.Document{}}
}

// compile parses text, or finds it parsed. Errors are not kept.
func (c *cache) compile(text string, kind policy.Kind) (*policy.Document, error) {
	k := cacheKey{text, kind}
	c.mu.RLock()
	doc, young := c.young[k]
	if doc == nil {
		doc = c.old[k]
	}
	c.mu.RUnlock()
	if young {
		return doc, nil
	}
	if doc == nil {
		var err error
		if doc, err = policy.Parse(text, kind); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheMax/2 || c.bytes >= cacheTextMax/2 {
		c.old, c.young, c.bytes = c.young, map[cacheKey]*policy.Document{}, 0
	}
	c.young[k] = doc
	c.bytes += len(text)
	return doc, nil
}
