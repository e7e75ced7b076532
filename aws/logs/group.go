package logs

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/logs"
)

func (d *Door) groupOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateLogGroup", "", d.needCreateGroup, d.createGroup,
			wire.Refuse("kmsKeyId", "deletionProtectionEnabled"), wire.RefuseExcept("logGroupClass", "STANDARD")),
		wire.Op("DeleteLogGroup", "", onGroup[GroupInput](d, "DeleteLogGroup"), d.deleteGroup),
		wire.Op("DescribeLogGroups", "", d.needDescribeGroups, d.describeGroups,
			wire.Refuse("accountIdentifiers", "includeLinkedAccounts", "logGroupIdentifiers"),
			wire.RefuseExcept("logGroupClass", "STANDARD")),
		wire.Op("PutRetentionPolicy", "", onGroup[PutRetentionInput](d, "PutRetentionPolicy"), d.putRetention),
		wire.Op("DeleteRetentionPolicy", "", onGroup[GroupInput](d, "DeleteRetentionPolicy"), d.deleteRetention),
	}
}

// CreateLogGroupInput makes a group.
type CreateLogGroupInput struct {
	GroupInput
	Tags map[string]string `wire:"tags" min:"1" max:"50"`
}

func (d *Door) needCreateGroup(ctx context.Context, from rouse.Origin, in *CreateLogGroupInput) ([]rouse.Need, error) {
	needs, err := onGroup[CreateLogGroupInput](d, "CreateLogGroup")(ctx, from, in)
	if err != nil {
		return nil, err
	}
	return withTags(needs, in.Tags), nil
}

// withTags adds the condition keys of tags that a request brings.
func withTags(needs []rouse.Need, tags map[string]string) []rouse.Need {
	if len(tags) == 0 {
		return needs
	}
	c := map[string][]string{}
	for k, v := range tags {
		c["aws:RequestTag/"+k] = []string{v}
		c["aws:TagKeys"] = append(c["aws:TagKeys"], k)
	}
	needs[0].Conditions = c
	return needs
}

func (d *Door) createGroup(ctx context.Context, from rouse.Origin, in *CreateLogGroupInput) (*wire.None, error) {
	return nil, d.logs.CreateGroup(ctx, from.Principal.Account, in.LogGroupName, in.Tags)
}

func (d *Door) deleteGroup(ctx context.Context, from rouse.Origin, in *GroupInput) (*wire.None, error) {
	return nil, d.logs.DeleteGroup(ctx, from.Principal.Account, in.LogGroupName)
}

// DescribeLogGroupsInput selects groups.
type DescribeLogGroupsInput struct {
	LogGroupNamePrefix  string `wire:"logGroupNamePrefix" min:"1" max:"512" pattern:"[\\.\\-_/#A-Za-z0-9]+"`
	LogGroupNamePattern string `wire:"logGroupNamePattern" max:"512" pattern:"[\\.\\-_/#A-Za-z0-9]*"`
	NextToken           string `wire:"nextToken" min:"1"`
	Limit               *int   `wire:"limit" min:"1" max:"50"`
}

// Group as CloudWatch shows it.
type Group struct {
	LogGroupName      string `wire:"logGroupName"`
	CreationTime      *int64 `wire:"creationTime"`
	RetentionInDays   *int   `wire:"retentionInDays"`
	MetricFilterCount int    `wire:"metricFilterCount"`
	Arn               string `wire:"arn"`
	StoredBytes       int64  `wire:"storedBytes"`
	LogGroupClass     string `wire:"logGroupClass"`
	LogGroupArn       string `wire:"logGroupArn"`
}

// DescribeLogGroupsOutput is a page of groups.
type DescribeLogGroupsOutput struct {
	LogGroups []Group `wire:"logGroups"`
	NextToken string  `wire:"nextToken"`
}

func (d *Door) needDescribeGroups(_ context.Context, from rouse.Origin, _ *DescribeLogGroupsInput) ([]rouse.Need, error) {
	return []rouse.Need{{Action: "logs:DescribeLogGroups", Resource: d.logs.StreamARN(from.Principal.Account, "", "")}}, nil
}

func (d *Door) describeGroups(ctx context.Context, from rouse.Origin, in *DescribeLogGroupsInput) (*DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	after := ""
	if in.NextToken != "" {
		b, err := parseBookmark(in.NextToken)
		if err != nil {
			return nil, err
		}
		after = b.Name
	}
	account := from.Principal.Account
	list, more, err := d.logs.Groups(ctx, account, in.LogGroupNamePrefix, in.LogGroupNamePattern, after, limitOf(in.Limit))
	if err != nil {
		return nil, err
	}
	out := &DescribeLogGroupsOutput{LogGroups: []Group{}}
	for _, g := range list {
		out.LogGroups = append(out.LogGroups, d.newGroup(g))
	}
	if more {
		out.NextToken = bookmark{Name: list[len(list)-1].Name}.token()
	}
	return out, nil
}

func (d *Door) newGroup(g logs.Group) Group {
	arn := d.logs.ARN(g.Account, g.Name)
	out := Group{LogGroupName: g.Name, CreationTime: millisOf(g.Created), Arn: arn, StoredBytes: g.Bytes,
		LogGroupClass: "STANDARD", LogGroupArn: arn[:len(arn)-len(":*")]}
	if g.Retention > 0 {
		out.RetentionInDays = &g.Retention
	}
	return out
}

// PutRetentionInput sets for how many days events are kept.
type PutRetentionInput struct {
	GroupInput
	RetentionInDays *int `wire:"retentionInDays,required" min:"1"`
}

