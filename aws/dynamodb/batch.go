package dynamodb

import (
	"context"
	"maps"
	"slices"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

func (d *Door) batchOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("BatchGetItem", "", d.needBatchGet, d.batchGet, wire.Differs(plain)),
		wire.Op("BatchWriteItem", "", d.needBatchWrite, d.batchWrite, wire.Unaudited(), wire.Differs(plain)),
	}
}

// BatchGetItemInput asks for items of several tables.
type BatchGetItemInput struct {
	Measured
	RequestItems map[string]KeysAndAttributes `wire:",required" min:"1" eachmin:"3" eachmax:"255" eachpattern:"[a-zA-Z0-9_.-]+"`

	arns    map[string]string // by name, where an ARN was given
	order   []string
	tables  []table.BatchGetRequest
	touched [][]string // attributes by table
}

// KeysAndAttributes are the items of one table.
type KeysAndAttributes struct {
	Keys                 []attr.Map `wire:",required" min:"1" max:"100"`
	AttributesToGet      []string   `min:"1" max:"255" eachmax:"65535"`
	ConsistentRead       bool
	ProjectionExpression *string
	Placeholders
}

// KeysLeft are the keys that an answer had no room for, in the form of the request, so that it can be sent again.
type KeysLeft struct {
	Keys                     []attr.Item
	AttributesToGet          []string
	ConsistentRead           bool `wire:",omitempty"`
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

// BatchGetItemOutput is the items by table.
type BatchGetItemOutput struct {
	Responses        map[string][]attr.Item
	UnprocessedKeys  map[string]KeysLeft
	ConsumedCapacity []ConsumedCapacity
}

// Prepare takes the names out of ARNs.
func (in *BatchGetItemInput) Prepare() (err error) {
	in.RequestItems, in.arns, err = byName(in.RequestItems)
	return err
}

// byName replaces the ARNs among the keys of m by the tables' names. One table under two names is refused: which of the
// two was meant nobody knows.
func byName[V any](m map[string]V) (map[string]V, map[string]string, error) {
	var arns map[string]string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := key
		if nameOf(&name) == "" {
			continue
		}
		if _, twice := m[name]; twice || arns[name] != "" {
			return nil, nil, invalid("Provided list of table names contains duplicates: %s", name)
		}
		if arns == nil {
			arns = map[string]string{}
		}
		arns[name] = key
	}
	if arns == nil {
		return m, nil, nil
	}
	m = maps.Clone(m)
	for name, arn := range arns {
		m[name] = m[arn]
		delete(m, arn)
	}
	return m, arns, nil
}

// asNamed is how a request called a table.
func asNamed(arns map[string]string, name string) string {
	if arn := arns[name]; arn != "" {
		return arn
	}
	return name
}

func (in *BatchGetItemInput) parse(d *Door) error {
	in.order = slices.Sorted(maps.Keys(in.RequestItems))
	total := 0
	for _, name := range in.order {
		k := in.RequestItems[name]
		r, err := k.parse(d, name, &total)
		if err != nil {
			return err
		}
		in.tables = append(in.tables, r)
		in.touched = append(in.touched, projectionNames(r.Projection))
	}
	return nil
}

func (k *KeysAndAttributes) parse(d *Door, name string, total *int) (table.BatchGetRequest, error) {
	r := table.BatchGetRequest{Table: name, Consistent: k.ConsistentRead}
	err := together([]param{{"ProjectionExpression", k.ProjectionExpression != nil}}, []param{{"AttributesToGet", k.AttributesToGet != nil}},
		k.ExpressionAttributeNames, false)
	if err != nil {
		return r, err
	}
	if k.AttributesToGet != nil {
		if _, err := expr.BindAttributesToGet(k.AttributesToGet); err != nil {
			return r, err
		}
	}
	b, err := d.bind(expr.Request{Projection: k.ProjectionExpression, Names: k.ExpressionAttributeNames}, attr.Map{})
	if err != nil {
		return r, err
	}
	if r.Projection, err = projectionOfRequest(b, k.AttributesToGet); err != nil {
		return r, err
	}
	seen := make(map[string]bool, len(k.Keys))
	var buf []byte
	for _, key := range k.Keys {
		if key.Err != nil {
			return r, key.Err
		}
		if buf = item.Append(buf[:0], key.Item); seen[string(buf)] {
			return r, invalid("Provided list of item keys contains duplicates")
		}
		seen[string(buf)] = true
		if *total++; *total > table.BatchGetMax {
			return r, invalid("Too many items requested for the BatchGetItem call")
		}
		r.Keys = append(r.Keys, key.Item)
	}
	return r, nil
}

func (d *Door) needBatchGet(ctx context.Context, from rouse.Origin, in *BatchGetItemInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	var needs []rouse.Need
	for i, r := range in.tables {
		if err := d.own(from, in.arns[r.Table], r.Table); err != nil {
			return nil, err
		}
		a := d.ask(from, "BatchGetItem", r.Table, "")
		var err error
		if in.tables[i].Leading, err = d.leading(ctx, from, &a, r.Table, r.Keys...); err != nil {
			return nil, err
		}
		if !a.root {
			a.attributes(namesOfAll(r.Keys), in.touched[i])
		}
		a.when("Select", selectOf(r.Projection))
		a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
		needs = append(needs, a.need)
	}
	return needs, nil
}

func namesOfAll(items []item.Item) []string {
	var list []string
	for _, it := range items {
		list = append(list, names(it)...)
	}
	return list
}

