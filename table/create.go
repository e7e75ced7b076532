package table

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/table/layout"
	"github.com/rouse-dev/rouse/table/schema"
)

// ARN is the name of a table.
func (t *Tables) ARN(account, name string) string {
	return rouse.ARN{Service: "dynamodb", Region: t.cfg.Region, Account: account, Resource: "table/" + name}.String()
}

// Create makes a table. What it answers says Creating, as AWS does; the table is there when it answers.
func (t *Tables) Create(ctx context.Context, account string, def Definition) (*Description, error) {
	if err := def.ReadCacheTag(); err != nil {
		return nil, err
	}
	if err := def.Check(); err != nil {
		return nil, err
	}
	if err := t.checkRoom(ctx, account); err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	number := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	var d *schema.Record
	err = t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		heads, err := tx.GetAll([][]byte{t.at.Head(account, def.Name), t.at.Number(number)})
		if err != nil {
			return err
		}
		if heads[0] != nil {
			return errInUse("Table already exists: %s", def.Name)
		}
		if heads[1] != nil {
			return fmt.Errorf("create table: the number %d is taken", number)
		}
		d = schema.NewRecord(def, t.ARN(account, def.Name), id.String(), number, tx.Now())
		tx.Set(t.at.Number(number), layout.Name(account, def.Name))
		if err := t.setStream(tx, account, d, def.Stream, tx.Now()); err != nil {
			return err
		}
		return t.write(tx, account, d)
	})
	if err != nil {
		return nil, err
	}
	answer := d.Description
	answer.Status = Creating
	answer.GlobalIndexes = append([]Index(nil), answer.GlobalIndexes...)
	for i := range answer.GlobalIndexes {
		answer.GlobalIndexes[i].Status = Creating
	}
	return &answer, nil
}

// checkRoom refuses one table too many. Calls at the same time may pass it together: it is a quota, not an invariant.
func (t *Tables) checkRoom(ctx context.Context, account string) error {
	heads, err := t.pairs(ctx, t.at.Heads(account), TablesMax)
	if err == nil && len(heads) >= TablesMax {
		return errLimit("Subscriber limit exceeded: There is a limit of %d tables per subscriber", TablesMax)
	}
	return err
}

// Describe is a table as it is now. Items and SizeBytes count what nodes have reported so far: a few seconds behind, and
// after a crash without what the crashed node had not yet reported.
func (t *Tables) Describe(ctx context.Context, account, name string) (*Description, error) {
	s, err := t.fresh(ctx, account, name)
	if err != nil {
		return nil, named(err, name)
	}
	return t.counted(ctx, s)
}

// Schema is as Describe, without the counts, and perhaps as it was when this node last read it: for those who ask before
// every call, which will notice.
func (t *Tables) Schema(ctx context.Context, account, name string) (*Description, error) {
	s, err := t.known(ctx, account, name)
	if err != nil {
		return nil, err
	}
	return s.Description, nil
}

// named makes the error of a table that is not there the one of calls about tables.
func named(err error, name string) error {
	if rouse.KindOf(err) == rouse.NotFound {
		return errNoTableNamed(name)
	}
	return err
}

// ListMax is how many names List answers with at most.
const ListMax = 100

// List names the tables of an account after a name, in order. last is "" when there are no more.
func (t *Tables) List(ctx context.Context, account, after string, limit int) (names []string, last string, err error) {
	if limit < 1 || limit > ListMax {
		limit = ListMax
	}
	r := t.at.Heads(account)
	if after != "" {
		r.From = tuple.After(t.at.Head(account, after))
	}
	heads, err := t.pairs(ctx, r, limit+1)
	for i, p := range heads {
		if i == limit {
			return names, names[limit-1], nil
		}
		name, err := t.at.ParseHead(p.Key)
		if err != nil {
			return nil, "", err
		}
		names = append(names, name)
	}
	return names, "", err
}

// Delete removes a table. Its name is free at once; its items are swept later, by Run. Its stream can be read for another
// day.
func (t *Tables) Delete(ctx context.Context, account, name string) (*Description, error) {
	var d *schema.Record
	err := t.cfg.Store.Update(ctx, func(tx kv.Tx) (err error) {
		if d, err = t.read(tx, account, name); err != nil {
			return err
		}
		if d == nil {
			return errNoTableNamed(name)
		}
		if d.DeletionProtection {
			return invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
		}
		if err := t.setStream(tx, account, d, "", tx.Now()); err != nil {
			return err
		}
		tx.Delete(t.at.Head(account, name))
		tx.Delete(t.at.Description(account, name))
		tx.Delete(t.at.Number(d.Number))
		tx.Delete(t.at.Sums(d.Number))
		tx.Delete(t.at.Work(d.Number, 0))
		for i := range d.GlobalIndexes {
			tx.Delete(t.at.Work(d.Number, d.GlobalIndexes[i].Number))
		}
		tx.Set(t.at.Grave(d.Number, 0), layout.GraveOf(account))
		tx.Wake(t.at.Upkeep())
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.handles.forget(account, name)
	t.tally.Forget(d.Number)
	t.caches.drop(d.Number)
	answer := d.Description
	answer.Status = Deleting
	answer.GlobalIndexes = nil
	return &answer, nil
}
