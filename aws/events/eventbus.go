package events

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// busOperations show the one bus there is, on which the rules are. Tools ask for it when they read or delete.
func (d *Door) busOperations() []wire.Operation {
	only := wire.Differs("there is the default bus and no other; it has no times")
	return []wire.Operation{
		wire.Op("ListEventBuses", "", need[ListEventBusesInput]("events:ListEventBuses", d), d.listEventBuses, only),
		wire.Op("DescribeEventBus", "", need[DescribeEventBusInput]("events:DescribeEventBus", d), d.describeEventBus, only),
	}
}

const defaultBus = "default"

func (d *Door) busARN(account, name string) string {
	return strings.TrimSuffix(d.bus.ARN(account, ""), "rule/") + "event-bus/" + name
}

// EventBus as EventBridge shows it.
type EventBus struct{ Name, Arn string }

// ListEventBusesInput filters buses by the start of their names.
type ListEventBusesInput struct {
	NamePrefix string `min:"1" max:"256" pattern:"[/\\.\\-_A-Za-z0-9]+"`
	Page
}

func (in *ListEventBusesInput) resource(*Door, string) string { return "*" }

// ListEventBusesOutput has one bus, or none of that name.
type ListEventBusesOutput struct{ EventBuses []EventBus }

func (d *Door) listEventBuses(_ context.Context, from rouse.Origin, in *ListEventBusesInput) (*ListEventBusesOutput, error) {
	after, _, err := in.after()
	if err != nil {
		return nil, err
	}
	out := &ListEventBusesOutput{EventBuses: []EventBus{}}
	if after < defaultBus && strings.HasPrefix(defaultBus, in.NamePrefix) {
		out.EventBuses = append(out.EventBuses, EventBus{defaultBus, d.busARN(from.Principal.Account, defaultBus)})
	}
	return out, nil
}

// DescribeEventBusInput names a bus by name or ARN; without, it is the default one.
type DescribeEventBusInput struct {
	Name string `min:"1" max:"1600" pattern:"(arn:aws[\\w-]*:events:[a-z]+-[a-z]+-[\\w-]+:[0-9]{12}:event-bus\\/)?[/\\.\\-_A-Za-z0-9]+"`
}

func (in *DescribeEventBusInput) resource(d *Door, account string) string {
	switch {
	case in.Name == "":
		return d.busARN(account, defaultBus)
	case strings.HasPrefix(in.Name, "arn:"):
		return in.Name
	}
	return d.busARN(account, in.Name)
}

func (d *Door) describeEventBus(_ context.Context, from rouse.Origin, in *DescribeEventBusInput) (*EventBus, error) {
	arn := d.busARN(from.Principal.Account, defaultBus)
	if in.resource(d, from.Principal.Account) != arn {
		return nil, rouse.Errorf(rouse.NotFound, "Event bus %s does not exist.", in.Name)
	}
	return &EventBus{defaultBus, arn}, nil
}
