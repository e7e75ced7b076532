package lambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

const (
	invocations = functions + "f/invocations"
	streaming   = "/2021-11-15/functions/f/response-streaming-invocations"
)

func TestInvoke(t *testing.T) {
	h := open(t)
	h.create("f", `"Publish":true`)
	context64 := base64.StdEncoding.EncodeToString([]byte(`{"client":{}}`))
	got := h.call("POST", invocations+"?Qualifier=1", `{"a":1}`, "X-Amz-Log-Type", "Tail", "X-Amz-Client-Context", context64,
		"X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")
	h.want(got, 200, `{"a":1}`)
	if v := got.head.Get("X-Amz-Executed-Version"); v != "$LATEST" {
		t.Errorf("executed version: got %q, want the one that the invoker says", v)
	}
	if log, err := base64.StdEncoding.DecodeString(got.head.Get("X-Amz-Log-Result")); string(log) != "START\nEND\n" || err != nil {
		t.Errorf("log: got %q, %v", log, err)
	}
	inv := h.calls[0]
	if got.head.Get("X-Amzn-Requestid") != inv.ID || !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(inv.ID) {
		t.Errorf("request id: got %q, want the invocation's, %q", got.head.Get("X-Amzn-Requestid"), inv.ID)
	}
	if inv.Function.String() != arnBase+"f:1" || inv.Cause != rouse.CauseInvoke || !inv.Tail || inv.Stream || inv.Attempt != 1 ||
		string(inv.ClientContext) != `{"client":{}}` || inv.From.Principal.Account != account || time.Since(inv.Received) > time.Minute ||
		inv.From.Trace != "Root=1-5759e988-bd862e3fe1be46a994272793" {
		t.Errorf("invocation: got %+v", inv)
	}
	h.want(h.call("POST", invocations, ""), 200, "{}")
	got = h.call("POST", invocations, "{}", "X-Amz-Invocation-Type", "DryRun")
	if h.want(got, 204, ""); len(h.calls) != 2 {
		t.Errorf("calls after a dry run: got %d, want 2", len(h.calls))
	}
	h.want(h.call("POST", functions+"nope/invocations", "{}"), 404, `"Message":"Function not found: `+arnBase+`nope"`)
	h.want(h.call("POST", invocations+"?Qualifier=9", "{}"), 404, "Function not found: "+arnBase+"f:9")
	h.want(h.call("POST", invocations, "{}", "X-Amz-Invocation-Type", "Maybe"), 400, "at 'invocationType' failed")
	h.want(h.call("POST", invocations, "{}", "X-Amz-Client-Context", "no"), 400, "Client context must be")
	h.want(h.call("POST", invocations, "{}", "X-Amz-Tenant-Id", "t"), 501, "X-Amz-Tenant-Id")
}

func TestInvokeAsynchronously(t *testing.T) {
	h := open(t)
	h.create("f")
	got := h.call("POST", invocations, `{"a":1}`, "X-Amz-Invocation-Type", "Event")
	h.want(got, 202, "")
	h.want(h.call("POST", "/2014-11-13/functions/f/invoke-async", `{"a":2}`), 202, "")
	if len(h.queued) != 2 || len(h.calls) != 0 {
		t.Fatalf("got %d queued and %d called, want 2 and 0", len(h.queued), len(h.calls))
	}
	if inv := h.queued[0]; string(inv.Event) != `{"a":1}` || inv.Cause != rouse.CauseAsync || inv.ID != got.head.Get("X-Amzn-Requestid") {
		t.Errorf("queued: got %+v", inv)
	}
	big := `"` + strings.Repeat("x", rouse.EventAsyncMax-1) + `"`
	h.want(h.call("POST", invocations, big, "X-Amz-Invocation-Type", "Event"), 413,
		fmt.Sprintf("%d byte payload is too large for the Event invocation type (limit %d bytes)", len(big), rouse.EventAsyncMax))
}

