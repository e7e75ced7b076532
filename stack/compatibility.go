package stack

import (
	"slices"

	"github.com/rouse-dev/rouse/stack/resource"
)

// Support is how one thing of AWS stands here: what COMPATIBILITY.md says of templates.
type Support struct {
	Subject string // resource type, or part of the template language
	Name    string // property; "" for the whole
	Status  string // works, differs, not implemented
	Note    string
}

const (
	works          = "works"
	differs        = "differs"
	notImplemented = "not implemented"
)

// Compatibility lists what templates may hold: resource types with their properties, from the tables that deployments
// are checked by, then the serverless types and the template language.
func Compatibility() []Support {
	types := resource.Types()
	names := make([]string, 0, len(types))
	for n := range types {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []Support
	for _, n := range names {
		t := types[n]
		s := Support{Subject: n, Status: works, Note: t.Note}
		if t.Note != "" {
			s.Status = differs
		}
		out = append(out, s)
		out = append(out, properties(n, "", t.Properties)...)
	}
	return append(out, language()...)
}

// properties lists those properties that do not simply work; nested ones by their path.
func properties(subject, prefix string, list []*resource.Property) (out []Support) {
	for _, p := range list {
		name, inner := prefix+p.Name, p
		for inner.Elem != nil {
			inner = inner.Elem
		}
		s := Support{Subject: subject, Name: name, Status: works, Note: p.Note}
		switch {
		case p.Missing:
			s.Status = notImplemented
		case inner.Only != nil:
			s.Status, s.Note = differs, join("only "+commas(inner.Only), p.Note)
		case p.Note != "":
			s.Status = differs
		}
		out = append(out, s)
		out = append(out, properties(subject, name+".", inner.Fields)...)
	}
	return out
}

func commas(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

func language() []Support {
	const fn, sec, sls = "template functions", "template sections", "AWS::Serverless-2016-10-31"
	return []Support{
		{fn, "Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::FindInMap, Fn::If, Fn::Equals, Fn::And, Fn::Or, Fn::Not, " +
			"Condition, Fn::ImportValue, Fn::Base64, Fn::Cidr", works, "in YAML, its short forms, and JSON"},
		{fn, "Fn::GetAZs", differs, "answers three zones: a, b and c of the region"},
		{fn, "Fn::Transform", differs, "AWS::Include of files beside the template"},
		{fn, "Fn::Length, Fn::ToJsonString, Fn::ForEach", notImplemented, "AWS::LanguageExtensions"},
		{sec, "Parameters", differs, "String, Number, lists of these; no AWS::SSM::Parameter::Value<…> and other AWS types"},
		{sec, "Mappings, Conditions, Outputs with Export, Metadata, DependsOn, DeletionPolicy, UpdateReplacePolicy",
			works, ""},
		{sec, "Metadata rouse:egress of a function, rouse:cache of a table", works,
			"not on AWS, which ignores it: becomes a tag, which says what the function reaches of the internet (on, off, allow:HOST:PORT,…), " +
				"how large a table in memory is"},
		{sec, "Rules, Hooks, CreationPolicy, UpdatePolicy, custom resources, nested stacks, macros", notImplemented,
			""},
		{sls, "Globals", works, ""},
		{sls, "AWS::Serverless::Function", differs,
			"events Api, HttpApi and Schedule; no DeploymentPreference, ProvisionedConcurrencyConfig, " +
				"PermissionsBoundary, VpcConfig, images; Tracing is kept and not traced; made destinations are not"},
		{sls, "AWS::Serverless::Api", differs,
			"no Auth, Models, Domain, MergeDefinitions, AlwaysDeploy; the hash in a deployment's logical id is another one"},
		{sls, "AWS::Serverless::HttpApi", differs, "no Auth, Domain; CorsConfiguration is true or a map"},
		{sls, "AWS::Serverless::LayerVersion", works, ""},
		{sls, "AWS::Serverless::SimpleTable", works, ""},
		{sls, "AWS::Serverless::StateMachine, Application, GraphQLApi, WebSocketApi, Connectors",
			notImplemented, ""},
		{sls, "PropagateTags", notImplemented, ""},
	}
}
