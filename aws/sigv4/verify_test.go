package sigv4_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func signer(service string) sigv4.Signer {
	return sigv4.Signer{AccessKeyID: "AKIA", SecretAccessKey: "s3cr3t", Region: "eu-test-1", Service: service}
}

// verify parses and verifies r as a server with the signer's secret does.
func verify(r *http.Request, at time.Time, body string) error {
	c, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	payload, ok := c.PayloadHash()
	if !ok {
		payload = sigv4.HashPayload([]byte(body))
	}
	return sigv4.New(func() time.Time { return at }).Verify(r, c, "s3cr3t", payload)
}

func wantCode(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("%s: got %#v, want code %s and …%s…", what, err, code, text)
	}
}

func TestClaimsThatAreIncomplete(t *testing.T) {
	good := "AWS4-HMAC-SHA256 Credential=AKIA/20260102/eu-test-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
		strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, auth, date string
		code, text       string
	}{
		{"nothing", "", "20260102T030405Z", sigv4.CodeMissing, "Request is missing Authentication Token"},
		{"another scheme", "Basic abc", "", sigv4.CodeIncomplete, "Unsupported AWS 'algorithm': 'Basic'."},
		{"version 2", "AWS AKIA:abc", "", "", "Rouse does not implement Signature Version 2"},
		{"version 4A", strings.Replace(good, "HMAC-SHA256", "ECDSA-P256-SHA256", 1), "", "", "Rouse does not implement Signature Version 4A"},
		{"no parameters", "AWS4-HMAC-SHA256", "", sigv4.CodeIncomplete, "Authorization header requires 'Credential' parameter. " +
			"Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. " +
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		{"no date", good, "", sigv4.CodeIncomplete, "requires existence of either"},
		{"bad date", good, "yesterday", sigv4.CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got 'yesterday'."},
		{"another day", good, "20260103T030405Z", sigv4.CodeMismatch, "'20260102' != '20260103', from '20260103T030405Z'."},
		{"short credential", strings.Replace(good, "/aws4_request", "", 1), "20260102T030405Z", sigv4.CodeIncomplete,
			"Credential must have exactly 5 slash-delimited elements"},
		{"bad terminator", strings.Replace(good, "aws4_request", "aws5_request", 1), "20260102T030405Z", sigv4.CodeMismatch, "valid terminator"},
		{"host not signed", strings.Replace(good, "host;", "", 1), "20260102T030405Z", sigv4.CodeMismatch, "'Host' or ':authority' must be"},
		{"date not signed", strings.Replace(good, ";x-amz-date", "", 1), "20260102T030405Z", sigv4.CodeMismatch,
			"'X-Amz-Date' must be a 'SignedHeader'"},
		{"short signature", good[:len(good)-2], "20260102T030405Z", sigv4.CodeMismatch, "does not match the signature you provided"},
		{"signature is not hex", good[:len(good)-2] + "zz", "20260102T030405Z", sigv4.CodeMismatch, "does not match"},
		{"too many headers", strings.Replace(good, "host;", "host;"+strings.Repeat("a;", 200), 1), "20260102T030405Z",
			sigv4.CodeIncomplete, "More than 200 headers are signed"},
	} {
		r := httptest.NewRequest("GET", "http://h/", nil)
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		if c.date != "" {
			r.Header.Set("X-Amz-Date", c.date)
		}
		_, err := sigv4.Parse(r)
		wantCode(t, c.name, err, c.code, c.text)
	}
}

func TestHeadersThatMustBeSigned(t *testing.T) {
	for _, name := range []string{"X-Amz-Target", "X-Amz-Content-Sha256", "X-Amz-Invocation-Type"} {
		r := httptest.NewRequest("POST", "http://h/", nil)
		signer("lambda").Sign(r, sigv4.EmptyHash, now)
		r.Header.Set(name, "smuggled")
		wantCode(t, name, verify(r, now, ""), sigv4.CodeMismatch, "'"+name+"' must be a 'SignedHeader'")
		r = httptest.NewRequest("POST", "http://h/", nil)
		u := signer("lambda").Presign(r, sigv4.EmptyHash, now, time.Hour)
		r = httptest.NewRequest("POST", u.String(), nil)
		r.Header.Set(name, "smuggled")
		wantCode(t, name+" of a presigned request", verify(r, now, ""), sigv4.CodeMismatch, "must be a 'SignedHeader'")
	}
}

func TestEveryPartIsSigned(t *testing.T) {
	fresh := func() *http.Request {
		r := httptest.NewRequest("POST", "http://h.example/a%2Fb/c?x=1&y=a%20b&y=", nil)
		r.Header.Set("X-Amz-Target", "Logs.Put")
		r.Header.Set("Content-Type", "a/b")
		signer("logs").Sign(r, sigv4.HashPayload([]byte("body")), now)
		return r
	}
	if err := verify(fresh(), now, "body"); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	for what, change := range map[string]func(*http.Request){
		"method": func(r *http.Request) { r.Method = "PUT" },
		"path":   func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "/c", "/d", 1) },
		"escape": func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "a%2Fb", "a/b", 1) },
		"query":  func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "x=1", "x=2", 1) },
		"added":  func(r *http.Request) { r.RequestURI += "&z=1" },
		"host":   func(r *http.Request) { r.Host = "other.example" },
		"header": func(r *http.Request) { r.Header.Set("X-Amz-Target", "Logs.Delete") },
		"type":   func(r *http.Request) { r.Header.Set("Content-Type", "a/c") },
		"date":   func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260102T030406Z") },
		"region": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "eu-test-1", "eu-test-2", 1))
		},
		"service": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "logs", "iam", 1))
		},
	} {
		r := fresh()
		change(r)
		wantCode(t, what, verify(r, now, "body"), sigv4.CodeMismatch, "does not match the signature you provided")
	}
	wantCode(t, "body", verify(fresh(), now, "other"), sigv4.CodeMismatch, "does not match the signature you provided")
}

