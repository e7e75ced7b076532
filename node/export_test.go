package node

import "time"

// LastingKeys makes the keys of instances good for d instead of hours.
func (c Config) LastingKeys(d time.Duration) Config {
	c.keysLast = d
	return c
}
