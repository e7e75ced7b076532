package guest

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Function is what a guest has to become: one version of one function, as its code sees it.
type Function struct {
	Name      string
	Version   string // "$LATEST" or a number
	ARN       string // unqualified; an invocation's own may carry an alias
	Handler   string
	Runtime   string // as asked for: "nodejs22.x"
	MemoryMB  int
	Timeout   time.Duration
	Account   string
	Region    string
	LogGroup  string
	LogStream string
	LogFormat string // "Text" (the default) or "JSON"
	LogLevel  string // of the application, with JSON: TRACE … FATAL; "" is INFO
	InitType  string // AWS_LAMBDA_INITIALIZATION_TYPE; "" is "on-demand"
	Endpoint  string // AWS_ENDPOINT_URL: where the platform is reached from inside; "" leaves the variable out
	TaskPath  string // the host folder that /var/task shows, to look for bootstrap; "" takes it to be there
	LayerPath string // the same for /opt; "" for no layers

	Code *Code // its files as Compile made them on the same runtime; nil for none. Node and Python only

	Environment map[string]string // the user's own
	Credentials Credentials

	// CredentialsByURL leaves the static keys out of the environment and names an endpoint instead, from which SDKs
	// fetch and renew them: for instances that live longer than one set of keys. Provided and Web only; Node and Python
	// are handed new keys with an invocation (Guest.Refresh).
	CredentialsByURL bool
}

// Credentials are the keys of the function's role.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expires         time.Time // zero: they do not
}

// String keeps the secret out of logs.
func (c Credentials) String() string { return "credentials(" + c.AccessKeyID + ")" }

// GoString keeps the secret out of %#v as well.
func (c Credentials) GoString() string { return c.String() }

// environment is what the credentials are called in a process.
func (c Credentials) environment() map[string]string {
	m := map[string]string{
		"AWS_ACCESS_KEY_ID":     c.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": c.SecretAccessKey,
		"AWS_SESSION_TOKEN":     c.SessionToken,
	}
	if !c.Expires.IsZero() {
		// botocore and the SDK for JavaScript read their keys from the environment again when this time comes near.
		m["AWS_CREDENTIAL_EXPIRATION"] = c.Expires.UTC().Format(time.RFC3339)
	}
	return m
}

// BootSettings picks from a function's environment what a runtime reads only when it starts. A function without any can
// take a runtime that was booted ahead; with some it needs a Boot with these in Config.Environment.
func BootSettings(env map[string]string) map[string]string {
	var m map[string]string
	for k, v := range env {
		if !readAtBoot(k) {
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		m[k] = v
	}
	return m
}

func readAtBoot(name string) bool {
	switch name {
	case "TZ", "LANG", "LANGUAGE", "AWS_LAMBDA_EXEC_WRAPPER", "SSL_CERT_FILE", "SSL_CERT_DIR", "UV_THREADPOOL_SIZE",
		"MALLOC_ARENA_MAX", "OPENSSL_CONF":
		return true
	}
	for _, p := range []string{"NODE_", "LD_", "DYLD_", "PYTHON", "LC_", "UV_", "GLIBC_", "MALLOC_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// bootEnvironment is what a runtime of this kind starts with: nothing of a function, except settings.
func bootEnvironment(h Host, kind Kind, in Interpreter, settings map[string]string) map[string]string {
	task, opt, run := h.Path(taskRoot), h.Path(layerRoot), h.Path(runtimeRoot)
	env := map[string]string{
		"PATH":               "/usr/local/bin:/usr/bin:/bin:" + opt + "/bin",
		"LANG":               "en_US.UTF-8",
		"TZ":                 ":UTC",
		"LD_LIBRARY_PATH":    strings.Join([]string{run, run + "/lib", task, task + "/lib", opt + "/lib"}, ":"),
		"LAMBDA_TASK_ROOT":   task,
		"LAMBDA_RUNTIME_DIR": run,
	}
	if in.Path != "" {
		// An interpreter of its own prefix may have its libraries there.
		if dir := filepath.Dir(insidePath(h, in.Path)); !strings.HasPrefix(dir, "/usr/") && dir != "/bin" {
			env["PATH"] = dir + ":" + env["PATH"]
			env["LD_LIBRARY_PATH"] += ":" + filepath.Join(filepath.Dir(dir), "lib")
		}
	}
	switch in.Kind {
	case Node:
		env["NODE_PATH"] = strings.Join([]string{opt + "/nodejs/node" + in.major() + "/node_modules",
			opt + "/nodejs/node_modules", run + "/node_modules", run + "/sdk-js-v2/node_modules", run, task}, ":")
	case Python:
		env["PYTHONPATH"] = run
		if kind == Web { // the bootstrap puts a function's layers where they belong, before what comes with Python
			env["PYTHONPATH"] = strings.Join([]string{
				opt + "/python/lib/python" + in.minor() + "/site-packages", opt + "/python", run}, ":")
		}
	}
	maps.Copy(env, settings)
	return env
}

// environment is what the function itself sees, beside what its runtime was booted with. What Lambda reserves wins over
// the user's own variables; the rest does not.
func (fn *Function) environment(kind Kind) map[string]string {
	env := map[string]string{}
	if fn.Endpoint != "" {
		env["AWS_ENDPOINT_URL"] = fn.Endpoint
	}
	maps.Copy(env, fn.Environment)
	maps.Copy(env, map[string]string{
		"_HANDLER":                        fn.Handler,
		"AWS_REGION":                      fn.Region,
		"AWS_DEFAULT_REGION":              fn.Region,
		"AWS_LAMBDA_FUNCTION_NAME":        fn.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     fn.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(fn.MemoryMB),
		"AWS_LAMBDA_LOG_GROUP_NAME":       fn.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      fn.LogStream,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  fn.InitType,
	})
	if fn.InitType == "" {
		env["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
	}
	if !strings.HasPrefix(fn.Runtime, "provided") {
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + fn.Runtime
	}
	if strings.EqualFold(fn.LogFormat, "JSON") {
		env["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
		env["AWS_LAMBDA_LOG_LEVEL"] = "INFO"
		if fn.LogLevel != "" {
			env["AWS_LAMBDA_LOG_LEVEL"] = strings.ToUpper(fn.LogLevel)
		}
	}
	if !fn.CredentialsByURL || kind.Interpreted() {
		maps.Copy(env, fn.Credentials.environment())
	}
	return env
}

// assignments is env as execve takes it, in a stable order.
func assignments(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}
