package guest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/textproto"
	"unicode/utf8"

	"github.com/rouse-dev/rouse"
)

const (
	// preludeType announces that a body starts with the JSON of its status and headers, and eight zero bytes.
	preludeType = "application/vnd.awslambda.http-integration-response"
	preludeMax  = 64 << 10 // bytes of that JSON
	preludeGap  = 8

	streamedType = "application/octet-stream" // what a streamed answer is when nobody says
)

// answer carries one result from a guest to its Sink: it takes the prelude off a streamed body, holds the limits, and
// folds a web handler's answer into payload 2.0's JSON when the caller does not take a stream.
type answer struct {
	sink rouse.Sink
	fold bool // into payload 2.0

	streamed bool
	prelude  []byte // not nil: the body has not begun
	head     rouse.Head
	body     bytes.Buffer // when folding
	written  int64
	err      *rouse.FunctionError // the answer broke a limit or a rule
	sinkErr  error                // the sink takes no more
}

// start begins a streamed answer.
func (a *answer) start(contentType string) {
	a.streamed = true
	if contentType == preludeType {
		a.prelude = make([]byte, 0, 512)
		return
	}
	if contentType == "" {
		contentType = streamedType
	}
	a.begin(rouse.Head{ContentType: contentType})
}

func (a *answer) begin(h rouse.Head) {
	a.head, a.prelude = h, nil
	if !a.fold && a.sinkErr == nil {
		a.sinkErr = a.sink.Head(h)
	}
}

// write takes the next part of the body. Errors are kept for finish: a function is not disturbed by a caller who left.
func (a *answer) write(b []byte) {
	if a.prelude != nil {
		b = a.takePrelude(b)
	}
	if len(b) == 0 || a.err != nil || a.sinkErr != nil {
		return
	}
	limit := int64(rouse.ResultMax)
	if a.streamed && !a.fold {
		limit = rouse.StreamMax
	}
	if a.written += int64(len(b)); a.written > limit {
		a.err = tooLarge()
		return
	}
	if a.fold {
		a.body.Write(b)
		return
	}
	_, a.sinkErr = a.sink.Write(b)
}

// takePrelude collects the prelude and returns what follows it.
func (a *answer) takePrelude(b []byte) []byte {
	if a.err != nil {
		return nil
	}
	a.prelude = append(a.prelude, b...)
	i := bytes.Index(a.prelude, make([]byte, preludeGap))
	if i < 0 {
		if len(a.prelude) > preludeMax {
			a.err = badPrelude("its prelude does not end")
		}
		return nil
	}
	rest := a.prelude[i+preludeGap:]
	h, ok := parsePrelude(a.prelude[:i])
	if !ok {
		a.err = badPrelude("its prelude is not the JSON of a status and headers")
		return nil
	}
	a.begin(h)
	return rest
}

func badPrelude(why string) *rouse.FunctionError {
	return rouse.Unhandled("Function.InvalidResponse", "The streamed response is not valid: "+why)
}

// finish ends the answer: with fe when the function failed. It returns the error that the caller shall see.
func (a *answer) finish(fe *rouse.FunctionError) *rouse.FunctionError {
	switch {
	case fe != nil:
		return fe
	case a.err != nil:
		return a.err
	case a.prelude != nil:
		return badPrelude("its prelude does not end")
	case a.fold && a.streamed && a.sinkErr == nil:
		if b := foldWeb(a.head, a.body.Bytes()); len(b) <= rouse.ResultMax {
			_, a.sinkErr = a.sink.Write(b)
		} else {
			return tooLarge()
		}
	}
	return nil
}

// parsePrelude reads the metadata of a streamed HTTP answer. ok is false for what is not an object of that shape.
func parsePrelude(b []byte) (h rouse.Head, ok bool) {
	var p struct {
		Status  int                        `json:"statusCode"`
		Headers map[string]json.RawMessage `json:"headers"`
		Multi   map[string][]string        `json:"multiValueHeaders"`
		Cookies []string                   `json:"cookies"`
	}
	if err := json.Unmarshal(b, &p); err != nil || len(b) > preludeMax {
		return rouse.Head{}, false
	}
	if p.Status == 0 {
		p.Status = 200
	}
	if p.Status < 100 || p.Status > 599 {
		return rouse.Head{}, false
	}
	h = rouse.Head{Status: p.Status, Header: map[string][]string{}, Cookies: p.Cookies}
	for k, v := range p.Headers {
		if s, ok := headerValue(v); ok {
			h.Header[textproto.CanonicalMIMEHeaderKey(k)] = []string{s}
		}
	}
	for k, v := range p.Multi {
		h.Header[textproto.CanonicalMIMEHeaderKey(k)] = v
	}
	h.ContentType = streamedType
	if v := h.Header["Content-Type"]; len(v) > 0 {
		h.ContentType = v[0]
	}
	return h, true
}

// headerValue reads a header as functions write it: a string, a number or a truth value.
func headerValue(b json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s, string(b) != "null"
	}
	switch b[0] {
	case '[', '{':
		return "", false
	}
	return string(b), true
}

// foldWeb is an HTTP answer as the JSON that a proxy integration with payload 2.0 returns.
func foldWeb(h rouse.Head, body []byte) []byte {
	out := struct {
		Status  int               `json:"statusCode"`
		Headers map[string]string `json:"headers,omitempty"`
		Cookies []string          `json:"cookies,omitempty"`
		Body    string            `json:"body"`
		Base64  bool              `json:"isBase64Encoded"`
	}{Status: h.Status, Headers: map[string]string{}, Cookies: h.Cookies}
	for k, vs := range h.Header {
		for i, v := range vs {
			if i > 0 {
				v = out.Headers[k] + "," + v
			}
			out.Headers[k] = v
		}
	}
	if len(h.Header["Content-Encoding"]) == 0 && utf8.Valid(body) {
		out.Body = string(body)
	} else {
		out.Body, out.Base64 = base64.StdEncoding.EncodeToString(body), true
	}
	b, _ := json.Marshal(out) // strings and a number: cannot fail
	return b
}
