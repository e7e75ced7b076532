package expr

import "sync"

// textAverage is how many bytes of text the cache allows per expression. A parsed text takes up to some hundred times
// its length, so a cache of 1,000 holds at most some 50 MB, whatever clients send.
const textAverage = 512

// Cache keeps parsed expressions by grammar and text, those used last. It is safe for concurrent use.
type Cache struct {
	max int

	mu    sync.Mutex
	known map[cacheKey]*cacheEntry // guarded by mu
	ring  cacheEntry               // guarded by mu; ring.next was used last, ring.prev the longest ago
	bytes int                      // guarded by mu; of all texts
}

type cacheKey struct {
	grammar grammar
	text    string
}

type cacheEntry struct {
	key        cacheKey
	expression *expression
	prev, next *cacheEntry
}

// NewCache returns a cache of at most max expressions, and of at most max times 512 bytes of their texts.
func NewCache(max int) *Cache {
	c := &Cache{max: max, known: make(map[cacheKey]*cacheEntry)}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// Len is the number of expressions that the cache holds.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known)
}

// get finds or parses a text. Texts with errors are not kept.
func (c *Cache) get(g grammar, text string) (*expression, error) {
	key := cacheKey{g, text}
	c.mu.Lock()
	if n, ok := c.known[key]; ok {
		n.unlink()
		n.link(&c.ring)
		c.mu.Unlock()
		return n.expression, nil
	}
	c.mu.Unlock()
	e, err := parse(g, text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.known[key]; ok { // somebody else was as fast
		return n.expression, nil
	}
	n := &cacheEntry{key: key, expression: e}
	n.link(&c.ring)
	c.known[key] = n
	c.bytes += len(text)
	for (len(c.known) > c.max || c.bytes > c.max*textAverage) && c.ring.prev != &c.ring {
		old := c.ring.prev
		old.unlink()
		delete(c.known, old.key)
		c.bytes -= len(old.key.text)
	}
	return e, nil
}

func (n *cacheEntry) unlink() { n.prev.next, n.next.prev = n.next, n.prev }

// link puts n behind ring.
func (n *cacheEntry) link(ring *cacheEntry) {
	n.prev, n.next = ring, ring.next
	n.prev.next, n.next.prev = n, n
}
