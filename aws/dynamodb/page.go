package dynamodb

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// pages is how pages differ.
const pages = "pages end, too, where a filter of very many operands has looked at 20 million, and over a local index where " +
	"the items that are read for what it does not carry are 1 MB"

func (d *Door) pageOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("Query", "", d.needQuery, d.query, wire.Differs(shorter), wire.Differs(pages), wire.Differs(plain)),
		wire.Op("Scan", "", d.needScan, d.scan, wire.Differs(pages), wire.Differs(plain)),
	}
}

// Read is what Query and Scan have in common.
type Read struct {
	Select    string  `enum:"SPECIFIC_ATTRIBUTES|COUNT|ALL_ATTRIBUTES|ALL_PROJECTED_ATTRIBUTES"`
	IndexName *string `min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	Measured
	ItemsTable
	ConditionalOperator       string `enum:"OR|AND"`
	Limit                     *int   `min:"1"`
	ExclusiveStartKey         attr.Map
	ConsistentRead            bool
	FilterExpression          *string
	ProjectionExpression      *string
	ExpressionAttributeValues attr.Map
	Placeholders
	AttributesToGet []string `min:"1" max:"255" eachmax:"65535"`

	filter     *expr.Condition
	projection *expr.Projection
}

// PageOutput is a page.
type PageOutput struct {
	Items            []attr.Item
	Count            int
	ScannedCount     int
	LastEvaluatedKey attr.Item
	ConsumedCapacity *ConsumedCapacity
}

func (in *Read) index() string { return textOf(in.IndexName) }

// old are the parameters that do not go with expressions; filter is the name of the filter among them.
func (in *Read) old(filter string, sent bool) []param {
	return []param{{"AttributesToGet", in.AttributesToGet != nil}, {filter, sent}, {"ConditionalOperator", in.ConditionalOperator != ""}}
}

// attributesToGet makes the old projection, nil where there is none.
func (in *Read) attributesToGet() (*expr.Projection, error) {
	if in.AttributesToGet == nil {
		return nil, nil
	}
	return expr.BindAttributesToGet(in.AttributesToGet)
}

// parts keeps what the expressions, or the old parameters, mean.
func (in *Read) parts(b *expr.Bound, filter *expr.Condition, projection *expr.Projection) {
	if in.filter = b.Filter; filter != nil {
		in.filter = filter
	}
	if in.projection = b.Projection; projection != nil {
		in.projection = projection
	}
}

// checkSelect holds Select against the attributes that are asked for by name. A Query says before it how many mistakes
// there are.
func (in *Read) checkSelect(prefix string) error {
	by := ""
	switch {
	case in.ProjectionExpression != nil:
		by = "ProjectionExpression"
	case in.AttributesToGet != nil:
		by = "AttributesToGet"
	}
	what := in.Select
	if what == "COUNT" {
		what = "only the Count"
	}
	switch {
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == nil:
		return invalid("%sALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName", prefix)
	case in.Select == "SPECIFIC_ATTRIBUTES" && by == "":
		return invalid("%sMust specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES", prefix)
	case in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES" && by != "":
		return invalid("%sCannot specify the %s when choosing to get %s", prefix, by, what)
	}
	return nil
}

// ask begins the need of a read.
func (in *Read) ask(d *Door, from rouse.Origin, action string) ask {
	a := d.ask(from, action, in.table(), in.index())
	a.when("Select", in.selected())
	a.when("ReturnConsumedCapacity", in.ReturnConsumedCapacity)
	return a
}

// selected is the Select that the request means.
func (in *Read) selected() string {
	switch {
	case in.Select != "":
		return in.Select
	case in.ProjectionExpression != nil || in.AttributesToGet != nil:
		return "SPECIFIC_ATTRIBUTES"
	case in.IndexName != nil:
		return "ALL_PROJECTED_ATTRIBUTES"
	}
	return "ALL_ATTRIBUTES"
}

func (in *Read) output(p table.Page) *PageOutput {
	out := &PageOutput{Count: p.Count, ScannedCount: p.Scanned, LastEvaluatedKey: attr.Item(p.Last), ConsumedCapacity: in.shown(p.Capacity, false)}
	if in.Select != "COUNT" {
		out.Items = itemsOf(p.Items)
	}
	return out
}

// itemsOf shows items; an empty list is one.
func itemsOf(list []item.Item) []attr.Item {
	out := make([]attr.Item, len(list))
	for i, it := range list {
		out[i] = attr.Item(it)
	}
	return out
}

// QueryInput asks for a part of a partition.
type QueryInput struct {
	Read
	QueryFilter            map[string]Condition
	KeyConditions          map[string]Condition
	KeyConditionExpression *string
	ScanIndexForward       *bool

	key     *expr.KeyCondition
	leading *string
}

func (in *QueryInput) parse(d *Door) error {
	old := in.old("QueryFilter", in.QueryFilter != nil)
	if in.KeyConditionExpression != nil { // alone, the old conditions may stand beside the other expressions
		old = append(old, param{"KeyConditions", in.KeyConditions != nil})
	}
	err := together([]param{{"ProjectionExpression", in.ProjectionExpression != nil}, {"FilterExpression", in.FilterExpression != nil},
		{"KeyConditionExpression", in.KeyConditionExpression != nil}}, old, in.ExpressionAttributeNames,
		in.ExpressionAttributeValues.Sent(), "FilterExpression", "KeyConditionExpression")
	if err != nil {
		return err
	}
	filter, err := filterOf(in.QueryFilter, in.ConditionalOperator)
	if err != nil {
		return err
	}
	projection, err := in.attributesToGet()
	if err != nil {
		return err
	}
	if err := startError(in.ExclusiveStartKey); err != nil {
		return err
	}
	if in.KeyConditions == nil && in.KeyConditionExpression == nil {
		return invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	b, err := d.bind(expr.Request{Filter: in.FilterExpression, Projection: in.ProjectionExpression, KeyCondition: in.KeyConditionExpression,
		Names: in.ExpressionAttributeNames}, in.ExpressionAttributeValues)
	if err != nil {
		return err
	}
	in.parts(b, filter, projection)
	if in.key = b.KeyCondition; in.key == nil {
		list, err := comparisons(in.KeyConditions)
		if err != nil {
			return err
		}
		if in.key, err = expr.BindKeyConditions(list); err != nil {
			return err
		}
	}
	return in.checkSelect("1 validation error detected: ")
}

func (d *Door) needQuery(ctx context.Context, from rouse.Origin, in *QueryInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	if err := d.own(from, in.arn, in.table()); err != nil {
		return nil, err
	}
	a := in.ask(d, from, "Query")
	if a.root {
		return []rouse.Need{a.need}, nil
	}
	var k table.Key
	desc, err := d.tables.Schema(ctx, account(from), in.table())
	if err == nil {
		k = keyOf(desc, in.index())
		if r, err := in.key.For(k.Hash, k.Range); err == nil && !r.Hash.IsAbsent() {
			a.all("LeadingKeys", []string{keyText(r.Hash)})
		}
	} else if rouse.KindOf(err) != rouse.NotFound {
		return nil, err
	}
	in.leading = &k.Hash
	a.attributes(in.key.Names(), projectionNames(in.projection), conditionNames(in.filter))
	return []rouse.Need{a.need}, nil
}

func (d *Door) query(ctx context.Context, from rouse.Origin, in *QueryInput) (*PageOutput, error) {
	p, err := d.tables.Query(ctx, account(from), table.QueryRequest{Table: in.table(), Index: in.index(), KeyCondition: in.key, Filter: in.filter,
		Legacy: in.QueryFilter != nil, Projection: in.projection, Select: table.Select(in.Select), Limit: intOf(in.Limit, 0),
		Start: in.ExclusiveStartKey.Item, Reverse: in.ScanIndexForward != nil && !*in.ScanIndexForward, Consistent: in.ConsistentRead,
		Leading: in.leading, Measure: in.measure()})
	if err != nil {
		return nil, err
	}
	return in.output(p), nil
}

// ScanInput asks for all of a table, or for a segment of it.
type ScanInput struct {
	TotalSegments *int `min:"1" max:"1000000"`
	ScanFilter    map[string]Condition
	Segment       *int `min:"0" max:"999999"`
	Read
}

func (in *ScanInput) parse(d *Door) error {
	err := together([]param{{"ProjectionExpression", in.ProjectionExpression != nil}, {"FilterExpression", in.FilterExpression != nil}},
		in.old("ScanFilter", in.ScanFilter != nil), in.ExpressionAttributeNames, in.ExpressionAttributeValues.Sent(), "FilterExpression")
	if err != nil {
		return err
	}
	projection, err := in.attributesToGet()
	if err != nil {
		return err
	}
	filter, err := filterOf(in.ScanFilter, in.ConditionalOperator)
	if err != nil {
		return err
	}
	if err := startError(in.ExclusiveStartKey); err != nil {
		return err
	}
	if err := in.segments(); err != nil {
		return err
	}
	b, err := d.bind(expr.Request{Filter: in.FilterExpression, Projection: in.ProjectionExpression, Names: in.ExpressionAttributeNames},
		in.ExpressionAttributeValues)
	if err != nil {
		return err
	}
	in.parts(b, filter, projection)
	return in.checkSelect("")
}

func (in *ScanInput) segments() error {
	switch {
	case in.Segment != nil && in.TotalSegments == nil:
		return invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case in.TotalSegments != nil && in.Segment == nil:
		return invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.Segment != nil && *in.Segment >= *in.TotalSegments:
		return invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: "+
			"Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	}
	return nil
}

func (d *Door) needScan(_ context.Context, from rouse.Origin, in *ScanInput) ([]rouse.Need, error) {
	if err := in.parse(d); err != nil {
		return nil, err
	}
	if err := d.own(from, in.arn, in.table()); err != nil {
		return nil, err
	}
	a := in.ask(d, from, "Scan")
	if !a.root {
		a.attributes(projectionNames(in.projection), conditionNames(in.filter))
	}
	return []rouse.Need{a.need}, nil
}

func (d *Door) scan(ctx context.Context, from rouse.Origin, in *ScanInput) (*PageOutput, error) {
	p, err := d.tables.Scan(ctx, account(from), table.ScanRequest{Table: in.table(), Index: in.index(), Filter: in.filter,
		Projection: in.projection, Select: table.Select(in.Select), Limit: intOf(in.Limit, 0), Start: in.ExclusiveStartKey.Item,
		Segment: intOf(in.Segment, 0), Segments: intOf(in.TotalSegments, 0), Consistent: in.ConsistentRead, Measure: in.measure()})
	if err != nil {
		return nil, err
	}
	return in.output(p), nil
}
