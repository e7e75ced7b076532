package sam

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// functionNames are the properties of AWS::Serverless::Function that are expanded or passed on.
var functionNames = strings.Fields("FunctionName Handler Runtime CodeUri ImageUri PackageType InlineCode DeadLetterQueue " +
	"Description MemorySize Timeout VpcConfig Role AssumeRolePolicyDocument Policies RolePath PermissionsBoundary Environment " +
	"Events Tags Tracing KmsKeyArn ReservedConcurrentExecutions Layers EventInvokeConfig EphemeralStorage AutoPublishAlias " +
	"AutoPublishCodeSha256 AutoPublishAliasAllProperties VersionDescription ProvisionedConcurrencyConfig FileSystemConfigs " +
	"ImageConfig CodeSigningConfigArn Architectures SnapStart FunctionUrlConfig RuntimeManagementConfig LoggingConfig " +
	"RecursiveLoop TenancyConfig DurableConfig VersionDeletionPolicy PropagateTags")

var functionRefused = map[string]string{"DeploymentPreference": "; AutoPublishAlias moves the alias at once",
	"CapacityProviderConfig": "", "FunctionScalingConfig": "", "PublishToLatestPublished": "", "SourceKMSKeyArn": "",
	"PropagateTags": ""}

// passed are the properties that the function gets as they are.
var passed = strings.Fields("FunctionName Handler Runtime Description MemorySize Timeout VpcConfig Environment KmsKeyArn " +
	"ReservedConcurrentExecutions Layers FileSystemConfigs ImageConfig PackageType Architectures SnapStart EphemeralStorage " +
	"CodeSigningConfigArn RuntimeManagementConfig LoggingConfig TenancyConfig RecursiveLoop DurableConfig")

// function is the expansion of one AWS::Serverless::Function.
type function struct {
	x       *expander
	r       *template.Resource
	code    *Value
	lambda  *template.Resource
	alias   string // logical id; "" when there is none
	name    string // of the alias
	version string // logical id
}

func (f *function) prop(name string) *Value { return f.r.Properties.Get(name) }

func (f *function) wrong(p Pos, path, format string, args ...any) {
	f.x.wrong(p, f.r.ID, path, format, args...)
}

func (f *function) expand() {
	f.x.known(f.r, functionNames, functionRefused)
	f.code = f.codeOf()
	f.construct()
	if f.prop("AutoPublishAlias") != nil {
		f.publish()
	} else {
		for _, n := range []string{"ProvisionedConcurrencyConfig", "VersionDeletionPolicy"} {
			if v := f.prop(n); v != nil {
				f.wrong(f.r.Properties.KeyPos(n), n, "it needs AutoPublishAlias on the function")
			}
		}
	}
	if u := f.prop("FunctionUrlConfig"); u != nil {
		f.url(u)
	}
	statements := f.invokeConfig()
	f.role(statements)
	f.events()
}

// codeOf is the Code of the function.
func (f *function) codeOf() *Value {
	inline, uri, image := f.prop("InlineCode"), f.prop("CodeUri"), f.prop("ImageUri")
	if t, _ := f.prop("PackageType").IsString(); t == "Image" {
		if image == nil {
			f.x.refuse(f.r.Properties.KeyPos("PackageType"), f.r.ID, "PackageType",
				"functions that are images; use the PackageType Zip")
			return template.Obj(f.r.Pos)
		}
		return template.Obj(image.Pos, template.KV(image.Pos, "ImageUri", image))
	}
	for _, n := range []string{"Runtime", "Handler"} {
		if f.prop(n) == nil {
			f.wrong(f.r.Pos, "", "Runtime and Handler needs to be present when PackageType is of type `Zip`: %s is missing", n)
		}
	}
	switch {
	case inline != nil:
		return template.Obj(inline.Pos, template.KV(inline.Pos, "ZipFile", inline))
	case uri != nil:
		return f.x.location(f.r, "CodeUri", uri, "S3Bucket", "S3Key", "S3ObjectVersion")
	}
	f.wrong(f.r.Pos, "", "Only one of 'InlineCode' or 'CodeUri' can be set, and one must be.")
	return template.Obj(f.r.Pos)
}

