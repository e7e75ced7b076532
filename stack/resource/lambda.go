package resource

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/template"
)

const functionTable = `
Architectures list string
CapacityProviderConfig no
Code object required {
  ImageUri no -- functions are zip archives
  S3Bucket string
  S3Key string
  S3ObjectStorageMode no
  S3ObjectVersion string
  SourceKMSKeyArn no
  ZipFile string -- one file, index.py or index.js, without AWS's module cfn-response
}
CodeSigningConfigArn no
DeadLetterConfig no
Description string
DurableConfig no
Environment object {
  Variables map string
}
EphemeralStorage object {
  Size int required
}
FileSystemConfigs no
FunctionName string replace
FunctionScalingConfig no
Handler string
ImageConfig no
KmsKeyArn no
Layers list string
LoggingConfig object {
  ApplicationLogLevel string
  LogFormat string
  LogGroup string
  SystemLogLevel string
}
MemorySize int
PackageType string replace only=Zip
PublishToLatestPublished no
RecursiveLoop no
ReservedConcurrentExecutions int
Role string required
Runtime string -- names newer than Rouse, of families that it runs, run on the nearest installed
RuntimeManagementConfig no
SnapStart object {
  ApplyOn string required only=None
}
Tags list object {
  Key string required
  Value string
}
TenancyConfig no
Timeout int
TracingConfig object -- the mode is kept and nothing is traced yet {
  Mode string
}
VpcConfig no
`

// egressTag says what a function may reach of the public internet: on, off or allow: with a list. Under Metadata of a resource
// the same key does the same, in templates that have to deploy on AWS.
const egressTag = "rouse:egress"

func lambdaTypes() []*Type {
	return append(permissionTypes(), &Type{Name: "AWS::Lambda::Function", Properties: properties(functionTable),
		Attributes: []string{"Arn"},
		naming:     naming{property: "FunctionName", max: 64}, tags: "Tags", mark: egressTag,
		create: createFunction, update: updateFunction, ready: functionReady, check: checkFunction,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "lambda", "DeleteFunction", map[string]any{"FunctionName": r.Physical}, nil)
		},
		find: func(ctx context.Context, c Client, r *Request) (State, bool, error) {
			if err := c.Call(ctx, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": r.Physical},
				nil); err != nil {
				return State{}, false, err
			}
			return functionState(r, r.Physical), true, nil
		},
	}, &Type{Name: "AWS::Lambda::Version", Attributes: []string{"Version", "FunctionArn"},
		Note: "a change replaces it: the new version is published before the old one is deleted",
		Properties: properties(`
CodeSha256 string replace
Description string replace
FunctionName string required replace
FunctionScalingConfig no
ProvisionedConcurrencyConfig no
RuntimePolicy no
`),
		create: createVersion,
		remove: func(ctx context.Context, c Client, r *Request) error {
			fn, version := cutQualifier(r.Physical)
			return c.Call(ctx, "lambda", "DeleteFunction", map[string]any{"FunctionName": fn, "Qualifier": version},
				nil)
		},
	}, &Type{Name: "AWS::Lambda::Alias", Attributes: []string{"AliasArn"}, Properties: properties(`
Description string
FunctionName string required replace
FunctionVersion string required
Name string required replace
ProvisionedConcurrencyConfig no
RoutingConfig object {
  AdditionalVersionWeights list object {
    FunctionVersion string required
    FunctionWeight number required
  }
}
`), keyed: true, create: createAlias, update: updateAlias, find: findAlias,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "lambda", "DeleteAlias", take(r.Props, "FunctionName Name"), nil)
		},
	}, &Type{Name: "AWS::Lambda::LayerVersion", Attributes: []string{"LayerVersionArn"}, Properties: properties(`
CompatibleArchitectures list string replace
CompatibleRuntimes list string replace
Content object required replace {
  S3Bucket string required
  S3Key string required
  S3ObjectVersion string
}
Description string replace
LayerName string replace
LicenseInfo string replace
`), create: createLayer,
		remove: func(ctx context.Context, c Client, r *Request) error {
			layer, version := cutQualifier(r.Physical)
			return c.Call(ctx, "lambda", "DeleteLayerVersion",
				map[string]any{"LayerName": layer, "VersionNumber": json.Number(version)}, nil)
		},
	})
}

// cutQualifier splits an ARN before its last part.
func cutQualifier(arn string) (before, last string) {
	i := strings.LastIndexByte(arn, ':')
	if i < 0 {
		return arn, ""
	}
	return arn[:i], arn[i+1:]
}

func functionState(r *Request, name string) State {
	return State{Physical: name, Attrs: map[string]any{"Arn": r.arn("lambda", "function:"+name)}}
}

