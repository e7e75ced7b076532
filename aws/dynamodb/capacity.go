package dynamodb

import (
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/item"
)

// Measured asks for what a request consumed.
type Measured struct {
	ReturnConsumedCapacity string `enum:"INDEXES|TOTAL|NONE"`
}

func (m *Measured) measure() bool {
	return m.ReturnConsumedCapacity == "TOTAL" || m.ReturnConsumedCapacity == "INDEXES"
}

// ConsumedCapacity is what a request consumed of a table.
type ConsumedCapacity struct {
	TableName              string
	CapacityUnits          float64
	ReadCapacityUnits      *float64
	WriteCapacityUnits     *float64
	Table                  *Capacity
	LocalSecondaryIndexes  map[string]Capacity
	GlobalSecondaryIndexes map[string]Capacity
}

// Capacity is a part of it.
type Capacity struct {
	CapacityUnits      float64
	ReadCapacityUnits  *float64
	WriteCapacityUnits *float64
}

// shown writes a capacity as was asked for. Transactions tell reads from writes.
func (m *Measured) shown(c *table.Capacity, transaction bool) *ConsumedCapacity {
	if c == nil || !m.measure() {
		return nil
	}
	part := func(units float64) Capacity {
		p := Capacity{CapacityUnits: units}
		switch {
		case transaction && c.Read:
			p.ReadCapacityUnits = &units
		case transaction:
			p.WriteCapacityUnits = &units
		}
		return p
	}
	all := part(c.Units)
	out := &ConsumedCapacity{TableName: c.Table, CapacityUnits: c.Units, ReadCapacityUnits: all.ReadCapacityUnits,
		WriteCapacityUnits: all.WriteCapacityUnits}
	if m.ReturnConsumedCapacity != "INDEXES" {
		return out
	}
	own := part(c.Own)
	out.Table = &own
	parts := func(m map[string]float64) map[string]Capacity {
		if m == nil {
			return nil
		}
		ps := make(map[string]Capacity, len(m))
		for name, units := range m {
			ps[name] = part(units)
		}
		return ps
	}
	out.LocalSecondaryIndexes, out.GlobalSecondaryIndexes = parts(c.Local), parts(c.Global)
	return out
}

// shownAll writes the capacities of several tables.
func (m *Measured) shownAll(cs []table.Capacity, transaction bool) []ConsumedCapacity {
	if !m.measure() {
		return nil
	}
	out := []ConsumedCapacity{}
	for i := range cs {
		out = append(out, *m.shown(&cs[i], transaction))
	}
	return out
}

// Collected asks for the collections that a write touched.
type Collected struct {
	ReturnItemCollectionMetrics string `enum:"SIZE|NONE"`
}

func (c *Collected) collect() bool { return c.ReturnItemCollectionMetrics == "SIZE" }

// ItemCollectionMetrics is a collection: the items of one partition key in a table with local indexes.
type ItemCollectionMetrics struct {
	ItemCollectionKey   attr.Item
	SizeEstimateRangeGB []float64
}

// collectionOf shows a collection. Its size has no limit here, and the estimate is the smallest that AWS gives.
func collectionOf(key item.Item) *ItemCollectionMetrics {
	if key == nil {
		return nil
	}
	return &ItemCollectionMetrics{attr.Item(key), []float64{0, 1}}
}

func collectionsOf(m map[string][]item.Item) map[string][]ItemCollectionMetrics {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string][]ItemCollectionMetrics, len(m))
	for name, keys := range m {
		for _, k := range keys {
			out[name] = append(out[name], *collectionOf(k))
		}
	}
	return out
}
