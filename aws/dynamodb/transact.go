package dynamodb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

func (d *Door) transactOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("TransactGetItems", "", d.needTransactGet, d.transactGet, wire.Unaudited(), wire.Differs(plain)),
		wire.Op("TransactWriteItems", "", d.needTransactWrite, d.transactWrite, wire.Unaudited(), wire.Differs(plain),
			wire.Differs("items, index entries and stream records of one transaction are 64 MiB together: with 15 indexes of all "+
				"attributes, or 13 and a stream of both images, it is refused before its items are 4 MB")),
	}
}

// TransactGetItemsInput asks for items as they are at one moment.
type TransactGetItemsInput struct {
	TransactItems []TransactGetItem `wire:",required" min:"1" max:"100"`
	Measured

	gets []table.GetRequest
}

// TransactGetItem is one of them.
type TransactGetItem struct {
	Get *Get `wire:",required"`
}

// Get asks for an item.
type Get struct {
	Key attr.Map `wire:",required"`
	ItemsTable
	ProjectionExpression *string
	Placeholders
}

// TransactGetItemsOutput is the items in the order in which they were asked for.
type TransactGetItemsOutput struct {
	ConsumedCapacity []ConsumedCapacity
	Responses        []ItemResponse
}

// ItemResponse is an item, or nothing.
type ItemResponse struct{ Item attr.Item }

// Prepare takes the names out of ARNs.
func (in *TransactGetItemsInput) Prepare() error {
	for _, t := range in.TransactItems {
		if t.Get != nil {
			_ = t.Get.Prepare()
		}
	}
	return nil
}

func (d *Door) needTransactGet(ctx context.Context, from rouse.Origin, in *TransactGetItemsInput) ([]rouse.Need, error) {
	needs := make([]rouse.Need, 0, len(in.TransactItems))
	for _, t := range in.TransactItems {
		g := t.Get
		if err := together([]param{{"ProjectionExpression", g.ProjectionExpression != nil}}, nil, g.ExpressionAttributeNames, false); err != nil {
			return nil, err
		}
		if g.Key.Err != nil {
			return nil, g.Key.Err
		}
		b, err := d.bind(expr.Request{Projection: g.ProjectionExpression, Names: g.ExpressionAttributeNames}, attr.Map{})
		if err != nil {
			return nil, err
		}
		a, leading, err := d.askInside(ctx, from, &g.ItemsTable, "GetItem", "TransactGetItems", g.Key.Item)
		if err != nil {
			return nil, err
		}
		in.gets = append(in.gets, table.GetRequest{Table: g.table(), Leading: leading, Key: g.Key.Item, Projection: b.Projection,
			Consistent: true, Measure: in.measure()})
		if !a.root {
			a.attributes(names(g.Key.Item), projectionNames(b.Projection))
		}
		a.when("Select", selectOf(b.Projection))
		a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
		needs = append(needs, a.need)
	}
	return needs, nil
}

// askInside begins the need of a part of a transaction.
func (d *Door) askInside(ctx context.Context, from rouse.Origin, t *ItemsTable, action, operation string, key item.Item) (a ask, leading *string, err error) {
	if err := d.own(from, t.arn, t.table()); err != nil {
		return ask{}, nil, err
	}
	a = d.ask(from, action, t.table(), "")
	a.when("EnclosingOperation", operation)
	leading, err = d.leading(ctx, from, &a, t.table(), key)
	return a, leading, err
}

func (d *Door) transactGet(ctx context.Context, from rouse.Origin, in *TransactGetItemsInput) (*TransactGetItemsOutput, error) {
	r, err := d.tables.TransactGet(ctx, account(from), in.gets)
	if err != nil {
		return nil, err
	}
	out := &TransactGetItemsOutput{ConsumedCapacity: in.shownAll(r.Capacity, true), Responses: make([]ItemResponse, len(r.Items))}
	for i, it := range r.Items {
		out.Responses[i] = ItemResponse{attr.Item(it)}
	}
	return out, nil
}

// TransactWriteItemsInput does several writes, or none.
type TransactWriteItemsInput struct {
	TransactItems []TransactWriteItem `wire:",required" min:"1" max:"100"`
	Measured
	Collected
	ClientRequestToken *string `min:"1" max:"36"`

	writes []table.WriteRequest
}

// TransactWriteItem is one of them: exactly one of its fields is set.
type TransactWriteItem struct {
	ConditionCheck *ConditionCheck
	Put            *Put
	Delete         *Delete
	Update         *Update
}

// Part is what all parts of a transaction have.
type Part struct {
	ItemsTable
	ExpressionAttributeValues           attr.Map
	ReturnValuesOnConditionCheckFailure string `enum:"ALL_OLD|NONE"`
	Placeholders
}

// ConditionCheck checks a condition and changes nothing.
type ConditionCheck struct {
	Key                 attr.Map `wire:",required"`
	ConditionExpression *string  `wire:",required"`
	Part
}

// Put writes a whole item.
type Put struct {
	Item                attr.Map `wire:",required"`
	ConditionExpression *string
	Part
}

// Delete removes an item.
type Delete struct {
	Key                 attr.Map `wire:",required"`
	ConditionExpression *string
	Part
}

// Update changes an item.
type Update struct {
	Key                 attr.Map `wire:",required"`
	ConditionExpression *string
	UpdateExpression    *string `wire:",required"`
	Part
}

