package lambda

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// Lists of what Rouse does not have. Tools ask for them when they read or delete a function, and an empty list is the
// truth; making such a thing is refused.
func (d *Door) absentOperations() []wire.Operation {
	never := wire.Differs("there never are any")
	return []wire.Operation{
		wire.Op("ListEventSourceMappings", "GET /2015-03-31/event-source-mappings",
			onAll[ListEventSourceMappingsInput]("lambda:ListEventSourceMappings"), d.listMappings, never),
		op(d, "ListProvisionedConcurrencyConfigs",
			"GET /2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL",
			"lambda:ListProvisionedConcurrencyConfigs", d.listProvisioned, never),
	}
}

// Absent is an item of a list that is always empty.
type Absent struct{}

// ListEventSourceMappingsInput of ListEventSourceMappings.
type ListEventSourceMappingsInput struct {
	FunctionName   string `wire:"FunctionName,query" max:"256" pattern:"[a-zA-Z0-9-_.:$]+"`
	EventSourceArn string `wire:"EventSourceArn,query" max:"2048" pattern:"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)"`
	Paging
}

// ListEventSourceMappingsOutput of ListEventSourceMappings.
type ListEventSourceMappingsOutput struct{ EventSourceMappings []Absent }

func (d *Door) listMappings(context.Context, rouse.Origin, *ListEventSourceMappingsInput) (
	*ListEventSourceMappingsOutput, error) {
	return &ListEventSourceMappingsOutput{[]Absent{}}, nil
}

// ListProvisionedConcurrencyConfigsInput of ListProvisionedConcurrencyConfigs.
type ListProvisionedConcurrencyConfigsInput struct {
	Name
	ShortPaging
}

// ListProvisionedConcurrencyConfigsOutput of ListProvisionedConcurrencyConfigs.
type ListProvisionedConcurrencyConfigsOutput struct{ ProvisionedConcurrencyConfigs []Absent }

func (d *Door) listProvisioned(_ context.Context, from rouse.Origin, in *ListProvisionedConcurrencyConfigsInput) (
	*ListProvisionedConcurrencyConfigsOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	if _, err := d.catalog.Version(r); err != nil {
		return nil, err
	}
	return &ListProvisionedConcurrencyConfigsOutput{[]Absent{}}, nil
}
