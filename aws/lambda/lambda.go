// Package lambda is the door of AWS Lambda: the operations of its API as a table over package wire, served by the catalog
// for what functions are and by a rouse.Invoker for running them.
//
// # What it does itself
//
// Translate. A handler reads names (any form of a function's name, see catalog.ParseRef), calls the catalog, and writes
// the answer in Lambda's shapes; needs name the IAM actions, with the function's resource policy beside them and
// iam:PassRole for roles. Three things are more than that:
//
//	Invoke                     checks the event as Lambda does, gives it an id, and answers in headers
//	InvokeWithResponseStream   frames the function's output as an event stream while it comes (stream.go)
//	code links                 GetFunction answers a URL with an expiry and a signature, and CodeHandler serves it
//
//	client ── Invoke ──▶ lambda ── Invocation ──▶ Invoker          client ── GET /_rouse/code/… ──▶ CodeHandler
//	       ◀─ body, X-Amz-Function-Error, …  ◀── Result, Sink             ◀── the archive ──────── (signature, expiry)
//
// # Errors
//
// They carry Lambda's codes and texts, which the catalog makes; this package adds "Type", and "Message" with a capital
// where Lambda has it so (errors.go).
//
// # What is refused
//
// Members that Rouse does not implement are listed with their operations below and in docs/COMPATIBILITY.md, which is
// made from this table. Operations that are not there at all are listed under NotImplemented.
//
// # Promises
//
// The door keeps nothing between requests, so it is safe for concurrent use, and a crash loses nothing of it. An answer
// of 202 to an asynchronous invocation means what Invoker.Enqueue means: the event is on disk.
package lambda