func TestInvokeErrors(t *testing.T) {
	h := open(t)
	h.create("f")
	fail := func(res rouse.Result, err error) {
		h.invoke = func(context.Context, rouse.Invocation, rouse.Sink) (rouse.Result, error) { return res, err }
	}
	fail(rouse.Result{Version: "$LATEST", Error: rouse.Unhandled("Runtime.ExitError", "gone")}, nil)
	got := h.call("POST", invocations, "{}")
	h.want(got, 200, `{"errorType":"Runtime.ExitError","errorMessage":"gone"}`)
	if e := got.head.Get("X-Amz-Function-Error"); e != "Unhandled" {
		t.Errorf("function error: got %q, want Unhandled", e)
	}
	fail(rouse.Result{}, rouse.Errorf(rouse.Throttled, "busy"))
	h.want(h.call("POST", invocations, "{}"), 429, `"Reason":"ConcurrentInvocationLimitExceeded"`)
	h.want(h.call("PUT", "/2017-10-31/functions/f/concurrency", `{"ReservedConcurrentExecutions":1}`), 200, "")
	got = h.call("POST", invocations, "{}")
	h.want(got, 429, `"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"`)
	h.want(got, 429, `"message":"Rate Exceeded."`)
	fail(rouse.Result{}, rouse.Errorf(rouse.Throttled, "busy").WithCode("ConcurrentInvocationLimitExceeded"))
	h.want(h.call("POST", invocations, "{}"), 429, `"Reason":"ConcurrentInvocationLimitExceeded"`)
	fail(rouse.Result{}, errors.New("disk secret broke"))
	got = h.call("POST", invocations, "{}")
	h.want(got, 500, `"Type":"Service"`)
	if strings.Contains(got.body, "secret") {
		t.Errorf("an internal error shows its details: %s", got.body)
	}
	fail(rouse.Result{}, rouse.Errorf(rouse.Conflict, "The operation cannot be performed at this time. The function is currently in the following state: Pending"))
	h.want(h.call("POST", invocations, "{}"), 409, "currently in the following state: Pending")
}

