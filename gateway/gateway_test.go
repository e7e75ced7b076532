package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/gateway"
)

const fine = `{"statusCode": 200, "body": "ok"}`

func (fx *fixture) get(t testing.TB, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	for name, id := range fx.ids {
		target = strings.ReplaceAll(target, "${"+name+"}", id)
	}
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "203.0.113.7:40000"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	fx.gateway.ServeHTTP(w, r)
	return w
}

func TestMatch(t *testing.T) {
	g := gateway.New(gateway.Config{})
	for _, c := range []struct {
		host, path string
		want       bool
	}{
		{"abc.execute-api.localhost:4566", "/", true},
		{"abc.execute-api.us-east-1.amazonaws.com", "/x", true},
		{"abc.lambda-url.us-east-1.on.aws", "/", true},
		{"localhost:4566", "/_aws/execute-api/abc/dev/x", true},
		{"localhost:4566", "/_aws/lambda-url/abc/", true},
		{"localhost:4566", "/restapis/abc/dev/_user_request_/x", true},
		{"localhost:4566", "/restapis/abc/dev/_user_request_", true},
		{"localhost:4566", "/restapis/abc/dev/_user_request_more", false},
		{"localhost:4566", "/restapis/abc/resources", false},
		{"localhost:4566", "/restapis", false},
		{"localhost:4566", "/", false},
		{"execute-api.us-east-1.amazonaws.com", "/", false},
		{"apigateway.us-east-1.amazonaws.com", "/restapis", false},
	} {
		if got := g.Match(c.host, c.path); got != c.want {
			t.Errorf("Match(%s, %s): got %t, want %t", c.host, c.path, got, c.want)
		}
	}
}

// TestAuthorization: what is asked, how long the answer is remembered, and that a refusal is not.
func TestAuthorization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fx := newFixture(t)
		fx.invoker.prepare(fine)
		fx.deny = rouse.Errorf(rouse.Denied, "no")
		for range 2 {
			if w := fx.get(t, "GET", "http://${http}.execute-api.localhost/prod/pets/1"); w.Code != 500 || w.Body.String() != `{"message":"Internal Server Error"}` {
				t.Errorf("denied: got %d %s, want 500", w.Code, w.Body)
			}
			if w := fx.get(t, "GET", "http://${rest}.execute-api.localhost/dev/pets/1"); w.Code != 500 {
				t.Errorf("denied by REST: got %d, want 500", w.Code)
			}
		}
		if len(fx.needs) != 4 {
			t.Errorf("asked %d times while denied, want 4", len(fx.needs))
		}
		if fx.invoker.event() != nil {
			t.Error("the function was asked although it may not be")
		}
		fx.deny, fx.needs, fx.from = nil, nil, nil
		for range 3 {
			fx.get(t, "GET", "http://${http}.execute-api.localhost/prod/pets/1")
		}
		if len(fx.needs) != 1 {
			t.Errorf("asked %d times within two seconds, want 1", len(fx.needs))
		}
		need, from := fx.needs[0], fx.from[0]
		if need.Action != "lambda:InvokeFunction" || need.Resource != function || need.Policy != "policy of function:shop" {
			t.Errorf("need is %+v, want InvokeFunction on the function with its policy", need)
		}
		source := "arn:aws:execute-api:us-east-1:123456789012:" + fx.ids["http"] + "/prod/GET/pets/{id}"
		if from.Principal.Service != "apigateway.amazonaws.com" || from.Principal.Account != account || from.SourceARN != source || from.SourceIP != "203.0.113.7" {
			t.Errorf("origin is %+v, want the service with source %s", from, source)
		}
		if got := fx.invoker.last().From; got.SourceARN != source || !strings.HasPrefix(got.Trace, "Root=1-") {
			t.Errorf("the invocation is from %+v, want the same with a trace", got)
		}
		time.Sleep(2*time.Second + 1)
		fx.get(t, "GET", "http://${http}.execute-api.localhost/prod/pets/1")
		fx.get(t, "BREW", "http://${http}.execute-api.localhost/x")
		fx.get(t, "BREW", "http://${http}.execute-api.localhost/x")
		if len(fx.needs) != 4 {
			t.Errorf("asked %d times, want again after two seconds and each time for a method of the client's own", len(fx.needs))
		}
		if got, want := fx.from[3].SourceARN, "arn:aws:execute-api:us-east-1:123456789012:"+fx.ids["http"]+"/$default/$default"; got != want {
			t.Errorf("source of the $default route is %s, want %s", got, want)
		}
		fx.get(t, "GET", "http://${http}.execute-api.localhost/role")
		last := fx.from[len(fx.from)-1]
		if last.RoleARN != "arn:aws:iam::123456789012:role/path/caller" || last.Principal.Service != "" ||
			last.Principal.ARN != "arn:aws:sts::123456789012:assumed-role/caller/BackplaneAssumeRoleSession" {
			t.Errorf("with credentials the origin is %+v, want a session of the role", last)
		}
	})
}

