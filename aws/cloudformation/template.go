package cloudformation

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack"
	"github.com/rouse-dev/rouse/stack/template"
)

// GetTemplateInput names a stack and which of its templates is wanted.
type GetTemplateInput struct {
	StackName     string `wire:",required" min:"1"`
	TemplateStage string `enum:"Original|Processed"`
}

func (in *GetTemplateInput) stack() string { return in.StackName }

// GetTemplateOutput is a template.
type GetTemplateOutput struct {
	TemplateBody    string
	StagesAvailable []string
}

func (d *Door) getTemplate(ctx context.Context, from rouse.Origin, in *GetTemplateInput) (*GetTemplateOutput, error) {
	text, err := d.cfg.Stacks.Template(ctx, from.Principal.Account, in.StackName, in.TemplateStage == "Processed")
	if err != nil {
		return nil, err
	}
	return &GetTemplateOutput{TemplateBody: text, StagesAvailable: []string{"Original", "Processed"}}, nil
}

// GetTemplateSummaryInput brings a template, or names a stack that has one.
type GetTemplateSummaryInput struct {
	TemplateBody string `wire:",sensitive"`
	TemplateURL  string `max:"5120"`
	StackName    string
}

func (in *GetTemplateSummaryInput) stack() string { return in.StackName }

// ParameterDeclaration is a parameter that a template declares.
type ParameterDeclaration struct {
	ParameterKey         string
	DefaultValue         *string
	ParameterType        string
	NoEcho               bool
	Description          string
	ParameterConstraints Constraints
}

// Constraints are the values that a parameter allows.
type Constraints struct{ AllowedValues []string }

// GetTemplateSummaryOutput says what a template asks of who deploys it.
type GetTemplateSummaryOutput struct {
	Parameters         []ParameterDeclaration
	Description        string
	Capabilities       []string
	CapabilitiesReason string
	ResourceTypes      []string
	Version            string
	Metadata           string
	DeclaredTransforms []string
}

func (d *Door) getTemplateSummary(ctx context.Context, from rouse.Origin,
	in *GetTemplateSummaryInput) (*GetTemplateSummaryOutput, error) {
	var src stack.Source
	var err error
	if in.StackName != "" {
		if in.TemplateBody != "" || in.TemplateURL != "" {
			return nil, invalid("Only one of TemplateBody, TemplateURL and StackName can be specified.")
		}
		src.Text, err = d.cfg.Stacks.Template(ctx, from.Principal.Account, in.StackName, false)
	} else {
		src, err = d.source(ctx, in.TemplateBody, in.TemplateURL, false)
	}
	if err != nil {
		return nil, err
	}
	s, err := d.cfg.Stacks.Summarize(ctx, src)
	if err != nil {
		return nil, err
	}
	out := &GetTemplateSummaryOutput{Parameters: []ParameterDeclaration{}, Description: s.Description,
		Capabilities:       s.Capabilities,
		CapabilitiesReason: s.Reason, ResourceTypes: s.Types, Version: "2010-09-09", Metadata: string(s.Metadata),
		DeclaredTransforms: s.Transforms}
	for _, p := range s.Parameters {
		out.Parameters = append(out.Parameters, ParameterDeclaration{p.Name, shownDefault(p), p.Type, p.NoEcho,
			p.Description, Constraints{p.Allowed}})
	}
	return out, nil
}

// shownDefault is a parameter's default, masked when it is not to be shown.
func shownDefault(p template.Parameter) *string {
	if p.Default != nil && p.NoEcho {
		masked := strings.Repeat("*", 4)
		return &masked
	}
	return p.Default
}

// ValidateTemplateInput brings a template.
type ValidateTemplateInput struct {
	TemplateBody string `wire:",sensitive"`
	TemplateURL  string `max:"5120"`
}

func (*ValidateTemplateInput) stack() string { return "" }

// TemplateParameter is a parameter that a template declares.
type TemplateParameter struct {
	ParameterKey string
	DefaultValue *string
	NoEcho       bool
	Description  string
}

// ValidateTemplateOutput says that a template is well-formed, and what it declares.
type ValidateTemplateOutput struct {
	Parameters         []TemplateParameter
	Description        string
	Capabilities       []string
	CapabilitiesReason string
	DeclaredTransforms []string
}

func (d *Door) validateTemplate(ctx context.Context, _ rouse.Origin,
	in *ValidateTemplateInput) (*ValidateTemplateOutput, error) {
	src, err := d.source(ctx, in.TemplateBody, in.TemplateURL, false)
	if err != nil {
		return nil, err
	}
	s, err := d.cfg.Stacks.Summarize(ctx, src)
	if err != nil {
		return nil, err
	}
	out := &ValidateTemplateOutput{Parameters: []TemplateParameter{}, Description: s.Description,
		Capabilities:       s.Capabilities,
		CapabilitiesReason: s.Reason, DeclaredTransforms: s.Transforms}
	for _, p := range s.Parameters {
		out.Parameters = append(out.Parameters, TemplateParameter{p.Name, shownDefault(p), p.NoEcho, p.Description})
	}
	return out, nil
}

// ListExportsInput is a page of exports.
type ListExportsInput struct {
	NextToken string `max:"1024"`
}

func (*ListExportsInput) stack() string { return "" }

// Export is a value that a stack offers to others.
type Export struct {
	ExportingStackId, Name string
	Value                  string `wire:",keep"`
}

// ListExportsOutput is a page of exports.
type ListExportsOutput struct {
	Exports   []Export
	NextToken string
}

func (d *Door) listExports(ctx context.Context, from rouse.Origin, in *ListExportsInput) (*ListExportsOutput, error) {
	list, err := d.cfg.Stacks.Exports(ctx, from.Principal.Account)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.NextToken, listPage, func(e stack.Export) string { return e.Name })
	out := &ListExportsOutput{Exports: []Export{}, NextToken: next}
	for _, e := range list {
		out.Exports = append(out.Exports, Export{e.StackID, e.Name, e.Value})
	}
	return out, nil
}

// ListImportsInput names an export.
type ListImportsInput struct {
	ExportName string `wire:",required" min:"1"`
	NextToken  string `max:"1024"`
}

func (*ListImportsInput) stack() string { return "" }

// ListImportsOutput names the stacks that use an export.
type ListImportsOutput struct {
	Imports   []string
	NextToken string
}

func (d *Door) listImports(ctx context.Context, from rouse.Origin, in *ListImportsInput) (*ListImportsOutput, error) {
	list, err := d.cfg.Stacks.Imports(ctx, from.Principal.Account, in.ExportName)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.NextToken, listPage, func(s string) string { return s })
	return &ListImportsOutput{Imports: list, NextToken: next}, nil
}
