package table

import (
	"context"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
)

// Update changes a table. What it answers says Updating where AWS does; the change is made when it answers, but for new
// indexes, which Run fills while they are Creating.
func (t *Tables) Update(ctx context.Context, account, name string, c Change) (*Description, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var d *schema.Record
	var before []Index
	var updating bool
	err := t.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
		if d, err = t.read(tx, account, name); err != nil {
			return err
		}
		if d == nil {
			return errNoTableNamed(name)
		}
		before = slices.Clone(d.GlobalIndexes)
		if updating, err = t.change(tx, account, d, c); err != nil {
			return err
		}
		return t.write(tx, account, d)
	})
	if err != nil {
		return nil, err
	}
	t.handles.forget(account, name)
	answer := d.Description
	if updating {
		answer.Status = Updating
	}
	answer.GlobalIndexes = shown(answer.GlobalIndexes, before, c.Indexes)
	return &answer, nil
}

// shown is the indexes as the answer to changes shows them: what is updated says so, what was dropped is still there.
func shown(now, before []Index, changes []IndexChange) []Index {
	list := slices.Clone(now)
	for _, c := range changes {
		if c.Update != nil {
			i := slices.IndexFunc(list, func(x Index) bool { return x.Name == c.Update.Name })
			list[i].Status = Updating
		}
		if i := slices.IndexFunc(before, func(x Index) bool { return c.Delete == x.Name }); i >= 0 {
			gone := before[i]
			gone.Status, gone.Backfilling = Deleting, false
			list = append(list, gone)
		}
	}
	return list
}

// change makes the changes to d and reports whether AWS would call the table Updating meanwhile.
func (t *Tables) change(tx kv.Tx, account string, d *schema.Record, c Change) (updating bool, err error) {
	now := tx.Now().UTC()
	updating = c.Billing != "" || c.Throughput != nil || len(c.Indexes) > 0 || c.Stream != nil || c.Class != ""
	if err := d.AddAttributes(c.Attributes); err != nil {
		return false, err
	}
	if err := d.SetThroughput(c, now); err != nil {
		return false, err
	}
	for _, x := range c.Indexes {
		if err := t.changeIndex(tx, account, d, x, now); err != nil {
			return false, err
		}
	}
	if err := d.DropAttributes(); err != nil {
		return false, err
	}
	if c.OnDemand != nil {
		d.OnDemand = c.OnDemand
	}
	if c.Stream != nil {
		if err := checkStreamChange(d, *c.Stream); err != nil {
			return false, err
		}
		if err := t.setStream(tx, account, d, *c.Stream, now); err != nil {
			return false, err
		}
	}
	if c.DeletionProtection != nil {
		d.DeletionProtection = *c.DeletionProtection
	}
	if c.Class != "" && c.Class != d.Class {
		d.Class, d.ClassChanged = c.Class, now
	}
	return updating, nil
}

// changeIndex changes, adds or removes one global index. One that is added is to be filled; the entries of one that is
// removed, even while it is being filled, are swept later.
func (t *Tables) changeIndex(tx kv.Tx, account string, d *schema.Record, c IndexChange, now time.Time) error {
	switch {
	case c.Create != nil:
		number, err := d.AddIndex(*c.Create)
		if err != nil || d.CacheBytes > 0 {
			return err
		}
		return t.setWork(tx, account, d, number)
	case c.Update != nil:
		return d.UpdateIndex(c.Update, now)
	}
	number, err := d.DropIndex(c.Delete)
	if err != nil {
		return err
	}
	tx.Delete(t.at.Work(d.Number, number))
	tx.Set(t.at.Grave(d.Number, number), layout.GraveOf(account))
	tx.Wake(t.at.Upkeep())
	return nil
}
