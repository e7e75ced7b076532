package aws_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

func TestEveryProtocolIsServed(t *testing.T) {
	h := open(t)
	h.want(h.box("PutBox", `{"name":"b","size":3}`), 200,
		`{"name":"b","size":3,"owner":"arn:aws:iam::000000000000:user/ann","ip":"127.0.0.1"}`)
	h.want(h.form("Action=GetForm&Version=2020-01-01&Name=f%26"), 200, "<GetFormResult><Name>f&amp;</Name></GetFormResult>")
	got := h.want(h.rest("PUT", "/blobs/arn%3Ax%2Fy", "\x00bytes"), 200, "\x00bytes")
	if k := got.head.Get("X-Kind"); k != "arn:x/y" {
		t.Errorf("label: got %q, want arn:x/y", k)
	}
	h.want(h.rest("PUT", "/streams/s", strings.Repeat("x", 100000)), 200, strings.Repeat("x", 100000))
	h.want(h.rest("GET", "/v2/second", ""), 200, `{"name":"second"}`)
	signed := h.ask("GET", "/?Action=GetForm&Version=2020-01-01&Name=p", "")
	u := signer("forms").Presign(signed, sigv4.EmptyHash, h.now, time.Minute)
	h.want(h.ask("GET", u.RequestURI(), ""), 200, "<Name>p</Name>")
}

func TestUnsignedRequestsAreRefused(t *testing.T) {
	h := open(t)
	got := h.want(h.ask("POST", "/", `{}`, "X-Amz-Target", "Boxes_1.PutBox"), 400,
		`{"__type":"MissingAuthenticationTokenException","message":"Request is missing Authentication Token"}`)
	if ct := got.head.Get("Content-Type"); ct != "application/x-amz-json-1.1" {
		t.Errorf("content type: got %q", ct)
	}
	h.want(h.ask("POST", "/", "Action=GetForm&Name=x", "Content-Type", "application/x-www-form-urlencoded"), 403,
		"<Code>MissingAuthenticationToken</Code>")
	h.want(h.ask("PUT", "/blobs/x", "x"), 403, "Request is missing Authentication Token")
	h.want(h.ask("GET", "/nowhere", ""), 403, "Request is missing Authentication Token")
	h.want(h.ask("POST", "/", "", "X-Amz-Target", "Other.Op"), 400, "MissingAuthenticationTokenException")
	if n := len(h.audited()); n != 0 {
		t.Errorf("got %d audit events, want none for strangers", n)
	}
}

// TestWhatIsNotSignedIsNotTaken: a header that decides what a request means counts only when it is signed, or whoever has seen
// a request could send it with another meaning.
func TestWhatIsNotSignedIsNotTaken(t *testing.T) {
	h := open(t)
	for name, value := range map[string]string{"X-Amz-Target": "Boxes_1.PutBox", "X-Amz-Other": "x"} {
		r := h.ask("POST", "/", `{"name":"b"}`)
		if name != "X-Amz-Target" {
			r.Header.Set("X-Amz-Target", "Boxes_1.PutBox")
		}
		s := signer("boxes")
		s.Sign(r, sigv4.HashPayload([]byte(`{"name":"b"}`)), h.now)
		r.Header.Set(name, value)
		h.want(r, 400, "'"+name+"' must be a 'SignedHeader'")
	}
}

func TestBadCredentials(t *testing.T) {
	h := open(t)
	json := func(change func(*sigv4.Signer), at time.Time) *http.Request {
		r := h.ask("POST", "/", `{"name":"b"}`, "X-Amz-Target", "Boxes_1.PutBox")
		s := signer("boxes")
		change(&s)
		s.Sign(r, sigv4.HashPayload([]byte(`{"name":"b"}`)), at)
		return r
	}
	for _, c := range []struct {
		change func(*sigv4.Signer)
		at     time.Duration
		want   string
	}{
		{func(s *sigv4.Signer) { s.AccessKeyID = "AKIN" }, 0,
			`{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`},
		{func(s *sigv4.Signer) { s.AccessKeyID = "AKIX" }, 0,
			`{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`},
		{func(s *sigv4.Signer) { s.AccessKeyID = "AKIB" }, 0, "UnrecognizedClientException"},
		{func(s *sigv4.Signer) { s.SecretAccessKey = "wrong" }, 0,
			`{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match`},
		{func(*sigv4.Signer) {}, -16 * time.Minute, "Signature expired: 20260102T024805Z is now earlier than 20260102T024905Z " +
			"(20260102T030405Z - 15 min.)"},
		{func(*sigv4.Signer) {}, 16 * time.Minute, "Signature not yet current: 20260102T032005Z is still later than " +
			"20260102T031905Z (20260102T030405Z + 15 min.)"},
		{func(s *sigv4.Signer) { s.Region = "us-east-1" }, 0,
			"Credential should be scoped to a valid region, not 'us-east-1'. This node is eu-test-1."},
		{func(s *sigv4.Signer) { s.Service = "nothing" }, 0, `Rouse does not implement the service \"nothing\"`},
		{func(s *sigv4.Signer) { s.Service = "forms" }, 0, "<Code>MissingAction</Code>"},
	} {
		got := h.do(json(c.change, h.now.Add(c.at)))
		if got.status < 400 || !strings.Contains(got.body, c.want) {
			t.Errorf("got %d %s, want …%s…", got.status, got.body, c.want)
		}
	}
	h.want(json(func(s *sigv4.Signer) { s.AccessKeyID, s.SessionToken = "AKIB", "tok" }, h.now), 200, `"name":"b"`)
	h.want(json(func(s *sigv4.Signer) { s.AccessKeyID = "AKIL" }, h.now), 200, `"name":"b"`)
	h.want(json(func(*sigv4.Signer) {}, h.now.Add(14*time.Minute)), 200, `"name":"b"`)

	body := "Action=GetForm&Name=x"
	f := h.ask("POST", "/", body, "Content-Type", "application/x-www-form-urlencoded")
	s := signer("forms")
	s.SecretAccessKey = "wrong"
	s.Sign(f, sigv4.HashPayload([]byte(body)), h.now)
	h.want(f, 403, "<Code>SignatureDoesNotMatch</Code>")
	s.AccessKeyID = "AKIX"
	s.Sign(f, sigv4.HashPayload([]byte(body)), h.now)
	f.Body, _ = f.GetBody()
	h.want(f, 403, "<Code>ExpiredToken</Code>")
	s = signer("forms")
	s.Region = "us-east-1"
	s.Sign(f, sigv4.HashPayload([]byte(body)), h.now)
	f.Body, _ = f.GetBody()
	h.want(f, 200, "<Name>x</Name>")
}