func (d *Door) putRetention(ctx context.Context, from rouse.Origin, in *PutRetentionInput) (*wire.None, error) {
	return nil, d.logs.SetRetention(ctx, from.Principal.Account, in.LogGroupName, *in.RetentionInDays)
}

func (d *Door) deleteRetention(ctx context.Context, from rouse.Origin, in *GroupInput) (*wire.None, error) {
	return nil, d.logs.SetRetention(ctx, from.Principal.Account, in.LogGroupName, 0)
}

func (d *Door) tagOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("TagLogGroup", "", d.needTagGroup, d.tagGroup),
		wire.Op("UntagLogGroup", "", onGroup[UntagLogGroupInput](d, "UntagLogGroup"), d.untagGroup),
		wire.Op("ListTagsLogGroup", "", onGroup[GroupInput](d, "ListTagsLogGroup"), d.listGroupTags),
		wire.Op("TagResource", "", d.needTagResource, d.tagResource, wire.Differs("log groups only")),
		wire.Op("UntagResource", "", d.needUntagResource, d.untagResource, wire.Differs("log groups only")),
		wire.Op("ListTagsForResource", "", d.needListTags, d.listTags, wire.Differs("log groups only")),
	}
}

// TagLogGroupInput sets tags of a group.
type TagLogGroupInput struct {
	GroupInput
	Tags map[string]string `wire:"tags,required" min:"1" max:"50"`
}

func (d *Door) needTagGroup(ctx context.Context, from rouse.Origin, in *TagLogGroupInput) ([]rouse.Need, error) {
	needs, err := onGroup[TagLogGroupInput](d, "TagLogGroup")(ctx, from, in)
	if err != nil {
		return nil, err
	}
	return withTags(needs, in.Tags), nil
}

func (d *Door) tagGroup(ctx context.Context, from rouse.Origin, in *TagLogGroupInput) (*wire.None, error) {
	return nil, d.logs.Tag(ctx, from.Principal.Account, in.LogGroupName, in.Tags)
}

// UntagLogGroupInput removes tags of a group.
type UntagLogGroupInput struct {
	GroupInput
	Tags []string `wire:"tags,required" min:"1"`
}

func (d *Door) untagGroup(ctx context.Context, from rouse.Origin, in *UntagLogGroupInput) (*wire.None, error) {
	return nil, d.logs.Untag(ctx, from.Principal.Account, in.LogGroupName, in.Tags)
}

// TagsOutput holds tags; an empty map is sent.
type TagsOutput struct {
	Tags map[string]string `wire:"tags"`
}

func (d *Door) tagsOf(ctx context.Context, account, group string) (*TagsOutput, error) {
	g, err := d.logs.Group(ctx, account, group)
	if err != nil {
		return nil, err
	}
	if g.Tags == nil {
		g.Tags = map[string]string{}
	}
	return &TagsOutput{g.Tags}, nil
}

func (d *Door) listGroupTags(ctx context.Context, from rouse.Origin, in *GroupInput) (*TagsOutput, error) {
	return d.tagsOf(ctx, from.Principal.Account, in.LogGroupName)
}

// ResourceInput names a group by ARN.
type ResourceInput struct {
	ResourceArn string `wire:"resourceArn,required" min:"1" max:"1011" pattern:"[\\w+=/:,.@-]*"`
}

// TagResourceInput sets tags.
type TagResourceInput struct {
	ResourceInput
	Tags map[string]string `wire:"tags,required" min:"1" max:"50"`
}

// UntagResourceInput removes tags.
type UntagResourceInput struct {
	ResourceInput
	TagKeys []string `wire:"tagKeys,required" max:"50"`
}

// needTags asks for action on the group that an ARN names, by the one ARN that policies know it by.
func (d *Door) needTags(from rouse.Origin, action, arn string) ([]rouse.Need, error) {
	name, err := d.groupOfARN(from.Principal.Account, arn)
	if err != nil {
		return nil, err
	}
	return []rouse.Need{{Action: "logs:" + action, Resource: d.groupARN(from.Principal.Account, name)}}, nil
}

func (d *Door) needTagResource(_ context.Context, from rouse.Origin, in *TagResourceInput) ([]rouse.Need, error) {
	needs, err := d.needTags(from, "TagResource", in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return withTags(needs, in.Tags), nil
}

func (d *Door) needUntagResource(_ context.Context, from rouse.Origin, in *UntagResourceInput) ([]rouse.Need, error) {
	return d.needTags(from, "UntagResource", in.ResourceArn)
}

func (d *Door) needListTags(_ context.Context, from rouse.Origin, in *ResourceInput) ([]rouse.Need, error) {
	return d.needTags(from, "ListTagsForResource", in.ResourceArn)
}

func (d *Door) tagResource(ctx context.Context, from rouse.Origin, in *TagResourceInput) (*wire.None, error) {
	name, err := d.groupOfARN(from.Principal.Account, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return nil, d.logs.Tag(ctx, from.Principal.Account, name, in.Tags)
}

func (d *Door) untagResource(ctx context.Context, from rouse.Origin, in *UntagResourceInput) (*wire.None, error) {
	name, err := d.groupOfARN(from.Principal.Account, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return nil, d.logs.Untag(ctx, from.Principal.Account, name, in.TagKeys)
}

func (d *Door) listTags(ctx context.Context, from rouse.Origin, in *ResourceInput) (*TagsOutput, error) {
	name, err := d.groupOfARN(from.Principal.Account, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return d.tagsOf(ctx, from.Principal.Account, name)
}