func TestPresignedLifetime(t *testing.T) {
	presign := func(change func(url.Values)) *http.Request {
		u := signer("s3").Presign(httptest.NewRequest("GET", "http://h/k?a=b", nil), sigv4.Unsigned, now, time.Hour)
		q := u.Query()
		change(q)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
		return httptest.NewRequest("GET", u.String(), nil)
	}
	same := func(url.Values) {}
	if err := verify(presign(same), now.Add(time.Hour), ""); err != nil {
		t.Errorf("at its end: %v", err)
	}
	wantCode(t, "a second later", verify(presign(same), now.Add(time.Hour+time.Second), ""), "AccessDenied", "Request has expired")
	wantCode(t, "before its time", verify(presign(same), now.Add(-16*time.Minute), ""), sigv4.CodeMismatch, "Signature not yet current")
	for value, text := range map[string]string{
		"604801": "must be less than a week", "-1": "must be non-negative", "x": "should be a number", "99999999999999999999": "a number",
	} {
		r := presign(func(q url.Values) { q.Set("X-Amz-Expires", value) })
		wantCode(t, value, verify(r, now, ""), "AuthorizationQueryParametersError", text)
	}
	r := presign(func(q url.Values) { q.Set("X-Amz-Expires", "7200") })
	wantCode(t, "prolonged", verify(r, now, ""), sigv4.CodeMismatch, "does not match")
	for _, k := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		r := presign(func(q url.Values) { q.Del(k) })
		wantCode(t, "without "+k, verify(r, now, ""), sigv4.CodeIncomplete, "must include '"+k+"'")
		r = presign(func(q url.Values) { q.Add(k, q.Get(k)) })
		wantCode(t, "twice "+k, verify(r, now, ""), sigv4.CodeIncomplete, "must include '"+k+"'")
	}
	r = presign(same)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	wantCode(t, "two ways at once", verify(r, now, ""), sigv4.CodeIncomplete, "Only one auth mechanism allowed")
}

// STS takes a presigned URL for 15 minutes, whether it says a minute or a week.
func TestPresignedLifetimeOfSTS(t *testing.T) {
	for _, expires := range []time.Duration{time.Minute, sigv4.ExpiresMax} {
		u := signer("sts").Presign(httptest.NewRequest("GET", "http://h/?Action=GetCallerIdentity", nil), sigv4.EmptyHash, now, expires)
		r := httptest.NewRequest("GET", u.String(), nil)
		if err := verify(r, now.Add(sigv4.SkewMax), ""); err != nil {
			t.Errorf("X-Amz-Expires of %s, used after 15 minutes: got %v, want it taken", expires, err)
		}
		wantCode(t, "after 15 minutes", verify(r, now.Add(sigv4.SkewMax+time.Second), ""), sigv4.CodeMismatch, "Signature expired: ")
	}
}

func TestPathRules(t *testing.T) {
	for _, c := range []struct{ service, path, sent string }{
		{"lambda", "/functions/arn%3Aaws%3Ax%2Fy", "/functions/arn%3Aaws%3Ax%2Fy"},
		{"lambda", "/a/../b/./c//d/", "/a/../b/./c//d/"},
		{"lambda", "/b/c", "//x/..//b/./c"},
		{"s3", "/bucket/a%20b//c/../d", "/bucket/a%20b//c/../d"},
		{"s3", "/bucket/a~b%2Fc", "/bucket/a%7eb%2fc"},
	} {
		r := httptest.NewRequest("GET", "http://h"+c.path, nil)
		r.RequestURI = ""
		signer(c.service).Sign(r, sigv4.EmptyHash, now)
		r.RequestURI = c.sent
		if err := verify(r, now, ""); err != nil {
			t.Errorf("%s signs %s and gets %s: %v", c.service, c.path, c.sent, err)
		}
	}
	r := httptest.NewRequest("GET", "http://h/a//b", nil)
	signer("s3").Sign(r, sigv4.EmptyHash, now)
	r.RequestURI = "/a/b"
	wantCode(t, "S3 does not normalise", verify(r, now, ""), sigv4.CodeMismatch, "does not match")
}

