package dynamodb

import (
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/aws/wire"
)

// How DynamoDB's address answers what is no signed request of its API: health checks, browsers that ask before they send,
// other methods and types, and calls without a signature. SDKs never see this; load balancers, pages and curl do.

// Front answers, at the address of DynamoDB (dynamodb.REGION.…), what does not get as far as its API, and hands all else
// on to next. services are the tables of DynamoDB and its streams. Safe for concurrent use.
func Front(next http.Handler, region string, services ...wire.Service) http.Handler {
	f := &front{next, region, map[string]bool{}}
	for _, s := range services {
		for _, op := range s.Operations {
			f.known[s.TargetPrefix+"."+op.Name] = true
		}
		for _, name := range s.NotImplemented {
			f.known[s.TargetPrefix+"."+name] = true
		}
	}
	return f
}

type front struct {
	next   http.Handler
	region string
	known  map[string]bool // targets that AWS has
}

const (
	typeJSON10    = "application/x-amz-json-1.0"
	typeJSON      = "application/json"
	corsMaxAge    = "172800" // seconds
	peekMax       = 64 << 10 // bytes of a stranger's body that are read to see whether it is JSON
	drainPatience = 10 * time.Second
)

// unknownXML is the answer to what is no call at all.
const unknownXML = "<UnknownOperationException/>\n"

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	label, _, _ := strings.Cut(r.Host, ".")
	if label != "dynamodb" {
		f.next.ServeHTTP(w, r)
		return
	}
	if r.Header.Get("Origin") != "" {
		w = &crossOrigin{ResponseWriter: w}
		if r.Method == http.MethodOptions {
			preflight(w, r)
			return
		}
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.TrimSpace(kind)
	switch {
	case r.Method == http.MethodGet:
		answer(w, http.StatusOK, "", "healthy: dynamodb."+f.region+".amazonaws.com ")
	case r.Method != http.MethodPost || r.ContentLength != 0 && kind != typeJSON && kind != typeJSON10:
		if f.drained(w, r) {
			answer(w, http.StatusNotFound, "", unknownXML)
		}
	case signed(r) && signatureText(r) == "":
		if kind != typeJSON10 {
			w = &otherType{ResponseWriter: w}
		}
		f.next.ServeHTTP(w, r)
	default:
		f.stranger(w, r, kind)
	}
}

// signed reports whether r has something that looks like a signature.
func signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || query(r) != nil
}

// stranger answers a call without a signature, in the order in which DynamoDB looks at it.
func (f *front) stranger(w http.ResponseWriter, r *http.Request, kind string) {
	if kind != typeJSON10 {
		kind = typeJSON
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, peekMax+1))
	switch {
	case err != nil || len(body) > 0 && len(body) <= peekMax && !json.Valid(body):
		refuse(w, kind, "SerializationException", "")
	case !f.known[r.Header.Get("X-Amz-Target")]:
		refuse(w, kind, "UnknownOperationException", "")
	case r.Header.Get("Authorization") != "" && query(r) != nil:
		refuse(w, kind, "InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case signed(r):
		refuse(w, kind, "IncompleteSignatureException", signatureText(r))
	default:
		refuse(w, kind, "MissingAuthenticationTokenException", "Request is missing Authentication Token")
	}
}

// query is the query string of a request that is signed there; nil for others.
func query(r *http.Request) url.Values {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !q.Has("X-Amz-Algorithm") {
		return nil
	}
	return q
}

// signatureText says what a signature lacks that nothing can be checked by; "" for one that can.
func signatureText(r *http.Request) string {
	auth, text := r.Header.Get("Authorization"), ""
	if q := query(r); q != nil {
		if auth != "" {
			return "both" // the caller has a text for it
		}
		for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
			if q.Get(name) == "" {
				text += "AWS query-string parameters must include '" + name + "'. "
			}
		}
		if text != "" {
			text += "Re-examine the query-string parameters."
		}
		return text
	}
	scheme, rest, _ := strings.Cut(auth, " ")
	if scheme != "AWS4-" {
		return ""
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if !strings.Contains(rest, name+"=") {
			text += "Authorization header requires '" + name + "' parameter. "
		}
	}
	if r.Header.Get("X-Amz-Date") == "" && r.Header.Get("Date") == "" {
		text += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
	}
	return text + "Authorization=" + auth
}

// refuse writes an error of the service.
func refuse(w http.ResponseWriter, kind, code, text string) {
	e := struct {
		Type    string `json:"__type"`
		Message string `json:"message,omitempty"`
	}{modelOf(code) + "#" + code, text}
	body, err := json.Marshal(e)
	if err != nil {
		panic("dynamodb: two strings do not marshal: " + err.Error())
	}
	answer(w, http.StatusBadRequest, kind, string(body))
}

func answer(w http.ResponseWriter, status int, kind, body string) {
	h := w.Header()
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	h.Set("X-Amzn-Requestid", newRequestID())
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may be gone
}

// drained takes in what a client goes on sending, so that it reads the answer, and answers itself where that is too much.
func (f *front) drained(w http.ResponseWriter, r *http.Request) bool {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(drainPatience)) // writers in memory have none
	n, err := io.CopyN(io.Discard, r.Body, bodyMax+1)
	_ = c.SetReadDeadline(time.Time{})
	if err == io.EOF && n <= bodyMax {
		return true
	}
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	_ = c.Flush()
	return false
}

// preflight answers a browser that asks what a page may send.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for ask, allow := range map[string]string{"Access-Control-Request-Headers": "Access-Control-Allow-Headers",
		"Access-Control-Request-Method": "Access-Control-Allow-Methods"} {
		if v := r.Header.Get(ask); v != "" {
			h.Set(allow, v)
		}
	}
	h.Set("Access-Control-Max-Age", corsMaxAge)
	h.Set("X-Amzn-Requestid", newRequestID())
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// crossOrigin lets pages read the answer. Who they may be, the signature says: the door does not take from them what
// is good on loopback only.
type crossOrigin struct{ http.ResponseWriter }

func (c *crossOrigin) WriteHeader(status int) {
	c.Header().Set("Access-Control-Allow-Origin", "*")
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *crossOrigin) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// otherType answers in the type that the client used.
type otherType struct{ http.ResponseWriter }

func (o *otherType) WriteHeader(status int) {
	if o.Header().Get("Content-Type") == typeJSON10 {
		o.Header().Set("Content-Type", typeJSON)
	}
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (o *otherType) Unwrap() http.ResponseWriter { return o.ResponseWriter }
