package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Settings are what a client configures of a function. nil leaves what was, or Lambda's default.
type Settings struct {
	Description    *string
	Runtime        *string
	Handler        *string
	Role           *string
	TimeoutSeconds *int
	MemoryMB       *int
	TmpMB          *int
	Environment    map[string]string // empty, not nil: none
	Layers         []string          // ARNs of layer versions; empty, not nil: none
	Tracing        *string
	LogFormat      *string
	LogGroup       *string
	LogLevel       *string
	SystemLevel    *string
}

// defaults of Lambda.
func defaultVersion(fn string) Version {
	return Version{
		Number: Latest, PackageType: "Zip", TimeoutSeconds: 3, MemoryMB: 128, TmpMB: 512, Tracing: "PassThrough",
		LogFormat: "Text", LogGroup: "/aws/lambda/" + fn,
	}
}

// apply puts the settings into v and checks what comes out. Layers are the caller's, because they need a transaction.
func (s Settings) apply(v *Version) error {
	set(&v.Description, s.Description)
	set(&v.Handler, s.Handler)
	set(&v.Role, s.Role)
	set(&v.Runtime, s.Runtime)
	set(&v.TimeoutSeconds, s.TimeoutSeconds)
	set(&v.MemoryMB, s.MemoryMB)
	set(&v.TmpMB, s.TmpMB)
	set(&v.Tracing, s.Tracing)
	set(&v.LogGroup, s.LogGroup)
	if s.Environment != nil {
		v.Environment = maps.Clone(s.Environment)
	}
	if err := s.applyLogging(v); err != nil {
		return err
	}
	return v.check(s)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func (s Settings) applyLogging(v *Version) error {
	set(&v.LogFormat, s.LogFormat)
	switch v.LogFormat {
	case "JSON":
		if v.LogLevel == "" {
			v.LogLevel, v.SystemLevel = "INFO", "INFO"
		}
		set(&v.LogLevel, s.LogLevel)
		set(&v.SystemLevel, s.SystemLevel)
	case "Text":
		if s.LogLevel != nil || s.SystemLevel != nil {
			return invalid("ApplicationLogLevel and SystemLogLevel can only be set when LogFormat is JSON")
		}
		v.LogLevel, v.SystemLevel = "", ""
	default:
		return constraint("loggingConfig.logFormat", v.LogFormat, "Member must satisfy enum value set: [JSON, Text]")
	}
	if v.LogGroup == "" || len(v.LogGroup) > 512 || !word(v.LogGroup, "./#_-") {
		return constraint("loggingConfig.logGroup", v.LogGroup, `Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`)
	}
	return nil
}

// check holds v to Lambda's rules. What s did not touch is not looked at again: rules tighten, and a function that was
// good must stay changeable.
func (v *Version) check(s Settings) error {
	switch {
	case len(v.Description) > descriptionMax:
		return constraint("description", v.Description, "Member must have length less than or equal to 256")
	case v.Runtime == "" || v.Handler == "":
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	case len(v.Handler) > 128 || strings.ContainsAny(v.Handler, " \t\r\n\v\f"):
		return constraint("handler", v.Handler, `Member must satisfy regular expression pattern: [^\s]+`)
	case v.TimeoutSeconds < 1:
		return constraint("timeout", fmt.Sprint(v.TimeoutSeconds), "Member must have value greater than or equal to 1")
	case v.TimeoutSeconds > 900:
		return constraint("timeout", fmt.Sprint(v.TimeoutSeconds), "Member must have value less than or equal to 900")
	case v.MemoryMB < 128:
		return constraint("memorySize", fmt.Sprint(v.MemoryMB), "Member must have value greater than or equal to 128")
	case v.MemoryMB > 10240:
		return invalid("'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240")
	case v.TmpMB < 512:
		return constraint("ephemeralStorage.size", fmt.Sprint(v.TmpMB), "Member must have value greater than or equal to 512")
	case v.TmpMB > 10240:
		return constraint("ephemeralStorage.size", fmt.Sprint(v.TmpMB), "Member must have value less than or equal to 10240")
	case v.Tracing != "PassThrough" && v.Tracing != "Active":
		return constraint("tracingConfig.mode", v.Tracing, "Member must satisfy enum value set: [Active, PassThrough]")
	case !isRole(v.Role):
		return constraint("role", v.Role,
			`Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`)
	}
	if s.Runtime != nil {
		if err := checkRuntime(v.Runtime); err != nil {
			return err
		}
	}
	if s.Environment != nil {
		return checkEnvironment(v.Environment)
	}
	return nil
}

func isRole(s string) bool {
	p := strings.SplitN(s, ":", 6)
	return len(p) == 6 && p[0] == "arn" && (p[1] == "" || strings.HasPrefix(p[1], "aws") && letters(p[1][3:])) &&
		p[2] == "iam" && p[3] == "" && isAccount(p[4]) && strings.HasPrefix(p[5], "role") &&
		word(strings.TrimPrefix(strings.TrimPrefix(p[5], "role"), "/"), "_+=,.@-/")
}

// runtimes that Lambda offers, in the order in which it lists them.
const runtimes = "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, " +
	"python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, " +
	"dotnet6, nodejs18.x, provided.al2, java8.al2"

// retired runtimes, and what to use instead.
func retired(runtime string) (instead string, ok bool) {
	switch runtime {
	case "go1.x", "provided":
		return "provided.al2023", true
	case "nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x":
		return "nodejs24.x", true
	case "python2.7", "python3.6", "python3.7":
		return "python3.14", true
	case "java8":
		return "java25", true
	case "ruby2.5", "ruby2.7":
		return "ruby3.4", true
	case "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1":
		return "dotnet10", true
	}
	return "", false
}

// checkRuntime tells what Rouse runs from what Lambda runs, what it once ran, and what is nothing.
func checkRuntime(runtime string) error {
	if instead, ok := retired(runtime); ok {
		return invalid("The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. We "+
			"recommend you use the new runtime (%s) while creating or updating functions.", runtime, instead)
	}
	if !slices.Contains(strings.Split(runtimes, ", "), runtime) && !newer(runtime) {
		return invalid("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a "+
			"valid ARN", runtime, runtimes)
	}
	for _, family := range []string{"java", "dotnet", "ruby"} {
		if strings.HasPrefix(runtime, family) {
			return rouse.Errorf(rouse.Unsupported, "Rouse does not implement the runtime %s. Use provided.al2023, or an image "+
				"once Rouse runs images.", runtime)
		}
	}
	return nil
}

// newer reports whether a name is of a family that Rouse runs, with a number beyond those that this build knows. AWS refuses
// what it does not know; here the names of next year run on the nearest that there is.
func newer(runtime string) bool {
	for _, f := range []struct {
		prefix, suffix string
		known, max     int
	}{{"provided.al", "", 2, 999_999_999}, {"nodejs", ".x", 24, 999}, {"python3.", "", 14, 999}} {
		digits, ok := strings.CutPrefix(runtime, f.prefix)
		digits, whole := strings.CutSuffix(digits, f.suffix)
		n, err := strconv.Atoi(digits)
		if ok && whole && err == nil && strconv.Itoa(n) == digits && n > f.known && n <= f.max {
			return true
		}
	}
	return false
}

// interpreted runtimes run the same archive on any machine, unless it brings native modules.
func interpreted(runtime string) bool {
	return strings.HasPrefix(runtime, "nodejs") || strings.HasPrefix(runtime, "python")
}

// checkArchitecture takes this machine's; of the other one only functions of interpreted runtimes, which run here as well.
func (c *Catalog) checkArchitecture(v *Version) error {
	a := v.Architectures[0]
	if a != "x86_64" && a != "arm64" {
		return constraint("architectures", "["+a+"]", "Member must satisfy constraint: [Member must satisfy enum value set: "+
			"[x86_64, arm64], Member must not be null]")
	}
	if a != c.cfg.Architecture && !interpreted(v.Runtime) {
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement the architecture %s for %s on this machine, which is %s: "+
			"build the function for %s", a, v.Runtime, c.cfg.Architecture, c.cfg.Architecture)
	}
	return nil
}

