// Package cloudformation is the door of AWS CloudFormation: it speaks its query protocol and knows package stack.
//
// Implemented is what it takes to deploy with AWS's own tools: stacks, their events, resources and templates, change
// sets (`aws cloudformation deploy` and `sam deploy` work by them) and exports. Calls answer when the stack
// rests, and after one second in any case: the operation is on disk by then and goes on. Clients poll the statuses, which
// are AWS's, so that its waiters work; as these look again after 5 to 30 seconds, the short hold spares them most of it.
//
// A template comes in TemplateBody, at most 51,200 bytes, or by a TemplateURL. There is no S3 yet, so the only URLs
// understood are Rouse's own, rouse-asset:…, read by Config.Fetch: a template, or a bundle that holds it together
// with the files that it includes and where its code was uploaded (stack.Source). Everything else is refused by name.
//
// Permissions are AWS's: cloudformation:CreateStack and the like on the stack's ARN, and iam:PassRole for a stack's
// role. What the stack's resources need is asked of whoever deploys, or of that role, call by call.
//
// The door holds no state and is safe for concurrent use.
package cloudformation

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/stack"
	"github.com/rouse-dev/rouse/stack/template"
)

// Config is what the door needs.
type Config struct {
	Stacks *stack.Stacks // required
	Region string        // required; for ARNs
	// Fetch reads what a TemplateURL of the scheme rouse-asset: names; nil refuses all URLs.
	Fetch func(ctx context.Context, url string) ([]byte, error)
}

// Door is the service.
type Door struct{ cfg Config }

// New makes the door.
func New(cfg Config) *Door { return &Door{cfg} }

// Sizes of pages, as AWS's.
const (
	eventsPage = 100
	listPage   = 100
)

// Service is the operation table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "cloudformation", Title: "AWS CloudFormation", Protocol: wire.Query, Version: "2010-05-15",
		Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
		Errors: wire.QueryErrors().
			With(rouse.NotFound, "ValidationError", 400).
			With(rouse.Exists, "AlreadyExistsException", 400).
			With(rouse.Conflict, "ValidationError", 400).
			With(rouse.TooLarge, "ValidationError", 400).
			With(rouse.Limit, "LimitExceededException", 400),
		Statuses:       map[string]int{"ChangeSetNotFound": 404, "ValidationError": 400},
		Operations:     append(d.stackOperations(), d.changeSetOperations()...),
		NotImplemented: notImplemented(),
		BodyMax:        2 << 20,
	}
}

func (d *Door) stackOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateStack", "", d.needCreateStack, d.createStack,
			wire.Refuse("Parameters.ResolvedValue", "RollbackConfiguration", "TimeoutInMinutes", "NotificationARNs",
				"ResourceTypes", "StackPolicyBody", "StackPolicyURL", "EnableTerminationProtection",
				"RetainExceptOnCreate"), templates()),
		wire.Op("UpdateStack", "", d.needUpdateStack, d.updateStack,
			wire.Refuse("Parameters.ResolvedValue", "RollbackConfiguration", "NotificationARNs", "ResourceTypes",
				"StackPolicyBody", "StackPolicyURL", "StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL",
				"DisableRollback",
				"RetainExceptOnCreate"), templates()),
		wire.Op("DeleteStack", "", d.needDeleteStack, d.deleteStack, wire.RefuseExcept("DeletionMode", "STANDARD")),
		wire.Op("DescribeStacks", "", need[DescribeStacksInput](d, "DescribeStacks"), d.describeStacks),
		wire.Op("DescribeStackEvents", "", need[DescribeStackEventsInput](d, "DescribeStackEvents"),
			d.describeStackEvents),
		wire.Op("DescribeStackResources", "", need[DescribeStackResourcesInput](d, "DescribeStackResources"),
			d.describeStackResources),
		wire.Op("DescribeStackResource", "", need[DescribeStackResourceInput](d, "DescribeStackResource"),
			d.describeStackResource),
		wire.Op("ListStackResources", "", need[DescribeStackEventsInput](d, "ListStackResources"),
			d.listStackResources),
		wire.Op("ListStacks", "", need[ListStacksInput](d, "ListStacks"), d.listStacks),
		wire.Op("GetTemplate", "", need[GetTemplateInput](d, "GetTemplate"), d.getTemplate,
			wire.Refuse("ChangeSetName")),
		wire.Op("GetTemplateSummary", "", need[GetTemplateSummaryInput](d, "GetTemplateSummary"), d.getTemplateSummary,
			wire.Refuse("StackSetName", "TemplateSummaryConfig"), wire.RefuseExcept("CallAs", "SELF")),
		wire.Op("ValidateTemplate", "", need[ValidateTemplateInput](d, "ValidateTemplate"), d.validateTemplate),
		wire.Op("ListExports", "", need[ListExportsInput](d, "ListExports"), d.listExports),
		wire.Op("ListImports", "", need[ListImportsInput](d, "ListImports"), d.listImports),
	}
}

func (d *Door) changeSetOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateChangeSet", "", d.needCreateChangeSet, d.createChangeSet,
			wire.Refuse("Parameters.ResolvedValue", "ResourceTypes", "RollbackConfiguration",
				"NotificationARNs", "ResourcesToImport", "IncludeNestedStacks", "ImportExistingResources",
				"DeploymentMode"), templates()),
		wire.Op("DescribeChangeSet", "", needChangeSet[ChangeSetInput](d, "DescribeChangeSet"), d.describeChangeSet,
			wire.Refuse("IncludePropertyValues")),
		wire.Op("ExecuteChangeSet", "", needChangeSet[ExecuteChangeSetInput](d, "ExecuteChangeSet"), d.executeChangeSet,
			wire.Refuse("DisableRollback", "RetainExceptOnCreate")),
		wire.Op("DeleteChangeSet", "", needChangeSet[ChangeSetInput](d, "DeleteChangeSet"), d.deleteChangeSet),
		wire.Op("ListChangeSets", "", need[DescribeStackEventsInput](d, "ListChangeSets"), d.listChangeSets),
	}
}

