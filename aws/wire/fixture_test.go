package wire_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
)

// The made-up service of these tests: every operation echoes its input, so that one request shows both directions.

type colour string

type part struct {
	Name  string `wire:"Name,required" min:"1" max:"8"`
	Parts []part
	Size  *int32 `min:"1" max:"10"`
}

type base struct {
	Owner string
}

type thing struct {
	base    // unexported embedded structs are merged as well
	Name    string
	Colour  colour `enum:"red|blue"`
	On      bool
	Maybe   *bool
	Count   int
	Big     uint64 `wire:"Big,omitempty"`
	Ratio   *float64
	Blob    []byte
	When    time.Time
	Date    *time.Time `wire:"date,iso8601"`
	Tags    map[string]string
	Sizes   []int
	Part    *part
	Parts   []part
	ByName  map[string]part
	Kept    string `wire:"Kept,keep"`
	Empty   string
	Skipped string `wire:"-"`
}

type jsonThing struct {
	thing
	Raw json.RawMessage
	Any any
	Old *part `unsupported:"old things"`
}

type restThing struct {
	Name   string            `wire:"name,uri" pattern:"[a-z:/.]+"`
	Path   string            `wire:"path,uri"`
	Limit  *int              `wire:"limit,query" min:"1" max:"50"`
	Keys   []string          `wire:"keys,query"`
	Rest   map[string]string `wire:"rest,query"`
	Mode   string            `wire:"X-Mode,header" enum:"Event|Sync"`
	Since  time.Time         `wire:"X-Since,header"`
	Etags  []string          `wire:"X-Tags,header"`
	Meta   map[string]string `wire:"X-Meta-,prefix"`
	Old    string            `wire:"old,query" unsupported:"old things"`
	Status int               `wire:"Status,status"`
	Title  *string
	Items  []part `wire:"item" name:"items"`
}

type blobIn struct {
	Name string `wire:"name,uri"`
	Type string `wire:"Content-Type,header"`
	Data []byte `wire:"data,payload"`
}

type streamIn struct {
	Name string    `wire:"name,uri"`
	Data io.Reader `wire:"data,payload"`
}

type streamOut struct {
	Kind string        `wire:"X-Kind,header"`
	Data io.ReadCloser `wire:"data,payload"`
}

type pushOut struct {
	Data wire.Stream `wire:"data,payload"`
}

type structIn struct {
	Name string `wire:"name,uri"`
	Part *part  `wire:"part,payload"`
}

type empty struct{}

func echo[T any](_ context.Context, _ rouse.Origin, in *T) (*T, error) { return in, nil }

func none[T any](context.Context, rouse.Origin, *T) (*wire.None, error) { return nil, nil }

func fails(context.Context, rouse.Origin, *empty) (*empty, error) {
	return nil, rouse.Errorf(rouse.NotFound, "no <thing> here")
}

func fault(context.Context, rouse.Origin, *empty) (*empty, error) {
	return nil, io.ErrUnexpectedEOF
}

func jsonService() wire.Service {
	return wire.Service{
		Name: "things", Title: "Things", Protocol: wire.JSON11, TargetPrefix: "Things_2020", Errors: wire.JSONErrors(),
		Operations: []wire.Operation{
			wire.Op("PutThing", "", wire.NoNeeds[jsonThing], echo[jsonThing],
				wire.Refuse("KeyArn", "Network.Subnets", "Parts.Old"), wire.RefuseExcept("Tracing.Mode", "PassThrough")),
			wire.Op("DropThing", "", wire.NoNeeds[thing], none[thing], wire.Differs("drops slowly")),
			wire.Op("FailThing", "", wire.NoNeeds[empty], fails),
			wire.Op("FaultThing", "", wire.NoNeeds[empty], fault),
		},
		NotImplemented: []string{"PaintThing"},
	}
}

func queryService() wire.Service {
	return wire.Service{
		Name: "qthings", Title: "Query Things", Protocol: wire.Query, Version: "2020-01-01",
		Namespace: "https://things.example/doc/2020-01-01/", Errors: wire.QueryErrors(),
		Operations: []wire.Operation{
			wire.Op("PutThing", "", wire.NoNeeds[queryThing], echo[queryThing],
				wire.Refuse("KeyArn", "Network.Subnets"), wire.RefuseExcept("Tracing.Mode", "PassThrough")),
			wire.Op("DropThing", "", wire.NoNeeds[thing], none[thing]),
			wire.Op("FailThing", "", wire.NoNeeds[empty], fails),
		},
		NotImplemented: []string{"PaintThing"},
	}
}