func (d *Door) batchGet(ctx context.Context, from rouse.Origin, in *BatchGetItemInput) (*BatchGetItemOutput, error) {
	results, err := d.tables.BatchGet(ctx, account(from), in.tables, in.measure())
	if err != nil {
		return nil, err
	}
	out := &BatchGetItemOutput{Responses: map[string][]attr.Item{}, UnprocessedKeys: map[string]KeysLeft{}}
	if in.measure() {
		out.ConsumedCapacity = []ConsumedCapacity{}
	}
	for i, r := range results {
		name := asNamed(in.arns, in.order[i])
		out.Responses[name] = itemsOf(r.Items)
		if len(r.Unprocessed) > 0 {
			k := in.RequestItems[in.order[i]]
			out.UnprocessedKeys[name] = KeysLeft{Keys: itemsOf(r.Unprocessed), AttributesToGet: k.AttributesToGet, ConsistentRead: k.ConsistentRead,
				ProjectionExpression: k.ProjectionExpression, ExpressionAttributeNames: k.ExpressionAttributeNames}
		}
		if c := in.shown(r.Capacity, false); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *c)
		}
	}
	return out, nil
}

// BatchWriteItemInput puts and deletes items of several tables.
type BatchWriteItemInput struct {
	Measured
	Collected
	RequestItems map[string][]WriteRequest `wire:",required" min:"1" eachmin:"3" eachmax:"255" eachpattern:"[a-zA-Z0-9_.-]+" valuemin:"1" valuemax:"25"`

	arns   map[string]string
	writes []table.WriteRequest
}

// WriteRequest puts or deletes one item.
type WriteRequest struct {
	DeleteRequest *DeleteRequest
	PutRequest    *PutRequest
}

// DeleteRequest deletes an item.
type DeleteRequest struct {
	Key attr.Map `wire:",required"`
}

// PutRequest puts an item.
type PutRequest struct {
	Item attr.Map `wire:",required"`
}

// WriteLeft is a write that was not done, in the form of the request.
type WriteLeft struct {
	DeleteRequest *DeleteLeft
	PutRequest    *PutLeft
}

// DeleteLeft is a deletion that was not done.
type DeleteLeft struct{ Key attr.Item }

// PutLeft is a put that was not done.
type PutLeft struct{ Item attr.Item }

// BatchWriteItemOutput says what was not done.
type BatchWriteItemOutput struct {
	UnprocessedItems      map[string][]WriteLeft
	ItemCollectionMetrics map[string][]ItemCollectionMetrics
	ConsumedCapacity      []ConsumedCapacity
}

// Prepare takes the names out of ARNs.
func (in *BatchWriteItemInput) Prepare() (err error) {
	in.RequestItems, in.arns, err = byName(in.RequestItems)
	return err
}

func (in *BatchWriteItemInput) parse() error {
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		for _, w := range in.RequestItems[name] {
			if (w.PutRequest == nil) == (w.DeleteRequest == nil) {
				return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			}
		}
		for _, w := range in.RequestItems[name] {
			r := table.WriteRequest{Table: name, Kind: table.Delete, Measure: in.measure(), Collection: in.collect()}
			if p := w.PutRequest; p != nil {
				if p.Item.Err != nil {
					return p.Item.Err
				}
				if p.Item.Len > item.SizeMax && p.Item.Item.Size() > item.SizeMax {
					return invalid(textSize)
				}
				r.Kind, r.Item = table.Put, p.Item.Item
			} else if r.Key = w.DeleteRequest.Key.Item; w.DeleteRequest.Key.Err != nil {
				return w.DeleteRequest.Key.Err
			}
			if in.writes = append(in.writes, r); len(in.writes) > table.BatchWriteMax {
				return invalid("Too many items requested for the BatchWriteItem call")
			}
		}
	}
	return nil
}

func (d *Door) needBatchWrite(ctx context.Context, from rouse.Origin, in *BatchWriteItemInput) ([]rouse.Need, error) {
	if err := in.parse(); err != nil {
		return nil, err
	}
	var needs []rouse.Need
	for i := 0; i < len(in.writes); {
		name := in.writes[i].Table
		if err := d.own(from, in.arns[name], name); err != nil {
			return nil, err
		}
		begin := i
		var items []item.Item
		for ; i < len(in.writes) && in.writes[i].Table == name; i++ {
			items = append(items, keyed(in.writes[i]))
		}
		a := d.ask(from, "BatchWriteItem", name, "")
		leading, err := d.leading(ctx, from, &a, name, items...)
		if err != nil {
			return nil, err
		}
		for j := begin; j < i; j++ {
			in.writes[j].Leading = leading
		}
		if !a.root {
			a.attributes(namesOfAll(items))
		}
		a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
		needs = append(needs, a.need)
	}
	return needs, nil
}

// keyed is the item or the key of a write: what its key attributes are found in.
func keyed(w table.WriteRequest) item.Item {
	if w.Kind == table.Put {
		return w.Item
	}
	return w.Key
}

func (d *Door) batchWrite(ctx context.Context, from rouse.Origin, in *BatchWriteItemInput) (*BatchWriteItemOutput, error) {
	r, err := d.tables.BatchWrite(ctx, account(from), in.writes)
	if err != nil {
		return nil, err
	}
	out := &BatchWriteItemOutput{UnprocessedItems: map[string][]WriteLeft{}, ItemCollectionMetrics: collectionsOf(r.Collections),
		ConsumedCapacity: in.shownAll(r.Capacity, false)}
	for _, i := range r.Unprocessed {
		w := in.writes[i]
		left := WriteLeft{DeleteRequest: &DeleteLeft{attr.Item(w.Key)}}
		if w.Kind == table.Put {
			left = WriteLeft{PutRequest: &PutLeft{attr.Item(w.Item)}}
		}
		name := asNamed(in.arns, w.Table)
		out.UnprocessedItems[name] = append(out.UnprocessedItems[name], left)
	}
	return out, nil
}