func TestBody(t *testing.T) {
	hash := sigv4.HashPayload([]byte("hello"))
	if b, err := io.ReadAll(sigv4.Body(strings.NewReader("hello"), hash)); err != nil || string(b) != "hello" {
		t.Errorf("the right body: got %q, %v", b, err)
	}
	_, err := io.ReadAll(sigv4.Body(strings.NewReader("hullo"), hash))
	wantCode(t, "another body", err, sigv4.CodePayload, "does not match what was computed")
	_, err = io.ReadAll(sigv4.Body(strings.NewReader("hell"), hash))
	wantCode(t, "a shorter body", err, sigv4.CodePayload, "does not match what was computed")
	if _, err := io.ReadAll(sigv4.Body(strings.NewReader("hullo"), sigv4.Unsigned)); err != nil {
		t.Errorf("an unsigned body: %v", err)
	}
}

func TestDerivedKeysAreBounded(t *testing.T) {
	v := sigv4.New(func() time.Time { return now })
	check := func(region, secret string) error {
		s := signer("lambda")
		s.Region = region
		r := httptest.NewRequest("GET", "http://h/", nil)
		s.Sign(r, sigv4.EmptyHash, now)
		c, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		return v.Verify(r, c, secret, sigv4.EmptyHash)
	}
	if err := check("a", "wrong"); err == nil || v.KeysKept() != 0 {
		t.Errorf("a wrong signature: got %v and %d keys kept, want an error and none", err, v.KeysKept())
	}
	for i := range sigv4.KeysMax + 10 {
		if err := check(strconv.Itoa(i), "s3cr3t"); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.KeysKept(); n != 10 {
		t.Errorf("got %d keys kept, want 10 after starting anew", n)
	}
	if err := check("5000", "other"); err == nil {
		t.Error("a kept key serves another secret")
	}
}

func TestCodesOfJSONServices(t *testing.T) {
	for code, want := range map[string]string{
		sigv4.CodeMissing: "MissingAuthenticationTokenException", sigv4.CodeIncomplete: "IncompleteSignatureException",
		sigv4.CodeMismatch: "InvalidSignatureException", sigv4.CodeUnknownKey: "UnrecognizedClientException",
		sigv4.CodeExpired: "ExpiredTokenException", "AccessDenied": "AccessDeniedException", "Other": "Other",
	} {
		if got := sigv4.CodeFor(code); got != want {
			t.Errorf("%s: got %s, want %s", code, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	r := httptest.NewRequest("GET", "http://h/a?b=c", nil)
	signer("lambda").Sign(r, sigv4.EmptyHash, now)
	f.Add("/a?b=c", r.Header.Get("Authorization"), "20260102T030405Z", "h", "v")
	u := signer("s3").Presign(httptest.NewRequest("GET", "http://h/a", nil), sigv4.Unsigned, now, time.Hour)
	f.Add(u.RequestURI(), "", "", "X-Amz-Content-Sha256", "STREAMING-X")
	f.Add("http://h?%zz&&=%&a=+", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=;,Signature=", "x", "Date", "\x00")
	f.Fuzz(func(t *testing.T, target, auth, date, name, value string) {
		path, query, _ := strings.Cut(target, "?")
		r := &http.Request{Method: "GET", RequestURI: target, Host: "h", Header: http.Header{},
			URL: &url.URL{Path: path, RawQuery: query}}
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		r.Header.Set("X-Amz-Date", date)
		r.Header.Set(name, value)
		c, err := sigv4.Parse(r)
		if err != nil {
			if k := rouse.KindOf(err); k != rouse.Unauthenticated && k != rouse.Unsupported {
				t.Errorf("got Kind %v: %v", k, err)
			}
			return
		}
		if err := sigv4.New(func() time.Time { return now }).Verify(r, c, "nobody's", sigv4.EmptyHash); err == nil {
			t.Errorf("%s %s verifies with a secret that nobody has", target, auth)
		}
	})
}

// A verification hashes the canonical request and two short texts: three SHA-256 runs of a few blocks, some 2 µs, plus
// the text itself. Deriving the key would cost four HMACs more.
func BenchmarkVerify(b *testing.B) {
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/2015-03-31/functions/shop/invocations", nil)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	signer("lambda").Sign(r, sigv4.EmptyHash, now)
	v := sigv4.New(func() time.Time { return now })
	b.ReportAllocs()
	for b.Loop() {
		c, err := sigv4.Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(r, c, "s3cr3t", sigv4.EmptyHash); err != nil {
			b.Fatal(err)
		}
	}
}
