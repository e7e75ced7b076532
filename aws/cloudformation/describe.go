package cloudformation

import (
	"context"
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack"
)

// Output is an output of a stack.
type Output struct {
	OutputKey, OutputValue string `wire:",keep"`
	Description            string
	ExportName             string
}

// Drift says that drift is not looked for.
type Drift struct{ StackDriftStatus string }

// Stack is a stack as DescribeStacks shows it.
type Stack struct {
	StackId, StackName          string
	ChangeSetId                 string
	Description                 string
	Parameters                  []Parameter
	CreationTime                time.Time
	LastUpdatedTime             time.Time
	DeletionTime                time.Time
	StackStatus                 string
	StackStatusReason           string
	DisableRollback             bool
	NotificationARNs            []string
	Capabilities                []string
	Outputs                     []Output
	RoleARN                     string
	Tags                        []Tag
	EnableTerminationProtection bool
	DriftInformation            Drift
}

func shown(st stack.Stack) Stack {
	out := Stack{StackId: st.ID, StackName: st.Name, ChangeSetId: st.ChangeSetID, Description: st.Description,
		CreationTime:    st.Created,
		LastUpdatedTime: st.Updated, DeletionTime: st.Deleted, StackStatus: st.Status, StackStatusReason: st.Reason,
		DisableRollback: st.OnFailure == stack.OnFailureNothing, NotificationARNs: st.Notifications,
		Capabilities: st.Capabilities, RoleARN: st.RoleARN,
		Tags: tagList(st.Tags), Parameters: parameterList(st.Parameters), DriftInformation: Drift{"NOT_CHECKED"}}
	for _, o := range st.Outputs {
		out.Outputs = append(out.Outputs, Output{OutputKey: o.Key, OutputValue: o.Value, Description: o.Description,
			ExportName: o.Export})
	}
	return out
}

func parameterList(list []stack.ParameterValue) (out []Parameter) {
	for _, p := range list {
		out = append(out, Parameter{ParameterKey: p.Name, ParameterValue: &p.Value})
	}
	return out
}

func tagList(tags map[string]string) []Tag {
	out := make([]Tag, 0, len(tags))
	for k, v := range tags {
		out = append(out, Tag{k, v})
	}
	slices.SortFunc(out, func(a, b Tag) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return out
}

// page cuts a list after the item that token names, to limit items, and names the last when there are more.
func page[T any](list []T, token string, limit int, id func(T) string) ([]T, string) {
	if token != "" {
		i := slices.IndexFunc(list, func(t T) bool { return id(t) == token })
		list = list[i+1:]
	}
	if len(list) <= limit {
		return list, ""
	}
	return list[:limit], id(list[limit-1])
}

// DescribeStacksInput names a stack, or none for all that live.
type DescribeStacksInput struct {
	StackName string
	NextToken string `max:"1024"`
}

func (in *DescribeStacksInput) stack() string { return in.StackName }

// DescribeStacksOutput is a page of stacks.
type DescribeStacksOutput struct {
	Stacks    []Stack
	NextToken string
}

func (d *Door) describeStacks(ctx context.Context, from rouse.Origin, in *DescribeStacksInput) (*DescribeStacksOutput,
	error) {
	account := from.Principal.Account
	if in.StackName != "" {
		st, err := d.cfg.Stacks.Stack(ctx, account, in.StackName)
		if err != nil {
			return nil, err
		}
		return &DescribeStacksOutput{Stacks: []Stack{shown(st)}}, nil
	}
	list, err := d.cfg.Stacks.Stacks(ctx, account)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(st stack.Stack) bool { return st.Status == stack.DeleteComplete })
	list, next := page(list, in.NextToken, listPage, func(st stack.Stack) string { return st.ID })
	out := &DescribeStacksOutput{Stacks: []Stack{}, NextToken: next}
	for _, st := range list {
		out.Stacks = append(out.Stacks, shown(st))
	}
	return out, nil
}

// ListStacksInput picks stacks by status.
type ListStacksInput struct {
	NextToken         string `max:"1024"`
	StackStatusFilter []string
}

func (*ListStacksInput) stack() string { return "" }

