package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// TestLimits: each rule of Lambda, its code and its text.
func TestLimits(t *testing.T) {
	const (
		parameter  = "InvalidParameterValueException"
		validation = "ValidationException"
	)
	many := map[string]string{}
	for i := range catalog.TagsMax + 1 {
		many[fmt.Sprint("tag", i)] = ""
	}
	c := open(t)
	for _, k := range []struct {
		name   string
		change func(*catalog.NewFunction)
		kind   rouse.Kind
		code   string
		text   string
	}{
		{"timeout 0", func(f *catalog.NewFunction) { f.TimeoutSeconds = ptr(0) }, rouse.Invalid, validation,
			"1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"timeout 901", func(f *catalog.NewFunction) { f.TimeoutSeconds = ptr(901) }, rouse.Invalid, validation,
			"1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900"},
		{"memory 127", func(f *catalog.NewFunction) { f.MemoryMB = ptr(127) }, rouse.Invalid, validation, "1 validation error detected: Value '127' at 'memorySize'"},
		{"memory 10241", func(f *catalog.NewFunction) { f.MemoryMB = ptr(10241) }, rouse.Invalid, parameter, "'MemorySize' value failed to satisfy constraint"},
		{"tmp 511", func(f *catalog.NewFunction) { f.TmpMB = ptr(511) }, rouse.Invalid, validation, "1 validation error detected: Value '511' at 'ephemeralStorage.size'"},
		{"tmp 10241", func(f *catalog.NewFunction) { f.TmpMB = ptr(10241) }, rouse.Invalid, validation, "1 validation error detected: Value '10241' at 'ephemeralStorage.size'"},
		{"description", func(f *catalog.NewFunction) { f.Description = ptr(strings.Repeat("x", 257)) }, rouse.Invalid, validation, "1 validation error detected"},
		{"handler with a blank", func(f *catalog.NewFunction) { f.Handler = ptr("a b") }, rouse.Invalid, validation, "1 validation error detected: Value 'a b' at 'handler'"},
		{"no handler", func(f *catalog.NewFunction) { f.Handler = nil }, rouse.Invalid, parameter, "Runtime and Handler are mandatory parameters"},
		{"no runtime", func(f *catalog.NewFunction) { f.Runtime = nil }, rouse.Invalid, parameter, "Runtime and Handler are mandatory parameters"},
		{"role", func(f *catalog.NewFunction) { f.Role = ptr("r1") }, rouse.Invalid, validation, "1 validation error detected: Value 'r1' at 'role'"},
		{"role of another service", func(f *catalog.NewFunction) { f.Role = ptr("arn:aws:s3::111122223333:role/x") }, rouse.Invalid, validation, "1 validation error"},
		{"unknown runtime", func(f *catalog.NewFunction) { f.Runtime = ptr("PYTHON3.9") }, rouse.Invalid, parameter, "Value PYTHON3.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x,"},
		{"go1.x", func(f *catalog.NewFunction) { f.Runtime = ptr("go1.x") }, rouse.Invalid, parameter,
			"The runtime parameter of go1.x is no longer supported for creating or updating AWS Lambda functions. We recommend you use the new runtime (provided.al2023)"},
		{"nodejs14", func(f *catalog.NewFunction) { f.Runtime = ptr("nodejs14.x") }, rouse.Invalid, parameter, "The runtime parameter of nodejs14.x is no longer supported"},
		{"java", func(f *catalog.NewFunction) { f.Runtime = ptr("java21") }, rouse.Unsupported, "", "Rouse does not implement the runtime java21. Use provided.al2023, or an image"},
		{"dotnet", func(f *catalog.NewFunction) { f.Runtime = ptr("dotnet8") }, rouse.Unsupported, "", "Rouse does not implement the runtime dotnet8."},
		{"ruby", func(f *catalog.NewFunction) { f.Runtime = ptr("ruby3.4") }, rouse.Unsupported, "", "Rouse does not implement the runtime ruby3.4."},
		{"other machine", func(f *catalog.NewFunction) {
			f.Runtime, f.Architectures = ptr("provided.al2023"), []string{"arm64"}
		}, rouse.Unsupported, "", "Rouse does not implement the architecture arm64 for provided.al2023 on this machine, which is x86_64"},
		{"no machine", func(f *catalog.NewFunction) { f.Architectures = []string{"X86_64"} }, rouse.Invalid, validation, "1 validation error detected: Value '[X86_64]' at 'architectures'"},
		{"reserved key", func(f *catalog.NewFunction) {
			f.Environment = map[string]string{"AWS_REGION": "secret", "LAMBDA_TASK_ROOT": "x", "OK": "y"}
		}, rouse.Invalid, parameter, "Lambda was unable to configure your environment variables because the environment variables you have provided " +
			"contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT"},
		{"bad key", func(f *catalog.NewFunction) { f.Environment = map[string]string{"1A": "x"} }, rouse.Invalid, validation, "1 validation error detected: Value at 'environment.variables'"},
		{"large environment", func(f *catalog.NewFunction) { f.Environment = map[string]string{"KEY": strings.Repeat("x", 4096-10)} }, rouse.Invalid, parameter,
			"Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit."},
		{"tags", func(f *catalog.NewFunction) { f.Tags = many }, rouse.Invalid, parameter, "Number of tags exceeds resource tag limit."},
		{"reserved tag", func(f *catalog.NewFunction) { f.Tags = map[string]string{"AWS:x": ""} }, rouse.Invalid, parameter, "Tag keys that begin with aws:"},
		{"log level of text", func(f *catalog.NewFunction) { f.LogLevel = ptr("DEBUG") }, rouse.Invalid, parameter, "ApplicationLogLevel and SystemLogLevel"},
		{"log group", func(f *catalog.NewFunction) { f.LogGroup = ptr("a b") }, rouse.Invalid, validation, "1 validation error detected: Value 'a b' at 'loggingConfig.logGroup'"},
		{"six layers", func(f *catalog.NewFunction) { f.Layers = make([]string, 6) }, rouse.Invalid, parameter, "Cannot reference more than 5 layers."},
		{"layer without version", func(f *catalog.NewFunction) { f.Layers = []string{"arn:aws:lambda:eu-west-1:111122223333:layer:l"} }, rouse.Invalid, validation, "1 validation error detected: Value '[arn:aws:lambda"},
		{"layer elsewhere", func(f *catalog.NewFunction) { f.Layers = []string{"arn:aws:lambda:us-east-1:111122223333:layer:l:1"} }, rouse.Invalid, parameter,
			"Layers are not in the same region as the function. Layers are expected to be in region eu-west-1."},
		{"no layer", func(f *catalog.NewFunction) { f.Layers = []string{"arn:aws:lambda:eu-west-1:111122223333:layer:l:1"} }, rouse.Invalid, parameter,
			"Layer version arn:aws:lambda:eu-west-1:111122223333:layer:l:1 does not exist."},
		{"no code", func(f *catalog.NewFunction) { f.Code = catalog.Code{} }, rouse.Invalid, parameter, "Please provide a source for function code."},
		{"bucket", func(f *catalog.NewFunction) { f.Code = catalog.Code{Bucket: "b", Key: "k"} }, rouse.Unsupported, "", "Rouse does not implement code from S3"},
		{"zip too large", func(f *catalog.NewFunction) { f.Code.Zip = make([]byte, catalog.ZippedMax+1) }, rouse.TooLarge, "RequestEntityTooLargeException",
			"Zipped size must be smaller than 52428800 bytes"},
		{"no zip", func(f *catalog.NewFunction) { f.Code.Zip = []byte("no zip") }, rouse.Invalid, parameter,
			"Could not unzip uploaded file. Please check your file, then try to upload again."},
	} {
		t.Run(k.name, func(t *testing.T) {
			in := newFunction(t, "x")
			k.change(&in)
			_, err := c.Create(t.Context(), ref("limit"), in)
			wantErr(t, err, k.kind, k.code, k.text)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats an environment's value: %v", err)
			}
		})
	}
	if len(list(c)) != 0 {
		t.Errorf("functions after refusals: got %d, want none", len(list(c)))
	}
}

