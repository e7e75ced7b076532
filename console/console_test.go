package console_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/console"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/meter"
)

// house is a door with the console behind it, reached over HTTP.
type house struct {
	url     string
	feed    *console.Feed
	meter   *meter.Meter
	stopped chan struct{}
	allowed func(rouse.Need) error
}

type allKeys struct{}

func (allKeys) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{Secret: "secret", Origin: rouse.Origin{Principal: rouse.Principal{Account: rouse.DefaultAccount,
		ARN: "arn:aws:iam::000000000000:root"}}}, nil
}

func (h *house) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	for _, n := range needs {
		if err := h.allowed(n); err != nil {
			return err
		}
	}
	return nil
}

type caller struct{}

func (caller) Call(_ context.Context, from rouse.Origin, service, operation string, input []byte, _ io.Reader) ([]byte, io.ReadCloser, error) {
	if service == "lambda" && operation == "Break" {
		return nil, nil, rouse.Errorf(rouse.NotFound, "Function not found: x")
	}
	return fmt.Appendf(nil, `{"by":%q,"service":%q,"operation":%q,"input":%s}`, from.Principal.ARN, service, operation, input), nil, nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{feed: &console.Feed{}, stopped: make(chan struct{}), allowed: func(rouse.Need) error { return nil }}
	var err error
	if h.meter, err = meter.Open(t.Context(), meter.Config{Store: kvtest.Memory(t), Region: "us-east-1", Book: meter.ListPrices()}); err != nil {
		t.Fatal(err)
	}
	assets, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := console.New(console.Config{Region: "us-east-1", Meter: h.meter, Assets: assets, Caller: caller{}, Feed: h.feed,
		Status: func() console.Status { return console.Status{Version: "1.2.3", Mode: "dev"} },
		Runtimes: func(context.Context, []string) ([]console.Runtime, error) {
			return []console.Runtime{{Name: "node 20"}}, nil
		},
		Add: func(_ context.Context, name string, progress func(string)) error {
			progress("fetch " + name)
			if name == "node@1" {
				return rouse.Errorf(rouse.NotFound, "no such version")
			}
			return nil
		},
		Stop: func() { close(h.stopped) }})
	wiretest.Check(t, c.Service())
	door, err := aws.New(aws.Config{Services: []wire.Service{c.Service()}, Keys: allKeys{}, Authorize: h})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *house) do(t *testing.T, method, path string, body []byte) (*http.Response, string) {
	t.Helper()
	resp := h.open(t, method, path, body)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func (h *house) open(t *testing.T, method, path string, body []byte) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Signer{AccessKeyID: "id", SecretAccessKey: "secret", Region: "us-east-1", Service: "rouse"}.Sign(req, sigv4.HashPayload(body), time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAnswers(t *testing.T) {
	h := newHouse(t)
	h.meter.Record(meter.Record{ID: "i", At: time.Now(), Account: rouse.DefaultAccount, Function: "f", Outcome: meter.OK,
		Timing: rouse.Timing{Billed: time.Second, MemoryMB: 1024}})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/_rouse/api/status", "", 200, `"version":"1.2.3"`},
		{"GET", "/_rouse/api/usage", "", 200, `"function":"f","invocations":1`},
		{"GET", "/_rouse/api/usage?from=2099-01-01T00:00:00Z&to=2099-01-02T00:00:00Z", "", 200, `"Functions":[]`},
		{"GET", "/_rouse/api/usage?from=yesterday", "", 400, `is not a timestamp`},
		{"GET", "/_rouse/api/records?function=f", "", 200, `"id":"i"`},
		{"GET", "/_rouse/api/records?limit=5000", "", 400, `less than or equal to 1000`},
		{"GET", "/_rouse/api/runtimes", "", 200, `node 20`},
		{"POST", "/_rouse/api/runtimes", `{"Name":"node@24"}`, 200, `{"done":true}`},
		{"POST", "/_rouse/api/runtimes", `{"Name":"node@1"}`, 200, `{"error":"no such version"}`},
		{"POST", "/_rouse/api/runtimes", `{"Name":"../x"}`, 400, `regular expression`},
		{"POST", "/_rouse/api/call/logs/Describe", `{"a":1}`, 200, `"by":"arn:aws:iam::000000000000:root","service":"logs","operation":"Describe","input":{"a":1}`},
		{"POST", "/_rouse/api/call/lambda/Break", `{}`, 404, `Function not found: x`},
		{"GET", "/_rouse/api/assets/" + strings.Repeat("0", 64), "", 404, `no artifact`},
		{"GET", "/_rouse/api/assets/..%2f..%2fseal", "", 400, `regular expression`},
	} {
		resp, body := h.do(t, c.method, c.path, []byte(c.body))
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, resp.StatusCode, body, c.status, c.want)
		}
	}
}

func TestEveryCallIsAuthorised(t *testing.T) {
	h := newHouse(t)
	var asked []string
	h.allowed = func(n rouse.Need) error {
		asked = append(asked, n.Action+" "+n.Resource)
		return rouse.Errorf(rouse.Denied, "no")
	}
	for _, path := range []string{"status", "usage", "records", "runtimes", "feed"} {
		if resp, body := h.do(t, "GET", "/_rouse/api/"+path, nil); resp.StatusCode != 403 {
			t.Errorf("GET %s: %d %s, want 403", path, resp.StatusCode, body)
		}
	}
	if resp, _ := h.do(t, "POST", "/_rouse/api/stop", nil); resp.StatusCode != 403 {
		t.Errorf("stop: %d, want 403", resp.StatusCode)
	}
	if want := "rouse:GetStatus arn:aws:rouse:us-east-1:000000000000:node"; len(asked) == 0 || asked[0] != want {
		t.Errorf("asked for %q, want first %q", asked, want)
	}
}