// location reads "s3://bucket/key?versionId=v" or {Bucket, Key, Version} as a map with the given names.
func (x *expander) location(r *template.Resource, prop string, v *Value, bucket, key, version string) *Value {
	if v.Kind == template.Map && !isIntrinsic(v) {
		b, k := v.Get("Bucket"), v.Get("Key")
		if b == nil || k == nil {
			x.wrong(v.Pos, r.ID, prop, "'%s' requires Bucket and Key properties to be specified.", prop)
		}
		return template.Obj(v.Pos, template.KV(v.Pos, bucket, b), template.KV(v.Pos, key, k),
			template.KV(v.Pos, version, v.Get("Version")))
	}
	text, _ := v.IsString()
	rest, ok := strings.CutPrefix(text, "s3://")
	rest, query, _ := strings.Cut(rest, "?")
	b, k, _ := strings.Cut(rest, "/")
	if !ok || b == "" || k == "" {
		x.wrong(v.Pos, r.ID, prop, "'%s' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter. "+
			"(A local folder is built and uploaded by rouse deploy.)", prop)
		return template.Obj(v.Pos)
	}
	out := template.Obj(v.Pos, template.KV(v.Pos, bucket, template.Str(v.Pos, b)),
		template.KV(v.Pos, key, template.Str(v.Pos, k)))
	if id, ok := strings.CutPrefix(query, "versionId="); ok {
		out = out.With(version, template.Str(v.Pos, id))
	}
	return out
}

func (f *function) construct() {
	props := template.Obj(f.r.Properties.Pos)
	props.Fields = append(props.Fields, template.KV(f.code.Pos, "Code", f.code))
	for _, n := range passed {
		if v := f.prop(n); v != nil {
			props.Fields = append(props.Fields, Field{Key: n, Pos: f.r.Properties.KeyPos(n), Value: v})
		}
	}
	if t := f.prop("Tracing"); t != nil {
		f.x.warn(t.Pos, f.r.ID, "Tracing", "the mode is kept and nothing is traced yet")
		if s, _ := f.x.resolve(t).IsString(); s != "Disabled" {
			props.Fields = append(props.Fields, template.KV(t.Pos, "TracingConfig",
				template.Obj(t.Pos, template.KV(t.Pos, "Mode", t))))
		}
	}
	if q := f.prop("DeadLetterQueue"); q != nil {
		props.Fields = append(props.Fields, template.KV(q.Pos, "DeadLetterConfig",
			template.Obj(q.Pos, template.KV(q.Pos, "TargetArn", q.Get("TargetArn")))))
	}
	if r := f.prop("Role"); r != nil {
		props.Fields = append(props.Fields, Field{Key: "Role", Pos: f.r.Properties.KeyPos("Role"), Value: r})
	}
	tags := f.prop("Tags")
	props.Fields = append(props.Fields, template.KV(f.r.Properties.KeyPos("Tags"), "Tags",
		tagList(f.r.Pos, tags, "lambda:createdBy", "SAM")))
	l := *f.r
	l.Type, l.Properties = "AWS::Lambda::Function", props
	f.lambda = &l
	f.x.resources = append(f.x.resources, &l)
}

var aliasName = regexp.MustCompile(`^[a-zA-Z0-9\-_]+$`)
var digits = regexp.MustCompile(`^[0-9]+$`)

