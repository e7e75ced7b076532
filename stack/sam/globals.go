package sam

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// globalNames are the properties that Globals may hold, by section.
var globalNames = map[string]string{
	"Function": "Handler Runtime CodeUri DeadLetterQueue Description MemorySize Timeout VpcConfig Environment Tags PropagateTags " +
		"Tracing KmsKeyArn AutoPublishAlias AutoPublishAliasAllProperties Layers DeploymentPreference RolePath PermissionsBoundary " +
		"ReservedConcurrentExecutions ProvisionedConcurrencyConfig AssumeRolePolicyDocument EventInvokeConfig FileSystemConfigs " +
		"CodeSigningConfigArn Architectures SnapStart EphemeralStorage FunctionUrlConfig RuntimeManagementConfig LoggingConfig " +
		"RecursiveLoop SourceKMSKeyArn TenancyConfig DurableConfig CapacityProviderConfig FunctionScalingConfig " +
		"PublishToLatestPublished VersionDeletionPolicy",
	"Api": "Auth Name DefinitionUri CacheClusterEnabled CacheClusterSize MergeDefinitions Variables EndpointConfiguration " +
		"MethodSettings BinaryMediaTypes MinimumCompressionSize Cors GatewayResponses AccessLogSetting CanarySetting " +
		"TracingEnabled OpenApiVersion Domain AlwaysDeploy PropagateTags SecurityPolicy EndpointAccessMode",
	"HttpApi": "Auth AccessLogSettings StageVariables Tags CorsConfiguration DefaultRouteSettings Domain RouteSettings " +
		"FailOnWarnings PropagateTags",
	"SimpleTable":      "SSESpecification",
	"StateMachine":     "PropagateTags",
	"LayerVersion":     "PublishLambdaVersion",
	"CapacityProvider": "VpcConfig OperatorRole Tags InstanceRequirements ScalingConfig KmsKeyArn PropagateTags",
	"WebSocketApi":     "AccessLogSettings DefaultRouteSettings Domain RouteSettings StageVariables Tags PropagateTags",
}

func (x *expander) parseGlobals() {
	x.globals = map[string]*Value{}
	if x.in.Globals == nil {
		return
	}
	sections := make([]string, 0, len(globalNames))
	for s := range globalNames {
		sections = append(sections, s)
	}
	slices.Sort(sections)
	for _, f := range x.in.Globals.Fields {
		known, ok := globalNames[f.Key]
		if !ok {
			x.wrong(f.Pos, "Globals", "", "'%s' is not supported. Must be one of the following values - [%s]%s", f.Key,
				strings.Join(sections, ", "), template.Suggest(f.Key, sections))
			continue
		}
		if f.Value.Kind != template.Map {
			x.wrong(f.Value.Pos, "Globals", f.Key, "it must be a map, not a %s", f.Value.Kind)
			continue
		}
		names := strings.Fields(known)
		for _, p := range f.Value.Fields {
			if !slices.Contains(names, p.Key) {
				x.wrong(p.Pos, "Globals", f.Key,
					"'%s' is not a supported property of '%s'. Must be one of the following values - [%s]%s",
					p.Key, f.Key, strings.Join(names, ", "), template.Suggest(p.Key, names))
			}
		}
		x.globals[prefix+f.Key] = f.Value
	}
}

// mergeGlobals is the properties of r with what Globals say for its type. A property that is null counts as absent.
func (x *expander) mergeGlobals(r *template.Resource) *Value {
	if !strings.HasPrefix(r.Type, prefix) {
		return r.Properties
	}
	out := *x.withGlobals(r)
	out.Fields = slices.DeleteFunc(slices.Clone(out.Fields),
		func(f Field) bool { return f.Value.Kind == template.Null })
	return &out
}

func (x *expander) withGlobals(r *template.Resource) *Value {
	g := x.globals[r.Type]
	if g == nil {
		return r.Properties
	}
	if ig := r.IgnoreGlobals; ig != nil {
		if s, ok := ig.IsString(); ok && s == "*" {
			return r.Properties
		}
		for _, it := range ig.Items {
			name, _ := it.IsString()
			if g.Get(name) == nil {
				x.wrong(it.Pos, r.ID, "IgnoreGlobals",
					"Resource %s has invalid resource attribute 'IgnoreGlobals' on item '%s'.", r.ID, name)
				continue
			}
			g = g.With(name, nil)
		}
	}
	return merge(g, r.Properties)
}

// merge puts local over global: maps key by key, lists one after the other, anything else local wins.
func merge(global, local *Value) *Value {
	switch {
	case global == nil:
		return local
	case local == nil:
		return global
	case global.Kind == template.List && local.Kind == template.List:
		return template.Of(local.Pos, append(slices.Clone(global.Items), local.Items...)...)
	case global.Kind != template.Map || local.Kind != template.Map || isIntrinsic(global) || isIntrinsic(local):
		return local
	}
	out := template.Obj(local.Pos)
	for _, f := range global.Fields {
		l := local.Get(f.Key)
		if l != nil {
			f.Pos = local.KeyPos(f.Key)
		}
		f.Value = merge(f.Value, l)
		out.Fields = append(out.Fields, f)
	}
	for _, f := range local.Fields {
		if global.Get(f.Key) == nil {
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}
