package dynamodb

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// shorter is how texts differ that DynamoDB once wrote as they are here.
const shorter = `texts about values and expressions do not begin with "1 validation error detected: ", as some of AWS's now do`

// plain is how what was consumed differs where a table was named by its ARN.
const plain = "ConsumedCapacity has the table's name, also where an ARN was given"

func (d *Door) itemOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("GetItem", "", d.needGet, d.getItem, wire.Differs(plain)),
		wire.Op("PutItem", "", d.needPut, d.putItem, wire.Unaudited(), wire.Differs(shorter), wire.Differs(plain)),
		wire.Op("UpdateItem", "", d.needUpdate, d.updateItem, wire.Unaudited(), wire.Differs(shorter), wire.Differs(plain)),
		wire.Op("DeleteItem", "", d.needDelete, d.deleteItem, wire.Unaudited(), wire.Differs(shorter), wire.Differs(plain)),
	}
}

// textSize is the refusal of an item above item.SizeMax.
const textSize = "Item size has exceeded the maximum allowed size"

// GetItemInput asks for an item.
type GetItemInput struct {
	Measured
	AttributesToGet []string `min:"1" max:"255" eachmax:"65535"`
	ItemsTable
	Key                  attr.Map `wire:",required"`
	ConsistentRead       bool
	ProjectionExpression *string
	Placeholders

	projection *expr.Projection
	leading    *string
}

// GetItemOutput is the item.
type GetItemOutput struct {
	Item             attr.Item
	ConsumedCapacity *ConsumedCapacity
}

func (in *GetItemInput) parse(d *Door) error {
	if err := together([]param{{"ProjectionExpression", in.ProjectionExpression != nil}},
		[]param{{"AttributesToGet", in.AttributesToGet != nil}}, in.ExpressionAttributeNames, false); err != nil {
		return err
	}
	if in.Key.Err != nil {
		return in.Key.Err
	}
	if in.AttributesToGet != nil {
		if _, err := expr.BindAttributesToGet(in.AttributesToGet); err != nil {
			return err
		}
	}
	b, err := d.bind(expr.Request{Projection: in.ProjectionExpression, Names: in.ExpressionAttributeNames}, attr.Map{})
	if err != nil {
		return err
	}
	in.projection, err = projectionOfRequest(b, in.AttributesToGet)
	return err
}

func (d *Door) needGet(ctx context.Context, from rouse.Origin, in *GetItemInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	if err := d.own(from, in.arn, in.table()); err != nil {
		return nil, err
	}
	a := d.ask(from, "GetItem", in.table(), "")
	var err error
	if in.leading, err = d.leading(ctx, from, &a, in.table(), in.Key.Item); err != nil {
		return nil, err
	}
	if !a.root {
		a.attributes(names(in.Key.Item), projectionNames(in.projection))
	}
	a.when("Select", selectOf(in.projection))
	a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
	return []rouse.Need{a.need}, nil
}

func (d *Door) getItem(ctx context.Context, from rouse.Origin, in *GetItemInput) (*GetItemOutput, error) {
	r, err := d.tables.Get(ctx, account(from), table.GetRequest{Table: in.table(), Key: in.Key.Item, Projection: in.projection,
		Leading: in.leading, Consistent: in.ConsistentRead, Measure: in.measure()})
	if err != nil {
		return nil, emptyKey(err)
	}
	return &GetItemOutput{Item: attr.Item(r.Item), ConsumedCapacity: in.shown(r.Capacity, false)}, nil
}

// emptyKey words the refusal of an empty key as GetItem does, unlike all others.
func emptyKey(err error) error {
	const others, own = "One or more parameter values are not valid. ", "One or more parameter values were invalid: "
	if rest, ok := strings.CutPrefix(err.Error(), others); ok && rouse.KindOf(err) == rouse.Invalid {
		return invalid("%s%s", own, rest)
	}
	return err
}