// publish adds the version and the alias of AutoPublishAlias.
func (f *function) publish() {
	v := f.prop("AutoPublishAlias")
	name, ok := f.x.resolve(v).IsString()
	if !ok {
		f.wrong(v.Pos, "AutoPublishAlias", "'AutoPublishAlias' must be a string or a Ref to a template parameter")
		return
	}
	if !aliasName.MatchString(name) || digits.MatchString(name) {
		f.wrong(v.Pos, "AutoPublishAlias",
			"AutoPublishAlias name ('%s') must contain only alphanumeric characters, hyphens, "+
				"or underscores matching (?!^[0-9]+$)([a-zA-Z0-9-_]+) pattern.", name)
		return
	}
	hash := f.versionHash()
	f.version = f.r.ID + "Version" + hash
	ver := f.x.add(f.r, f.version, "AWS::Lambda::Version", v.Pos,
		template.KV(v.Pos, "Description", f.prop("VersionDescription")),
		template.KV(v.Pos, "FunctionName", template.Ref(v.Pos, f.r.ID)))
	if ver.Deletion == "" {
		ver.Deletion = "Retain"
		if p, ok := f.prop("VersionDeletionPolicy").IsString(); ok {
			ver.Deletion = p
		}
	}
	f.name, f.alias = name, f.r.ID+"Alias"+strings.NewReplacer("-", "D", "_", "U").Replace(name)
	f.x.add(f.r, f.alias, "AWS::Lambda::Alias", v.Pos, template.KV(v.Pos, "Name", template.Str(v.Pos, name)),
		template.KV(v.Pos, "FunctionName", template.Ref(v.Pos, f.r.ID)),
		template.KV(v.Pos, "FunctionVersion", template.GetAtt(v.Pos, f.version, "Version")),
		template.KV(v.Pos, "ProvisionedConcurrencyConfig", f.prop("ProvisionedConcurrencyConfig")))
	f.x.renamed[f.r.ID+".Version"], f.x.renamed[f.r.ID+".Alias"] = f.version, f.alias
}

// versionHash is the hash in the name of the version: a new one is published when it changes.
func (f *function) versionHash() string {
	if sha := f.prop("AutoPublishCodeSha256"); sha != nil {
		text, ok := f.x.resolve(sha).IsString()
		if !ok {
			f.wrong(sha.Pos, "AutoPublishCodeSha256", "AutoPublishCodeSha256 must be a string")
		}
		f.describeCode(text)
		return text[:min(10, len(text))]
	}
	if all, _ := f.prop("AutoPublishAliasAllProperties").Bool(); all {
		return digest(f.lambda.Properties)
	}
	data := f.x.resolve(f.code)
	if env := f.prop("Environment"); env != nil {
		for _, e := range env.Fields {
			data = data.With(e.Key, e.Value)
		}
	}
	if m := f.prop("MemorySize"); m != nil {
		data = data.With("MemorySize", m)
	}
	if on, ok := f.prop("SnapStart").Get("ApplyOn").IsString(); ok && on != "None" {
		data = data.With("SnapStart", f.prop("SnapStart"))
	}
	return digest(data)
}

// describeCode appends the given hash to the function's description, so that its change updates the function.
func (f *function) describeCode(sha string) {
	p := f.r.Properties.KeyPos("AutoPublishCodeSha256")
	d := template.Str(p, sha)
	if old := f.x.resolve(f.prop("Description")); old != nil {
		if text, ok := old.IsString(); ok {
			d = template.Str(p, text+" "+sha)
		} else {
			d = template.Obj(p, template.KV(p, "Fn::Join", template.Of(p, template.Str(p, " "),
				template.Of(p, old, template.Str(p, sha)))))
		}
	}
	f.lambda.Properties = f.lambda.Properties.With("Description", d)
}

// target is what reaches the function: its alias when it has one.
func (f *function) target(p Pos) *Value {
	if f.alias != "" {
		return template.Ref(p, f.alias)
	}
	return template.Ref(p, f.r.ID)
}

// arn is the ARN of the function or its alias.
func (f *function) arn(p Pos) *Value {
	if f.alias != "" {
		return template.Ref(p, f.alias)
	}
	return template.GetAtt(p, f.r.ID, "Arn")
}

