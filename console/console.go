// Package console is Rouse's own door: what the command line and the web console ask of a node beyond AWS's operations.
//
// It is a service like AWS's, declared as a table (package aws/wire) under the signing name "rouse": every call is signed,
// authorised by rouse:ACTION on arn:aws:rouse:REGION:ACCOUNT:node, and audited. Its paths start with /_rouse/api/.
//
//	GET  status             version, address, isolation in force, counts of instances
//	GET  usage              usage per function between two moments, with what it cost
//	GET  records            single attempts, newest first
//	GET  feed               what happens now, as lines of JSON until the client goes: requests, attempts, log lines
//	PUT  assets/{Hash}      an artifact for a deployment, named by its SHA-256; found again as s3://rouse-assets/HASH
//	GET  assets/{Hash}      whether it is there already
//	GET  runtimes           interpreters, and which runtime names map to them
//	POST runtimes           installs one
//	POST call/{Service}/{Operation}   any operation of any service, its input and output as JSON: as Caller does
//	GET  backup             all state of the node, as package node/archive writes it
//	POST stop               ends the node in order
//
// Feed is a broadcast with bounded queues: a reader that does not keep up loses lines, is told how many, and holds up
// nobody. The room behind each operation is handed over by node; console keeps no state of its own.
package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/meter"
)

// AssetsBucket is the bucket name under which uploaded artifacts are found by deployments.
const AssetsBucket = "rouse-assets"

// AssetMax is the largest artifact in bytes: Lambda's limit of an unzipped function, since nothing larger can be of use.
const AssetMax = 250 << 20

// AssetKey is where an artifact is kept among the blobs.
func AssetKey(hash string) string { return "assets/" + hash }

// Status is what a node says of itself.
type Status struct {
	Version   string     `json:"version"`
	Mode      string     `json:"mode"` // "dev" or "serve"
	PID       int        `json:"pid"`
	Started   time.Time  `json:"started"`
	Region    string     `json:"region"`
	Account   string     `json:"account"`
	Listen    string     `json:"listen"`
	Plain     string     `json:"plain,omitempty"`
	URL       string     `json:"url"` // how clients reach the doors
	Data      string     `json:"data"`
	Store     string     `json:"store"` // its folder, or its URL without secrets
	Isolation Isolation  `json:"isolation"`
	Instances Instances  `json:"instances"`
	Memory    MemoryUsed `json:"memory"`
}

// Isolation is what separates functions from each other and from the host.
type Isolation struct {
	Driver  string   `json:"driver"`            // "ns" or "process"
	Summary string   `json:"summary"`           // one line for people
	InForce []string `json:"inForce,omitempty"` // what separates
	Missing []string `json:"missing,omitempty"` // what does not, why, and what would lift it
}

// Instances counts the pool.
type Instances struct {
	Idle     int `json:"idle"`
	Busy     int `json:"busy"`
	Starting int `json:"starting"`
}

// MemoryUsed is the node's own memory and what instances count for, in bytes.
type MemoryUsed struct {
	Node      int64 `json:"node"`
	Instances int64 `json:"instances"`
}

// Runtime is an interpreter or a package of one.
type Runtime struct {
	Name    string   `json:"name"` // "node 20.20.2"
	Path    string   `json:"path"`
	Serves  []string `json:"serves"`            // runtime names that map to it: "nodejs20.x"
	Exact   []string `json:"exact"`             // of these, the names that it is exactly
	Modules []string `json:"modules,omitempty"` // what comes with it: "boto3 1.34.5"
}

// Config of the door.
type Config struct {
	Region   string
	Meter    *meter.Meter
	Assets   blob.Store
	Caller   rouse.Caller
	Feed     *Feed
	Status   func() Status
	Runtimes func(ctx context.Context, names []string) ([]Runtime, error)        // names: others to say of what serves them
	Add      func(ctx context.Context, name string, progress func(string)) error // installs a runtime
	Stop     func()                                                              // begins to end the node
	Backup   func(ctx context.Context, w io.Writer) error                        // writes all state
	Now      func() time.Time                                                    // default time.Now
}

// Door is the service; safe for concurrent use.
type Door struct{ cfg Config }

// New makes the door.
func New(cfg Config) *Door {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Door{cfg}
}

