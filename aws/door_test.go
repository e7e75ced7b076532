package aws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
)

// The made-up services of these tests: one per protocol, and a second REST one under the signing name of the first.

type boxIn struct {
	Name   string `wire:"name,required"`
	Size   *int   `wire:"size" min:"1" max:"9"`
	Secret string `wire:"secret"`
}

type boxOut struct {
	Name  string `wire:"name"`
	Size  *int   `wire:"size"`
	Owner string `wire:"owner"`
	IP    string `wire:"ip"`
	Hops  int    `wire:"hops,omitempty"`
}

type formIn struct {
	Name string `wire:"Name,required"`
}

type blobIn struct {
	Name string `wire:"Name,uri"`
	Data []byte `wire:"Data,payload"`
}

type blobOut struct {
	Kind string `wire:"X-Kind,header"`
	Data []byte `wire:"Data,payload"`
}

type streamIn struct {
	Name string    `wire:"Name,uri"`
	Data io.Reader `wire:"Data,payload"`
}

type streamOut struct {
	Data wire.Stream `wire:"Data,payload"`
}

type empty struct{}

func needBox(action string) func(context.Context, rouse.Origin, *boxIn) ([]rouse.Need, error) {
	return func(_ context.Context, _ rouse.Origin, in *boxIn) ([]rouse.Need, error) {
		return []rouse.Need{{Action: action, Resource: "arn:aws:boxes:::" + in.Name}}, nil
	}
}

func putBox(_ context.Context, from rouse.Origin, in *boxIn) (*boxOut, error) {
	switch in.Name {
	case "panic":
		panic("the box exploded")
	case "fault":
		return nil, errors.New("disk secret broke")
	case "late":
		return nil, context.DeadlineExceeded
	case "full":
		return nil, rouse.Errorf(rouse.Exists, "box %s is there", in.Name).WithCode("BoxThereException")
	}
	return &boxOut{Name: in.Name, Size: in.Size, Owner: from.Principal.ARN, IP: from.SourceIP, Hops: from.Hops}, nil
}

func services() []wire.Service {
	rest := wire.Service{Name: "rest", SigningName: "shared", Title: "REST", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors(),
		Operations: []wire.Operation{
			wire.Op("PutBlob", "PUT /blobs/{Name}", wire.NoNeeds[blobIn], func(_ context.Context, _ rouse.Origin, in *blobIn) (*blobOut, error) {
				return &blobOut{Kind: in.Name, Data: in.Data}, nil
			}, wire.BodyMax(64)),
			wire.Op("PutStream", "PUT /streams/{Name}", wire.NoNeeds[streamIn], putStream, wire.BodyMax(1<<20)),
		}}
	second := wire.Service{Name: "second", SigningName: "shared", Title: "Second", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors(),
		Operations: []wire.Operation{
			wire.Op("GetSecond", "GET /v2/second", wire.NoNeeds[empty], func(context.Context, rouse.Origin, *empty) (*boxOut, error) {
				return &boxOut{Name: "second"}, nil
			}),
		}}
	s3 := rest
	s3.Name, s3.SigningName = "s3", "s3"
	return []wire.Service{
		{Name: "boxes", Title: "Boxes", Protocol: wire.JSON11, TargetPrefix: "Boxes_1", Errors: wire.JSONErrors(), BodyMax: 4096,
			Operations: []wire.Operation{
				wire.Op("PutBox", "", needBox("boxes:PutBox"), putBox),
				wire.Op("GetBox", "", needBox("boxes:GetBox"), putBox),
			}, NotImplemented: []string{"PaintBox"}},
		{Name: "forms", Title: "Forms", Protocol: wire.Query, Version: "2020-01-01", Namespace: "https://forms/", Errors: wire.QueryErrors(),
			Global: true, Operations: []wire.Operation{
				wire.Op("GetForm", "", wire.NoNeeds[formIn], echoForm),
			}},
		rest, second, s3,
	}
}

func echoForm(_ context.Context, _ rouse.Origin, in *formIn) (*formIn, error) { return in, nil }

func putStream(_ context.Context, _ rouse.Origin, in *streamIn) (*streamOut, error) {
	if in.Name == "whole" {
		if _, err := io.Copy(io.Discard, in.Data); err != nil {
			return nil, err
		}
	}
	return &streamOut{Data: func(w io.Writer) error {
		if in.Name == "break" || in.Name == "panic" {
			if _, err := io.WriteString(w, "some"); err != nil {
				return err
			}
			if in.Name == "panic" {
				panic("in the middle")
			}
			return errors.New("in the middle")
		}
		_, err := io.Copy(w, in.Data)
		return err
	}}, nil
}