func (f *function) url(u *Value) {
	auth := u.Get("AuthType")
	if text, plain := auth.IsString(); auth == nil || (plain && text != "NONE" && text != "AWS_IAM") {
		f.wrong(u.Pos, "FunctionUrlConfig", "AuthType is required to configure function property `FunctionUrlConfig`. "+
			"Please provide either AWS_IAM or NONE.")
		return
	}
	names := []string{"AuthType", "Cors", "InvokeMode"}
	for _, e := range u.Fields {
		if !slices.Contains(names, e.Key) {
			f.wrong(e.Pos, "FunctionUrlConfig", "there is no %s%s", e.Key, template.Suggest(e.Key, names))
		}
	}
	p := u.Pos
	f.x.add(f.r, f.r.ID+"Url", "AWS::Lambda::Url", p, template.KV(p, "TargetFunctionArn", f.target(p)),
		template.KV(p, "AuthType", auth),
		template.KV(u.KeyPos("Cors"), "Cors", u.Get("Cors")),
		template.KV(u.KeyPos("InvokeMode"), "InvokeMode", u.Get("InvokeMode")))
	if text, _ := auth.IsString(); text != "NONE" {
		return
	}
	f.x.add(f.r, f.r.ID+"UrlPublicPermissions", "AWS::Lambda::Permission", p,
		template.KV(p, "Action", template.Str(p, "lambda:InvokeFunctionUrl")),
		template.KV(p, "FunctionName", f.target(p)), template.KV(p, "Principal", template.Str(p, "*")),
		template.KV(p, "FunctionUrlAuthType", auth))
	f.x.add(f.r, f.r.ID+"URLInvokeAllowPublicAccess", "AWS::Lambda::Permission", p,
		template.KV(p, "Action", template.Str(p, "lambda:InvokeFunction")),
		template.KV(p, "FunctionName", f.target(p)), template.KV(p, "Principal", template.Str(p, "*")),
		template.KV(p, "InvokedViaFunctionUrl", template.Boolean(p, true)))
}

// destinations are the types of destinations: the name of the policy that each needs, and its action.
var destinations = map[string]struct{ policy, action string }{"SQS": {"SQSPolicy", "sqs:SendMessage"},
	"SNS":         {"SNSPolicy", "sns:publish"},
	"EventBridge": {"EventBridgePolicy", "events:PutEvents"}, "Lambda": {"LambdaPolicy", "lambda:InvokeFunction"},
	"S3Bucket": {"S3Policy", "s3:PutObject"}}

// invokeConfig adds the EventInvokeConfig and answers with the policies that its destinations need.
func (f *function) invokeConfig() (policies []*Value) {
	c := f.prop("EventInvokeConfig")
	if c == nil {
		return nil
	}
	names := []string{"DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts"}
	for _, e := range c.Fields {
		if !slices.Contains(names, e.Key) {
			f.wrong(e.Pos, "EventInvokeConfig", "there is no %s%s", e.Key, template.Suggest(e.Key, names))
		}
	}
	p, id := c.Pos, f.r.ID+"EventInvokeConfig"
	dest := template.Obj(p)
	for _, on := range []string{"OnSuccess", "OnFailure"} {
		d := c.Path("DestinationConfig", on)
		if d == nil {
			continue
		}
		typ, _ := d.Get("Type").IsString()
		kind, to := destinations[typ], d.Get("Destination")
		if kind.action == "" {
			f.wrong(d.Pos, "EventInvokeConfig.DestinationConfig."+on,
				"'Type: %s' must be one of [SQS, SNS, EventBridge, Lambda, S3Bucket]", typ)
			continue
		}
		if to == nil {
			f.x.refuse(d.Pos, f.r.ID, "EventInvokeConfig.DestinationConfig."+on,
				"making a destination; name one in Destination")
			continue
		}
		dest = dest.With(on, template.Obj(d.Pos, template.KV(d.Pos, "Destination", to)))
		list := template.Of(d.Pos, statement(d.Pos, kind.action, to))
		if typ == "S3Bucket" {
			all := template.Obj(d.Pos, template.KV(d.Pos, "Fn::Join",
				template.Of(d.Pos, template.Str(d.Pos, "/"), template.Of(d.Pos, to, template.Str(d.Pos, "*")))))
			list = template.Of(d.Pos, statement(d.Pos, kind.action, all), statement(d.Pos, "s3:ListBucket", to))
		}
		policies = append(policies, template.Obj(d.Pos, template.KV(d.Pos, "PolicyName",
			template.Str(d.Pos, id+on+kind.policy)),
			template.KV(d.Pos, "PolicyDocument", template.Obj(d.Pos, template.KV(d.Pos, "Statement", list)))))
	}
	qualifier := "$LATEST"
	if f.name != "" {
		qualifier = f.name
	}
	r := f.x.add(f.r, id, "AWS::Lambda::EventInvokeConfig", p, template.KV(p, "FunctionName", template.Ref(p, f.r.ID)),
		template.KV(p, "Qualifier", template.Str(p, qualifier)),
		template.KV(p, "MaximumEventAgeInSeconds", c.Get("MaximumEventAgeInSeconds")),
		template.KV(p, "MaximumRetryAttempts", c.Get("MaximumRetryAttempts")))
	if len(dest.Fields) > 0 {
		r.Properties = r.Properties.With("DestinationConfig", dest)
	}
	if f.alias != "" {
		r.DependsOn = []string{f.alias}
	}
	return policies
}