// StackSummary is a stack in a list.
type StackSummary struct {
	StackId, StackName  string
	TemplateDescription string
	CreationTime        time.Time
	LastUpdatedTime     time.Time
	DeletionTime        time.Time
	StackStatus         string
	StackStatusReason   string
	DriftInformation    Drift
}

// ListStacksOutput is a page of summaries.
type ListStacksOutput struct {
	StackSummaries []StackSummary
	NextToken      string
}

func (d *Door) listStacks(ctx context.Context, from rouse.Origin, in *ListStacksInput) (*ListStacksOutput, error) {
	list, err := d.cfg.Stacks.Stacks(ctx, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	if len(in.StackStatusFilter) > 0 {
		list = slices.DeleteFunc(list, func(st stack.Stack) bool {
			return !slices.Contains(in.StackStatusFilter,
				st.Status)
		})
	}
	list, next := page(list, in.NextToken, listPage, func(st stack.Stack) string { return st.ID })
	out := &ListStacksOutput{StackSummaries: []StackSummary{}, NextToken: next}
	for _, st := range list {
		out.StackSummaries = append(out.StackSummaries, StackSummary{StackId: st.ID, StackName: st.Name,
			TemplateDescription: st.Description,
			CreationTime:        st.Created, LastUpdatedTime: st.Updated, DeletionTime: st.Deleted, StackStatus: st.Status,
			StackStatusReason: st.Reason,
			DriftInformation:  Drift{"NOT_CHECKED"}})
	}
	return out, nil
}

// DescribeStackEventsInput names a stack and a page of what it has.
type DescribeStackEventsInput struct {
	StackName string `wire:",required" min:"1"`
	NextToken string `max:"1024"`
}

func (in *DescribeStackEventsInput) stack() string { return in.StackName }

// StackEvent is what happened to a stack or a resource of it.
type StackEvent struct {
	StackId, EventId, StackName           string
	LogicalResourceId, PhysicalResourceId string
	ResourceType                          string
	Timestamp                             time.Time
	ResourceStatus                        string
	ResourceStatusReason                  string
	ClientRequestToken                    string
}

// DescribeStackEventsOutput is a page of events, the newest first.
type DescribeStackEventsOutput struct {
	StackEvents []StackEvent
	NextToken   string
}

func (d *Door) describeStackEvents(ctx context.Context, from rouse.Origin,
	in *DescribeStackEventsInput) (*DescribeStackEventsOutput, error) {
	list, err := d.cfg.Stacks.Events(ctx, from.Principal.Account, in.StackName, in.NextToken, eventsPage+1)
	if err != nil {
		return nil, err
	}
	list, next := page(list, "", eventsPage, func(e stack.Event) string { return e.ID })
	out := &DescribeStackEventsOutput{StackEvents: []StackEvent{}, NextToken: next}
	for _, e := range list {
		out.StackEvents = append(out.StackEvents, StackEvent{StackId: e.StackID, EventId: e.ID,
			StackName: e.StackName, LogicalResourceId: e.LogicalID,
			PhysicalResourceId: e.PhysicalID, ResourceType: e.Type, Timestamp: e.Time, ResourceStatus: e.Status,
			ResourceStatusReason: e.Reason,
			ClientRequestToken:   e.Token})
	}
	return out, nil
}

// StackResource is a resource of a stack.
type StackResource struct {
	StackName, StackId                    string
	LogicalResourceId, PhysicalResourceId string
	ResourceType                          string
	Timestamp                             time.Time
	ResourceStatus                        string
	ResourceStatusReason                  string
}

// DescribeStackResourcesInput names a stack, or a physical resource whose stack is meant.
type DescribeStackResourcesInput struct {
	StackName, LogicalResourceId, PhysicalResourceId string
}

func (in *DescribeStackResourcesInput) stack() string { return in.StackName }

// DescribeStackResourcesOutput is the resources of a stack.
type DescribeStackResourcesOutput struct{ StackResources []StackResource }

func (d *Door) describeStackResources(ctx context.Context, from rouse.Origin,
	in *DescribeStackResourcesInput) (*DescribeStackResourcesOutput, error) {
	account, name := from.Principal.Account, in.StackName
	switch {
	case name == "" && in.PhysicalResourceId == "":
		return nil, invalid("Either StackName or PhysicalResourceId must be specified.")
	case name != "" && in.PhysicalResourceId != "":
		return nil, invalid("Only one of StackName and PhysicalResourceId can be specified.")
	case name == "":
		owner, err := d.cfg.Stacks.Owner(ctx, account, in.PhysicalResourceId)
		if err != nil {
			return nil, err
		}
		name = owner
	}
	list, err := d.cfg.Stacks.Resources(ctx, account, name)
	if err != nil {
		return nil, err
	}
	out := &DescribeStackResourcesOutput{StackResources: []StackResource{}}
	for _, r := range list {
		if in.LogicalResourceId != "" && r.LogicalID != in.LogicalResourceId {
			continue
		}
		out.StackResources = append(out.StackResources, StackResource{StackName: r.StackName, StackId: r.StackID,
			LogicalResourceId:  r.LogicalID,
			PhysicalResourceId: r.PhysicalID, ResourceType: r.Type, Timestamp: r.Updated, ResourceStatus: r.Status,
			ResourceStatusReason: r.Reason})
	}
	if in.LogicalResourceId != "" && len(out.StackResources) == 0 {
		return nil, noResource(in.LogicalResourceId, name)
	}
	return out, nil
}

func noResource(id, stack string) error {
	return rouse.Errorf(rouse.NotFound, "Resource %s does not exist for stack %s", id,
		stack).WithCode("ValidationError")
}

// DescribeStackResourceInput names a resource of a stack.
type DescribeStackResourceInput struct {
	StackName         string `wire:",required" min:"1"`
	LogicalResourceId string `wire:",required" min:"1"`
}

func (in *DescribeStackResourceInput) stack() string { return in.StackName }

// StackResourceDetail is a resource with its metadata.
type StackResourceDetail struct {
	StackName, StackId                    string
	LogicalResourceId, PhysicalResourceId string
	ResourceType                          string
	LastUpdatedTimestamp                  time.Time
	ResourceStatus                        string
	ResourceStatusReason                  string
	Metadata                              string
}

// DescribeStackResourceOutput is a resource.
type DescribeStackResourceOutput struct{ StackResourceDetail StackResourceDetail }

func (d *Door) describeStackResource(ctx context.Context, from rouse.Origin,
	in *DescribeStackResourceInput) (*DescribeStackResourceOutput, error) {
	list, err := d.cfg.Stacks.Resources(ctx, from.Principal.Account, in.StackName)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.LogicalID == in.LogicalResourceId {
			meta := string(r.Metadata)
			if meta == "" {
				meta = "{}"
			}
			return &DescribeStackResourceOutput{StackResourceDetail{r.StackName, r.StackID, r.LogicalID, r.PhysicalID,
				r.Type, r.Updated, r.Status, r.Reason, meta}}, nil
		}
	}
	return nil, noResource(in.LogicalResourceId, in.StackName)
}

// StackResourceSummary is a resource in a list.
type StackResourceSummary struct {
	LogicalResourceId, PhysicalResourceId string
	ResourceType                          string
	LastUpdatedTimestamp                  time.Time
	ResourceStatus                        string
	ResourceStatusReason                  string
}

// ListStackResourcesOutput is a page of resources.
type ListStackResourcesOutput struct {
	StackResourceSummaries []StackResourceSummary
	NextToken              string
}

func (d *Door) listStackResources(ctx context.Context, from rouse.Origin,
	in *DescribeStackEventsInput) (*ListStackResourcesOutput, error) {
	list, err := d.cfg.Stacks.Resources(ctx, from.Principal.Account, in.StackName)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.NextToken, listPage, func(r stack.Resource) string { return r.LogicalID })
	out := &ListStackResourcesOutput{StackResourceSummaries: []StackResourceSummary{}, NextToken: next}
	for _, r := range list {
		out.StackResourceSummaries = append(out.StackResourceSummaries,
			StackResourceSummary{r.LogicalID, r.PhysicalID, r.Type, r.Updated, r.Status, r.Reason})
	}
	return out, nil
}