// TestRolesHaveToTrustTheGateway: an integration's role is used only if API Gateway may assume it.
func TestRolesHaveToTrustTheGateway(t *testing.T) {
	fx := newFixture(t)
	fx.invoker.prepare(fine)
	var asked string
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Invoker: fx.invoker, Authorize: fx,
		Trusts: func(role string) bool { asked = role; return false }})
	if w := fx.get(t, "GET", "http://${http}.execute-api.localhost/role"); w.Code != 500 || asked != "arn:aws:iam::123456789012:role/path/caller" {
		t.Errorf("got %d after asking for %q, want 500 after asking for the integration's role", w.Code, asked)
	}
	if w := fx.get(t, "GET", "http://${http}.execute-api.localhost/x"); w.Code != 200 {
		t.Errorf("an integration without a role: got %d, want 200", w.Code)
	}
}

func TestURLAuthorization(t *testing.T) {
	fx := newFixture(t)
	fx.invoker.prepare(fine)
	for range 3 {
		fx.get(t, "GET", "http://plainurl.lambda-url.localhost/")
	}
	if len(fx.needs) != 1 || fx.needs[0].Action != "lambda:InvokeFunctionUrl" || fx.from[0].Principal.Service != "anonymous" ||
		!slices.Equal(fx.needs[0].Conditions["lambda:FunctionUrlAuthType"], []string{"NONE"}) {
		t.Errorf("asked %+v from %+v, want once, for everybody", fx.needs, fx.from)
	}
	for range 2 {
		fx.get(t, "GET", "http://iamurl.lambda-url.localhost/", "Authorization", "good")
	}
	if len(fx.needs) != 3 || fx.from[2].Principal.UserID != "AIDA1" || fx.needs[2].Conditions["lambda:FunctionUrlAuthType"][0] != "AWS_IAM" {
		t.Errorf("asked %+v from %+v, want each time, for who signed", fx.needs, fx.from)
	}
	fx.deny = rouse.Errorf(rouse.Denied, "no")
	if w := fx.get(t, "GET", "http://iamurl.lambda-url.localhost/", "Authorization", "good"); w.Code != 403 || w.Header().Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("denied: got %d %v, want 403 AccessDeniedException", w.Code, w.Header())
	}
}

// A body that is not the one that was signed is found while it is read, and is refused as the signature would be.
func TestURLBodyIsNotTheOneSigned(t *testing.T) {
	fx := newFixture(t)
	fx.invoker.prepare(fine)
	r := httptest.NewRequest("POST", "http://iamurl.lambda-url.localhost/", iotest.ErrReader(rouse.Errorf(rouse.Unauthenticated, "no")))
	r.Header.Set("Authorization", "good")
	w := httptest.NewRecorder()
	fx.gateway.ServeHTTP(w, r)
	if w.Code != 403 || w.Header().Get("X-Amzn-Errortype") != "AccessDeniedException" || !strings.Contains(w.Body.String(), "Forbidden") {
		t.Errorf("got %d %v %s, want 403 AccessDeniedException, Forbidden", w.Code, w.Header(), w.Body)
	}
}

func TestObserve(t *testing.T) {
	fx := newFixture(t)
	fx.invoker.prepare(fine)
	fx.get(t, "GET", "http://${http}.execute-api.localhost/prod/pets/1%20", "User-Agent", "me")
	fx.invoker.prepare("! Boom secret words")
	fx.get(t, "GET", "http://${rest}.execute-api.localhost/dev/pets/1")
	fx.get(t, "GET", "http://nothing.execute-api.localhost/")
	a := fx.seen[0]
	a.Took = 0
	want := gateway.Access{API: fx.ids["http"], Stage: "prod", Route: "GET /pets/{id}", Method: "GET", Path: "/prod/pets/1%20", Function: function,
		RequestID: a.RequestID, SourceIP: "203.0.113.7", UserAgent: "me", Status: 200, BytesOut: 2,
		Timing: rouse.Timing{Start: rouse.StartCold, Init: 5 * time.Millisecond, Run: time.Millisecond}}
	if a != want {
		t.Errorf("observed\n%+v, want\n%+v", a, want)
	}
	if a := fx.seen[1]; a.Status != 502 || a.Err == nil || strings.Contains(a.Err.Error(), "secret") || !strings.Contains(a.Err.Error(), "Boom") {
		t.Errorf("observed %+v, want 502 with the error's type and not its message", a)
	}
	var failed *gateway.FunctionFailure
	if !errors.As(fx.seen[1].Err, &failed) || failed.Message == "" {
		t.Errorf("observed %#v, want the failure with its message for those who may see it", fx.seen[1].Err)
	}
	if a := fx.seen[2]; a.Status != 404 || a.API != "" || a.Err != nil {
		t.Errorf("observed %+v, want 404 without an API", a)
	}
}

