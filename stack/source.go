package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/sam"
	"github.com/rouse-dev/rouse/stack/template"
)

// Source is a template with the files that it names. Text keeps its lines, so that errors point into the user's file;
// what a command line has built and uploaded is told beside it, in Assets.
type Source struct {
	File string `json:"file,omitempty"` // name for positions in errors: "template.yaml"
	Text string `json:"text"`
	// Includes are the files of AWS::Include, of DefinitionUri and of BodyS3Location, by the name that the template
	// gives them.
	Includes map[string]string `json:"includes,omitempty"`
	// Assets say where local code has been uploaded: "Function.CodeUri" to "s3://bucket/key".
	Assets map[string]string `json:"assets,omitempty"`
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

// Artifact is a file or folder beside the template that a deployment needs: code to build and upload, or a file to
// include.
type Artifact struct {
	LogicalID    string // "" for an include
	Property     string // "CodeUri", "ContentUri", "Code", "Content"; "Include" or "DefinitionUri" for text
	Key          string // of Source.Assets, or of Source.Includes for text
	Path         string // as the template has it
	Text         bool   // goes into Source.Includes as it is
	Runtime      string // of a function, parameters resolved; "" when it is not known
	Handler      string
	Architecture string
	BuildMethod  string          // of Metadata
	Build        json.RawMessage // Metadata.BuildProperties; nil when absent
	Pos          template.Pos
}

// Local lists what a template needs from the folder that it stands in: code that is neither inline nor uploaded, in the
// order of the file. parameters resolve a Runtime or Handler that is a Ref.
func Local(src Source, parameters map[string]string) ([]Artifact, error) {
	root, err := template.Read(name(src), []byte(src.Text))
	if err != nil {
		return nil, err
	}
	var out []Artifact
	// Includes come first: they may hold what else is looked for.
	root, err = template.Include(root, func(location string) ([]byte, error) {
		if text, ok := src.Includes[location]; ok {
			return []byte(text), nil
		}
		if !strings.Contains(location, "://") {
			out = append(out, Artifact{Property: "Include", Key: location, Path: location, Text: true})
			return []byte("{}"), nil
		}
		return nil, errors.New("only files beside the template can be included")
	})
	if err != nil {
		return nil, err
	}
	defaults := map[string]string{}
	if ps := root.Get("Parameters"); ps != nil {
		for _, p := range ps.Fields {
			if d, ok := p.Value.Get("Default").Scalar(); ok {
				defaults[p.Key] = d
			}
		}
	}
	for k, v := range parameters {
		defaults[k] = v
	}
	if rs := root.Get("Resources"); rs != nil {
		for _, r := range rs.Fields {
			out = append(out, localOf(r, root.Get("Globals"), defaults)...)
		}
	}
	return out, nil
}

// codeProperty is the property that holds the code or definition of a resource type.
func codeProperty(typ string) string {
	return map[string]string{"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri",
		"AWS::Lambda::Function":     "Code",
		"AWS::Lambda::LayerVersion": "Content", "AWS::Serverless::Api": "DefinitionUri",
		"AWS::Serverless::HttpApi": "DefinitionUri"}[typ]
}

func localOf(r template.Field, globals *template.Value, parameters map[string]string) []Artifact {
	typ, _ := r.Value.Get("Type").IsString()
	prop := codeProperty(typ)
	if prop == "" {
		return nil
	}
	section := globals.Get(strings.TrimPrefix(typ, "AWS::Serverless::"))
	get := func(n string) *template.Value {
		if v := r.Value.Path("Properties", n); v != nil {
			return v
		}
		if strings.HasPrefix(typ, "AWS::Serverless::") {
			return section.Get(n)
		}
		return nil
	}
	resolve := func(v *template.Value) string {
		if ref, ok := v.RefName(); ok {
			return parameters[ref]
		}
		t, _ := v.IsString()
		return t
	}
	v := get(prop)
	local, ok := v.IsString()
	if v == nil && typ == "AWS::Serverless::Function" && get("InlineCode") == nil && get("ImageUri") == nil {
		// SAM builds the template's own folder when a function says nothing.
		v, local, ok = r.Value, ".", true
	}
	if !ok || strings.Contains(local, "://") {
		return nil
	}
	a := Artifact{LogicalID: r.Key, Property: prop, Key: r.Key + "." + prop, Path: local, Pos: v.Pos,
		Runtime: resolve(get("Runtime")),
		Handler: resolve(get("Handler"))}
	if prop == "DefinitionUri" {
		a.Key, a.Text = local, true
		return []Artifact{a}
	}
	if l := get("Architectures"); l != nil && len(l.Items) > 0 {
		a.Architecture = resolve(l.Items[0])
	}
	meta := r.Value.Get("Metadata")
	a.BuildMethod, _ = meta.Get("BuildMethod").IsString()
	if b := meta.Get("BuildProperties"); b != nil {
		a.Build, _ = json.Marshal(b)
	}
	return []Artifact{a}
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
	if root, err = assets(root, src); err != nil {
		return nil, err
	}
	t, err := template.Split(name(src), root)
	if err == nil {
		t.Warnings = append(notes, t.Warnings...)
	}
	return t, err
}

// assets replaces local paths by where their content is: code by its location, definitions by their text.
func assets(root *template.Value, src Source) (*template.Value, error) {
	rs := root.Get("Resources")
	if rs == nil || rs.Kind != template.Map {
		return root, nil
	}
	for _, r := range rs.Fields {
		typ, _ := r.Value.Get("Type").IsString()
		prop := codeProperty(typ)
		if prop == "" || r.Value.Kind != template.Map {
			continue
		}
		props := r.Value.Get("Properties")
		if props == nil {
			props = template.Obj(r.Value.Pos)
		}
		p := props.KeyPos(prop)
		if to, ok := src.Assets[r.Key+"."+prop]; ok {
			v, err := located(typ, to, p)
			if err != nil {
				return nil, err
			}
			rs = rs.With(r.Key, r.Value.With("Properties", props.With(prop, v)))
			continue
		}
		local, ok := props.Get(prop).IsString()
		text, sent := src.Includes[local]
		if prop != "DefinitionUri" || !ok || !sent {
			continue
		}
		def, err := template.Read(path.Base(local), []byte(text))
		if err != nil {
			return nil, err
		}
		rs = rs.With(r.Key, r.Value.With("Properties", props.With(prop, nil).With("DefinitionBody", def)))
	}
	return root.With("Resources", rs), nil
}

// located is a location as the property of typ wants it.
func located(typ, to string, p template.Pos) (*template.Value, error) {
	if !strings.HasPrefix(typ, "AWS::Lambda::") {
		return template.Str(p, to), nil
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(to, "s3://"), "/")
	if !ok {
		return nil, rouse.Errorf(rouse.Invalid, "the asset %q is not s3://bucket/key", to)
	}
	return template.Obj(p, template.KV(p, "S3Bucket", template.Str(p, bucket)),
		template.KV(p, "S3Key", template.Str(p, key))), nil
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
