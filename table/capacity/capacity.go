// Package capacity counts what calls consume, in DynamoDB's units.
//
// A write takes one unit per KB begun, by the larger of the item before and after it; a read one per 4 KB begun, half of
// that unless it has to be consistent; a transaction takes both twice, because it prepares before it commits. What a call
// does to the entries of an index counts by itself, and each index rounds by itself
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html).
//
// Rouse charges nobody and throttles nobody by these numbers. They are counted because programs ask for them, and because
// whoever moves between Rouse and AWS wants to see what it would cost there.
package capacity

import "math"

// Consumed is what a call consumed.
type Consumed struct {
	Table  string
	Read   bool               // read units; else write units
	Units  float64            // all of it
	Own    float64            // the table itself
	Local  map[string]float64 // by index; nil: none was touched
	Global map[string]float64
}

// Sizes of units in bytes.
const (
	WriteUnit = 1 << 10
	ReadUnit  = 4 << 10
)

// Units are those of so many bytes, at least one.
func Units(size, unit int) float64 {
	return math.Max(1, math.Ceil(float64(size)/float64(unit)))
}

// AddIndex adds units of an index.
func (c *Consumed) AddIndex(name string, global bool, n float64) {
	to := &c.Local
	if global {
		to = &c.Global
	}
	if *to == nil {
		*to = map[string]float64{}
	}
	(*to)[name] += n
	c.Units += n
}

// Add adds another call's units.
func (c *Consumed) Add(o *Consumed) {
	c.Units += o.Units
	c.Own += o.Own
	for _, m := range []struct {
		to   *map[string]float64
		from map[string]float64
	}{{&c.Local, o.Local}, {&c.Global, o.Global}} {
		for name, n := range m.from {
			if *m.to == nil {
				*m.to = map[string]float64{}
			}
			(*m.to)[name] += n
		}
	}
}

// Scale multiplies all units.
func (c *Consumed) Scale(by float64) {
	c.Units *= by
	c.Own *= by
	for _, m := range []map[string]float64{c.Local, c.Global} {
		for name := range m {
			m[name] *= by
		}
	}
}
