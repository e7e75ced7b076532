package logs

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// Lists of what Rouse does not have. Tools ask for them when they read or delete a group, and an empty list is the truth;
// making such a thing is refused.
func (d *Door) absentOperations() []wire.Operation {
	never := wire.Differs("there never are any")
	return []wire.Operation{
		wire.Op("DescribeSubscriptionFilters", "", onGroup[DescribeSubscriptionFiltersInput](d, "DescribeSubscriptionFilters"),
			d.describeSubscriptionFilters, never),
		wire.Op("DescribeMetricFilters", "", onGroup[DescribeMetricFiltersInput](d, "DescribeMetricFilters"),
			d.describeMetricFilters, never),
		wire.Op("DescribeResourcePolicies", "", d.needResourcePolicies, d.describeResourcePolicies, never),
	}
}

// Absent is an item of a list that is always empty.
type Absent struct{}

// filterPage selects filters by name.
type filterPage struct {
	FilterNamePrefix string `wire:"filterNamePrefix" min:"1" max:"512" pattern:"[^:*]*"`
	NextToken        string `wire:"nextToken" min:"1"`
	Limit            *int   `wire:"limit" min:"1" max:"50"`
}

// DescribeSubscriptionFiltersInput selects filters of a group.
type DescribeSubscriptionFiltersInput struct {
	GroupInput
	filterPage
}

// DescribeSubscriptionFiltersOutput is empty.
type DescribeSubscriptionFiltersOutput struct {
	SubscriptionFilters []Absent `wire:"subscriptionFilters"`
}

func (d *Door) describeSubscriptionFilters(ctx context.Context, from rouse.Origin,
	in *DescribeSubscriptionFiltersInput) (*DescribeSubscriptionFiltersOutput, error) {
	if _, err := d.logs.Group(ctx, from.Principal.Account, in.LogGroupName); err != nil {
		return nil, err
	}
	return &DescribeSubscriptionFiltersOutput{[]Absent{}}, nil
}

// DescribeMetricFiltersInput selects filters, of a group or of all.
type DescribeMetricFiltersInput struct {
	LogGroupName string `wire:"logGroupName" min:"1" max:"512" pattern:"[\\.\\-_/#A-Za-z0-9]+"`
	filterPage
	MetricName      string `wire:"metricName" max:"255" pattern:"[^:*$]*"`
	MetricNamespace string `wire:"metricNamespace" max:"255" pattern:"[^:*$]*"`
}

func (in *DescribeMetricFiltersInput) group(*Door, string) (string, error) {
	return in.LogGroupName, nil
}

// DescribeMetricFiltersOutput is empty.
type DescribeMetricFiltersOutput struct {
	MetricFilters []Absent `wire:"metricFilters"`
}

func (d *Door) describeMetricFilters(ctx context.Context, from rouse.Origin,
	in *DescribeMetricFiltersInput) (*DescribeMetricFiltersOutput, error) {
	if in.LogGroupName != "" {
		if _, err := d.logs.Group(ctx, from.Principal.Account, in.LogGroupName); err != nil {
			return nil, err
		}
	}
	return &DescribeMetricFiltersOutput{[]Absent{}}, nil
}

// DescribeResourcePoliciesInput selects policies that let other services write logs.
type DescribeResourcePoliciesInput struct {
	NextToken   string `wire:"nextToken" min:"1"`
	Limit       *int   `wire:"limit" min:"1" max:"50"`
	ResourceArn string `wire:"resourceArn"`
	PolicyScope string `wire:"policyScope" enum:"ACCOUNT|RESOURCE"`
}

// DescribeResourcePoliciesOutput is empty.
type DescribeResourcePoliciesOutput struct {
	ResourcePolicies []Absent `wire:"resourcePolicies"`
}

func (d *Door) needResourcePolicies(context.Context, rouse.Origin, *DescribeResourcePoliciesInput) ([]rouse.Need, error) {
	return []rouse.Need{{Action: "logs:DescribeResourcePolicies", Resource: "*"}}, nil
}

func (d *Door) describeResourcePolicies(context.Context, rouse.Origin, *DescribeResourcePoliciesInput) (
	*DescribeResourcePoliciesOutput, error) {
	return &DescribeResourcePoliciesOutput{[]Absent{}}, nil
}