// TestStreaming: what is written arrives before the function has ended.
func TestStreaming(t *testing.T) {
	fx := newFixture(t)
	next, left := make(chan struct{}), make(chan error, 1)
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: fx, URLs: fx.url, Invoker: invoke(
		func(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
			if !inv.Stream {
				t.Error("the invocation does not ask for a stream")
			}
			_ = out.Head(rouse.Head{ContentType: "text/event-stream"})
			_, _ = out.Write([]byte("one\n"))
			<-next
			var err error
			for sent := 0; err == nil && sent < 100; sent++ {
				_, err = out.Write(make([]byte, 1<<20))
			}
			if err == nil {
				t.Error("100 MB were taken after the client had left")
			}
			left <- ctx.Err()
			return rouse.Result{}, nil
		})})
	server := httptest.NewServer(fx.gateway)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/_aws/lambda-url/streamurl/", nil)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if line != "one\n" || err != nil || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %q %v %v, want the first line while the function runs", line, err, res.Header)
	}
	cancel() // the client leaves; the function's output ends, not its run
	close(next)
	if err := <-left; err != nil {
		t.Errorf("the run's context ended with %v, want only its output to end", err)
	}
}

type invoke func(context.Context, rouse.Invocation, rouse.Sink) (rouse.Result, error)

func (f invoke) Invoke(ctx context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
	return f(ctx, inv, out)
}

func (f invoke) Enqueue(context.Context, rouse.Invocation) error { return nil }

// TestStreamsStayAnswers: a streaming function cannot make its answer an interim one, nor take the connection over.
func TestStreamsStayAnswers(t *testing.T) {
	for status, want := range map[int]int{100: 502, 101: 502, 103: 502, 199: 502, 600: 502, 200: 200, 404: 404, 0: 200} {
		fx := newFixture(t)
		fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: fx, URLs: fx.url, Invoker: invoke(
			func(_ context.Context, _ rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
				_ = out.Head(rouse.Head{Status: status, ContentType: "text/plain", Header: map[string][]string{
					"Upgrade": {"h2c"}, "Connection": {"Upgrade"}, "Keep-Alive": {"timeout=9"}, "X-Own": {"yes"}}})
				_, err := out.Write([]byte("one"))
				return rouse.Result{}, err
			})})
		w := httptest.NewRecorder()
		fx.gateway.ServeHTTP(w, httptest.NewRequest("GET", "http://streamurl.lambda-url.localhost/", nil))
		if w.Code != want {
			t.Errorf("status %d: got %d, want %d", status, w.Code, want)
		}
		if h := w.Header(); h.Get("Upgrade")+h.Get("Connection")+h.Get("Keep-Alive") != "" || h.Get("X-Own") != "yes" {
			t.Errorf("status %d: got headers %v, want the function's own without those of the connection", status, h)
		}
	}
}

// TestClientLeaves: the run goes on when the client is gone.
func TestClientLeaves(t *testing.T) {
	fx := newFixture(t)
	started, finish, alive := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: fx, Invoker: invoke(
		func(ctx context.Context, _ rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
			close(started)
			<-finish
			alive <- ctx.Err()
			_, err := out.Write([]byte(fine))
			return rouse.Result{}, err
		})})
	server := httptest.NewServer(fx.gateway)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/_aws/execute-api/"+fx.ids["http"]+"/x", nil)
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-started
	cancel()
	<-done
	close(finish)
	if err := <-alive; err != nil {
		t.Errorf("the run's context ended with %v, want it to go on", err)
	}
}

