package dynamodb

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/table"
)

func (d *Door) tableOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateTable", "", d.needCreate, d.createTable, wire.Refuse("ResourcePolicy", "WarmThroughput", "GlobalTableSourceArn",
			"GlobalTableSettingsReplicationMode"), wire.Differs("the table is active at once; global indexes have one attribute for each part of their key; throughput, table class and request limits are kept and shown, and "+
			"nothing is throttled by them; encryption is the operator's; the tag rouse:cache makes a table that lives in memory, within the "+
			"bound that it gives and the one of all such tables of a node (cache-tables)")),
		wire.Op("DescribeTable", "", named[DescribeTableInput](d, "DescribeTable"), d.describeTable),
		wire.Op("UpdateTable", "", named[UpdateTableInput](d, "UpdateTable"), d.updateTable, wire.Refuse("ReplicaUpdates", "WarmThroughput",
			"MultiRegionConsistency", "GlobalTableWitnessUpdates", "GlobalTableSettingsReplicationMode"),
			wire.Differs("all but the filling of a new index is done when it answers")),
		wire.Op("DeleteTable", "", named[DeleteTableInput](d, "DeleteTable"), d.deleteTable, wire.Differs("the table is gone at once")),
		wire.Op("ListTables", "", d.needList, d.listTables),
	}
}

// aNamed is an input about a table.
type aNamed interface {
	table() string
	ref() string
}

func (t *NamedTable) ref() string { return t.arn }
func (t *ItemsTable) ref() string { return t.arn }

// named makes the needs of an operation on a table.
func named[In any, P interface {
	*In
	aNamed
}](d *Door, action string) needsOf[In] {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		name := P(in).table()
		if err := d.own(from, P(in).ref(), name); err != nil {
			return nil, err
		}
		return []rouse.Need{d.ask(from, action, name, "").need}, nil
	}
}

// CreateTableInput is a table as it is asked for.
type CreateTableInput struct {
	AttributeDefinitions []AttributeDefinition `wire:",required"`
	NamedTable
	BillingMode               string `enum:"PROVISIONED|PAY_PER_REQUEST"`
	ProvisionedThroughput     *ProvisionedThroughput
	KeySchema                 []KeySchemaElement `wire:",required" min:"1" max:"2"`
	LocalSecondaryIndexes     []LocalSecondaryIndex
	GlobalSecondaryIndexes    []GlobalSecondaryIndex
	StreamSpecification       *StreamSpecification
	SSESpecification          *SSESpecification
	Tags                      []Tag
	TableClass                string `enum:"STANDARD|STANDARD_INFREQUENT_ACCESS"`
	DeletionProtectionEnabled bool
	OnDemandThroughput        *OnDemandThroughput
}

func (d *Door) needCreate(ctx context.Context, from rouse.Origin, in *CreateTableInput) ([]rouse.Need, error) {
	needs, err := named[CreateTableInput](d, "CreateTable")(ctx, from, in)
	if err == nil && len(in.Tags) > 0 {
		needs = append(needs, d.ask(from, "TagResource", in.table(), "").need)
	}
	return needs, err
}

// TableOutput answers with a table.
type TableOutput struct{ TableDescription *TableDescription }

func (d *Door) createTable(ctx context.Context, from rouse.Origin, in *CreateTableInput) (*TableOutput, error) {
	def, err := in.definition()
	if err != nil {
		return nil, err
	}
	t, err := d.tables.Create(ctx, account(from), def)
	if err != nil {
		return nil, err
	}
	return &TableOutput{created(t)}, nil
}

// definition translates the input. What the translation would hide is checked here, in DynamoDB's order.
func (in *CreateTableInput) definition() (table.Definition, error) {
	def := table.Definition{Name: in.table(), Attributes: attributesOf(in.AttributeDefinitions), Billing: table.Billing(in.BillingMode),
		Throughput: in.ProvisionedThroughput.throughput(), OnDemand: in.OnDemandThroughput.throughput(), Tags: tagsOf(in.Tags),
		DeletionProtection: in.DeletionProtectionEnabled, Class: in.TableClass}
	var err error
	if def.Stream, err = in.StreamSpecification.view(); err != nil {
		return def, err
	}
	if def.Key, err = schemaKey(in.KeySchema, in.AttributeDefinitions); err != nil {
		return def, err
	}
	if in.LocalSecondaryIndexes != nil && len(in.LocalSecondaryIndexes) == 0 {
		return def, invalidValue("List of LocalSecondaryIndexes is empty")
	}
	if in.GlobalSecondaryIndexes != nil && len(in.GlobalSecondaryIndexes) == 0 {
		return def, invalidValue("List of GlobalSecondaryIndexes is empty")
	}
	for _, x := range in.LocalSecondaryIndexes {
		key, err := schemaKey(x.KeySchema, in.AttributeDefinitions)
		if err != nil && def.Key.Range != "" { // else that is said first
			return def, err
		}
		def.Local = append(def.Local, table.IndexDefinition{Name: *x.IndexName, Key: key, Projection: x.Projection.projection()})
	}
	for _, x := range in.GlobalSecondaryIndexes {
		index, err := x.definition(in.AttributeDefinitions)
		if err != nil {
			return def, err
		}
		def.Global = append(def.Global, index)
	}
	return def, nil
}

func (x *GlobalSecondaryIndex) definition(defined []AttributeDefinition) (table.IndexDefinition, error) {
	key, err := schemaKey(x.KeySchema, defined)
	return table.IndexDefinition{Name: *x.IndexName, Key: key, Projection: x.Projection.projection(),
		Throughput: x.ProvisionedThroughput.throughput(), OnDemand: x.OnDemandThroughput.throughput()}, err
}

// DescribeTableInput names a table.
type DescribeTableInput struct{ NamedTable }

// DescribeTableOutput is the table.
type DescribeTableOutput struct{ Table *TableDescription }

func (d *Door) describeTable(ctx context.Context, from rouse.Origin, in *DescribeTableInput) (*DescribeTableOutput, error) {
	t, err := d.tables.Describe(ctx, account(from), in.table())
	if err != nil {
		return nil, err
	}
	return &DescribeTableOutput{describe(t)}, nil
}

// DeleteTableInput names a table.
type DeleteTableInput struct{ NamedTable }

func (d *Door) deleteTable(ctx context.Context, from rouse.Origin, in *DeleteTableInput) (*TableOutput, error) {
	t, err := d.tables.Delete(ctx, account(from), in.table())
	if err != nil {
		return nil, err
	}
	return &TableOutput{describe(t)}, nil
}

// ListTablesInput is a page of the list of tables.
type ListTablesInput struct {
	ExclusiveStartTableName *string `min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	Limit                   *int    `min:"1" max:"100"`
}

// ListTablesOutput is the page.
type ListTablesOutput struct {
	TableNames             []string
	LastEvaluatedTableName string
}

const listMax = 100

func (d *Door) needList(context.Context, rouse.Origin, *ListTablesInput) ([]rouse.Need, error) {
	return []rouse.Need{{Action: "dynamodb:ListTables", Resource: "*"}}, nil
}

func (d *Door) listTables(ctx context.Context, from rouse.Origin, in *ListTablesInput) (*ListTablesOutput, error) {
	names, last, err := d.tables.List(ctx, account(from), textOf(in.ExclusiveStartTableName), intOf(in.Limit, listMax))
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = []string{}
	}
	return &ListTablesOutput{names, last}, nil
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func intOf(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}