func TestAssetsAreNamedByTheirContent(t *testing.T) {
	h := newHouse(t)
	sum := sha256.Sum256([]byte("zip"))
	path := "/_rouse/api/assets/" + hex.EncodeToString(sum[:])
	if resp, body := h.do(t, "PUT", path, []byte("other")); resp.StatusCode != 400 || !strings.Contains(body, "SHA-256") {
		t.Errorf("other content: %d %s, want 400 that names the hash", resp.StatusCode, body)
	}
	if resp, _ := h.do(t, "GET", path, nil); resp.StatusCode != 404 {
		t.Errorf("what was refused is there: %d", resp.StatusCode)
	}
	if resp, body := h.do(t, "PUT", path, []byte("zip")); resp.StatusCode != 200 || !strings.Contains(body, `"Size":3`) {
		t.Errorf("put: %d %s, want 200 with its size", resp.StatusCode, body)
	}
	if resp, _ := h.do(t, "GET", path, nil); resp.StatusCode != 200 {
		t.Errorf("get: %d, want 200", resp.StatusCode)
	}
	if resp, body := h.do(t, "PUT", path, []byte("evil")); resp.StatusCode != 400 || !strings.Contains(body, "SHA-256") {
		t.Errorf("other content over what is there: %d %s, want 400 that names the hash", resp.StatusCode, body)
	}
	if resp, body := h.do(t, "GET", path, nil); resp.StatusCode != 200 || !strings.Contains(body, `"Size":3`) {
		t.Errorf("what was there before a refused upload: %d %s, want 200 with its size", resp.StatusCode, body)
	}
}

func TestStop(t *testing.T) {
	h := newHouse(t)
	h.do(t, "POST", "/_rouse/api/stop", nil)
	select {
	case <-h.stopped:
	default:
		t.Error("stop was answered and not done")
	}
}

func TestFeed(t *testing.T) {
	h := newHouse(t)
	if h.feed.Watched() {
		t.Error("watched without a reader")
	}
	resp := h.open(t, "GET", "/_rouse/api/feed?function=f", nil)
	lines := bufio.NewReader(resp.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "\n" {
		t.Fatalf("first line %q, %v, want an empty one at once", first, err)
	}
	if !h.feed.Watched() {
		t.Error("not watched with a reader")
	}
	tell := func(account, function, text string) {
		h.feed.Tell(console.Moment{At: time.Now(), Account: account, Line: &console.LineMoment{Function: function, Text: text}})
	}
	tell("111111111111", "f", "of another account")
	tell(rouse.DefaultAccount, "g", "of another function")
	tell(rouse.DefaultAccount, "f", "mine")
	line, err := lines.ReadString('\n')
	var m struct{ Line struct{ Text string } }
	if err != nil || json.Unmarshal([]byte(line), &m) != nil || m.Line.Text != "mine" {
		t.Errorf("got %q, %v, want the line of f", line, err)
	}
	resp.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); h.feed.Watched(); {
		if time.Now().After(deadline) {
			t.Fatal("a reader that left is still there")
		}
		tell(rouse.DefaultAccount, "f", "to nobody")
	}
}

func TestASlowReaderIsToldWhatItMissed(t *testing.T) {
	h := newHouse(t)
	resp := h.open(t, "GET", "/_rouse/api/feed", nil)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 8<<10)
	for range 4000 { // more than the queue and the socket hold; nobody reads meanwhile
		h.feed.Tell(console.Moment{Account: rouse.DefaultAccount, Line: &console.LineMoment{Text: text}})
	}
	seen, dropped := 0, 0
	for dropped == 0 {
		h.feed.Tell(console.Moment{Account: rouse.DefaultAccount, Line: &console.LineMoment{Text: "one more"}})
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var m console.Moment
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		seen, dropped = seen+1, m.Dropped
		if seen > 8000 {
			t.Fatal("nothing was dropped: the queue has no bound")
		}
	}
}

func TestABriefFeedTellsEachThingOnce(t *testing.T) {
	h := newHouse(t)
	resp := h.open(t, "GET", "/_rouse/api/feed?brief=true&pace=2", nil)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tell := func(after time.Duration, m console.Moment) {
		m.At, m.Account = now.Add(after), rouse.DefaultAccount
		h.feed.Tell(m)
	}
	said := func(text string) console.Moment { return console.Moment{Line: &console.LineMoment{Text: text}} }
	tell(0, said("START RequestId: 1 Version: $LATEST\n"))
	tell(0, console.Moment{Attempt: &console.AttemptMoment{Cause: rouse.CauseHTTP}})
	tell(0, said("one"))
	tell(0, console.Moment{Attempt: &console.AttemptMoment{Cause: rouse.CauseSchedule}})
	tell(0, said("beyond the pace"))
	tell(0, said("and this"))
	tell(time.Second, said("the next second"))
	var got []string
	for len(got) < 3 {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var m console.Moment
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Line != nil:
			got = append(got, fmt.Sprint(m.Dropped, " ", m.Line.Text))
		case m.Attempt != nil:
			got = append(got, fmt.Sprint(m.Dropped, " ", m.Attempt.Cause))
		}
	}
	if want := []string{"0 one", "0 schedule", "2 the next second"}; !slices.Equal(got, want) {
		t.Errorf("the feed told %q, want %q", got, want)
	}
}