func TestWithinLimits(t *testing.T) {
	c := open(t)
	in := newFunction(t, "x")
	in.TimeoutSeconds, in.MemoryMB, in.TmpMB = ptr(900), ptr(10240), ptr(10240)
	in.Environment = map[string]string{"KEY": strings.Repeat("<", 4095-10)}
	in.Architectures = []string{"arm64"} // another machine's, but the runtime is interpreted
	v, err := c.Create(t.Context(), ref(strings.Repeat("n", 64)), in)
	if err != nil || v.TimeoutSeconds != 900 || v.Architectures[0] != "arm64" {
		t.Errorf("got %+v, %v; want a function at every limit", v, err)
	}
}

// TestNewerRuntimes: names of a family that Rouse runs are taken beyond those that this build knows, and none else.
func TestNewerRuntimes(t *testing.T) {
	c := open(t)
	for i, name := range []string{"provided.al2023023", "provided.al2026", "nodejs26.x", "python3.15"} {
		in := newFunction(t, "x")
		in.Runtime = ptr(name)
		r := ref(fmt.Sprint("new", i))
		if v, err := c.Create(t.Context(), r, in); err != nil || v.Runtime != name {
			t.Errorf("create with %s: got %+v, %v; want it taken, under its name", name, v, err)
			continue
		}
		if v, err := c.UpdateConfig(t.Context(), r, catalog.Settings{Runtime: ptr("nodejs99.x")}, ""); err != nil || v.Runtime != "nodejs99.x" {
			t.Errorf("update of %s: got %+v, %v; want nodejs99.x", name, v, err)
		}
	}
	in := newFunction(t, "x")
	for _, name := range []string{"provided.al", "provided.al1", "provided.al02023", "provided.al2023x", "provided.al9999999999", "nodejs26", "nodejs15.x",
		"nodejs026.x", "nodejs-26.x", "nodejs1000.x", "python3.5", "python3.x", "python4.0", "ruby9.9", "java99", "bun1.x", "Nodejs26.x", "nodejs26.x "} {
		in.Runtime = ptr(name)
		_, err := c.Create(t.Context(), ref("none"), in)
		wantErr(t, err, rouse.Invalid, "InvalidParameterValueException", "Value "+name+" at 'runtime' failed to satisfy constraint")
	}
}