import (
	"errors"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

// Config of a Door.
type Config struct {
	Catalog *catalog.Catalog // required
	Invoker rouse.Invoker    // required
	// Region of the catalog; required.
	Region string
	// Secret signs code links; 16 bytes or more, the same on all nodes. Required.
	Secret []byte
	// BaseURL is where CodeHandler is reached: "http://127.0.0.1:4566". Default http://localhost:4566.
	BaseURL string
	// FunctionURL is the address of a function URL's id. Default "https://ID.lambda-url.REGION.on.aws/".
	FunctionURL func(id string) string
}

// Door answers the Lambda API.
type Door struct {
	cfg     Config
	catalog *catalog.Catalog
}

const (
	secretMin = 16 // bytes

	createMax  = 70167211             // bytes of a request with code
	invokeMax  = rouse.EventMax + 512 // so that an event a little too large gets Lambda's text
	configMax  = 1 << 20              // bytes of other requests
	pageMax    = 50                   // items of a list, whatever MaxItems says
	shortDates = "2006-01-02T15:04:05.000+0000"
	longDates  = "2006-01-02T15:04:05.000000Z"
)

// New makes the door.
func New(cfg Config) (*Door, error) {
	switch {
	case cfg.Catalog == nil || cfg.Invoker == nil:
		return nil, errors.New("lambda: Config.Catalog and Config.Invoker are required")
	case cfg.Region == "":
		return nil, errors.New("lambda: Config.Region is required")
	case len(cfg.Secret) < secretMin:
		return nil, errors.New("lambda: Config.Secret must have 16 bytes or more")
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = "http://localhost:4566"
	}
	if cfg.FunctionURL == nil {
		region := cfg.Region
		cfg.FunctionURL = func(id string) string { return "https://" + id + ".lambda-url." + region + ".on.aws/" }
	}
	return &Door{cfg: cfg, catalog: cfg.Catalog}, nil
}

// Service is the table.
func (d *Door) Service() wire.Service {
	var ops []wire.Operation
	for _, part := range [][]wire.Operation{
		d.functionOperations(), d.versionOperations(), d.policyOperations(), d.urlOperations(), d.eventOperations(),
		d.layerOperations(), d.accountOperations(), d.tagOperations(), d.invokeOperations(),
		d.absentOperations(),
	} {
		ops = append(ops, part...)
	}
	return wire.Service{
		Name: "lambda", Title: "AWS Lambda", Protocol: wire.RESTJSON, Operations: ops, NotImplemented: notImplemented(),
		Errors: errorTable(), Statuses: statuses(), ErrorMembers: errorMembers, BodyMax: configMax,
	}
}

// notImplemented lists what Lambda has besides.
func notImplemented() []string {
	const (
		layerPolicy = "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy"
		signing     = "/2020-04-22/code-signing-configs"
		signed      = "/2020-06-30/functions/{FunctionName}/code-signing-config"
		provisioned = "/2019-09-30/functions/{FunctionName}/provisioned-concurrency"
		mappings    = "/2015-03-31/event-source-mappings"
		durable     = "/2025-12-01/durable-executions"
		callbacks   = "/2025-12-01/durable-execution-callbacks/{CallbackId}"
		providers   = "/2025-11-30/capacity-providers"
	)
	return []string{
		"AddLayerVersionPermission POST " + layerPolicy, "GetLayerVersionPolicy GET " + layerPolicy,
		"RemoveLayerVersionPermission DELETE " + layerPolicy + "/{StatementId}",
		"CreateEventSourceMapping POST " + mappings,
		"GetEventSourceMapping GET " + mappings + "/{UUID}", "UpdateEventSourceMapping PUT " + mappings + "/{UUID}",
		"DeleteEventSourceMapping DELETE " + mappings + "/{UUID}",
		"PutProvisionedConcurrencyConfig PUT " + provisioned, "GetProvisionedConcurrencyConfig GET " + provisioned,
		"DeleteProvisionedConcurrencyConfig DELETE " + provisioned,
		"CreateCodeSigningConfig POST " + signing, "ListCodeSigningConfigs GET " + signing,
		"GetCodeSigningConfig GET " + signing + "/{CodeSigningConfigArn}",
		"UpdateCodeSigningConfig PUT " + signing + "/{CodeSigningConfigArn}",
		"DeleteCodeSigningConfig DELETE " + signing + "/{CodeSigningConfigArn}",
		"ListFunctionsByCodeSigningConfig GET " + signing + "/{CodeSigningConfigArn}/functions",
		"PutFunctionCodeSigningConfig PUT " + signed, "DeleteFunctionCodeSigningConfig DELETE " + signed,
		"PutRuntimeManagementConfig PUT /2021-07-20/functions/{FunctionName}/runtime-management-config",
		"GetFunctionScalingConfig GET /2025-11-30/functions/{FunctionName}/function-scaling-config",
		"PutFunctionScalingConfig PUT /2025-11-30/functions/{FunctionName}/function-scaling-config",
		"CreateCapacityProvider POST " + providers, "ListCapacityProviders GET " + providers,
		"GetCapacityProvider GET " + providers + "/{CapacityProviderName}",
		"UpdateCapacityProvider PUT " + providers + "/{CapacityProviderName}",
		"DeleteCapacityProvider DELETE " + providers + "/{CapacityProviderName}",
		"ListFunctionVersionsByCapacityProvider GET " + providers + "/{CapacityProviderName}/function-versions",
		"CheckpointDurableExecution POST " + durable + "/{DurableExecutionArn}/checkpoint",
		"GetDurableExecution GET " + durable + "/{DurableExecutionArn}",
		"GetDurableExecutionHistory GET " + durable + "/{DurableExecutionArn}/history",
		"GetDurableExecutionState GET " + durable + "/{DurableExecutionArn}/state",
		"StopDurableExecution POST " + durable + "/{DurableExecutionArn}/stop",
		"ListDurableExecutionsByFunction GET /2025-12-01/functions/{FunctionName}/durable-executions",
		"SendDurableExecutionCallbackFailure POST " + callbacks + "/fail",
		"SendDurableExecutionCallbackHeartbeat POST " + callbacks + "/heartbeat",
		"SendDurableExecutionCallbackSuccess POST " + callbacks + "/succeed",
	}
}

// page is how many items one answer holds.
func page(maxItems int) int {
	if maxItems <= 0 || maxItems > pageMax {
		return pageMax
	}
	return maxItems
}

func short(t time.Time) string { return t.UTC().Format(shortDates) }
func long(t time.Time) string  { return t.UTC().Format(longDates) }

// value is what p points to, the zero value for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
