package lambda

import (
	"context"
	"maps"
	"slices"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) tagOperations() []wire.Operation {
	const tags = "/2017-03-31/tags/{Resource}"
	only := wire.Differs("functions only")
	return []wire.Operation{
		wire.Op("TagResource", "POST "+tags+" 204", d.needTag, d.tagResource, only),
		wire.Op("UntagResource", "DELETE "+tags+" 204", d.needUntag, d.untagResource, only),
		wire.Op("ListTags", "GET "+tags, d.needListTags, d.listTags, only),
	}
}

// TagResourceInput of TagResource.
type TagResourceInput struct {
	Resource string            `wire:"Resource,uri" max:"256"`
	Tags     map[string]string `wire:",required"`
}

// UntagResourceInput of UntagResource.
type UntagResourceInput struct {
	Resource string   `wire:"Resource,uri" max:"256"`
	TagKeys  []string `wire:"tagKeys,query,required"`
}

// ListTagsInput of ListTags.
type ListTagsInput struct {
	Resource string `wire:"Resource,uri" max:"256"`
}

// ListTagsOutput of ListTags.
type ListTagsOutput struct {
	Tags map[string]string
}

// taggable reads the ARN of a function. Other resources of Lambda have no tags here.
func (d *Door) taggable(from rouse.Origin, resource string) (catalog.Ref, error) {
	arn, err := rouse.ParseARN(resource)
	if err == nil && arn.Service == "lambda" {
		if _, _, ok := arn.FunctionName(); !ok {
			return catalog.Ref{}, rouse.Errorf(rouse.Unsupported, "Rouse does not implement tags of %s", resource)
		}
	}
	if err != nil || arn.Service != "lambda" || arn.Region == "" || arn.Account == "" {
		return catalog.Ref{}, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at 'resource' failed to satisfy "+
			"constraint: Member must satisfy regular expression pattern: %s", resource, taggablePattern).
			WithCode("ValidationException")
	}
	r, err := d.catalog.ParseRef(from.Principal.Account, resource, "")
	if err == nil && r.Qualifier != "" {
		err = rouse.Errorf(rouse.Invalid, "Tags on function aliases and versions are not supported. Please specify a function ARN.").
			WithCode("InvalidParameterValueException")
	}
	return r, err
}

const taggablePattern = `arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:` +
	`(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|` +
	`event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|` +
	`capacity-provider:[a-zA-Z0-9-_]+)`

func (d *Door) needTag(_ context.Context, from rouse.Origin, in *TagResourceInput) ([]rouse.Need, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	_, egress := in.Tags[egressTag]
	return d.withEgress([]rouse.Need{withTags(d.need("lambda:TagResource", r), in.Tags)}, r, egress), nil
}

func (d *Door) tagResource(ctx context.Context, from rouse.Origin, in *TagResourceInput) (*wire.None, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, rouse.Errorf(rouse.Invalid, "An error occurred and the request cannot be processed.").
			WithCode("InvalidParameterValueException")
	}
	return nil, d.catalog.Tag(ctx, r, in.Tags)
}

func (d *Door) needUntag(_ context.Context, from rouse.Origin, in *UntagResourceInput) ([]rouse.Need, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	n := d.need("lambda:UntagResource", r)
	n.Conditions = map[string][]string{"aws:TagKeys": slices.Clone(in.TagKeys)}
	return d.withEgress([]rouse.Need{n}, r, slices.Contains(in.TagKeys, egressTag)), nil
}

func (d *Door) untagResource(ctx context.Context, from rouse.Origin, in *UntagResourceInput) (*wire.None, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.Untag(ctx, r, in.TagKeys)
}

func (d *Door) needListTags(_ context.Context, from rouse.Origin, in *ListTagsInput) ([]rouse.Need, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	return []rouse.Need{d.need("lambda:ListTags", r)}, nil
}

func (d *Door) listTags(_ context.Context, from rouse.Origin, in *ListTagsInput) (*ListTagsOutput, error) {
	r, err := d.taggable(from, in.Resource)
	if err != nil {
		return nil, err
	}
	tags, err := d.catalog.Tags(r)
	if err != nil {
		return nil, err
	}
	out := &ListTagsOutput{Tags: map[string]string{}}
	maps.Copy(out.Tags, tags)
	return out, nil
}