func TestReserve(t *testing.T) {
	c := open(t)
	create(t, c, "a")
	create(t, c, "b")
	if err := c.Reserve(t.Context(), ref("a"), ptr(500)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, c.Reserve(t.Context(), ref("b"), ptr(401)), rouse.Invalid, "InvalidParameterValueException",
		"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
	wantErr(t, c.Reserve(t.Context(), ref("b"), ptr(1<<62)), rouse.Invalid, "InvalidParameterValueException", "Specified ReservedConcurrentExecutions")
	for _, n := range []int{400, 400, 0} {
		if err := c.Reserve(t.Context(), ref("b"), ptr(n)); err != nil {
			t.Errorf("reserve %d: %v", n, err)
		}
	}
	if got, err := c.Reserved(ref("b")); err != nil || got == nil || *got != 0 {
		t.Errorf("reserved: got %v, %v; want 0", got, err)
	}
	if err := c.Reserve(t.Context(), ref("a"), nil); err != nil {
		t.Fatal(err)
	}
	if got := c.Account(account).UnreservedConcurrency; got != 1000 {
		t.Errorf("unreserved: got %d, want 1000", got)
	}
	wantErr(t, c.Reserve(t.Context(), catalog.Ref{Account: account, Name: "a", Qualifier: "1"}, ptr(1)), rouse.Invalid,
		"InvalidParameterValueException", "This operation is permitted on Lambda functions only.")
}

func TestParseRef(t *testing.T) {
	c := open(t)
	for _, k := range []struct{ in, qualifier, want string }{
		{"f", "", account + " f "},
		{"f:1", "", account + " f 1"},
		{"f:$LATEST", "$LATEST", account + " f $LATEST"},
		{"function:f", "live", account + " f live"},
		{"999988887777:function:f", "", "999988887777 f "},
		{"999988887777:f:2", "", "999988887777 f 2"},
		{"eu-west-1:999988887777:function:f", "", "999988887777 f "},
		{"arn:aws:lambda:eu-west-1:999988887777:function:f:live", "", "999988887777 f live"},
		{"function:function", "", account + " function "},
	} {
		r, err := c.ParseRef(account, k.in, k.qualifier)
		if got := r.Account + " " + r.Name + " " + r.Qualifier; err != nil || got != k.want {
			t.Errorf("%s: got %q, %v; want %q", k.in, got, err, k.want)
		}
	}
	for in, text := range map[string]string{
		"":                                     "1 validation error detected: Value '' at 'functionName'",
		"invalid:function:name":                "1 validation error detected: Value 'invalid:function:name' at 'functionName'",
		"a.b":                                  "1 validation error detected",
		"f:$latest":                            "1 validation error detected",
		"f:1:2":                                "1 validation error detected",
		"arn:aws:s3:::f":                       "1 validation error detected",
		"arn:aws:lambda":                       "1 validation error detected",
		"arn:nix:lambda:f":                     "1 validation error detected",
		strings.Repeat("n", 65):                "1 validation error detected: Value '" + strings.Repeat("n", 65) + "' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
		"us-east-1:" + account + ":function:f": "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
	} {
		if _, err := c.ParseRef(account, in, ""); err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("%s: got %v, want %s", in, err, text)
		}
	}
	_, err := c.ParseRef(account, "f:1", "2")
	wantErr(t, err, rouse.Invalid, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"f", "f:1", "a:b:c", "arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST", "us-gov-west-1:111122223333:f", ":", "arn:"} {
		f.Add(s, "")
	}
	c := open(f)
	f.Fuzz(func(t *testing.T, s, qualifier string) {
		r, err := c.ParseRef(account, s, qualifier)
		if err != nil {
			return
		}
		// What was read can be written, and reads the same.
		again, err := c.ParseRef(account, c.ARN(r).String(), "")
		if err != nil && !strings.Contains(r.Qualifier, "$") || err == nil && again != r {
			t.Errorf("%q: got %+v, then %+v, %v", s, r, again, err)
		}
	})
}