func checkFunction(props *template.Value) (ps template.Problems) {
	if runtime, ok := props.Get("Runtime").IsString(); ok {
		for _, lang := range []string{"java", "dotnet", "ruby", "go1."} {
			if strings.HasPrefix(runtime, lang) {
				ps = append(ps, template.Problem{Pos: props.KeyPos("Runtime"), Path: "Runtime", Unsupported: true,
					Text: "Rouse does not implement the runtime " + runtime + "; use provided.al2023"})
			}
		}
	}
	code := props.Get("Code")
	if code == nil || code.Kind != template.Map {
		return ps
	}
	if runtime, ok := props.Get("Runtime").IsString(); ok && code.Get("ZipFile") != nil && inlineFile(runtime) == "" {
		ps = append(ps, template.Problem{Pos: code.KeyPos("ZipFile"), Path: "Code.ZipFile",
			Text: "ZipFile can only be used with Node.js and Python runtimes, not " + runtime})
	}
	if code.Get("ZipFile") == nil && (code.Get("S3Bucket") == nil || code.Get("S3Key") == nil) {
		ps = append(ps, template.Problem{Pos: code.Pos, Path: "Code",
			Text: "Please provide a source for function code: ZipFile, or S3Bucket and S3Key"})
	}
	return ps
}

func inlineFile(runtime string) string {
	switch {
	case strings.HasPrefix(runtime, "python"):
		return "index.py"
	case strings.HasPrefix(runtime, "nodejs"):
		return "index.js"
	}
	return ""
}

// codeOf is the Code of the API: inline text becomes an archive of one file, the same bytes each time.
func codeOf(props map[string]any) (map[string]any, error) {
	code, _ := props["Code"].(map[string]any)
	inline, ok := code["ZipFile"].(string)
	if !ok {
		return take(code, "S3Bucket S3Key S3ObjectVersion"), nil
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: inlineFile(text(props, "Runtime")), Method: zip.Deflate}
	h.SetMode(0o644)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write([]byte(inline))
	}
	if err == nil {
		err = z.Close()
	}
	return map[string]any{"ZipFile": base64.StdEncoding.EncodeToString(b.Bytes())}, err
}

func createFunction(ctx context.Context, c Client, r *Request) (State, error) {
	code, err := codeOf(r.Props)
	if err != nil {
		return State{}, err
	}
	in := take(r.Props, "Architectures Description Environment EphemeralStorage Handler Layers LoggingConfig MemorySize PackageType Role "+
		"Runtime SnapStart Timeout TracingConfig")
	in["FunctionName"], in["Code"] = r.Physical, code
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
		in["Tags"] = tags
	}
	if err := c.Call(ctx, "lambda", "CreateFunction", in, nil); err != nil {
		return State{}, err
	}
	state := functionState(r, r.Physical)
	return state, setConcurrency(ctx, c, r)
}

func setConcurrency(ctx context.Context, c Client, r *Request) error {
	if n, ok := r.Props["ReservedConcurrentExecutions"]; ok {
		return c.Call(ctx, "lambda", "PutFunctionConcurrency",
			map[string]any{"FunctionName": r.Physical, "ReservedConcurrentExecutions": n}, nil)
	}
	if _, had := r.Old["ReservedConcurrentExecutions"]; had {
		return c.Call(ctx, "lambda", "DeleteFunctionConcurrency", map[string]any{"FunctionName": r.Physical}, nil)
	}
	return nil
}

// functionDefaults are what a property that left the template goes back to.
var functionDefaults = map[string]any{"Description": "", "Environment": map[string]any{"Variables": map[string]any{}},
	"EphemeralStorage": map[string]any{"Size": 512}, "Layers": []any{},
	"LoggingConfig": map[string]any{"LogFormat": "Text"}, "MemorySize": 128,
	"Timeout": 3, "TracingConfig": map[string]any{"Mode": "PassThrough"},
	"SnapStart": map[string]any{"ApplyOn": "None"}}

func updateFunction(ctx context.Context, c Client, r *Request) (State, error) {
	const settings = "Description Environment EphemeralStorage Handler Layers LoggingConfig MemorySize Role Runtime SnapStart Timeout TracingConfig"
	state := functionState(r, r.Physical)
	newCode := changed(r, "Code Architectures") ||
		changed(r, "Runtime") && text(r.Props["Code"].(map[string]any), "ZipFile") != ""
	newSettings := changed(r, settings)
	if newCode || newSettings {
		if err := idle(ctx, c, r); err != nil {
			return state, err
		}
	}
	if newCode {
		in, err := codeOf(r.Props)
		if err != nil {
			return state, err
		}
		in["FunctionName"] = r.Physical
		if a, ok := r.Props["Architectures"]; ok {
			in["Architectures"] = a
		} else if _, had := r.Old["Architectures"]; had {
			in["Architectures"] = []any{"x86_64"}
		}
		if err := c.Call(ctx, "lambda", "UpdateFunctionCode", in, nil); err != nil {
			return state, err
		}
	}
	if newCode && newSettings {
		if err := settle(ctx, c, r); err != nil {
			return state, err
		}
	}
	if newSettings {
		in := map[string]any{"FunctionName": r.Physical}
		for _, n := range strings.Fields(settings) {
			if same(r.Old[n], r.Props[n]) {
				continue
			}
			if v, ok := r.Props[n]; ok {
				in[n] = v
			} else if d, ok := functionDefaults[n]; ok {
				in[n] = d
			}
		}
		if err := c.Call(ctx, "lambda", "UpdateFunctionConfiguration", in, nil); err != nil {
			return state, err
		}
	}
	if changed(r, "ReservedConcurrentExecutions") {
		if err := setConcurrency(ctx, c, r); err != nil {
			return state, err
		}
	}
	arn := state.Attrs["Arn"]
	return state, retag(r, func(set map[string]string) error {
		return c.Call(ctx, "lambda", "TagResource", map[string]any{"Resource": arn, "Tags": set}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "lambda", "UntagResource", map[string]any{"Resource": arn, "TagKeys": keys}, nil)
	})
}