func TestCompression(t *testing.T) {
	fx := newFixture(t)
	fx.invoker.prepare("large 400")
	w := fx.get(t, "GET", "http://${rest}.execute-api.localhost/dev/pets/1", "Accept-Encoding", "br, gzip")
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("headers are %v, want gzip for 400 bytes", w.Header())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); len(b) != 400 || err != nil {
		t.Errorf("unpacked %d bytes, %v, want 400", len(b), err)
	}
	fx.invoker.prepare("large 100")
	if w := fx.get(t, "GET", "http://${rest}.execute-api.localhost/dev/pets/1", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("100 bytes were packed, want them as they are")
	}
	var packed bytes.Buffer
	p := gzip.NewWriter(&packed)
	_, _ = p.Write([]byte("hello"))
	_ = p.Close()
	r := httptest.NewRequest("POST", "http://"+fx.ids["rest"]+".execute-api.localhost/dev/any/x", &packed)
	r.Header.Set("Content-Encoding", "gzip")
	fx.invoker.prepare(fine)
	fx.gateway.ServeHTTP(httptest.NewRecorder(), r)
	var event struct{ Body string }
	_ = json.Unmarshal(fx.invoker.event(), &event)
	if event.Body != "hello" {
		t.Errorf("the event's body is %q, want it unpacked", event.Body)
	}
	var bomb bytes.Buffer
	p = gzip.NewWriter(&bomb)
	_, _ = p.Write(make([]byte, gateway.BodyMax+1))
	_ = p.Close()
	r = httptest.NewRequest("POST", "http://"+fx.ids["rest"]+".execute-api.localhost/dev/any/x", &bomb)
	r.Header.Set("Content-Encoding", "gzip")
	w = httptest.NewRecorder()
	fx.gateway.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("a bomb: got %d, want 413", w.Code)
	}
}

// TestLargeRequests: a body of a length that its head does not tell, and an event that takes more than its body.
func TestLargeRequests(t *testing.T) {
	fx := newFixture(t)
	for _, host := range []string{fx.ids["http"] + ".execute-api.localhost/prod/pets", fx.ids["rest"] + ".execute-api.localhost/dev/any/x",
		"plainurl.lambda-url.localhost/"} {
		for what, c := range map[string]struct {
			bytes int
			told  bool
		}{"a body": {gateway.BodyMax + 1, false}, "an event": {rouse.EventMax - 10, true}} {
			r := httptest.NewRequest("POST", "http://"+host, strings.NewReader(strings.Repeat("x", c.bytes)))
			if !c.told {
				r.ContentLength = -1
			}
			r.Header.Set("Content-Type", "text/plain")
			fx.invoker.prepare(fine)
			w := httptest.NewRecorder()
			fx.gateway.ServeHTTP(w, r)
			if w.Code != 413 || fx.invoker.event() != nil {
				t.Errorf("%s: %s that is too large: got %d and an event of %d bytes, want 413 and none", host, what, w.Code, len(fx.invoker.event()))
			}
		}
	}
}

// claimed is a body that says nothing of what its head promised; it notes how much room was made for it.
type claimed struct{ room int }

func (c *claimed) Read(p []byte) (int, error) {
	c.room = max(c.room, len(p))
	return 0, io.EOF
}

// TestNoRoomForPromises: strangers cannot have memory set aside by a head alone.
func TestNoRoomForPromises(t *testing.T) {
	fx := newFixture(t)
	for _, host := range []string{fx.ids["http"] + ".execute-api.localhost/prod/pets", fx.ids["rest"] + ".execute-api.localhost/dev/any/x",
		"plainurl.lambda-url.localhost/"} {
		body := &claimed{}
		r := httptest.NewRequest("POST", "http://"+host, body)
		r.ContentLength = gateway.BodyMax
		fx.gateway.ServeHTTP(httptest.NewRecorder(), r)
		if body.room == 0 || body.room > 64<<10 {
			t.Errorf("%s: room for %d bytes of a body that has not come, want at most 64 KiB", host, body.room)
		}
	}
}

// TestBodiesThatDoNotCome: who begins a body and does not go on is not waited for.
func TestBodiesThatDoNotCome(t *testing.T) {
	fx := newFixture(t)
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Invoker: fx.invoker, Authorize: fx, URLs: fx.url,
		BodyPatience: 50 * time.Millisecond})
	server := httptest.NewServer(fx.gateway)
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, "POST /_aws/lambda-url/plainurl/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("got %v, want an answer", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("half a body: got %d, want 400", res.StatusCode)
	}
}