// TestParts: a function that is as large as it may be can still be deleted. It grows by hand, because a call for each part
// would take a quarter of a minute.
func TestParts(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	c := reopen(t, cfg)
	r := ref("f")
	in := newFunction(t, "1")
	in.Publish = true
	if _, err := c.Create(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
	key := tuple.Key(account, region, "catalog", "fn", "f", "head")
	err := cfg.Store.Update(t.Context(), func(tx kv.Tx) error {
		b, ok, err := tx.Get(key)
		if err != nil || !ok {
			return fmt.Errorf("read the head: %v, %w", ok, err)
		}
		var head map[string]any
		if err := json.Unmarshal(b, &head); err != nil {
			return err
		}
		aliases := make([]string, catalog.PartsMax-3) // the version and its archive are parts too, and one is left
		for i := range aliases {
			aliases[i] = fmt.Sprint("a", i)
			tx.Set(tuple.Key(account, region, "catalog", "fn", "f", "alias", aliases[i]), []byte(`{"Name":"`+aliases[i]+`","Version":"1"}`))
		}
		head["Aliases"] = aliases
		if b, err = json.Marshal(head); err != nil {
			return err
		}
		tx.Set(key, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateAlias(t.Context(), r, "last", catalog.AliasChange{Version: ptr("1")}); err != nil {
		t.Errorf("the last alias: %v", err)
	}
	_, err = c.CreateAlias(t.Context(), r, "more", catalog.AliasChange{Version: ptr("1")})
	wantErr(t, err, rouse.Limit, "InvalidParameterValueException", "Rouse keeps at most 4000 aliases, ")
	if err := c.Delete(t.Context(), r); err != nil {
		t.Errorf("delete: %v", err)
	}
	if len(list(c)) != 0 {
		t.Error("the function is still there")
	}
}

// TestDescriptions: of versions, aliases and layers, at their limit and beyond.
func TestDescriptions(t *testing.T) {
	c, ctx, r := open(t), t.Context(), ref("f")
	if _, err := c.Create(ctx, r, newFunction(t, "1")); err != nil {
		t.Fatal(err)
	}
	for what, set := range map[string]func(string) error{
		"version": func(text string) error { _, err := c.Publish(ctx, r, &text, "", ""); return err },
		"alias": func(text string) error {
			_, err := c.CreateAlias(ctx, r, "live", catalog.AliasChange{Version: ptr("$LATEST"), Description: &text})
			return err
		},
		"layer": func(text string) error {
			_, err := c.PublishLayer(ctx, catalog.LayerName{Account: account, Name: "l"}, catalog.NewLayerVersion{Description: text, Code: newFunction(t, "1").Code})
			return err
		},
	} {
		if err := set(strings.Repeat("x", 257)); rouse.KindOf(err) != rouse.Invalid || !strings.Contains(err.Error(), "less than or equal to 256") {
			t.Errorf("%s: got %v, want the text too long", what, err)
		}
		if err := set(strings.Repeat("x", 256)); err != nil {
			t.Errorf("%s: got %v, want none", what, err)
		}
	}
}
