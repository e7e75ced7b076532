package lambda

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

// functionNamed is an input that names a function, perhaps with a qualifier beside it.
type functionNamed interface {
	function() (name, qualifier string)
}

// ref reads the function's name of an input.
func (d *Door) ref(from rouse.Origin, in functionNamed) (catalog.Ref, error) {
	name, qualifier := in.function()
	return d.catalog.ParseRef(from.Principal.Account, name, qualifier)
}

// need asks for action on what r names, with its resource policy.
func (d *Door) need(action string, r catalog.Ref) rouse.Need {
	arn := d.catalog.ARN(r)
	return rouse.Need{Action: action, Resource: arn.String(), Policy: d.catalog.Policy(arn)}
}

// onFunction makes the needs of an operation that takes one action on the function that its input names.
func onFunction[In any, P interface {
	*In
	functionNamed
}](d *Door, action string) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		r, err := d.ref(from, P(in))
		if err != nil {
			return nil, err
		}
		return []rouse.Need{d.need(action, r)}, nil
	}
}

// onAll makes the needs of an operation without a resource.
func onAll[In any](action string) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
		return []rouse.Need{{Action: action, Resource: "*"}}, nil
	}
}

// passRole asks whether the caller may hand the role to Lambda.
func passRole(role string) rouse.Need {
	return rouse.Need{
		Action: "iam:PassRole", Resource: role,
		Conditions: map[string][]string{"iam:PassedToService": {"lambda.amazonaws.com"}},
	}
}

// configurationNeeds are those of what a function is configured with.
func configurationNeeds(role string, layers []string) []rouse.Need {
	var needs []rouse.Need
	if role != "" {
		needs = append(needs, passRole(role))
	}
	for _, l := range layers {
		if arn, err := rouse.ParseARN(l); err == nil { // others are refused by the catalog
			needs = append(needs, rouse.Need{Action: "lambda:GetLayerVersion", Resource: arn.String()})
		}
	}
	return needs
}

// withTags adds the condition keys of tags that a request brings.
func withTags(n rouse.Need, tags map[string]string) rouse.Need {
	if len(tags) == 0 {
		return n
	}
	n.Conditions = map[string][]string{}
	for k, v := range tags {
		n.Conditions["aws:RequestTag/"+k] = []string{v}
		n.Conditions["aws:TagKeys"] = append(n.Conditions["aws:TagKeys"], k)
	}
	return n
}

// egressTag is the tag that says what a function reaches of the public internet. Who sets or removes it needs a right that
// none of Lambda's own brings, so that a function which may tag, itself too, does not open its own sandbox.
const (
	egressTag    = "rouse:egress"
	egressAction = "rouse:SetEgress"
)

// withEgress adds the need for that right where a request's tags are about it.
func (d *Door) withEgress(needs []rouse.Need, r catalog.Ref, touched bool) []rouse.Need {
	if !touched {
		return needs
	}
	return append(needs, rouse.Need{Action: egressAction, Resource: d.catalog.ARN(r).String()})
}

// Name is the part of inputs that names a function.
type Name struct {
	FunctionName string `wire:"FunctionName,uri" max:"256"`
}

func (n *Name) function() (string, string) { return n.FunctionName, "" }

// Qualified is the part of inputs that names a function, a version or an alias.
type Qualified struct {
	FunctionName string `wire:"FunctionName,uri" max:"256"`
	Qualifier    string `wire:"Qualifier,query" max:"128"`
}

func (q *Qualified) function() (string, string) { return q.FunctionName, q.Qualifier }

// Paging is the part of inputs that asks for a page of a list.
type Paging struct {
	Marker   string `wire:"Marker,query" max:"1024"`
	MaxItems *int   `wire:"MaxItems,query" min:"1" max:"10000"`
}

// ShortPaging is Paging of lists with short pages.
type ShortPaging struct {
	Marker   string `wire:"Marker,query" max:"1024"`
	MaxItems *int   `wire:"MaxItems,query" min:"1" max:"50"`
}

// op is a row whose needs are one action on the named function.
func op[In, Out any, P interface {
	*In
	functionNamed
}](
	d *Door, name, route, action string, handle func(context.Context, rouse.Origin, *In) (*Out, error), options ...wire.Option,
) wire.Operation {
	return wire.Op(name, route, onFunction[In, P](d, action), handle, options...)
}