// TransactWriteItemsOutput says what it cost.
type TransactWriteItemsOutput struct {
	ConsumedCapacity      []ConsumedCapacity
	ItemCollectionMetrics map[string][]ItemCollectionMetrics
}

// part is one write in the form that all of them share.
type part struct {
	*Part
	kind              table.WriteKind
	action            string
	key               *attr.Map
	condition, update *string
}

// parts lists what a member is: one part in a good request.
func (t *TransactWriteItem) parts() []part {
	var list []part
	if c := t.ConditionCheck; c != nil {
		list = append(list, part{&c.Part, table.Check, "ConditionCheckItem", &c.Key, c.ConditionExpression, nil})
	}
	if p := t.Put; p != nil {
		list = append(list, part{&p.Part, table.Put, "PutItem", &p.Item, p.ConditionExpression, nil})
	}
	if x := t.Delete; x != nil {
		list = append(list, part{&x.Part, table.Delete, "DeleteItem", &x.Key, x.ConditionExpression, nil})
	}
	if u := t.Update; u != nil {
		list = append(list, part{&u.Part, table.Update, "UpdateItem", &u.Key, u.ConditionExpression, u.UpdateExpression})
	}
	return list
}

// Prepare takes the names out of ARNs.
func (in *TransactWriteItemsInput) Prepare() error {
	for i := range in.TransactItems {
		for _, p := range in.TransactItems[i].parts() {
			_ = p.Prepare()
		}
	}
	return nil
}

func (d *Door) needTransactWrite(ctx context.Context, from rouse.Origin, in *TransactWriteItemsInput) ([]rouse.Need, error) {
	needs := make([]rouse.Need, 0, len(in.TransactItems))
	for i := range in.TransactItems {
		parts := in.TransactItems[i].parts()
		if len(parts) != 1 {
			return nil, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
		}
		p := parts[0]
		w, err := p.request(d)
		if err != nil {
			return nil, err
		}
		w.Measure, w.Collection = in.measure(), in.collect()
		a, leading, err := d.askInside(ctx, from, &p.ItemsTable, p.action, "TransactWriteItems", p.key.Item)
		if err != nil {
			return nil, err
		}
		w.Leading = leading
		in.writes = append(in.writes, w)
		if !a.root {
			a.attributes(names(p.key.Item), updateNames(w.Update), conditionNames(w.Condition))
		}
		a.when("ReturnValues", returned("", p.ReturnValuesOnConditionCheckFailure))
		a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
		needs = append(needs, a.need)
	}
	return needs, nil
}

// request checks a part and translates it.
func (p *part) request(d *Door) (table.WriteRequest, error) {
	w := table.WriteRequest{Table: p.table(), Kind: p.kind, ReturnOnFail: p.ReturnValuesOnConditionCheckFailure == "ALL_OLD"}
	expressions, withValues := []param{{"ConditionExpression", p.condition != nil}}, []string{"ConditionExpression"}
	if p.kind == table.Update {
		expressions, withValues = append(expressions, param{"UpdateExpression", p.update != nil}), []string{"UpdateExpression", "ConditionExpression"}
	}
	if err := together(expressions, nil, p.ExpressionAttributeNames, p.ExpressionAttributeValues.Sent(), withValues...); err != nil {
		return w, err
	}
	if p.key.Err != nil {
		return w, p.key.Err
	}
	b, err := d.bind(expr.Request{Condition: p.condition, Update: p.update, Names: p.ExpressionAttributeNames}, p.ExpressionAttributeValues)
	if err != nil {
		return w, err
	}
	if w.Condition, w.Update = b.Condition, b.Update; p.kind == table.Put {
		w.Item = p.key.Item
	} else {
		w.Key = p.key.Item
	}
	return w, nil
}

func (d *Door) transactWrite(ctx context.Context, from rouse.Origin, in *TransactWriteItemsInput) (*TransactWriteItemsOutput, error) {
	r := table.TransactRequest{Writes: in.writes, Token: textOf(in.ClientRequestToken), Measure: in.measure(), Collection: in.collect()}
	if r.Token != "" {
		r.Digest = in.digest()
	}
	res, err := d.tables.TransactWrite(ctx, account(from), r)
	if err != nil {
		return nil, err
	}
	return &TransactWriteItemsOutput{ConsumedCapacity: in.shownAll(res.Capacity, true), ItemCollectionMetrics: collectionsOf(res.Collections)}, nil
}

// digest is a hash of all that makes the transaction what it is, whatever its JSON looked like.
func (in *TransactWriteItemsInput) digest() [32]byte {
	var b []byte
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	optional := func(s *string) {
		if s == nil {
			b = append(b, 0)
			return
		}
		b = append(b, 1)
		text(*s)
	}
	for i := range in.TransactItems {
		for _, p := range in.TransactItems[i].parts() {
			b = append(b, byte(p.kind))
			text(p.table())
			text(string(item.Append(nil, p.key.Item)))
			optional(p.condition)
			optional(p.update)
			text(p.ReturnValuesOnConditionCheckFailure)
			b = binary.AppendUvarint(b, uint64(len(p.ExpressionAttributeNames)))
			for _, k := range slices.Sorted(maps.Keys(p.ExpressionAttributeNames)) {
				text(k)
				text(p.ExpressionAttributeNames[k])
			}
			text(string(item.Append(nil, p.ExpressionAttributeValues.Item)))
		}
	}
	return sha256.Sum256(b)
}
