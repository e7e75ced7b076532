package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/sam"
	"github.com/rouse-dev/rouse/stack/template"
)

// Source is a template with the files that it names. Text keeps its lines, so that errors point into the user's file.
type Source struct {
	File string `json:"file,omitempty"` // name for positions in errors: "template.yaml"
	Text string `json:"text"`
	// Includes are the files of AWS::Include and DefinitionUri, by the names that the template gives them.
	Includes map[string]string `json:"includes,omitempty"`
}

// BundleScheme is the scheme of a TemplateURL that names a Source as JSON, uploaded by Rouse's own command line.
const BundleScheme = "rouse-asset:"

// ReadBundle reads what a TemplateURL named: a Source as JSON, or a plain template.
func ReadBundle(b []byte) Source {
	var s Source
	if err := json.Unmarshal(b, &s); err == nil && s.Text != "" {
		return s
	}
	return Source{Text: string(b)}
}

func name(src Source) string {
	if src.File == "" {
		return "template"
	}
	return src.File
}

// parse reads a source: functions, includes and assets put in place, split into sections, not yet transformed.
func parse(ctx context.Context, src Source, fetch func(context.Context, string) ([]byte, error)) (*template.Template,
	error) {
	var notes template.Problems
	root, err := template.ReadNoting(name(src), []byte(src.Text), func(p template.Problem) { notes = append(notes, p) })
	if err != nil {
		return nil, err
	}
	open := func(location string) ([]byte, error) {
		if text, ok := src.Includes[location]; ok {
			return []byte(text), nil
		}
		if fetch != nil && strings.HasPrefix(location, BundleScheme) {
			return fetch(ctx, location)
		}
		return nil, fmt.Errorf("the file %s was not sent with the template", location)
	}
	if root, err = template.Include(root, open); err != nil {
		return nil, err
	}
	if root, err = definitions(root, src); err != nil {
		return nil, err
	}
	t, err := template.Split(name(src), root)
	if err == nil {
		t.Warnings = append(notes, t.Warnings...)
	}
	return t, err
}

// definitions replaces the local path of an API's definition by the definition itself.
func definitions(root *template.Value, src Source) (*template.Value, error) {
	const uri = "DefinitionUri"
	rs := root.Get("Resources")
	if rs == nil || rs.Kind != template.Map {
		return root, nil
	}
	for _, r := range rs.Fields {
		props := r.Value.Get("Properties")
		local, ok := props.Get(uri).IsString()
		text, sent := src.Includes[local]
		if !ok || !sent {
			continue
		}
		def, err := template.Read(path.Base(local), []byte(text))
		if err != nil {
			return nil, err
		}
		rs = rs.With(r.Key, r.Value.With("Properties", props.With(uri, nil).With("DefinitionBody", def)))
	}
	return root.With("Resources", rs), nil
}

// transform expands the serverless resources of t.
func (s *Stacks) transform(t *template.Template, parameters map[string]string) (*template.Template, template.Problems,
	error) {
	out, warnings, err := sam.Transform(t, parameters, s.cfg.Region)
	if err != nil {
		return nil, nil, err
	}
	if len(out.Resources) > template.ResourcesMax {
		return nil, nil, rouse.Errorf(rouse.Invalid,
			"Template format error: Number of resources, %d, is greater than maximum allowed, %d",
			len(out.Resources), template.ResourcesMax).WithCode("ValidationError")
	}
	return out, warnings, nil
}

// Summary is what a template asks of who deploys it.
type Summary struct {
	Description  string
	Parameters   []template.Parameter
	Types        []string // of its resources, before the transform
	Transforms   []string
	Capabilities []string // that it requires
	Reason       string   // why
	Metadata     json.RawMessage
}

// Summarize reads a template without deploying it.
func (s *Stacks) Summarize(ctx context.Context, src Source) (Summary, error) {
	t, err := parse(ctx, src, s.cfg.Fetch)
	if err != nil {
		return Summary{}, err
	}
	out := Summary{Description: t.Description, Parameters: t.Parameters, Transforms: t.Transforms}
	for _, r := range t.Resources {
		if !slices.Contains(out.Types, r.Type) {
			out.Types = append(out.Types, r.Type)
		}
	}
	if t.Metadata != nil {
		out.Metadata, _ = json.Marshal(t.Metadata)
	}
	given := map[string]string{}
	for i := range t.Parameters {
		if t.Parameters[i].Default == nil {
			given[t.Parameters[i].Name] = ""
		}
	}
	expanded := t
	if x, _, err := sam.Transform(t, given, s.cfg.Region); err == nil {
		expanded = x
	}
	out.Capabilities, out.Reason = capabilities(t, expanded)
	return out, nil
}

// capabilities are what CloudFormation wants acknowledged of a template: roles and policies, named ones, and macros.
func capabilities(t, expanded *template.Template) (need []string, reason string) {
	var types []string
	named := false
	for _, r := range expanded.Resources {
		prop, ok := map[string]string{"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
			"AWS::IAM::Policy": ""}[r.Type]
		if !ok {
			continue
		}
		if !slices.Contains(types, r.Type) {
			types = append(types, r.Type)
		}
		named = named || (prop != "" && r.Properties.Get(prop) != nil)
	}
	if len(types) > 0 {
		need = []string{"CAPABILITY_IAM"}
		if named {
			need = []string{"CAPABILITY_NAMED_IAM"}
		}
		reason = "The following resource(s) require capabilities: [" + strings.Join(types, ", ") + "]"
	}
	if len(t.Transforms) > 0 {
		need = append(need, "CAPABILITY_AUTO_EXPAND")
	}
	return need, reason
}