// Service is the operation table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "rouse", Title: "Rouse", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors(),
		Operations: []wire.Operation{
			wire.Op("GetStatus", "GET /_rouse/api/status", need[wire.None](d, "GetStatus"), d.status),
			wire.Op("GetUsage", "GET /_rouse/api/usage", need[UsageInput](d, "GetUsage"), d.usage),
			wire.Op("ListRecords", "GET /_rouse/api/records", need[RecordsInput](d, "ListRecords"), d.records),
			wire.Op("GetFeed", "GET /_rouse/api/feed", need[FeedInput](d, "GetFeed"), d.feed),
			wire.Op("PutAsset", "PUT /_rouse/api/assets/{Hash}", need[PutAssetInput](d, "PutAsset"), d.putAsset, wire.BodyMax(AssetMax)),
			wire.Op("GetAsset", "GET /_rouse/api/assets/{Hash}", need[GetAssetInput](d, "GetAsset"), d.getAsset),
			wire.Op("ListRuntimes", "GET /_rouse/api/runtimes", need[RuntimesInput](d, "ListRuntimes"), d.runtimes),
			wire.Op("AddRuntime", "POST /_rouse/api/runtimes", need[AddRuntimeInput](d, "AddRuntime"), d.addRuntime),
			wire.Op("Call", "POST /_rouse/api/call/{Service}/{Operation}", wire.NoNeeds[CallInput], d.call, wire.Unaudited(),
				wire.BodyMax(callMax)),
			wire.Op("GetBackup", "GET /_rouse/api/backup", need[wire.None](d, "GetBackup"), d.backup),
			wire.Op("StopNode", "POST /_rouse/api/stop", need[wire.None](d, "StopNode"), d.stop),
		},
	}
}

// need is the permission to do action to this node.
func need[In any](d *Door, action string) func(context.Context, rouse.Origin, *In) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, _ *In) ([]rouse.Need, error) {
		arn := rouse.ARN{Service: "rouse", Region: d.cfg.Region, Account: from.Principal.Account, Resource: "node"}
		return []rouse.Need{{Action: "rouse:" + action, Resource: arn.String()}}, nil
	}
}

func (d *Door) status(context.Context, rouse.Origin, *wire.None) (*JSONOutput, error) {
	b, err := json.Marshal(d.cfg.Status())
	return &JSONOutput{jsonType, b}, err
}

// UsageInput is a span of time, RFC 3339; the last 30 days by default.
type UsageInput struct {
	From time.Time `wire:"from,query,iso8601"`
	To   time.Time `wire:"to,query,iso8601"`
}

// UsageOutput is usage per function, most expensive first.
type UsageOutput struct {
	From, To  time.Time `wire:",iso8601"`
	PriceBook string
	Currency  string
	Functions json.RawMessage
}

func (d *Door) usage(ctx context.Context, from rouse.Origin, in *UsageInput) (*UsageOutput, error) {
	if in.To.IsZero() {
		in.To = d.cfg.Now()
	}
	if in.From.IsZero() {
		in.From = in.To.AddDate(0, 0, -30)
	}
	if err := d.cfg.Meter.Flush(ctx); err != nil {
		return nil, err
	}
	lines, err := d.cfg.Meter.Usage(ctx, from.Principal.Account, in.From, in.To)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(lines)
	if err != nil {
		return nil, err
	}
	book := d.cfg.Meter.Book()
	return &UsageOutput{From: in.From, To: in.To, PriceBook: book.Name, Currency: book.Currency, Functions: b}, nil
}

// RecordsInput chooses attempts.
type RecordsInput struct {
	Function string    `wire:"function,query" max:"140"`
	Before   time.Time `wire:"before,query,iso8601"`
	Limit    int       `wire:"limit,query" min:"1" max:"1000"`
}

// RecordsOutput holds attempts, newest first.
type RecordsOutput struct{ Records json.RawMessage }

