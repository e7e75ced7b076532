package lambda

import (
	"context"
	"encoding/base64"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

// Settings is the part of inputs that configures a function.
type Settings struct {
	Role             *string
	Handler          *string `max:"128" pattern:"[^\\s]+"`
	Runtime          *string
	Description      *string `max:"256"`
	Timeout          *int    `min:"1" max:"900"`
	MemorySize       *int    `min:"128"`
	Environment      *Environment
	Layers           []string
	EphemeralStorage *EphemeralStorage
	TracingConfig    *TracingConfig
	LoggingConfig    *LoggingConfig
}

// Environment of a function. Its values are secrets.
type Environment struct {
	Variables map[string]string `wire:",sensitive"`
}

// EphemeralStorage is the size of /tmp.
type EphemeralStorage struct {
	Size *int `wire:",required" min:"512" max:"10240"`
}

// TracingConfig of a function.
type TracingConfig struct {
	Mode string `enum:"Active|PassThrough"`
}

// LoggingConfig of a function.
type LoggingConfig struct {
	LogFormat           string `enum:"JSON|Text"`
	LogGroup            string `min:"1" max:"512"`
	ApplicationLogLevel string `enum:"TRACE|DEBUG|INFO|WARN|ERROR|FATAL"`
	SystemLogLevel      string `enum:"DEBUG|INFO|WARN"`
}

// settings translates.
func (s *Settings) settings() catalog.Settings {
	out := catalog.Settings{
		Description: s.Description, Runtime: s.Runtime, Handler: s.Handler, Role: s.Role, TimeoutSeconds: s.Timeout,
		MemoryMB: s.MemorySize, Layers: s.Layers,
	}
	if s.Environment != nil {
		if out.Environment = s.Environment.Variables; out.Environment == nil {
			out.Environment = map[string]string{}
		}
	}
	if s.EphemeralStorage != nil {
		out.TmpMB = s.EphemeralStorage.Size
	}
	if s.TracingConfig != nil {
		out.Tracing = given(s.TracingConfig.Mode)
	}
	if l := s.LoggingConfig; l != nil {
		out.LogFormat, out.LogGroup = given(l.LogFormat), given(l.LogGroup)
		out.LogLevel, out.SystemLevel = given(l.ApplicationLogLevel), given(l.SystemLogLevel)
	}
	return out
}

// given is nil for a member that was not.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// FunctionCode is where code comes from.
type FunctionCode struct {
	ZipFile         []byte `wire:",sensitive"`
	S3Bucket        string `min:"3" max:"63"`
	S3Key           string `min:"1" max:"1024"`
	S3ObjectVersion string `min:"1" max:"1024"`
}

func (c *FunctionCode) code() catalog.Code {
	return catalog.Code{Zip: c.ZipFile, Bucket: c.S3Bucket, Key: c.S3Key, ObjectVersion: c.S3ObjectVersion}
}

// CreateFunctionInput of CreateFunction.
type CreateFunctionInput struct {
	FunctionName string `wire:",required" max:"140"`
	Settings
	Code          *FunctionCode `wire:",required"`
	Architectures []string      `max:"1" eachenum:"x86_64|arm64"`
	PackageType   string        `enum:"Zip|Image"`
	Publish       bool
	Tags          map[string]string
}

func (in *CreateFunctionInput) function() (string, string) { return in.FunctionName, "" }

// FunctionConfiguration is how Lambda shows a version.
type FunctionConfiguration struct {
	FunctionName               string
	FunctionArn                string
	Runtime                    string
	Role                       string
	Handler                    string
	CodeSize                   int64
	Description                string `wire:",keep"`
	Timeout                    int
	MemorySize                 int
	LastModified               string
	CodeSha256                 string
	Version                    string
	Environment                *Environment
	TracingConfig              *TracingConfig
	RevisionId                 string
	Layers                     []Layer
	State                      string
	StateReason                string
	StateReasonCode            string
	LastUpdateStatus           string
	LastUpdateStatusReason     string
	LastUpdateStatusReasonCode string
	PackageType                string
	Architectures              []string
	EphemeralStorage           *EphemeralStorage
	SnapStart                  *SnapStart
	LoggingConfig              *LoggingConfig
}

// Layer is a layer version that a function uses.
type Layer struct {
	Arn      string
	CodeSize int64
}

// SnapStart is always off.
type SnapStart struct {
	ApplyOn            string
	OptimizationStatus string
}

// configuration shows v; arn is the name under which it was asked for.
func configuration(v *catalog.Version, arn rouse.ARN) *FunctionConfiguration {
	c := &FunctionConfiguration{
		FunctionName: v.Name, FunctionArn: arn.String(), Runtime: v.Runtime, Role: v.Role, Handler: v.Handler,
		CodeSize: v.CodeSize, Description: v.Description, Timeout: v.TimeoutSeconds, MemorySize: v.MemoryMB,
		LastModified: short(v.LastModified), CodeSha256: v.CodeSHA256, Version: v.Number,
		TracingConfig: &TracingConfig{v.Tracing}, RevisionId: v.RevisionID, State: v.State, StateReason: v.StateReason,
		StateReasonCode: v.StateReasonCode, LastUpdateStatus: v.LastUpdateStatus, LastUpdateStatusReason: v.UpdateReason,
		LastUpdateStatusReasonCode: v.UpdateReasonCode, PackageType: v.PackageType, Architectures: v.Architectures,
		EphemeralStorage: &EphemeralStorage{&v.TmpMB}, SnapStart: &SnapStart{"None", "Off"},
		LoggingConfig: &LoggingConfig{v.LogFormat, v.LogGroup, v.LogLevel, v.SystemLevel},
	}
	if v.Environment != nil {
		c.Environment = &Environment{v.Environment}
	}
	for _, l := range v.Layers {
		c.Layers = append(c.Layers, Layer{l.ARN, l.CodeSize})
	}
	return c
}

// listed is how lists show a version: without its states.
func listed(v *catalog.Version, arn rouse.ARN) FunctionConfiguration {
	c := configuration(v, arn)
	c.State, c.StateReason, c.StateReasonCode = "", "", ""
	c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode = "", "", ""
	return *c
}

// unsupportedSettings are the members of a configuration that Rouse refuses.
func unsupportedSettings() []wire.Option {
	return []wire.Option{
		wire.Refuse("VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds", "VpcConfig.Ipv6AllowedForDualStack",
			"DeadLetterConfig.TargetArn", "KMSKeyArn", "FileSystemConfigs", "ImageConfig", "CapacityProviderConfig",
			"DurableConfig", "TenancyConfig"),
		wire.RefuseExcept("SnapStart.ApplyOn", "None"),
		wire.Differs("TracingConfig Active samples the trace header; there is no X-Ray to read traces from"),
		wire.Differs("a Runtime that is newer than Rouse, of a family that Rouse runs (nodejs26.x, python3.15, provided.al2026), runs on " +
			"the nearest installed, where AWS refuses names that it does not know"),
	}
}

func (d *Door) functionOperations() []wire.Operation {
	const functions = "/2015-03-31/functions"
	const function = functions + "/{FunctionName}"
	return []wire.Operation{
		wire.Op("CreateFunction", "POST "+functions+" 201", d.needCreate, d.createFunction, append(unsupportedSettings(),
			wire.Refuse("Code.ImageUri", "Code.SourceKMSKeyArn", "CodeSigningConfigArn", "PublishTo"),
			wire.RefuseExcept("PackageType", "Zip"), wire.BodyMax(createMax),
			wire.Differs("errors about the environment do not repeat its values"),
			wire.Differs("files in /tmp count against the function's memory, and a function may use a whole processor"),
			wire.Differs("the AWS SDK for JavaScript v2 (aws-sdk), which reads no AWS_ENDPOINT_URL, is pointed at Rouse when it is loaded as a "+
				"package; a copy that a bundler put into the function's own file is not, and needs an endpoint in its code"),
			wire.Differs("the architecture that is not the machine's is taken for Node.js and Python only"))...),
		op(d, "GetFunction", "GET "+function, "lambda:GetFunction", d.getFunction,
			wire.Differs("Code.Location is a link to Rouse")),
		op(d, "GetFunctionConfiguration", "GET "+function+"/configuration", "lambda:GetFunctionConfiguration", d.getConfiguration),
		op(d, "UpdateFunctionCode", "PUT "+function+"/code", "lambda:UpdateFunctionCode", d.updateCode,
			wire.Refuse("ImageUri", "SourceKMSKeyArn", "PublishTo"), wire.BodyMax(createMax)),
		wire.Op("UpdateFunctionConfiguration", "PUT "+function+"/configuration", d.needUpdate, d.updateConfiguration,
			unsupportedSettings()...),
		op(d, "DeleteFunction", "DELETE "+function+" 204", "lambda:DeleteFunction", d.deleteFunction),
		wire.Op("ListFunctions", "GET "+functions, onAll[ListFunctionsInput]("lambda:ListFunctions"), d.listFunctions,
			wire.Refuse("MasterRegion"), wire.Differs("with FunctionVersion=ALL a function's versions are never parted by a page")),
	}
}

func (d *Door) needCreate(_ context.Context, from rouse.Origin, in *CreateFunctionInput) ([]rouse.Need, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	_, egress := in.Tags[egressTag]
	needs := d.withEgress([]rouse.Need{withTags(d.need("lambda:CreateFunction", r), in.Tags)}, r, egress)
	return append(needs, configurationNeeds(value(in.Role), in.Layers)...), nil
}

func (d *Door) createFunction(ctx context.Context, from rouse.Origin, in *CreateFunctionInput) (
	*FunctionConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.Create(ctx, r, catalog.NewFunction{
		Settings: in.settings(), Code: in.Code.code(), Architectures: in.Architectures, Tags: in.Tags, Publish: in.Publish,
	})
	if err != nil {
		return nil, err
	}
	return configuration(v, d.catalog.ARN(r)), nil // without the version's number even when it was published, as Lambda
}

// GetFunctionInput of GetFunction.
type GetFunctionInput struct{ Qualified }

// GetFunctionOutput of GetFunction.
type GetFunctionOutput struct {
	Configuration *FunctionConfiguration
	Code          *CodeLocation
	Tags          map[string]string
	Concurrency   *Concurrency
}

// CodeLocation is where the archive can be had for some minutes.
type CodeLocation struct {
	RepositoryType string
	Location       string
}

func (d *Door) getFunction(_ context.Context, from rouse.Origin, in *GetFunctionInput) (*GetFunctionOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.Version(r)
	if err != nil {
		return nil, err
	}
	out := &GetFunctionOutput{
		Configuration: configuration(v, d.catalog.ARN(r)),
		Code:          &CodeLocation{"S3", d.link(v.CodeKey)},
	}
	if len(v.Tags) > 0 {
		out.Tags = v.Tags
	}
	if v.Reserved != nil {
		out.Concurrency = &Concurrency{v.Reserved}
	}
	return out, nil
}

// GetFunctionConfigurationInput of GetFunctionConfiguration.
type GetFunctionConfigurationInput struct{ Qualified }

func (d *Door) getConfiguration(_ context.Context, from rouse.Origin, in *GetFunctionConfigurationInput) (
	*FunctionConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.Version(r)
	if err != nil {
		return nil, err
	}
	return configuration(v, d.catalog.ARN(r)), nil
}

// UpdateFunctionCodeInput of UpdateFunctionCode.
type UpdateFunctionCodeInput struct {
	Name
	FunctionCode
	Architectures []string `max:"1" eachenum:"x86_64|arm64"`
	Publish       bool
	DryRun        bool
	RevisionId    string
}

func (d *Door) updateCode(ctx context.Context, from rouse.Origin, in *UpdateFunctionCodeInput) (
	*FunctionConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.UpdateCode(ctx, latest(r), catalog.CodeChange{
		Code: in.code(), Architectures: in.Architectures, Publish: in.Publish, DryRun: in.DryRun, RevisionID: in.RevisionId,
	})
	if err != nil {
		return nil, err
	}
	return configuration(v, d.shown(r, v)), nil
}

// shown is the ARN that a change answers with: the version's when it was published.
func (d *Door) shown(r catalog.Ref, v *catalog.Version) rouse.ARN {
	if v.Number != catalog.Latest {
		return v.ARN
	}
	return d.catalog.ARN(r)
}

// latest takes $LATEST off a name where Lambda takes it for the function itself.
func latest(r catalog.Ref) catalog.Ref {
	if r.Qualifier == catalog.Latest {
		r.Qualifier = ""
	}
	return r
}

// UpdateFunctionConfigurationInput of UpdateFunctionConfiguration.
type UpdateFunctionConfigurationInput struct {
	Name
	Settings
	RevisionId string
}

func (d *Door) needUpdate(_ context.Context, from rouse.Origin, in *UpdateFunctionConfigurationInput) (
	[]rouse.Need, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return append([]rouse.Need{d.need("lambda:UpdateFunctionConfiguration", r)}, configurationNeeds(value(in.Role), in.Layers)...), nil
}

func (d *Door) updateConfiguration(ctx context.Context, from rouse.Origin, in *UpdateFunctionConfigurationInput) (
	*FunctionConfiguration, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.UpdateConfig(ctx, latest(r), in.settings(), in.RevisionId)
	if err != nil {
		return nil, err
	}
	return configuration(v, d.shown(r, v)), nil
}

// DeleteFunctionInput of DeleteFunction.
type DeleteFunctionInput struct{ Qualified }

func (d *Door) deleteFunction(ctx context.Context, from rouse.Origin, in *DeleteFunctionInput) (*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.Delete(ctx, r)
}

// ListFunctionsInput of ListFunctions.
type ListFunctionsInput struct {
	FunctionVersion string `wire:"FunctionVersion,query" enum:"ALL"`
	Paging
}

// ListFunctionsOutput of ListFunctions.
type ListFunctionsOutput struct {
	NextMarker string
	Functions  []FunctionConfiguration
}

func (d *Door) listFunctions(_ context.Context, from rouse.Origin, in *ListFunctionsInput) (*ListFunctionsOutput, error) {
	after, err := unmark(in.Marker)
	if err != nil {
		return nil, err
	}
	all := in.FunctionVersion == "ALL"
	vs, next := d.catalog.Functions(from.Principal.Account, after, page(value(in.MaxItems)), all)
	out := &ListFunctionsOutput{NextMarker: mark(next), Functions: []FunctionConfiguration{}}
	for _, v := range vs {
		arn := v.ARN
		if !all {
			arn = d.catalog.ARN(catalog.Ref{Account: v.Account, Name: v.Name})
		}
		out.Functions = append(out.Functions, listed(v, arn))
	}
	return out, nil
}

// mark makes what follows a page opaque, as Lambda's markers are.
func mark(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func unmark(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", rouse.Errorf(rouse.Invalid, "The provided Marker is invalid.").WithCode("InvalidParameterValueException")
	}
	return string(b), nil
}
