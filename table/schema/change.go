package schema

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const textOnline = "Subscriber limit exceeded: Only %d online index can be created or deleted simultaneously per table"

// Check checks what can be said without the table.
func (c *Change) Check() error {
	if c.Billing == "" && c.Throughput == nil && c.OnDemand == nil && len(c.Indexes) == 0 && c.Stream == nil &&
		c.DeletionProtection == nil && c.Class == "" {
		return invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or " +
			"SSESpecification or ReplicaUpdates is required")
	}
	switch c.Billing {
	case "", Provisioned, PayPerRequest:
	default:
		return invalid("1 validation error detected: Value '%s' at 'billingMode' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]", c.Billing)
	}
	if c.Billing == Provisioned && c.Throughput == nil {
		return invalidValue("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
	}
	if c.Throughput != nil {
		if err := c.Throughput.check(); err != nil {
			return err
		}
	}
	if err := checkClass(c.Class); err != nil {
		return err
	}
	return c.checkIndexes()
}

func (c *Change) checkIndexes() error {
	seen := map[string]bool{}
	online := 0
	for _, x := range c.Indexes {
		name := x.Delete
		switch {
		case x.Update != nil:
			name = x.Update.Name
		case x.Create != nil:
			name = x.Create.Name
			online++
		case x.Delete != "":
			online++
		default:
			return invalidValue("One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, " +
				"GlobalSecondaryIndexUpdate.Delete must not be null")
		}
		if seen[name] {
			return invalidValue("Only one global secondary index update per index is allowed simultaneously. Index: %s", name)
		}
		seen[name] = true
	}
	if online > onlineIndexChanges || len(c.Indexes) > LocalIndexesMax && len(c.Indexes) > GlobalIndexesMax {
		return errLimit(textOnline, onlineIndexChanges)
	}
	return nil
}