func (d *Door) records(ctx context.Context, from rouse.Origin, in *RecordsInput) (*RecordsOutput, error) {
	if in.Limit == 0 {
		in.Limit = 50
	}
	if err := d.cfg.Meter.Flush(ctx); err != nil {
		return nil, err
	}
	recs, err := d.cfg.Meter.Records(ctx, from.Principal.Account, in.Function, in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	if recs == nil {
		recs = []meter.Record{}
	}
	b, err := json.Marshal(recs)
	return &RecordsOutput{b}, err
}

// PutAssetInput is an artifact and its name.
type PutAssetInput struct {
	Hash string    `wire:"Hash,uri,required" pattern:"[0-9a-f]{64}"`
	Body io.Reader `wire:",payload"`
}

// AssetOutput says where a deployment finds an artifact.
type AssetOutput struct {
	Bucket, Key string
	Size        int64
}

// putAsset holds the content against its name while it is read: what is not it never takes the place of what is, not even
// for a moment, because another deployment may be reading the same artifact.
func (d *Door) putAsset(ctx context.Context, _ rouse.Origin, in *PutAssetInput) (*AssetOutput, error) {
	info, err := d.cfg.Assets.Put(ctx, AssetKey(in.Hash), &named{r: in.Body, want: in.Hash, hash: sha256.New()})
	if err != nil {
		return nil, err
	}
	return &AssetOutput{AssetsBucket, in.Hash, info.Size}, nil
}

// named ends with an error when what was read does not have the hash that names it.
type named struct {
	r    io.Reader
	want string
	hash hash.Hash
}

func (n *named) Read(p []byte) (int, error) {
	count, err := n.r.Read(p)
	n.hash.Write(p[:count])
	if !errors.Is(err, io.EOF) {
		return count, err
	}
	if got := hex.EncodeToString(n.hash.Sum(nil)); got != n.want {
		return count, rouse.Errorf(rouse.Invalid, "the artifact's SHA-256 is %s, not %s", got, n.want)
	}
	return count, io.EOF
}

// GetAssetInput names an artifact.
type GetAssetInput struct {
	Hash string `wire:"Hash,uri,required" pattern:"[0-9a-f]{64}"`
}

func (d *Door) getAsset(ctx context.Context, _ rouse.Origin, in *GetAssetInput) (*AssetOutput, error) {
	info, err := d.cfg.Assets.Stat(ctx, AssetKey(in.Hash))
	if err != nil {
		return nil, rouse.Errorf(rouse.NotFound, "no artifact %s", in.Hash)
	}
	return &AssetOutput{AssetsBucket, in.Hash, info.Size}, nil
}

// RuntimesInput names runtimes beside AWS's own to map to interpreters: what functions have, which may be newer than this build.
type RuntimesInput struct {
	For []string `wire:"for,query" max:"1000"`
}

// RuntimesOutput lists interpreters.
type RuntimesOutput struct{ Runtimes json.RawMessage }

func (d *Door) runtimes(ctx context.Context, _ rouse.Origin, in *RuntimesInput) (*RuntimesOutput, error) {
	list, err := d.cfg.Runtimes(ctx, in.For)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(list)
	return &RuntimesOutput{b}, err
}

// AddRuntimeInput names what to install: "node@24", "sdk-js", "sdk-js-v2".
type AddRuntimeInput struct {
	Name string `wire:",required" min:"1" max:"64" pattern:"[a-z0-9][a-z0-9.@-]*"`
}

// StreamOutput is lines of JSON, written while the client reads.
type StreamOutput struct {
	Type string      `wire:"Content-Type,header"`
	Body wire.Stream `wire:",payload"`
}

// progress is one line of AddRuntime's answer; the last has Done or Error.
type progress struct {
	Step  string `json:"step,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

// backup is the node's state, secrets and all: whoever may ask for it may do anything.
func (d *Door) backup(ctx context.Context, _ rouse.Origin, _ *wire.None) (*StreamOutput, error) {
	return &StreamOutput{Type: "application/octet-stream", Body: func(w io.Writer) error { return d.cfg.Backup(ctx, w) }}, nil
}

func (d *Door) addRuntime(ctx context.Context, _ rouse.Origin, in *AddRuntimeInput) (*StreamOutput, error) {
	return &StreamOutput{Type: "application/x-ndjson", Body: func(w io.Writer) error {
		enc := json.NewEncoder(w)
		err := d.cfg.Add(ctx, in.Name, func(step string) { _ = enc.Encode(progress{Step: step}) })
		if err != nil {
			return enc.Encode(progress{Error: err.Error()})
		}
		return enc.Encode(progress{Done: true})
	}}, nil
}

// callMax bounds the input of a call: the largest is an event.
const callMax = rouse.EventMax + 1<<20

// CallInput names an operation; it is authorised and audited as that operation, under the caller's own name.
type CallInput struct {
	Service   string `wire:"Service,uri,required" max:"64"`
	Operation string `wire:"Operation,uri,required" max:"128"`
	Input     []byte `wire:",payload"`
}

const jsonType = "application/json"

// JSONOutput is an answer that is JSON already.
type JSONOutput struct {
	Type   string `wire:"Content-Type,header"`
	Output []byte `wire:",payload"`
}

func (d *Door) call(ctx context.Context, from rouse.Origin, in *CallInput) (*JSONOutput, error) {
	out, reply, err := d.cfg.Caller.Call(ctx, from, in.Service, in.Operation, in.Input, nil)
	if err != nil {
		return nil, err
	}
	if reply != nil {
		_ = reply.Close() // operations with a payload of their own are called at their own door
	}
	return &JSONOutput{jsonType, out}, nil
}

func (d *Door) stop(context.Context, rouse.Origin, *wire.None) (*wire.None, error) {
	d.cfg.Stop()
	return nil, nil
}