func TestBodiesAreHeldAgainstTheirSignature(t *testing.T) {
	h := open(t)
	r := h.ask("POST", "/", `{"name":"other"}`, "X-Amz-Target", "Boxes_1.PutBox")
	signer("boxes").Sign(r, sigv4.HashPayload([]byte(`{"name":"b"}`)), h.now)
	h.want(r, 400, "InvalidSignatureException")

	declare := func(path, body, hash string) *http.Request {
		r := h.ask("PUT", path, body, "X-Amz-Content-Sha256", hash)
		signer("shared").Sign(r, hash, h.now)
		return r
	}
	good := sigv4.HashPayload([]byte("good"))
	h.want(declare("/streams/s", "good", good), 200, "good")
	h.want(declare("/blobs/s", "good", good), 200, "good")
	h.want(declare("/streams/whole", "evil", good), 403, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	h.want(declare("/blobs/s", "evil", good), 403, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	if got := h.do(declare("/streams/s", "evil", good)); got.status != 200 || !strings.HasSuffix(got.body, "!unexpected EOF") {
		t.Errorf("a stream that is not what was signed: got %d %q, want it broken off", got.status, got.body)
	}
	h.want(declare("/streams/s", "good", sigv4.Unsigned), 403, "Only S3 takes unsigned payloads")
	h.want(declare("/streams/s", "good", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), 501,
		"Rouse does not implement STREAMING-AWS4-HMAC-SHA256-PAYLOAD")

	r = h.ask("PUT", "/streams/whole", "anything")
	signer("s3").Sign(r, sigv4.Unsigned, h.now)
	h.want(r, 200, "")
}

func TestLimits(t *testing.T) {
	h := open(t)
	h.want(h.rest("PUT", "/blobs/b", strings.Repeat("x", 64)), 200, "xxx")
	h.want(h.rest("PUT", "/blobs/b", strings.Repeat("x", 65)), 413, "Request must be smaller than 64 bytes for the PutBlob operation")
	h.want(h.box("PutBox", `{"name":"`+strings.Repeat("x", 5000)+`"}`), 413, "Request must be smaller than 4096 bytes")
	long := strings.Repeat("x", 1<<20+1)
	hash := sigv4.HashPayload([]byte(long))
	r := h.ask("PUT", "/streams/whole", long, "X-Amz-Content-Sha256", hash)
	signer("shared").Sign(r, hash, h.now)
	h.want(r, 413, "Request must be smaller than 1048576 bytes")
	r = h.ask("PUT", "/streams/whole", long, "X-Amz-Content-Sha256", hash)
	r.ContentLength = -1
	r.Header.Del("Content-Length")
	signer("shared").Sign(r, hash, h.now)
	h.want(r, 413, "Request must be smaller than 1048576 bytes")
	r = h.ask("POST", "/", "zip", "X-Amz-Target", "Boxes_1.PutBox", "Content-Encoding", "gzip")
	signer("boxes").Sign(r, sigv4.HashPayload([]byte("zip")), h.now)
	h.want(r, 501, "Rouse does not implement Content-Encoding gzip for requests")
}

func TestErrorsAndAudit(t *testing.T) {
	h := open(t)
	h.want(h.box("PutBox", `{"name":"closed"}`), 400, `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::000000000000:`+
		`user/ann is not authorized to perform: boxes:PutBox on resource: arn:aws:boxes:::closed"}`)
	h.want(h.box("PutBox", `{"name":"full","secret":"hush"}`), 400, `{"__type":"BoxThereException","message":"box full is there"}`)
	h.want(h.box("PutBox", `{"name":"late"}`), 408, "RequestTimeoutException")
	h.want(h.box("PaintBox", `{}`), 501, "Rouse does not implement PaintBox of Boxes")
	h.want(h.box("PutBox", `{`), 400, "SerializationException")
	h.want(h.box("PutBox", `{"name":"b","size":10}`), 400, "Value '10' at 'size' failed to satisfy constraint")
	h.want(h.box("GetBox", `{"name":"b"}`), 200, `"name":"b"`)
	got := h.want(h.box("PutBox", `{"name":"fault"}`), 500, "InternalServerError")
	id := got.head.Get("X-Amzn-Requestid")
	if strings.Contains(got.body, "disk") || !strings.Contains(got.body, id) {
		t.Errorf("internal error: got %s, want the id %s and no details", got.body, id)
	}
	if log := h.logged(); !strings.Contains(log, "disk secret broke") || !strings.Contains(log, id) || strings.Count(log, "\n") != 1 {
		t.Errorf("log: got %s, want one line with the cause and %s", log, id)
	}
	var codes []string
	for _, e := range h.audited() {
		codes = append(codes, e.Operation+" "+strings.Join(e.Resources, ",")+" "+e.Code)
		if e.Origin.AccessKey != "AKIA" || e.Service != "boxes" || e.RequestID == "" || !e.Time.Equal(h.now) {
			t.Errorf("audit event: got %+v", e)
		}
	}
	want := "PutBox arn:aws:boxes:::closed AccessDeniedException|PutBox arn:aws:boxes:::full BoxThereException|" +
		"PutBox arn:aws:boxes:::late RequestTimeoutException|PutBox arn:aws:boxes:::fault InternalServerError"
	if got := strings.Join(codes, "|"); got != want {
		t.Errorf("audit:\n got %s\nwant %s", got, want)
	}
}

func TestPanicsEndAtTheDoor(t *testing.T) {
	h := open(t)
	got := h.want(h.box("PutBox", `{"name":"panic"}`), 500, "InternalServerError")
	if strings.Contains(got.body, "exploded") {
		t.Errorf("the client sees the panic: %s", got.body)
	}
	if log := h.logged(); !strings.Contains(log, "the box exploded") || !strings.Contains(log, "putBox") {
		t.Errorf("log: got %s, want the panic and its stack", log)
	}
	if ev := h.audited(); len(ev) != 1 || ev[0].Code != "InternalServerError" || len(ev[0].Resources) != 1 {
		t.Errorf("audit: got %+v, want one event of an internal error", ev)
	}
	for _, name := range []string{"break", "panic"} {
		if got := h.do(h.rest("PUT", "/streams/"+name, "x")); got.body != "some!unexpected EOF" {
			t.Errorf("%s in mid-stream: got %q, want it broken off after \"some\"", name, got.body)
		}
	}
	if log := h.logged(); strings.Count(log, "in the middle") != 2 {
		t.Errorf("log: got %s, want both failures in mid-stream", log)
	}
}

func TestLoopsAreBroken(t *testing.T) {
	h := open(t)
	for trace, want := range map[string]string{
		"Root=1-2;Lineage=a:16;Sampled=0": `"hops":16`,
		"Root=1-2;Lineage=a:9|b:8":        "RecursiveInvocationException",
		"Lineage=a:x|b":                   `"name":"b"`,
		"Lineage=a:999":                   "RecursiveInvocationException",
	} {
		r := h.box("PutBox", `{"name":"b"}`)
		r.Header.Set("X-Amzn-Trace-Id", trace)
		if got := h.do(r); !strings.Contains(got.body, want) {
			t.Errorf("%s: got %s, want …%s…", trace, got.body, want)
		}
	}
}

func TestArrivalOverridesTheSocket(t *testing.T) {
	h := open(t)
	r := h.box("PutBox", `{"name":"b"}`)
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.door.Serve(w, r, aws.Arrival{Secure: true})
	})
	got := serve(server, r)
	if got.status != 200 || strings.Contains(got.body, `"ip"`) {
		t.Errorf("inside a sandbox: got %d %s, want no address", got.status, got.body)
	}
	if ev := h.audited(); len(ev) != 1 || !ev[0].Origin.Secure || ev[0].Origin.SourceIP != "" {
		t.Errorf("audit: got %+v, want a secure call without an address", ev)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	if _, err := aws.New(aws.Config{}); err == nil {
		t.Error("an empty Config makes a door")
	}
	s := services()
	s = append(s, s[0])
	if _, err := aws.New(aws.Config{Services: s, Keys: keyring{}, Authorize: gate{}}); err == nil ||
		!strings.Contains(err.Error(), "two services are called boxes") {
		t.Errorf("got %v, want it to name the service that is there twice", err)
	}
	for _, s := range services() {
		if s.Errors[rouse.Unsupported].Code == "" {
			t.Errorf("%s has no error for what is not implemented", s.Name)
		}
	}
}