func statement(p Pos, action string, resource *Value) *Value {
	return template.Obj(p, template.KV(p, "Action", template.Str(p, action)),
		template.KV(p, "Effect", template.Str(p, "Allow")),
		template.KV(p, "Resource", resource))
}

// layer expands an AWS::Serverless::LayerVersion. A layer's name holds a hash: every change makes a new layer version,
// and the old one stays unless RetentionPolicy says Delete.
func (x *expander) layer(r *template.Resource) {
	x.known(r, []string{"LayerName", "Description", "ContentUri", "CompatibleArchitectures", "CompatibleRuntimes",
		"LicenseInfo",
		"RetentionPolicy"}, map[string]string{"PublishLambdaVersion": ""})
	props := r.Properties
	for _, n := range []string{"LayerName", "LicenseInfo", "Description", "RetentionPolicy"} {
		if v := props.Get(n); v != nil {
			props = props.With(n, x.resolve(v))
		}
	}
	retention := "Retain"
	if r.Deletion != "" {
		retention = r.Deletion
	}
	if v := props.Get("RetentionPolicy"); v != nil {
		text, _ := v.IsString()
		switch strings.ToLower(text) {
		case "retain":
			retention = "Retain"
		case "delete":
			retention = "Delete"
		default:
			x.wrong(v.Pos, r.ID, "RetentionPolicy",
				"'RetentionPolicy' must be one of the following options: [Retain, Delete]; functions are not accepted")
		}
	}
	uri := props.Get("ContentUri")
	if uri == nil {
		x.wrong(r.Pos, r.ID, "", "Missing required property 'ContentUri'.")
		return
	}
	hashed := template.Obj(r.Pos, template.KV(r.Pos, "Type", template.Str(r.Pos, r.Type)),
		template.KV(r.Pos, "Properties", props))
	if len(r.DependsOn) > 0 {
		hashed = hashed.With("DependsOn", template.Strs(r.Pos, r.DependsOn...))
	}
	if r.Condition != "" {
		hashed = hashed.With("Condition", template.Str(r.Pos, r.Condition))
	}
	id := r.ID + digest(template.Obj(r.Pos, template.KV(r.Pos, r.ID, hashed)))
	name := props.Get("LayerName")
	if name == nil {
		name = template.Str(r.Pos, r.ID)
	}
	l := *r
	l.ID, l.Type, l.Deletion = id, "AWS::Lambda::LayerVersion", retention
	l.Properties = template.Obj(props.Pos, template.KV(props.KeyPos("LayerName"), "LayerName", name),
		template.KV(props.KeyPos("Description"), "Description", props.Get("Description")),
		template.KV(uri.Pos, "Content", x.location(r, "ContentUri", uri, "S3Bucket", "S3Key", "S3ObjectVersion")),
		template.KV(props.KeyPos("CompatibleArchitectures"), "CompatibleArchitectures",
			props.Get("CompatibleArchitectures")),
		template.KV(props.KeyPos("CompatibleRuntimes"), "CompatibleRuntimes", props.Get("CompatibleRuntimes")),
		template.KV(props.KeyPos("LicenseInfo"), "LicenseInfo", props.Get("LicenseInfo")))
	x.resources = append(x.resources, &l)
	x.renamed[r.ID] = id
}