// reservedKeys of the environment, which the runtime sets.
func reservedKey(k string) bool {
	switch k {
	case "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API",
		"AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT":
		return true
	}
	return false
}

// checkEnvironment holds the variables to Lambda's rules. Values are secrets: no error repeats one.
func checkEnvironment(env map[string]string) error {
	var taken []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		if reservedKey(k) {
			taken = append(taken, k)
			continue
		}
		if len(k) < 2 || !alpha(rune(k[0])) || !word(k, "_") {
			return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value at 'environment.variables' failed to satisfy "+
				"constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "+
				"[a-zA-Z]([a-zA-Z0-9_])+]").WithCode("ValidationException")
		}
		if strings.ContainsRune(env[k], 0) {
			return invalid("The environment variable %s has a NUL in its value.", k)
		}
	}
	if len(taken) > 0 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have "+
			"provided contains reserved keys that are currently not supported for modification. Reserved keys used in this "+
			"request: %s", strings.Join(taken, ", "))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(env); err != nil {
		return fmt.Errorf("measure environment: %w", err)
	}
	if b.Len() > EnvMax { // the encoder ends with a line feed; Lambda refuses 4,096 bytes and more
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have " +
			"provided exceeded the 4KB limit.")
	}
	return nil
}

// checkTags holds tags to AWS's rules, and to those of the node.
func (c *Catalog) checkTags(tags map[string]string) error {
	if err := checkTags(tags); err != nil || c.cfg.CheckTags == nil {
		return err
	}
	return c.cfg.CheckTags(tags)
}

// checkTags holds tags to AWS's rules.
func checkTags(tags map[string]string) error {
	if len(tags) > TagsMax {
		return invalid("Number of tags exceeds resource tag limit.")
	}
	for k, v := range tags {
		switch {
		case k == "" || len(k) > 128:
			return invalid("Tag keys must have 1 to 128 characters.")
		case len(v) > 256:
			return invalid("The value of the tag %s has more than 256 characters.", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag keys that begin with aws: are reserved.")
		}
	}
	return nil
}

func parseNumber(s string) (uint64, bool) {
	if !digits(s) || len(s) > 18 || s[0] == '0' {
		return 0, false
	}
	var n uint64
	for _, r := range s {
		n = n*10 + uint64(r-'0')
	}
	return n, true
}