type queryThing struct {
	thing
	Flat    []string          `wire:"Flat,flat"`
	Flags   map[string]string `wire:"Flag,flat,key=K,value=V"`
	Renamed []string          `wire:"Renamed,item=Entry"`
	Old     *part             `unsupported:"old things"`
}

func restService() wire.Service {
	return wire.Service{
		Name: "rthings", Title: "REST Things", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors(),
		Statuses:     map[string]int{"GoneException": 410},
		ErrorMembers: func(string, *rouse.Error) map[string]any { return map[string]any{"Type": "User"} },
		Operations: []wire.Operation{
			wire.Op("PutThing", "PUT /things/{name}/at/{path+} 201", wire.NoNeeds[restThing], echo[restThing],
				wire.Refuse("KeyArn", "dryRun", "X-Secret", "X-Amz-Tenant-Id", "item.Old")),
			wire.Op("Blob", "POST /blobs/{name}", wire.NoNeeds[blobIn], echoBlob),
			wire.Op("Struct", "POST /structs/{name}", wire.NoNeeds[structIn], echoStruct),
			wire.Op("Stream", "POST /streams/{name}", wire.NoNeeds[streamIn], echoStream),
			wire.Op("Push", "GET /push", wire.NoNeeds[empty], push),
			wire.Op("Plain", "GET /plain", wire.NoNeeds[empty], echo[empty]),
			wire.Op("Imported", "GET /plain?mode=import", wire.NoNeeds[empty], fails),
			wire.Op("Drop", "DELETE /plain 204", wire.NoNeeds[empty], none[empty]),
		},
		NotImplemented: []string{"PaintThing POST /things/{name}/paint"},
	}
}

type blobOut struct {
	Type string `wire:"Content-Type,header"`
	Data []byte `wire:"data,payload"`
}

func echoBlob(_ context.Context, _ rouse.Origin, in *blobIn) (*blobOut, error) {
	return &blobOut{Type: in.Type, Data: in.Data}, nil
}

func echoStruct(_ context.Context, _ rouse.Origin, in *structIn) (*struct {
	Part *part `wire:"part,payload"`
}, error) {
	return &struct {
		Part *part `wire:"part,payload"`
	}{in.Part}, nil
}

func echoStream(_ context.Context, _ rouse.Origin, in *streamIn) (*streamOut, error) {
	return &streamOut{Kind: "echo", Data: io.NopCloser(in.Data)}, nil
}

func push(context.Context, rouse.Origin, *empty) (*pushOut, error) {
	return &pushOut{Data: func(w io.Writer) error {
		for _, p := range []string{"one ", "two ", "three"} {
			if _, err := io.WriteString(w, p); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// answer is what a request came back with.
type answer struct {
	status int
	head   http.Header
	body   string
}

func send(t *testing.T, s wire.Service, method, url, body string, head ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return roundtrip(t, s, r)
}

func roundtrip(t *testing.T, s wire.Service, r *http.Request) answer {
	t.Helper()
	w := wiretest.Roundtrip(t, s, rouse.Origin{}, r)
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{w.StatusCode, w.Header, string(b)}
}

func sendJSON(t *testing.T, op, body string) answer {
	t.Helper()
	return send(t, jsonService(), "POST", "/", body, "X-Amz-Target", "Things_2020."+op)
}

func sendQuery(t *testing.T, op, form string) answer {
	t.Helper()
	return send(t, queryService(), "POST", "/", "Action="+op+"&Version=2020-01-01&"+form)
}

func expect(t *testing.T, got answer, status int, body string) {
	t.Helper()
	if got.status != status || got.body != body {
		t.Errorf("answer:\n got %d %s\nwant %d %s", got.status, got.body, status, body)
	}
}

func TestTablesPassTheirChecks(t *testing.T) {
	for _, s := range []wire.Service{jsonService(), queryService(), restService()} {
		wiretest.Check(t, s)
	}
}