// condition is what a function says of itself.
type condition struct{ State, StateReason, LastUpdateStatus, LastUpdateStatusReason string }

func conditionOf(ctx context.Context, c Client, r *Request) (out condition, err error) {
	return out, c.Call(ctx, "lambda", "GetFunctionConfiguration", map[string]any{"FunctionName": r.Physical}, &out)
}

// idle waits until an earlier change of a function has ended, well or not, since the function refuses another one as long:
// a change that was going on when the node died is still being prepared when the stack goes on.
func idle(ctx context.Context, c Client, r *Request) error {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for {
		now, err := conditionOf(ctx, c, r)
		if err != nil || now.State != "Pending" && now.LastUpdateStatus != "InProgress" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// functionReady reads the states that AWS's waiters wait for.
func functionReady(ctx context.Context, c Client, r *Request) (bool, error) {
	out, err := conditionOf(ctx, c, r)
	if err != nil {
		return false, err
	}
	switch {
	case out.State == "Failed":
		return false, rouse.Errorf(rouse.Invalid, "%s", orText(out.StateReason, "the function did not become active"))
	case out.LastUpdateStatus == "Failed":
		return false, rouse.Errorf(rouse.Invalid, "%s", orText(out.LastUpdateStatusReason,
			"the function's last update did not succeed"))
	}
	return (out.State == "" || out.State == "Active" || out.State == "Inactive") &&
		(out.LastUpdateStatus == "" || out.LastUpdateStatus == "Successful"), nil
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func createVersion(ctx context.Context, c Client, r *Request) (State, error) {
	var out struct{ FunctionArn, Version string }
	if err := c.Call(ctx, "lambda", "PublishVersion", take(r.Props, "FunctionName CodeSha256 Description"),
		&out); err != nil {
		return State{}, err
	}
	arn := out.FunctionArn
	if !strings.HasSuffix(arn, ":"+out.Version) {
		arn += ":" + out.Version
	}
	return State{Physical: arn, Attrs: map[string]any{"Version": out.Version, "FunctionArn": arn}}, nil
}

// routing is the RoutingConfig of the API: weights by version; empty when the template has none, which also clears it.
func routing(props map[string]any) map[string]any {
	weights := map[string]any{}
	cfg, _ := props["RoutingConfig"].(map[string]any)
	list, _ := cfg["AdditionalVersionWeights"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		weights[text(m, "FunctionVersion")] = m["FunctionWeight"]
	}
	return map[string]any{"AdditionalVersionWeights": weights}
}

func createAlias(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "FunctionName Name FunctionVersion Description")
	if _, ok := r.Props["RoutingConfig"]; ok {
		in["RoutingConfig"] = routing(r.Props)
	}
	var out struct{ AliasArn string }
	if err := c.Call(ctx, "lambda", "CreateAlias", in, &out); err != nil {
		return State{}, err
	}
	return State{Physical: out.AliasArn, Attrs: map[string]any{"AliasArn": out.AliasArn}}, nil
}

func updateAlias(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "FunctionName Name FunctionVersion")
	in["Description"] = text(r.Props, "Description")
	if changed(r, "RoutingConfig") {
		in["RoutingConfig"] = routing(r.Props)
	}
	err := c.Call(ctx, "lambda", "UpdateAlias", in, nil)
	return State{Physical: r.Physical, Attrs: map[string]any{"AliasArn": r.Physical}}, err
}

func findAlias(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out struct{ AliasArn string }
	if err := c.Call(ctx, "lambda", "GetAlias", take(r.Props, "FunctionName Name"), &out); err != nil {
		return State{}, false, err
	}
	return State{Physical: out.AliasArn, Attrs: map[string]any{"AliasArn": out.AliasArn}}, true, nil
}

func createLayer(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "LayerName Description Content CompatibleRuntimes CompatibleArchitectures LicenseInfo")
	if in["LayerName"] == nil {
		in["LayerName"] = r.LogicalID
	}
	var out struct{ LayerVersionArn string }
	if err := c.Call(ctx, "lambda", "PublishLayerVersion", in, &out); err != nil {
		return State{}, err
	}
	return State{Physical: out.LayerVersionArn, Attrs: map[string]any{"LayerVersionArn": out.LayerVersionArn}}, nil
}
