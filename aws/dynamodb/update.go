package dynamodb

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table"
)

// UpdateTableInput is a change of a table.
type UpdateTableInput struct {
	NamedTable
	ProvisionedThroughput       *ProvisionedThroughput
	BillingMode                 string `enum:"PROVISIONED|PAY_PER_REQUEST"`
	GlobalSecondaryIndexUpdates []GlobalSecondaryIndexUpdate
	AttributeDefinitions        []AttributeDefinition
	StreamSpecification         *StreamSpecification
	SSESpecification            *SSESpecification
	TableClass                  string `enum:"STANDARD|STANDARD_INFREQUENT_ACCESS"`
	DeletionProtectionEnabled   *bool
	OnDemandThroughput          *OnDemandThroughput
}

// GlobalSecondaryIndexUpdate is one change of a global index.
type GlobalSecondaryIndexUpdate struct {
	Update *UpdateGlobalSecondaryIndexAction
	Create *CreateGlobalSecondaryIndexAction
	Delete *DeleteGlobalSecondaryIndexAction
}

// UpdateGlobalSecondaryIndexAction sets the throughput of an index.
type UpdateGlobalSecondaryIndexAction struct {
	IndexName             *string `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	ProvisionedThroughput *ProvisionedThroughput
	OnDemandThroughput    *OnDemandThroughput
	WarmThroughput        *WarmThroughput `unsupported:"warm throughput"`
}

// CreateGlobalSecondaryIndexAction makes an index.
type CreateGlobalSecondaryIndexAction struct {
	Projection            *Projection `wire:",required"`
	IndexName             *string     `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	ProvisionedThroughput *ProvisionedThroughput
	KeySchema             []KeySchemaElement `wire:",required" min:"1" max:"8"`
	OnDemandThroughput    *OnDemandThroughput
	WarmThroughput        *WarmThroughput `unsupported:"warm throughput"`
}

// DeleteGlobalSecondaryIndexAction drops an index.
type DeleteGlobalSecondaryIndexAction struct {
	IndexName *string `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
}

func (d *Door) updateTable(ctx context.Context, from rouse.Origin, in *UpdateTableInput) (*TableOutput, error) {
	change, err := in.change()
	if err != nil {
		return nil, err
	}
	if err := d.blocked(ctx, from, in.table(), change); err != nil {
		return nil, err
	}
	t, err := d.tables.Update(ctx, account(from), in.table(), change)
	if err != nil {
		return nil, err
	}
	return &TableOutput{describe(t)}, nil
}

// throughputMax is the most that may be asked for.
const throughputMax = 1_000_000_000_000

// blocked refuses too much throughput for an index that is not there, of which AWS does not speak as of others.
func (d *Door) blocked(ctx context.Context, from rouse.Origin, name string, c table.Change) error {
	for _, x := range c.Indexes {
		if x.Update == nil || x.Update.Throughput == nil || max(x.Update.Throughput.Read, x.Update.Throughput.Write) <= throughputMax {
			continue
		}
		desc, err := d.tables.Schema(ctx, account(from), name)
		if err != nil {
			break // the room says so
		}
		if _, global, _ := desc.Index(x.Update.Name); !global {
			return invalid("This operation cannot be performed with given input values. Please contact DynamoDB service team " +
				"for more info: Action Blocked: IndexUpdate")
		}
	}
	return nil
}

// change translates the input.
func (in *UpdateTableInput) change() (table.Change, error) {
	if in.ProvisionedThroughput == nil && in.BillingMode == "" && in.StreamSpecification == nil && len(in.GlobalSecondaryIndexUpdates) == 0 &&
		in.SSESpecification == nil && in.TableClass == "" && in.DeletionProtectionEnabled == nil && in.OnDemandThroughput == nil {
		return table.Change{}, invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, " +
			"GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	c := table.Change{Attributes: attributesOf(in.AttributeDefinitions), Billing: table.Billing(in.BillingMode),
		Throughput: in.ProvisionedThroughput.throughput(), OnDemand: in.OnDemandThroughput.throughput(),
		DeletionProtection: in.DeletionProtectionEnabled, Class: in.TableClass}
	if in.BillingMode == string(table.Provisioned) && in.ProvisionedThroughput == nil {
		return c, invalidValue("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
	}
	if in.StreamSpecification != nil {
		view, err := in.StreamSpecification.view()
		if err != nil {
			return c, err
		}
		c.Stream = &view
	}
	seen := map[string]bool{}
	for _, u := range in.GlobalSecondaryIndexUpdates {
		name, x, err := u.change(in.AttributeDefinitions)
		switch {
		case err != nil:
			return c, err
		case seen[name]:
			return c, invalidValue("Only one global secondary index update per index is allowed simultaneously. Index: %s", name)
		}
		seen[name] = true
		c.Indexes = append(c.Indexes, x)
	}
	return c, nil
}

func (u *GlobalSecondaryIndexUpdate) change(defined []AttributeDefinition) (name string, x table.IndexChange, err error) {
	switch {
	case u.Update != nil:
		x.Update = &table.IndexUpdate{Name: *u.Update.IndexName, Throughput: u.Update.ProvisionedThroughput.throughput(),
			OnDemand: u.Update.OnDemandThroughput.throughput()}
		return x.Update.Name, x, nil
	case u.Create != nil:
		c := u.Create
		g := GlobalSecondaryIndex{IndexName: c.IndexName, KeySchema: c.KeySchema, Projection: c.Projection,
			ProvisionedThroughput: c.ProvisionedThroughput, OnDemandThroughput: c.OnDemandThroughput}
		def, err := g.definition(defined)
		x.Create = &def
		return def.Name, x, err
	case u.Delete != nil:
		x.Delete = *u.Delete.IndexName
		return x.Delete, x, nil
	}
	return "", x, invalidValue("One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, " +
		"GlobalSecondaryIndexUpdate.Delete must not be null")
}
