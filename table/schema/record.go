package schema

import (
	"maps"
	"time"
)

// Record is a table as it is stored.
type Record struct {
	Description
	Revision  uint64 `json:"revision"`  // counts changes
	NextIndex uint32 `json:"nextIndex"` // the number that the next index gets; they begin with 1
}

// NewRecord is the first state of a table.
func NewRecord(def Definition, arn, id string, number uint64, now time.Time) *Record {
	d := &Record{NextIndex: 1}
	d.Definition = def
	d.Local, d.Global = nil, nil
	d.Stream = ""
	d.Tags = maps.Clone(def.Tags)
	d.ID, d.Number, d.ARN = id, number, arn
	d.Status, d.Created = Active, now.UTC()
	if d.Throughput == nil {
		d.Throughput = &Throughput{}
	}
	if d.BillingShown = def.Billing == PayPerRequest; d.BillingShown {
		d.BillingChanged = d.Created
	}
	if d.Billing == "" {
		d.Billing = Provisioned
	}
	for _, x := range def.Local {
		d.LocalIndexes = append(d.LocalIndexes, d.NewIndex(x, Active))
	}
	for _, x := range def.Global {
		d.GlobalIndexes = append(d.GlobalIndexes, d.NewIndex(x, Active))
	}
	return d
}

// NewIndex draws a number for an index.
func (d *Record) NewIndex(x IndexDefinition, s Status) Index {
	if x.Throughput == nil {
		x.Throughput = &Throughput{}
	}
	n := Index{IndexDefinition: x, ARN: d.ARN + "/index/" + x.Name, Status: s, Backfilling: s == Creating, Number: d.NextIndex}
	d.NextIndex++
	return n
}

// CheckTTL checks a change of the time to live.
func (d *Record) CheckTTL(attribute string, on bool) error {
	switch {
	case d.TTL.On() && d.TTL.Attribute != attribute:
		return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", d.TTL.Attribute)
	case d.TTL.On() && on:
		return invalid("TimeToLive is already enabled")
	case !d.TTL.On() && !on:
		return invalid("TimeToLive is already disabled")
	}
	return nil
}