// SetThroughput changes billing mode and throughput, of the table and of its global indexes.
func (d *Record) SetThroughput(c Change, now time.Time) error {
	next := d.Billing
	if c.Billing != "" {
		next = c.Billing
	}
	if next == PayPerRequest {
		if c.Throughput != nil {
			return invalidValue("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		if d.Billing != PayPerRequest {
			d.BillingShown, d.BillingChanged = true, now
			d.Throughput = &Throughput{}
			for i := range d.GlobalIndexes {
				d.GlobalIndexes[i].Throughput = &Throughput{}
			}
		}
		d.Billing = next
		return nil
	}
	if d.Billing == PayPerRequest && next == Provisioned {
		if missing := d.indexesWithout(c.Indexes); len(missing) > 0 {
			return invalidValue("ProvisionedThroughput must be specified for index: %s", strings.Join(missing, ","))
		}
		d.BillingShown = true
	}
	d.Billing = next
	if c.Throughput == nil {
		return nil
	}
	if err := checkThroughputChange("table", *d.Throughput, *c.Throughput); err != nil {
		return err
	}
	d.Increased, d.Decreased = later(*d.Throughput, *c.Throughput, d.Increased, d.Decreased, now)
	d.Throughput = c.Throughput
	return nil
}

// indexesWithout are the global indexes that get no throughput by changes.
func (d *Record) indexesWithout(changes []IndexChange) (names []string) {
	for _, x := range d.GlobalIndexes {
		if !slices.ContainsFunc(changes, func(c IndexChange) bool {
			return c.Delete == x.Name || c.Update != nil && c.Update.Name == x.Name && c.Update.Throughput != nil
		}) {
			names = append(names, x.Name)
		}
	}
	return names
}

func checkThroughputChange(of string, was, next Throughput) error {
	if was != next {
		return nil
	}
	return invalid("The provisioned throughput for the %[1]s will not change. The requested value equals the current value. "+
		"Current ReadCapacityUnits provisioned for the %[1]s: %[2]d. Requested ReadCapacityUnits: %[3]d. "+
		"Current WriteCapacityUnits provisioned for the %[1]s: %[4]d. Requested WriteCapacityUnits: %[5]d. "+
		"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
		of, was.Read, next.Read, was.Write, next.Write)
}

// later are the times of the last increase and decrease after a change.
func later(was, next Throughput, increased, decreased, now time.Time) (up, down time.Time) {
	if next.Read > was.Read || next.Write > was.Write {
		increased = now
	}
	if next.Read < was.Read || next.Write < was.Write {
		decreased = now
	}
	return increased, decreased
}

// UpdateIndex changes the throughput of a global index.
func (d *Record) UpdateIndex(u *IndexUpdate, now time.Time) error {
	i := slices.IndexFunc(d.GlobalIndexes, func(x Index) bool { return x.Name == u.Name })
	if i < 0 {
		return errNoIndex(d.Name, u.Name)
	}
	x := &d.GlobalIndexes[i]
	if u.OnDemand != nil {
		x.OnDemand = u.OnDemand
	}
	if u.Throughput == nil {
		return nil
	}
	if d.Billing == PayPerRequest {
		return invalidValue("ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST", u.Name)
	}
	if u.Throughput.Read > throughputMax || u.Throughput.Write > throughputMax {
		return invalid("This operation cannot be performed with given input values. Please contact DynamoDB service team for more info: " +
			"Action Blocked: IndexUpdate")
	}
	if err := checkThroughputChange("index "+x.Name, *x.Throughput, *u.Throughput); err != nil {
		return err
	}
	x.Increased, x.Decreased = later(*x.Throughput, *u.Throughput, x.Increased, x.Decreased, now)
	x.Throughput = u.Throughput
	return nil
}

func errNoIndex(table, index string) error {
	return notFound("Requested resource not found: Index: %s for table: %s not found", index, table)
}

// AddIndex adds a global index and answers with its number. It has to be filled, but in a cache table, which is emptied.
func (d *Record) AddIndex(def IndexDefinition) (number uint32, err error) {
	if slices.ContainsFunc(d.GlobalIndexes, func(x Index) bool { return x.Status == Creating }) {
		return 0, errLimit(textOnline, onlineIndexChanges)
	}
	if _, _, ok := d.Index(def.Name); ok {
		return 0, invalid("Attempting to create an index which already exists")
	}
	whole := d.Definition
	for _, x := range d.LocalIndexes {
		whole.Local = append(whole.Local, x.IndexDefinition)
	}
	for _, x := range d.GlobalIndexes {
		whole.Global = append(whole.Global, x.IndexDefinition)
	}
	if err := whole.checkGlobal(&def, map[string]bool{}); err != nil {
		return 0, err
	}
	if whole.Global = append(whole.Global, def); len(whole.Global) > GlobalIndexesMax {
		return 0, errLimit("Subscriber limit exceeded: GlobalSecondaryIndex count exceeds the per-table limit of %d", GlobalIndexesMax)
	}
	if err := checkProjected(whole.Local, whole.Global); err != nil {
		return 0, err
	}
	status := Creating
	if d.CacheBytes > 0 {
		status = Active
	}
	x := d.NewIndex(def, status)
	d.GlobalIndexes = append(d.GlobalIndexes, x)
	return x.Number, nil
}

// DropIndex removes a global index and answers with its number.
func (d *Record) DropIndex(name string) (number uint32, err error) {
	i := slices.IndexFunc(d.GlobalIndexes, func(x Index) bool { return x.Name == name })
	if i < 0 {
		return 0, errNoIndex(d.Name, name)
	}
	number = d.GlobalIndexes[i].Number
	d.GlobalIndexes = slices.Delete(d.GlobalIndexes, i, i+1)
	return number, nil
}

// AddAttributes adds the types of attributes; those that are known must have the same.
func (d *Record) AddAttributes(as []Attribute) error {
	d.Attributes = slices.Clone(d.Attributes)
	for _, a := range as {
		switch known := d.TypeOf(a.Name); {
		case !a.Type.IsKey():
			return invalid("Member must satisfy enum value set: [B, N, S]")
		case known == 0:
			d.Attributes = append(d.Attributes, a)
		case known != a.Type:
			return invalidValue("Attribute %s is already defined with type %s", a.Name, known)
		}
	}
	return nil
}

// DropAttributes forgets types that no key uses any more.
func (d *Record) DropAttributes() error {
	used := map[string]bool{d.Key.Hash: true, d.Key.Range: true}
	for _, x := range append(slices.Clone(d.LocalIndexes), d.GlobalIndexes...) {
		used[x.Key.Hash], used[x.Key.Range] = true, true
	}
	d.Attributes = slices.DeleteFunc(d.Attributes, func(a Attribute) bool { return !used[a.Name] })
	for name := range used {
		if name != "" && d.TypeOf(name) == 0 {
			return fmt.Errorf("table %s: no type of the key attribute %s", d.Name, name)
		}
	}
	return nil
}
