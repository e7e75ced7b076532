package guest_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

func TestRequests(t *testing.T) {
	const next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		in   string
		want []string
		ok   bool
	}{
		"nothing":             {"", nil, true},
		"two at once":         {next + next, []string{"", ""}, true},
		"length":              {"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + next, []string{"abc", ""}, true},
		"bare newlines":       {"POST /a HTTP/1.1\nContent-Length: 3\n\nabc", []string{"abc"}, true},
		"chunks":              {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", []string{"abc0123456789"}, true},
		"cut in the head":     {"GET /a HTTP/1.1\r\nHost:", nil, false},
		"cut in the body":     {"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", nil, false},
		"cut in a chunk":      {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", nil, false},
		"cut before trailers": {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", nil, false},
		"no HTTP":             {"hello\r\n\r\n", nil, false},
		"no path":             {"GET a HTTP/1.1\r\n\r\n", nil, false},
		"two lengths":         {"POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", nil, false},
		"length and chunks":   {"POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil, false},
		"chunks and length":   {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", nil, false},
		"negative length":     {"POST /a HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", nil, false},
		"another encoding":    {"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", nil, false},
		"folded header":       {"GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n", nil, false},
		"chunk without end":   {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", nil, false},
		"huge chunk":          {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", nil, false},
		"body too long":       {"POST /a HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n", nil, false},
		"chunks too long":     {"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n", nil, false},
		"long header is read past": {"POST /a HTTP/1.1\r\nX-Cause: " + strings.Repeat("x", 1<<20) + "\r\nContent-Length: 1\r\n\r\na",
			[]string{"a"}, true},
		"long line":          {"GET /" + strings.Repeat("x", guest.LineMaxH) + " HTTP/1.1\r\n\r\n", nil, false},
		"headers too long":   {"GET /a HTTP/1.1\r\n" + strings.Repeat("A: "+strings.Repeat("x", 1000)+"\r\n", guest.HeadersMax/1000) + "\r\n", nil, false},
		"one header endless": {"GET /a HTTP/1.1\r\nA: " + strings.Repeat("x", guest.HeadersMax), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := guest.ReadRequests([]byte(c.in), 1<<20)
			if (err == nil) != c.ok || c.ok && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %.100q, %v, want %.100q (ok %v)", got, err, c.want, c.ok)
			}
		})
	}
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET / HTTP/1.0\n\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nLambda-Runtime-Function-Error-Type: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies, err := guest.ReadRequests(b, 1<<20)
		n := 0
		for _, s := range bodies {
			n += len(s)
		}
		if n > len(b) {
			t.Errorf("got %d bytes of bodies out of %d, %v", n, len(b), err)
		}
	})
}

// frame is one frame of the socket.
func frame(kind byte, payload string) string {
	var h [5]byte
	binary.LittleEndian.PutUint32(h[:], uint32(len(payload)))
	h[4] = kind
	return string(h[:]) + payload
}

const preludeType = "application/vnd.awslambda.http-integration-response"

func TestAnswers(t *testing.T) {
	prelude := `{"statusCode":404,"headers":{"x-a":"1","n":2,"b":true,"o":{}},"cookies":["c=d"]}` + strings.Repeat("\x00", 8)
	type want struct {
		body, fails string
		status      int
		state       guest.State
		err         bool
	}
	for name, c := range map[string]struct {
		in   string
		want want
	}{
		"result":              {frame('O', "[1]"), want{body: "[1]"}},
		"large result":        {frame('O', strings.Repeat("x", rouse.ResultMax)), want{body: strings.Repeat("x", rouse.ResultMax)}},
		"too large result":    {frame('O', strings.Repeat("x", rouse.ResultMax+1)), want{fails: "Function.ResponseSizeTooLarge"}},
		"error":               {frame('X', `{"errorType":"E","errorMessage":"m"}`), want{fails: "E"}},
		"error without type":  {frame('X', `[]`), want{fails: "Runtime.Unknown"}},
		"error that is none":  {frame('X', `oops`), want{fails: "Runtime.Unknown"}},
		"fatal":               {frame('Q', `{"errorType":"E"}`), want{fails: "E", state: guest.Exited}},
		"stream":              {frame('H', "text/plain") + frame('D', "a") + frame('D', "b") + frame('Z', ""), want{body: "ab"}},
		"stream with error":   {frame('H', "") + frame('D', "a") + frame('X', `{"errorType":"E"}`), want{body: "a", fails: "E"}},
		"prelude":             {frame('H', preludeType) + frame('D', prelude+"x") + frame('Z', ""), want{body: "x", status: 404}},
		"prelude in pieces":   {frame('H', preludeType) + frame('D', prelude[:5]) + frame('D', prelude[5:len(prelude)-3]) + frame('D', prelude[len(prelude)-3:]) + frame('D', "x") + frame('Z', ""), want{body: "x", status: 404}},
		"prelude without end": {frame('H', preludeType) + frame('D', "{}") + frame('Z', ""), want{fails: "Function.InvalidResponse"}},
		"prelude too long":    {frame('H', preludeType) + frame('D', strings.Repeat("x", guest.PreludeMax+1)) + frame('D', strings.Repeat("x", 1000)) + frame('Z', ""), want{fails: "Function.InvalidResponse"}},
		"prelude of a bad status": {frame('H', preludeType) + frame('D', `{"statusCode":1000}`+strings.Repeat("\x00", 8)) + frame('Z', ""),
			want{fails: "Function.InvalidResponse"}},
		"nothing":              {"", want{err: true}},
		"half a head":          {"\x01\x00", want{err: true}},
		"half a frame":         {frame('O', "abc")[:6], want{err: true}},
		"unknown kind":         {frame('?', ""), want{err: true}},
		"kind out of place":    {frame('U', ""), want{err: true}},
		"ready in a call":      {frame('R', ""), want{err: true}},
		"data without head":    {frame('D', "a"), want{err: true}},
		"end without head":     {frame('Z', ""), want{err: true}},
		"result after head":    {frame('H', "") + frame('O', "a"), want{err: true}},
		"two heads":            {frame('H', "") + frame('H', ""), want{err: true}},
		"a head of any size":   {"\xff\xff\xff\x7fH", want{err: true}},
		"a result of any size": {"\xff\xff\xff\x7fO", want{err: true}},
		"largest small frame":  {frame('X', `"`+strings.Repeat("x", guest.SmallMax-2)+`"`), want{fails: "Runtime.Unknown"}},
		"beyond it":            {frame('X', `"`+strings.Repeat("x", guest.SmallMax-1)+`"`), want{err: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var out rouse.Buffer
			fe, state, err := guest.ReadAnswer([]byte(c.in), &out, false)
			got := want{body: out.String(), status: out.Meta.Status, state: state, err: err != nil}
			if fe != nil {
				got.fails = fe.Type
			}
			if got.err {
				got = want{err: true}
			}
			if got != c.want {
				t.Errorf("got %.300v, %v, want %.300v", got, err, c.want)
			}
		})
	}
}

// failingSink takes nothing.
type failingSink struct{ calls int }

func (f *failingSink) Head(rouse.Head) error { f.calls++; return errors.New("gone") }
func (f *failingSink) Write([]byte) (int, error) {
	f.calls++
	return 0, errors.New("gone")
}

func TestSinkThatLeaves(t *testing.T) {
	s := &failingSink{}
	in := frame('H', "") + frame('D', "a") + frame('D', "b") + frame('Z', "")
	fe, state, err := guest.ReadAnswer([]byte(in), s, false)
	if fe != nil || state != guest.Alive || err != nil || s.calls != 1 {
		t.Errorf("got %v, %v, %v and %d calls, want success and one call: a caller who left does not disturb a function", fe, state, err, s.calls)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(frame('O', "[1]")), false)
	f.Add([]byte(frame('H', preludeType)+frame('D', `{"statusCode":200}`+strings.Repeat("\x00", 8)+"x")+frame('Z', "")), true)
	f.Add([]byte(frame('H', "a/b")+frame('D', "x")+frame('X', `{"errorType":"E"}`)), false)
	f.Fuzz(func(t *testing.T, b []byte, fold bool) {
		var out rouse.Buffer
		fe, _, err := guest.ReadAnswer(b, &out, fold)
		if err == nil && fe == nil && !fold && out.Len() > len(b) {
			t.Errorf("got %d bytes out of %d", out.Len(), len(b))
		}
		if fe != nil && len(fe.Payload) == 0 {
			t.Errorf("got the error %v without a payload", fe)
		}
	})
}

// message is one frame of the log pipe.
func message(level uint32, text string) string {
	b := binary.BigEndian.AppendUint32(nil, 0xa55a0003|level<<2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = binary.BigEndian.AppendUint64(b, 1_700_000_000_000_000)
	return string(b) + text
}

func TestLogPipes(t *testing.T) {
	long := strings.Repeat("x", guest.LineMax)
	for name, c := range map[string]struct {
		in     string
		framed bool
		want   []string
	}{
		"lines":               {"a\nb\n\nc", false, []string{" a", " b", " c"}},
		"no end":              {long + long + "y", false, []string{" " + long, " " + long, " y"}},
		"a long line":         {long + "y\n", false, []string{" " + long, " y"}},
		"messages":            {message(3, "a\nb\n") + message(5, "c"), true, []string{"INFO a\nb", "ERROR c"}},
		"an empty message":    {message(3, ""), true, []string{"INFO "}},
		"a long message":      {message(3, long+"y"), true, []string{"INFO " + long, "INFO y"}},
		"text instead":        {"hello\nyou\n", true, []string{" hello", " you"}},
		"text after messages": {message(4, "a") + "hello\n", true, []string{"WARN a", " hello"}},
		"half a message":      {message(3, "abc")[:18], true, []string{" " + message(3, "abc")[:18]}},
		"a message of any size": {"\xa5\x5a\x00\x03\x7f\xff\xff\xff12345678x\n", true,
			[]string{" \xa5\x5a\x00\x03\x7f\xff\xff\xff12345678x"}},
		"an unknown level": {message(60, "a"), true, []string{" a"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1 << 30, 7, 1} {
				if len(c.in) > 1000 && size == 1 {
					continue
				}
				var got []string
				guest.ReadLog(cut(c.in, size), c.framed, func(l guest.Line) { got = append(got, l.Level+" "+string(l.Bytes)) })
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("in pieces of %d: got %.300q, want %.300q", size, got, c.want)
				}
			}
		})
	}
}

func cut(s string, size int) (pieces [][]byte) {
	for len(s) > 0 {
		n := min(size, len(s))
		pieces = append(pieces, []byte(s[:n]))
		s = s[n:]
	}
	return pieces
}

func FuzzLogPipes(f *testing.F) {
	f.Add([]byte(message(3, "a\nb")+message(5, "c")), true, 3)
	f.Add([]byte("a\nb\n\nc"), false, 1)
	f.Fuzz(func(t *testing.T, b []byte, framed bool, size int) {
		n := 0
		guest.ReadLog(cut(string(b), max(1, size)), framed, func(l guest.Line) {
			if n += len(l.Bytes); len(l.Bytes) > guest.LineMax {
				t.Errorf("got a line of %d bytes, want at most %d", len(l.Bytes), guest.LineMax)
			}
		})
		if n > len(b) {
			t.Errorf("got %d bytes of lines out of %d", n, len(b))
		}
	})
}

func FuzzPrelude(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b","c":1,"d":null,"e":[]},"multiValueHeaders":{"f":["g","h"]},"cookies":["i=j"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := guest.ParsePrelude(b)
		if ok && (h.Status < 100 || h.Status > 599 || h.ContentType == "") {
			t.Errorf("got %+v, want a status and a content type", h)
		}
	})
}

func FuzzWebRequest(f *testing.F) {
	f.Add([]byte(`{"version":"2.0","rawPath":"/a%20b","rawQueryString":"x=1","headers":{"host":"h","x":"y\r\nz: 1"},"cookies":["a=b"],
		"requestContext":{"http":{"method":"POST"}},"body":"aGk=","isBase64Encoded":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := guest.WebRequest(b)
		if err != nil {
			return
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(out)))
		if err != nil {
			t.Errorf("got a request that is none: %q: %v", out, err)
			return
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			t.Errorf("got a request whose body is none: %q: %v", out, err)
		}
	})
}
