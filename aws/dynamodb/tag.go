package dynamodb

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

func (d *Door) tagOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("TagResource", "", d.needTag, d.tagResource),
		wire.Op("UntagResource", "", d.needUntag, d.untagResource),
		wire.Op("ListTagsOfResource", "", d.needTags, d.listTags),
		wire.Op("DescribeTimeToLive", "", named[DescribeTimeToLiveInput](d, "DescribeTimeToLive"), d.describeTTL),
		wire.Op("UpdateTimeToLive", "", named[UpdateTimeToLiveInput](d, "UpdateTimeToLive"), d.updateTTL),
	}
}

// TaggedResource names a table by ARN.
type TaggedResource struct{ ResourceArn *string }

// need asks for action on the resource. What is no ARN at all is a resource that nobody may touch.
func (t *TaggedResource) need(from rouse.Origin, action string) ([]rouse.Need, error) {
	if t.ResourceArn == nil {
		return nil, invalid("Invalid TableArn")
	}
	arn := *t.ResourceArn
	if parts := strings.SplitN(arn, ":", 6); len(parts) < 6 || slices.Contains(parts, "") || !strings.Contains(parts[5], "/") {
		return nil, rouse.Errorf(rouse.Denied, "User: %s is not authorized to perform: dynamodb:%s on resource: %s",
			from.Principal.ARN, action, cmp.Or(arn, "*")).WithCode("AccessDeniedException")
	}
	return []rouse.Need{{Action: "dynamodb:" + action, Resource: arn}}, nil
}

// check refuses an ARN that is of no table.
func (t *TaggedResource) check() error {
	arn := *t.ResourceArn
	a, err := rouse.ParseARN(arn)
	name, ok := strings.CutPrefix(a.Resource, tableResource)
	if err != nil || !ok || a.Service != "dynamodb" || len(name) < 3 || strings.Contains(name, "/") || strings.Trim(a.Account, "0123456789") != "" {
		return invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", arn)
	}
	return nil
}

// name is the table that the ARN names, if it is the caller's.
func (t *TaggedResource) name(d *Door, from rouse.Origin) (string, error) {
	name := (*t.ResourceArn)[strings.LastIndexByte(*t.ResourceArn, '/')+1:]
	if *t.ResourceArn != d.arnOf(from, name) {
		return "", notFound("Requested resource not found: ResourcArn: " + *t.ResourceArn + " not found")
	}
	return name, nil
}

// absent words the error of a table that is not there as these operations do. AWS's own spelling.
func (t *TaggedResource) absent(err error) error {
	if err != nil && rouse.KindOf(err) == rouse.NotFound {
		return notFound("Requested resource not found: ResourcArn: " + *t.ResourceArn + " not found")
	}
	return err
}

// TagResourceInput sets tags.
type TagResourceInput struct {
	TaggedResource
	Tags []Tag
}

func (d *Door) needTag(_ context.Context, from rouse.Origin, in *TagResourceInput) ([]rouse.Need, error) {
	needs, err := in.need(from, "TagResource")
	switch {
	case err != nil:
		return nil, err
	case in.Tags == nil:
		return nil, invalid("1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null")
	}
	return needs, in.check()
}

func (d *Door) tagResource(ctx context.Context, from rouse.Origin, in *TagResourceInput) (*wire.None, error) {
	name, err := in.name(d, from)
	switch {
	case err != nil:
		return nil, err
	case len(in.Tags) == 0:
		return nil, invalid("Atleast one Tag needs to be provided as Input.")
	}
	return nil, in.absent(d.tables.Tag(ctx, account(from), name, tagsOf(in.Tags)))
}

// UntagResourceInput takes tags away.
type UntagResourceInput struct {
	TaggedResource
	TagKeys []string
}

func (d *Door) needUntag(_ context.Context, from rouse.Origin, in *UntagResourceInput) ([]rouse.Need, error) {
	needs, err := in.need(from, "UntagResource")
	switch {
	case err != nil:
		return nil, err
	case in.TagKeys == nil:
		return nil, invalid("1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null")
	}
	return needs, in.check()
}

