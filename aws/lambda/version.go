package lambda

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) versionOperations() []wire.Operation {
	const function = "/2015-03-31/functions/{FunctionName}"
	const alias = function + "/aliases/{Name}"
	return []wire.Operation{
		op(d, "PublishVersion", "POST "+function+"/versions 201", "lambda:PublishVersion", d.publishVersion,
			wire.Refuse("PublishTo")),
		op(d, "ListVersionsByFunction", "GET "+function+"/versions", "lambda:ListVersionsByFunction", d.listVersions),
		op(d, "CreateAlias", "POST "+function+"/aliases 201", "lambda:CreateAlias", d.createAlias),
		op(d, "GetAlias", "GET "+alias, "lambda:GetAlias", d.getAlias),
		op(d, "UpdateAlias", "PUT "+alias, "lambda:UpdateAlias", d.updateAlias),
		op(d, "DeleteAlias", "DELETE "+alias+" 204", "lambda:DeleteAlias", d.deleteAlias),
		op(d, "ListAliases", "GET "+function+"/aliases", "lambda:ListAliases", d.listAliases),
	}
}

// PublishVersionInput of PublishVersion.
type PublishVersionInput struct {
	Name
	CodeSha256  string
	Description *string `max:"256"`
	RevisionId  string
}

func (d *Door) publishVersion(ctx context.Context, from rouse.Origin, in *PublishVersionInput) (
	*FunctionConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.Publish(ctx, latest(r), in.Description, in.CodeSha256, in.RevisionId)
	if err != nil {
		return nil, err
	}
	return configuration(v, v.ARN), nil
}

// ListVersionsByFunctionInput of ListVersionsByFunction.
type ListVersionsByFunctionInput struct {
	Name
	Paging
}

// ListVersionsByFunctionOutput of ListVersionsByFunction.
type ListVersionsByFunctionOutput struct {
	NextMarker string
	Versions   []FunctionConfiguration
}

func (d *Door) listVersions(_ context.Context, from rouse.Origin, in *ListVersionsByFunctionInput) (
	*ListVersionsByFunctionOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	after, err := unmark(in.Marker)
	if err != nil {
		return nil, err
	}
	vs, next, err := d.catalog.Versions(r, after, page(value(in.MaxItems)))
	if err != nil {
		return nil, err
	}
	out := &ListVersionsByFunctionOutput{NextMarker: mark(next)}
	for _, v := range vs {
		out.Versions = append(out.Versions, listed(v, v.ARN))
	}
	return out, nil
}

// RoutingConfig of an alias.
type RoutingConfig struct {
	AdditionalVersionWeights map[string]float64
}

// CreateAliasInput of CreateAlias.
type CreateAliasInput struct {
	FunctionName    string `wire:"FunctionName,uri" max:"140"`
	Name            string `wire:",required" max:"128"`
	FunctionVersion string `wire:",required" max:"1024" pattern:"(\\$LATEST(\\.PUBLISHED)?|[0-9]+)"`
	Description     string `max:"256"`
	RoutingConfig   *RoutingConfig
}

func (in *CreateAliasInput) function() (string, string) { return in.FunctionName, "" }

// AliasConfiguration is how Lambda shows an alias.
type AliasConfiguration struct {
	AliasArn        string
	Name            string
	FunctionVersion string
	Description     string `wire:",keep"`
	RoutingConfig   *RoutingConfig
	RevisionId      string
}

func (d *Door) alias(a *catalog.Alias) *AliasConfiguration {
	out := &AliasConfiguration{
		AliasArn: rouse.FunctionARN(d.cfg.Region, a.Account, a.Function, a.Name).String(), Name: a.Name,
		FunctionVersion: a.Version, Description: a.Description, RevisionId: a.RevisionID,
	}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &RoutingConfig{a.Weights}
	}
	return out
}

// weights of a routing configuration: nil when none was given, empty to end one.
func (r *RoutingConfig) weights() map[string]float64 {
	if r == nil {
		return nil
	}
	if r.AdditionalVersionWeights == nil {
		return map[string]float64{}
	}
	return r.AdditionalVersionWeights
}

func (d *Door) createAlias(ctx context.Context, from rouse.Origin, in *CreateAliasInput) (*AliasConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	a, err := d.catalog.CreateAlias(ctx, r, in.Name, catalog.AliasChange{
		Version: &in.FunctionVersion, Description: &in.Description, Weights: in.RoutingConfig.weights(),
	})
	if err != nil {
		return nil, err
	}
	return d.alias(a), nil
}

// AliasNamed is the part of inputs that names an alias.
type AliasNamed struct {
	FunctionName string `wire:"FunctionName,uri" max:"140"`
	Name         string `wire:"Name,uri" max:"128"`
}

// function leaves the alias out: IAM asks about the function.
func (a *AliasNamed) function() (string, string) { return a.FunctionName, "" }

// GetAliasInput of GetAlias.
type GetAliasInput struct{ AliasNamed }

func (d *Door) getAlias(_ context.Context, from rouse.Origin, in *GetAliasInput) (*AliasConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	a, err := d.catalog.Alias(r, in.Name)
	if err != nil {
		return nil, err
	}
	return d.alias(a), nil
}

// UpdateAliasInput of UpdateAlias.
type UpdateAliasInput struct {
	AliasNamed
	FunctionVersion *string `max:"1024" pattern:"(\\$LATEST(\\.PUBLISHED)?|[0-9]+)"`
	Description     *string `max:"256"`
	RoutingConfig   *RoutingConfig
	RevisionId      string
}

func (d *Door) updateAlias(ctx context.Context, from rouse.Origin, in *UpdateAliasInput) (*AliasConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	a, err := d.catalog.UpdateAlias(ctx, r, in.Name, catalog.AliasChange{
		Version: in.FunctionVersion, Description: in.Description, Weights: in.RoutingConfig.weights(), RevisionID: in.RevisionId,
	})
	if err != nil {
		return nil, err
	}
	return d.alias(a), nil
}

// DeleteAliasInput of DeleteAlias.
type DeleteAliasInput struct{ AliasNamed }

func (d *Door) deleteAlias(ctx context.Context, from rouse.Origin, in *DeleteAliasInput) (*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.DeleteAlias(ctx, r, in.Name)
}

// ListAliasesInput of ListAliases.
type ListAliasesInput struct {
	Name
	FunctionVersion string `wire:"FunctionVersion,query" max:"1024"`
	Paging
}

// ListAliasesOutput of ListAliases.
type ListAliasesOutput struct {
	NextMarker string
	Aliases    []AliasConfiguration
}

func (d *Door) listAliases(_ context.Context, from rouse.Origin, in *ListAliasesInput) (*ListAliasesOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	after, err := unmark(in.Marker)
	if err != nil {
		return nil, err
	}
	as, next, err := d.catalog.Aliases(r, in.FunctionVersion, after, page(value(in.MaxItems)))
	if err != nil {
		return nil, err
	}
	out := &ListAliasesOutput{NextMarker: mark(next), Aliases: []AliasConfiguration{}}
	for _, a := range as {
		out.Aliases = append(out.Aliases, *d.alias(a))
	}
	return out, nil
}