// keyring knows AKIA (user/ann) and AKIB, whose session needs the token "tok".
type keyring struct{}

func (keyring) Credentials(_ context.Context, id, token, sourceIP string) (aws.Key, error) {
	p := rouse.Principal{Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/ann"}
	switch {
	case id == "AKIA" && token == "", id == "AKIB" && token == "tok", id == "AKIL" && sourceIP == "127.0.0.1":
		return aws.Key{Secret: "s3cr3t", Origin: rouse.Origin{Principal: p, AccessKey: id}}, nil
	case id == "AKIX":
		return aws.Key{}, rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is expired").
			WithCode("ExpiredTokenException")
	}
	return aws.Key{}, rouse.Errorf(rouse.Unauthenticated, "The security token included in the request is invalid.")
}

// gate denies the box "closed".
type gate struct{}

func (gate) Authorize(_ context.Context, from rouse.Origin, needs []rouse.Need) error {
	for _, n := range needs {
		if from.IsZero() || strings.HasSuffix(n.Resource, ":closed") {
			return rouse.Errorf(rouse.Denied, "User: %s is not authorized to perform: %s on resource: %s",
				from.Principal.ARN, n.Action, n.Resource)
		}
	}
	return nil
}

// house is a door on a server, with what it logged and audited.
type house struct {
	t    *testing.T
	door *aws.Door
	url  string
	now  time.Time

	mu     sync.Mutex
	log    bytes.Buffer     // guarded by mu
	events []aws.AuditEvent // guarded by mu
}

func open(t *testing.T) *house { return openWith(t, aws.Config{}) }

// openWith opens a door with the limits of cfg.
func openWith(t *testing.T, cfg aws.Config) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	door, err := aws.New(aws.Config{
		Services: services(), Keys: keyring{}, Authorize: gate{}, Region: "eu-test-1", Now: func() time.Time { return h.now },
		Logger: slog.New(slog.NewTextHandler(h, nil)), StrangersMax: cfg.StrangersMax, BodyPatience: cfg.BodyPatience,
		Audit: func(e aws.AuditEvent) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.events = append(h.events, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.door = door
	s := httptest.NewServer(door)
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

func (h *house) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *house) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func (h *house) audited() []aws.AuditEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]aws.AuditEvent(nil), h.events...)
}

func signer(service string) sigv4.Signer {
	return sigv4.Signer{AccessKeyID: "AKIA", SecretAccessKey: "s3cr3t", Region: "eu-test-1", Service: service}
}

// ask makes a request; head is names and values.
func (h *house) ask(method, path, body string, head ...string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return r
}

// box makes a request to the JSON service, signed.
func (h *house) box(op, body string) *http.Request {
	r := h.ask("POST", "/", body, "X-Amz-Target", "Boxes_1."+op, "Content-Type", "application/x-amz-json-1.1")
	signer("boxes").Sign(r, sigv4.HashPayload([]byte(body)), h.now)
	return r
}

func (h *house) form(body string) *http.Request {
	r := h.ask("POST", "/", body, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	signer("forms").Sign(r, sigv4.HashPayload([]byte(body)), h.now)
	return r
}

func (h *house) rest(method, path, body string) *http.Request {
	r := h.ask(method, path, body)
	signer("shared").Sign(r, sigv4.HashPayload([]byte(body)), h.now)
	return r
}

type answer struct {
	status int
	head   http.Header
	body   string
}

func (h *house) do(r *http.Request) answer {
	h.t.Helper()
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		return answer{w.StatusCode, w.Header, string(b) + "!" + err.Error()}
	}
	return answer{w.StatusCode, w.Header, string(b)}
}

// want checks status and a part of the body.
func (h *house) want(r *http.Request, status int, body string) answer {
	h.t.Helper()
	got := h.do(r)
	if got.status != status || !strings.Contains(got.body, body) {
		h.t.Errorf("%s %s:\n got %d %s\nwant %d …%s…", r.Method, r.URL.Path, got.status, got.body, status, body)
	}
	if id := got.head.Get("X-Amzn-Requestid"); len(id) != 36 {
		h.t.Errorf("request id: got %q, want a UUID", id)
	}
	return got
}