func (d *Door) untagResource(ctx context.Context, from rouse.Origin, in *UntagResourceInput) (*wire.None, error) {
	name, err := in.name(d, from)
	switch {
	case err != nil:
		return nil, err
	case len(in.TagKeys) == 0:
		return nil, invalid("Atleast one Tag Key needs to be provided as Input.")
	}
	if err := d.tables.Untag(ctx, account(from), name, in.TagKeys); rouse.KindOf(err) != rouse.NotFound || err == nil {
		return nil, err
	}
	return nil, notFound("Requested resource not found")
}

// ListTagsOfResourceInput asks for a page of tags.
type ListTagsOfResourceInput struct {
	TaggedResource
	NextToken *string
}

// ListTagsOfResourceOutput is all tags: they fit on one page.
type ListTagsOfResourceOutput struct{ Tags []Tag }

func (d *Door) needTags(_ context.Context, from rouse.Origin, in *ListTagsOfResourceInput) ([]rouse.Need, error) {
	needs, err := in.need(from, "ListTagsOfResource")
	if err != nil {
		return nil, err
	}
	return needs, in.check()
}

func (d *Door) listTags(ctx context.Context, from rouse.Origin, in *ListTagsOfResourceInput) (*ListTagsOfResourceOutput, error) {
	name, err := in.name(d, from)
	if err != nil {
		return nil, err
	}
	if in.NextToken != nil {
		return nil, invalid("Invalid NextToken: %.64s", *in.NextToken) // none was ever given
	}
	tags, err := d.tables.Tags(ctx, account(from), name)
	if err != nil {
		return nil, in.absent(err)
	}
	out := &ListTagsOfResourceOutput{Tags: make([]Tag, 0, len(tags))}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		out.Tags = append(out.Tags, Tag{&k, &v})
	}
	return out, nil
}

func tagsOf(list []Tag) map[string]string {
	if len(list) == 0 {
		return nil
	}
	tags := make(map[string]string, len(list))
	for _, t := range list {
		tags[*t.Key] = *t.Value
	}
	return tags
}

// DescribeTimeToLiveInput names a table.
type DescribeTimeToLiveInput struct{ NamedTable }

// DescribeTimeToLiveOutput is its time to live.
type DescribeTimeToLiveOutput struct{ TimeToLiveDescription *TimeToLiveDescription }

// TimeToLiveDescription says by which attribute items expire.
type TimeToLiveDescription struct {
	TimeToLiveStatus string
	AttributeName    string
}

func (d *Door) describeTTL(ctx context.Context, from rouse.Origin, in *DescribeTimeToLiveInput) (*DescribeTimeToLiveOutput, error) {
	t, err := d.tables.TTL(ctx, account(from), in.table())
	if err != nil {
		return nil, err
	}
	out := &TimeToLiveDescription{TimeToLiveStatus: string(t.Status), AttributeName: t.Attribute}
	if out.TimeToLiveStatus == "" {
		out.TimeToLiveStatus = "DISABLED"
	}
	return &DescribeTimeToLiveOutput{out}, nil
}

// UpdateTimeToLiveInput turns time to live on or off.
type UpdateTimeToLiveInput struct {
	NamedTable
	TimeToLiveSpecification *TimeToLiveSpecification `wire:",required"`
}

// TimeToLiveSpecification is what is asked for.
type TimeToLiveSpecification struct {
	Enabled       *bool   `wire:",required"`
	AttributeName *string `wire:",required" min:"1" max:"255"`
}

// UpdateTimeToLiveOutput repeats it.
type UpdateTimeToLiveOutput struct {
	TimeToLiveSpecification *TimeToLiveSpecification
}

func (d *Door) updateTTL(ctx context.Context, from rouse.Origin, in *UpdateTimeToLiveInput) (*UpdateTimeToLiveOutput, error) {
	s := in.TimeToLiveSpecification
	if err := d.tables.SetTTL(ctx, account(from), in.table(), *s.AttributeName, *s.Enabled); err != nil {
		return nil, err
	}
	return &UpdateTimeToLiveOutput{s}, nil
}