// TestNoPrivateAddresses: without a transport of the operator's, an integration's URL does not lead into the host's network.
func TestNoPrivateAddresses(t *testing.T) {
	hit := false
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer backend.Close()
	fx := newFixture(t)
	made := must(fx.apis.HTTP.CreateAPI(t.Context(), account, quick(backend.URL), nil))(t)
	g := gateway.New(gateway.Config{API: fx.apis, Region: region, Invoker: fx.invoker, Authorize: fx})
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest("GET", "http://"+made.APIID+".execute-api.localhost/x", nil))
	if w.Code != 503 || hit {
		t.Errorf("got %d, backend asked %t; want 503 and no", w.Code, hit)
	}
	g = gateway.New(gateway.Config{API: fx.apis, Region: region, Invoker: fx.invoker, Authorize: fx, Transport: http.DefaultTransport})
	w = httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest("GET", "http://"+made.APIID+".execute-api.localhost/x", nil))
	if w.Code != 200 || !hit {
		t.Errorf("with the operator's transport got %d, backend asked %t; want 200 and yes", w.Code, hit)
	}
}

// TestConcurrentRequests: buffers of one request must not show in another.
func TestConcurrentRequests(t *testing.T) {
	fx := newFixture(t)
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: fx, URLs: fx.url, Invoker: invoke(
		func(_ context.Context, inv rouse.Invocation, out rouse.Sink) (rouse.Result, error) {
			var event struct{ RawPath, Path, Body string }
			if err := json.Unmarshal(inv.Event, &event); err != nil {
				return rouse.Result{}, err
			}
			answer, _ := json.Marshal(map[string]any{"statusCode": 200, "headers": map[string]string{"x-path": event.RawPath + event.Path}, "body": event.Body})
			_, err := out.Write(answer)
			return rouse.Result{}, err
		})})
	places := []string{"http://" + fx.ids["http"] + ".execute-api.localhost/", "http://" + fx.ids["rest"] + ".execute-api.localhost/dev/any/",
		"http://plainurl.lambda-url.localhost/"}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				want := strings.Repeat(fmt.Sprintf("%d-%d ", i, n), 1+n%7)
				r := httptest.NewRequest("POST", places[n%3]+fmt.Sprintf("%d/%d", i, n), strings.NewReader(want))
				w := httptest.NewRecorder()
				fx.gateway.ServeHTTP(w, r)
				if w.Body.String() != want || !strings.HasSuffix(w.Header().Get("X-Path"), fmt.Sprintf("%d/%d", i, n)) {
					t.Errorf("got %q %v, want %q", w.Body, w.Header(), want)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzRequest: no request makes an event that is not JSON, and what the client said is in it.
func FuzzRequest(f *testing.F) {
	fx := newFixture(f)
	fx.gateway = gateway.New(gateway.Config{API: fx.apis, Region: region, Authorize: fx, URLs: fx.url, Invoker: fx.invoker})
	f.Add("GET", "/a/b%20c", "x=1&x=2&%zz", "X-A", "v", []byte("body"))
	f.Add("POST", "/prod/pets/1", "a=%22%5C&b", "Cookie", "a=1; ;b", []byte{0xff})
	f.Add("PUT", "/one/x%00y", "", "Content-Type", "image/png", []byte{})
	f.Add("GET", "//dev//any/", strings.Repeat("a=1&", 40), "Accept", "*/*", []byte("\u2028"))
	f.Fuzz(func(t *testing.T, method, path, query, name, value string, body []byte) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/") || len(method) == 0 || strings.ContainsAny(method, " \r\n") || strings.ContainsAny(query, "# \r\n") {
			return
		}
		for _, host := range []string{fx.ids["http"] + ".execute-api.x", fx.ids["rest"] + ".execute-api.x", "plainurl.lambda-url.x"} {
			r := httptest.NewRequest("GET", "http://"+host+"/", bytes.NewReader(body))
			r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, u.Path, u.RawPath, query
			if host[0] != 'p' && strings.HasSuffix(host, ".execute-api.x") && strings.HasPrefix(host, fx.ids["rest"]) {
				r.URL.Path, r.URL.RawPath = "/dev/any"+u.Path, ""
			}
			r.Header.Set(name, value)
			fx.invoker.prepare(fine)
			fx.gateway.ServeHTTP(httptest.NewRecorder(), r)
			got := fx.invoker.event()
			if got == nil {
				continue
			}
			var event struct {
				HTTPMethod     string
				RawQueryString string
				RequestContext struct{ HTTP struct{ Method string } }
			}
			if err := json.Unmarshal(got, &event); err != nil {
				t.Fatalf("the event is not JSON: %v\n%q", err, got)
			}
			if said := event.HTTPMethod + event.RequestContext.HTTP.Method; said != strings.ToValidUTF8(method, "\ufffd") && !strings.Contains(method, "\xff") && strings.ToValidUTF8(method, "") == method {
				t.Fatalf("the event's method is %q, want %q", said, method)
			}
		}
	})
}