// templates says how templates differ.
func templates() wire.Option {
	return wire.Differs("resource types and properties are listed with the templates; TemplateURL only of Rouse's own assets")
}

func notImplemented() []string {
	return strings.Fields("ActivateOrganizationsAccess ActivateType BatchDescribeTypeConfigurations CancelUpdateStack ContinueUpdateRollback " +
		"CreateGeneratedTemplate CreateStackInstances CreateStackRefactor CreateStackSet DeactivateOrganizationsAccess DeactivateType " +
		"DeleteGeneratedTemplate DeleteStackInstances DeleteStackSet DeregisterType DescribeAccountLimits DescribeChangeSetHooks DescribeEvents " +
		"DescribeGeneratedTemplate DescribeOrganizationsAccess DescribePublisher DescribeResourceScan DescribeStackDriftDetectionStatus " +
		"DescribeStackInstance DescribeStackRefactor DescribeStackResourceDrifts DescribeStackSet DescribeStackSetOperation DescribeType " +
		"DescribeTypeRegistration DetectStackDrift DetectStackResourceDrift DetectStackSetDrift EstimateTemplateCost ExecuteStackRefactor " +
		"GetGeneratedTemplate GetHookResult GetStackPolicy ImportStacksToStackSet ListGeneratedTemplates ListHookResults " +
		"ListResourceScanRelatedResources ListResourceScanResources ListResourceScans ListStackInstanceResourceDrifts ListStackInstances " +
		"ListStackRefactorActions ListStackRefactors ListStackSetAutoDeploymentTargets ListStackSetOperationResults ListStackSetOperations " +
		"ListStackSets ListTypeRegistrations ListTypeVersions ListTypes PublishType RecordHandlerProgress RegisterPublisher RegisterType " +
		"RollbackStack SetStackPolicy SetTypeConfiguration SetTypeDefaultVersion SignalResource StartResourceScan StopStackSetOperation " +
		"TestType UpdateGeneratedTemplate UpdateStackInstances UpdateStackSet UpdateTerminationProtection")
}

// named is an input that names the stack, or "" when it is about all of them.
type named[In any] interface {
	*In
	stack() string
}

// arn is the ARN that permissions on a stack are asked for.
func (d *Door) arn(account, name string) string {
	switch {
	case name == "":
		return "*"
	case strings.HasPrefix(name, "arn:"):
		return name
	}
	return "arn:aws:cloudformation:" + d.cfg.Region + ":" + account + ":stack/" + name + "/*"
}

// need is the permission to do the operation to the stack that the input names.
func need[In any, P named[In]](d *Door, operation string) func(context.Context, rouse.Origin, *In) ([]rouse.Need,
	error) {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		return []rouse.Need{{Action: "cloudformation:" + operation,
			Resource: d.arn(from.Principal.Account, P(in).stack())}}, nil
	}
}

// pass is the permission to let CloudFormation act as a role.
func pass(role string) []rouse.Need {
	if role == "" {
		return nil
	}
	return []rouse.Need{{Action: "iam:PassRole", Resource: role,
		Conditions: map[string][]string{"iam:PassedToService": {"cloudformation.amazonaws.com"}}}}
}

// Tag is a key and its value.
type Tag struct {
	Key   string `wire:",required" min:"1" max:"128"`
	Value string `wire:",required,keep" max:"256"`
}

func tagMap(tags []Tag) map[string]string {
	if tags == nil {
		return nil
	}
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}

// Parameter is the value of a template's parameter.
type Parameter struct {
	ParameterKey     string
	ParameterValue   *string `wire:",sensitive"`
	UsePreviousValue bool    `wire:",omitempty"`
}

func parameters(list []Parameter) (map[string]stack.Parameter, error) {
	out := make(map[string]stack.Parameter, len(list))
	for _, p := range list {
		switch {
		case p.UsePreviousValue && p.ParameterValue != nil:
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", p.ParameterKey)
		case p.UsePreviousValue:
			out[p.ParameterKey] = stack.Parameter{UsePrevious: true}
		case p.ParameterValue == nil:
			return nil, invalid("Invalid input for parameter key %s. Need to specify either usePreviousValue as true or a value for a parameter", p.ParameterKey)
		default:
			out[p.ParameterKey] = stack.Parameter{Value: *p.ParameterValue}
		}
	}
	return out, nil
}

func invalid(format string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode("ValidationError")
}

// source is the template that a request brings.
func (d *Door) source(ctx context.Context, body, url string, previous bool) (stack.Source, error) {
	given := 0
	for _, is := range []bool{body != "", url != "", previous} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return stack.Source{}, invalid("Either Template URL or Template Body must be specified.")
	case given > 1:
		return stack.Source{}, invalid("Only one of TemplateBody, TemplateURL and UsePreviousTemplate can be specified.")
	case previous:
		return stack.Source{}, nil
	case len(body) > template.InlineMax:
		return stack.Source{}, invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", template.InlineMax)
	case body != "":
		return stack.Source{Text: body}, nil
	case !strings.HasPrefix(url, stack.BundleScheme) || d.cfg.Fetch == nil:
		return stack.Source{}, rouse.Errorf(rouse.Unsupported,
			"Rouse does not implement TemplateURL of S3; send the template in TemplateBody, or use rouse deploy")
	}
	text, err := d.cfg.Fetch(ctx, url)
	if err != nil {
		return stack.Source{}, err
	}
	return stack.ReadBundle(text), nil
}