// Write is what the three writes of one item have in common.
type Write struct {
	Measured
	ItemsTable
	ReturnValues string `enum:"ALL_NEW|UPDATED_OLD|ALL_OLD|NONE|UPDATED_NEW"`
	Collected
	ConditionalOperator                 string `enum:"OR|AND"`
	Expected                            map[string]ExpectedAttributeValue
	ConditionExpression                 *string
	ExpressionAttributeValues           attr.Map
	ReturnValuesOnConditionCheckFailure string `enum:"ALL_OLD|NONE"`
	Placeholders

	condition *expr.Condition
	leading   *string
}

// WriteOutput answers a write of one item.
type WriteOutput struct {
	Attributes            attr.Item
	ConsumedCapacity      *ConsumedCapacity
	ItemCollectionMetrics *ItemCollectionMetrics
}

// parse understands the condition; update is the UpdateExpression of those that have one.
func (w *Write) parse(d *Door, update *string) (*expr.Bound, error) {
	expected, err := expectedOf(w.Expected, w.ConditionalOperator)
	if err != nil {
		return nil, err
	}
	b, err := d.bind(expr.Request{Condition: w.ConditionExpression, Update: update, Names: w.ExpressionAttributeNames}, w.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if w.condition = b.Condition; expected != nil {
		w.condition = expected
	}
	return b, nil
}

// plain checks the parameters of writes that have no update.
func (w *Write) plain() error {
	return together([]param{{"ConditionExpression", w.ConditionExpression != nil}}, []param{{"Expected", w.Expected != nil}},
		w.ExpressionAttributeNames, w.ExpressionAttributeValues.Sent(), "ConditionExpression")
}

// onlyOld checks ReturnValues of writes that do not update.
func (w *Write) onlyOld() error {
	if w.ReturnValues != "" && w.ReturnValues != "ALL_OLD" && w.ReturnValues != "NONE" {
		return invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	return nil
}

// needs asks for action; key is the item or its key, written the attributes that the write names.
func (w *Write) needs(ctx context.Context, d *Door, from rouse.Origin, action string, key item.Item, written []string) ([]rouse.Need, error) {
	if err := d.own(from, w.arn, w.table()); err != nil {
		return nil, err
	}
	a := d.ask(from, action, w.table(), "")
	var err error
	if w.leading, err = d.leading(ctx, from, &a, w.table(), key); err != nil {
		return nil, err
	}
	if !a.root {
		a.attributes(names(key), written, conditionNames(w.condition))
	}
	a.when("ReturnValues", returned(w.ReturnValues, w.ReturnValuesOnConditionCheckFailure))
	a.when("ReturnConsumedCapacity", w.ReturnConsumedCapacity)
	return []rouse.Need{a.need}, nil
}

// request begins what the room is asked to do.
func (w *Write) request(kind table.WriteKind) table.WriteRequest {
	return table.WriteRequest{Table: w.table(), Leading: w.leading, Kind: kind, Condition: w.condition, Return: table.ReturnValues(w.ReturnValues),
		ReturnOnFail: w.ReturnValuesOnConditionCheckFailure == "ALL_OLD", Measure: w.measure(), Collection: w.collect()}
}

// write does it.
func (d *Door) write(ctx context.Context, from rouse.Origin, w *Write, r table.WriteRequest) (*WriteOutput, error) {
	res, err := d.tables.Write(ctx, account(from), r)
	if err != nil {
		return nil, err
	}
	return &WriteOutput{Attributes: attr.Item(res.Attributes), ConsumedCapacity: w.shown(res.Capacity, false),
		ItemCollectionMetrics: collectionOf(res.Collection)}, nil
}

// PutItemInput writes a whole item.
type PutItemInput struct {
	Item attr.Map `wire:",required"`
	Write
}

func (in *PutItemInput) parse(d *Door) error {
	if err := in.plain(); err != nil {
		return err
	}
	if in.Item.Err != nil {
		return in.Item.Err
	}
	if err := in.onlyOld(); err != nil {
		return err
	}
	if in.Item.Len > item.SizeMax && in.Item.Item.Size() > item.SizeMax {
		return invalid(textSize)
	}
	_, err := in.Write.parse(d, nil)
	return err
}

func (d *Door) needPut(ctx context.Context, from rouse.Origin, in *PutItemInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	return in.needs(ctx, d, from, "PutItem", in.Item.Item, nil)
}

func (d *Door) putItem(ctx context.Context, from rouse.Origin, in *PutItemInput) (*WriteOutput, error) {
	r := in.request(table.Put)
	r.Item = in.Item.Item
	return d.write(ctx, from, &in.Write, r)
}

// DeleteItemInput removes an item.
type DeleteItemInput struct {
	Key attr.Map `wire:",required"`
	Write
}

func (in *DeleteItemInput) parse(d *Door) error {
	if err := in.plain(); err != nil {
		return err
	}
	if in.Key.Err != nil {
		return in.Key.Err
	}
	if err := in.onlyOld(); err != nil {
		return err
	}
	_, err := in.Write.parse(d, nil)
	return err
}

func (d *Door) needDelete(ctx context.Context, from rouse.Origin, in *DeleteItemInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	return in.needs(ctx, d, from, "DeleteItem", in.Key.Item, nil)
}

func (d *Door) deleteItem(ctx context.Context, from rouse.Origin, in *DeleteItemInput) (*WriteOutput, error) {
	r := in.request(table.Delete)
	r.Key = in.Key.Item
	return d.write(ctx, from, &in.Write, r)
}

// UpdateItemInput changes an item.
type UpdateItemInput struct {
	Key attr.Map `wire:",required"`
	Write
	AttributeUpdates map[string]AttributeValueUpdate
	UpdateExpression *string

	update *expr.Update
}

func (in *UpdateItemInput) parse(d *Door) error {
	if err := together([]param{{"UpdateExpression", in.UpdateExpression != nil}, {"ConditionExpression", in.ConditionExpression != nil}},
		[]param{{"AttributeUpdates", in.AttributeUpdates != nil}, {"Expected", in.Expected != nil}}, in.ExpressionAttributeNames,
		in.ExpressionAttributeValues.Sent(), "UpdateExpression", "ConditionExpression"); err != nil {
		return err
	}
	if in.Key.Err != nil {
		return in.Key.Err
	}
	old, err := updatesOf(in.AttributeUpdates)
	if err != nil {
		return err
	}
	b, err := in.Write.parse(d, in.UpdateExpression)
	if err != nil {
		return err
	}
	if in.update = b.Update; old != nil {
		in.update = old
	}
	return nil
}

func (d *Door) needUpdate(ctx context.Context, from rouse.Origin, in *UpdateItemInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	return in.needs(ctx, d, from, "UpdateItem", in.Key.Item, updateNames(in.update))
}

func (d *Door) updateItem(ctx context.Context, from rouse.Origin, in *UpdateItemInput) (*WriteOutput, error) {
	r := in.request(table.Update)
	r.Key, r.Update = in.Key.Item, in.update
	return d.write(ctx, from, &in.Write, r)
}

// returned is the ReturnValues that policies see: a failed condition may answer with the whole item, too.
func returned(values, onFailure string) string {
	if onFailure == "ALL_OLD" && (values == "" || values == "NONE" || strings.HasPrefix(values, "UPDATED")) {
		return onFailure
	}
	return values
}

// selectOf is the Select that a read of items means, which has no such parameter: so that a policy that lets only some
// attributes out holds of it as of a Query.
func selectOf(p *expr.Projection) string {
	if p == nil {
		return string(table.SelectAll)
	}
	return string(table.SelectSpecific)
}

// conditionNames, updateNames and projectionNames are the attributes that parts name, none for those that are not there.
func conditionNames(c *expr.Condition) []string {
	if c == nil {
		return nil
	}
	return c.Names()
}

func updateNames(u *expr.Update) []string {
	if u == nil {
		return nil
	}
	return append(tops(u.Paths()), tops(u.Reads())...)
}

func projectionNames(p *expr.Projection) []string {
	if p == nil {
		return nil
	}
	return p.Names()
}