func TestEventsAreJSON(t *testing.T) {
	h := open(t)
	h.create("f")
	const where = " at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]"
	for body, want := range map[string]string{
		"n\x87":           "Invalid UTF-8 start byte 0x87",
		"\x01":            "Unexpected character ((CTRL-CHAR, code 1)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
		"{\n  oops}":      "Unexpected character ('o' (code 111)): expected a valid value",
		`{"a":`:           "Unexpected end-of-input",
		"{\"a\":\"\xff\"": "Invalid UTF-8 start byte 0xff",
	} {
		got := h.call("POST", invocations, body)
		text, _ := got.at("message").(string)
		prefix := "Could not parse request body into json: Could not parse payload into json: "
		if got.status != 400 || got.head.Get("X-Amzn-Errortype") != "InvalidRequestContentException" || !strings.HasPrefix(text, prefix+want) {
			t.Errorf("%q: got %d %s, want %s", body, got.status, got.body, prefix+want)
		}
		if body == "{\n  oops}" && !strings.HasSuffix(text, fmt.Sprintf(where, 2, 3)) {
			t.Errorf("%q: got %q, want line 2, column 3", body, text)
		}
	}
	if len(h.calls) != 0 {
		t.Errorf("got %d calls, want none", len(h.calls))
	}
	exact := `"` + strings.Repeat("x", rouse.EventMax-2) + `"`
	h.want(h.call("POST", invocations, exact), 200, exact)
	h.want(h.call("POST", invocations, exact+" "), 413, "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
	if got := h.call("POST", invocations, exact+strings.Repeat(" ", 4096)); got.status != 413 || got.head.Get("X-Amzn-Errortype") != "RequestTooLargeException" {
		t.Errorf("far too large: got %d %s, want 413 RequestTooLargeException", got.status, got.head.Get("X-Amzn-Errortype"))
	}
}

// frame is one decoded message of an event stream.
type frame struct {
	event, contentType, payload string
}

// frames decodes an event stream and checks its checksums.
func frames(t *testing.T, r io.Reader, each func(frame)) {
	t.Helper()
	for {
		head := make([]byte, 12)
		if _, err := io.ReadFull(r, head); err != nil {
			if err != io.EOF {
				t.Errorf("prelude: %v", err)
			}
			return
		}
		if got, want := binary.BigEndian.Uint32(head[8:]), crc32.ChecksumIEEE(head[:8]); got != want {
			t.Fatalf("checksum of the prelude: got %x, want %x", got, want)
		}
		rest := make([]byte, binary.BigEndian.Uint32(head)-12)
		if _, err := io.ReadFull(r, rest); err != nil {
			t.Fatalf("message: %v", err)
		}
		body, sum := rest[:len(rest)-4], binary.BigEndian.Uint32(rest[len(rest)-4:])
		if want := crc32.ChecksumIEEE(append(bytes.Clone(head), body...)); sum != want {
			t.Fatalf("checksum: got %x, want %x", sum, want)
		}
		n := binary.BigEndian.Uint32(head[4:])
		f := frame{payload: string(body[n:])}
		for h := body[:n]; len(h) > 0; {
			name := string(h[1 : 1+h[0]])
			h = h[1+h[0]:]
			size := binary.BigEndian.Uint16(h[1:])
			text := string(h[3 : 3+size])
			if h[0] != 7 {
				t.Fatalf("header %s has type %d, want 7", name, h[0])
			}
			h = h[3+size:]
			switch name {
			case ":event-type":
				f.event = text
			case ":content-type":
				f.contentType = text
			case ":message-type":
				if text != "event" {
					t.Errorf("message type: got %q, want event", text)
				}
			}
		}
		each(f)
	}
}

func (h *house) stream(body string, head ...string) (*http.Response, error) {
	r, err := http.NewRequest("POST", h.url+streaming, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	sigv4.Signer{AccessKeyID: "AKIA", SecretAccessKey: "secret", Region: region, Service: "lambda"}.
		Sign(r, sigv4.HashPayload([]byte(body)), time.Now())
	return http.DefaultClient.Do(r)
}

// TestStream: each write reaches the client before the next one is made.
func TestStream(t *testing.T) {
	h := open(t)
	h.create("f")
	next := make(chan struct{})
	h.invoke = func(_ context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
		if !inv.Stream {
			t.Error("the invocation does not ask for a stream")
		}
		for i := range 3 {
			if _, err := fmt.Fprintf(out.(io.Writer), "part %d", i); err != nil {
				return rouse.Result{}, err
			}
			<-next
		}
		return rouse.Result{Version: "$LATEST", Tail: []byte("log")}, nil
	}
	resp, err := h.stream("{}", "X-Amz-Log-Type", "Tail")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "application/vnd.amazon.eventstream" {
		t.Fatalf("got %d %s, want 200 and an event stream", resp.StatusCode, ct)
	}
	var got []string
	frames(t, resp.Body, func(f frame) {
		got = append(got, f.event+" "+f.payload)
		if f.event == "PayloadChunk" {
			next <- struct{}{}
		}
	})
	want := `PayloadChunk part 0|PayloadChunk part 1|PayloadChunk part 2|InvokeComplete {"LogResult":"bG9n"}`
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
}

func TestStreamOfAnHTTPAnswer(t *testing.T) {
	h := open(t)
	h.create("f")
	h.invoke = func(_ context.Context, _ rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
		head := rouse.Head{Status: 201, ContentType: "text/html", Header: map[string][]string{"X-A": {"1", "2"}}, Cookies: []string{"c=d"}}
		if err := out.Head(head); err != nil {
			return rouse.Result{}, err
		}
		_, err := out.Write(bytes.Repeat([]byte("x"), 100<<10))
		return rouse.Result{Error: rouse.Unhandled("E", "late")}, err
	}
	resp, err := h.stream("{}")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	var last frame
	frames(t, resp.Body, func(f frame) {
		if last = f; f.event == "PayloadChunk" {
			body.WriteString(f.payload)
		}
	})
	prelude, rest, _ := strings.Cut(body.String(), strings.Repeat("\x00", 8))
	if want := `{"statusCode":201,"headers":{"content-type":"text/html","x-a":"1,2"},"cookies":["c=d"]}`; prelude != want {
		t.Errorf("prelude: got %s, want %s", prelude, want)
	}
	if len(rest) != 100<<10 {
		t.Errorf("body: got %d bytes, want %d", len(rest), 100<<10)
	}
	if ct := resp.Header.Get("X-Amzn-Remapped-Content-Type"); ct != "application/vnd.awslambda.http-integration-response" {
		t.Errorf("type of the body: got %q", ct)
	}
	var end struct{ ErrorCode, ErrorDetails string }
	if err := json.Unmarshal([]byte(last.payload), &end); err != nil || end.ErrorCode != "Unhandled" || !strings.Contains(end.ErrorDetails, "late") {
		t.Errorf("end: got %+v (%v) of %s, want the function's error", end, err, last.payload)
	}
}

func TestStreamErrors(t *testing.T) {
	h := open(t)
	h.create("f")
	h.invoke = func(context.Context, rouse.Invocation, rouse.Sink) (rouse.Result, error) {
		return rouse.Result{}, rouse.Errorf(rouse.Throttled, "busy")
	}
	got := h.call("POST", streaming, "{}")
	h.want(got, 429, "Rate Exceeded.")
	h.invoke = func(context.Context, rouse.Invocation, rouse.Sink) (rouse.Result, error) {
		return rouse.Result{Error: rouse.Unhandled("E", "at once")}, nil
	}
	got = h.call("POST", streaming, "{}")
	h.want(got, 200, "at once")
	h.want(h.call("POST", streaming, "{}", "X-Amz-Invocation-Type", "DryRun"), 204, "")
}

// TestStreamClientLeaves: the function's writes fail once nobody reads, and its end is waited for.
func TestStreamClientLeaves(t *testing.T) {
	h := open(t)
	h.create("f")
	done := make(chan error, 1)
	h.invoke = func(_ context.Context, _ rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
		for {
			if _, err := out.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
				done <- err
				return rouse.Result{}, nil
			}
		}
	}
	resp, err := h.stream("{}")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the function still writes 10 s after its client left")
	}
}
