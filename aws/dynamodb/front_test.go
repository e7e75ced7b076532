package dynamodb_test

import (
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/aws/dynamodb"
)

// TestFront goes through what DynamoDB's address answers beside its API.
func TestFront(t *testing.T) {
	_, door, changes := open(t)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusTeapot)
	})
	front := dynamodb.Front(next, "us-east-1", door, changes)
	const unknown, serial = `{"__type":"com.amazon.coral.service#UnknownOperationException"}`, `{"__type":"com.amazon.coral.service#SerializationException"}`
	const missing = `{"__type":"com.amazon.coral.service#MissingAuthenticationTokenException","message":"Request is missing Authentication Token"}`
	const xml = "<UnknownOperationException/>\n"
	const list = "DynamoDB_20120810.ListTables"
	for _, c := range []struct {
		name, method, url, body string
		head                    map[string]string
		status                  int
		kind, want              string
	}{
		{"health", "GET", "/", "", nil, 200, "", "healthy: dynamodb.us-east-1.amazonaws.com "},
		{"another method", "PUT", "/", "", nil, 404, "", xml},
		{"no type", "POST", "/", "hi", nil, 404, "", xml},
		{"another type", "POST", "/", "hi", map[string]string{"Content-Type": "application/x-amz-json-1.1"}, 404, "", xml},
		{"no JSON", "POST", "/", "hi", map[string]string{"Content-Type": " application/json ; x"}, 400, "application/json", serial},
		{"no JSON, own type", "POST", "/", "hi", map[string]string{"Content-Type": "application/x-amz-json-1.0;x"}, 400, "application/x-amz-json-1.0", serial},
		{"no target", "POST", "/", "{}", map[string]string{"Content-Type": "application/json"}, 400, "application/json", unknown},
		{"unknown target", "POST", "/", "", map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTable"}, 400, "application/json", unknown},
		{"unsigned", "POST", "/", "", map[string]string{"X-Amz-Target": list}, 400, "application/json", missing},
		{"unsigned, of streams", "POST", "/", "", map[string]string{"X-Amz-Target": "DynamoDBStreams_20120810.GetRecords"}, 400, "application/json", missing},
		{"another scheme", "POST", "/", "", map[string]string{"X-Amz-Target": list, "Authorization": "X"}, 400, "application/json", missing},
		{"header and query", "POST", "/?X-Amz-Algorithm", "", map[string]string{"X-Amz-Target": list, "Authorization": "X"}, 400, "application/json",
			`{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}`},
		{"half a header", "POST", "/", "", map[string]string{"X-Amz-Target": list, "Authorization": "AWS4- Signature=b, Credential=a", "Date": "a"}, 400, "application/json",
			`{"__type":"com.amazon.coral.service#IncompleteSignatureException","message":"Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b, Credential=a"}`},
		{"half a query", "POST", "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d", "", map[string]string{"X-Amz-Target": list}, 400, "application/json",
			`{"__type":"com.amazon.coral.service#IncompleteSignatureException","message":"AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."}`},
		{"signed", "POST", "/", "", map[string]string{"X-Amz-Target": list, "Authorization": "AWS4-HMAC-SHA256 x"}, 418, "application/json", ""},
		{"signed, own type", "POST", "/", "{}", map[string]string{"Content-Type": "application/x-amz-json-1.0", "Authorization": "AWS4-HMAC-SHA256 x"}, 418, "application/x-amz-json-1.0", ""},
		{"preflight", "OPTIONS", "/", "", map[string]string{"Origin": "http://x", "Access-Control-Request-Headers": "a, b", "Access-Control-Request-Method": "POST"}, 200, "", ""},
		{"no preflight", "OPTIONS", "/", "", nil, 404, "", xml},
		{"too large", "POST", "/", strings.Repeat("a", 16<<20+1), nil, 413, "", ""},
	} {
		r := httptest.NewRequest(c.method, c.url, strings.NewReader(c.body))
		r.Host = "dynamodb.us-east-1.localhost:4566"
		for k, v := range c.head {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		front.ServeHTTP(w, r)
		h := w.Header()
		if got := w.Body.String(); w.Code != c.status || got != c.want || h.Get("Content-Type") != c.kind {
			t.Errorf("%s: got %d %q %q, want %d %q %q", c.name, w.Code, h.Get("Content-Type"), got, c.status, c.kind, c.want)
		}
		if c.want != "" {
			if got, want := h.Get("X-Amz-Crc32"), strconv.Itoa(int(crc32.ChecksumIEEE([]byte(c.want)))); got != want {
				t.Errorf("%s: got the checksum %s, want %s", c.name, got, want)
			}
			if id := h.Get("X-Amzn-Requestid"); !regexp.MustCompile(`^[0-9A-Z]{52}$`).MatchString(id) {
				t.Errorf("%s: got the id %q, want 52 capitals and digits", c.name, id)
			}
		}
		if origin := h.Get("Access-Control-Allow-Origin"); (origin == "*") != (c.head["Origin"] != "") {
			t.Errorf("%s: got the origin %q allowed, want one only where a page asks", c.name, origin)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "127.0.0.1:4566"
	w := httptest.NewRecorder()
	if front.ServeHTTP(w, r); w.Code != http.StatusTeapot {
		t.Errorf("another host: got %d, want it handed on", w.Code)
	}
}
