package http1

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// input is a connection that has sent all it will, in pieces.
type input struct {
	net.Conn
	r     io.Reader
	piece int
}

func (i *input) Read(p []byte) (int, error)  { return i.r.Read(p[:min(len(p), i.piece)]) }
func (i *input) Write(p []byte) (int, error) { return len(p), nil }

// FuzzRequest: what is taken here net/http takes too, with the same meaning, and the next request begins at the same byte.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET /a?b=c HTTP/1.1\r\nHost: h:80\r\nx-a: 1\r\nX-A:  2 \r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcGET",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX-T: u\r\n\r\nGET",
		"GET http://a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n",
		"PUT /%2f HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
	} {
		f.Add([]byte(s), byte(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		from := &input{r: bytes.NewReader(data), piece: int(piece) + 1}
		c := &conn{s: &Server{}, net: from, socket: from, buf: make([]byte, bufferUsual)}
		b, err := c.request()
		if err != nil {
			return
		}
		got := &c.req
		in := bufio.NewReader(bytes.NewReader(data))
		want, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("taken, where net/http says %v", err)
		}
		for _, p := range []struct {
			name      string
			got, want any
		}{
			{"method", got.Method, want.Method}, {"target", got.RequestURI, want.RequestURI}, {"URL", got.URL, want.URL},
			{"host", got.Host, want.Host}, {"version", got.Proto, want.Proto}, {"minor", got.ProtoMinor, want.ProtoMinor},
			{"length", got.ContentLength, want.ContentLength}, {"coding", got.TransferEncoding, want.TransferEncoding},
			{"close", got.Close, want.Close},
		} {
			if !reflect.DeepEqual(p.got, p.want) {
				t.Errorf("%s: got %v, net/http has %v", p.name, p.got, p.want)
			}
		}
		for _, h := range []http.Header{got.Header, want.Header} {
			// net/http takes these out, or adds one to mean the other.
			for _, name := range []string{"Trailer", "Pragma", "Cache-Control", "Connection"} {
				delete(h, name)
			}
		}
		if !maps.EqualFunc(got.Header, want.Header, func(a, b []string) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("headers: got %q, net/http has %q", got.Header, want.Header)
		}
		if b == nil {
			b = &body{c: c, err: io.EOF}
		}
		text, err := io.ReadAll(b)
		other, otherErr := io.ReadAll(want.Body)
		if err != nil {
			return // net/http takes more
		}
		if otherErr != nil || !bytes.Equal(text, other) {
			t.Fatalf("body: got %q, net/http has %q, %v", text, other, otherErr)
		}
		rest, _ := io.ReadAll(struct{ io.Reader }{readerFunc(c.take)})
		// net/http leaves the end of trailers to its server.
		after, _ := io.ReadAll(in)
		if !strings.HasSuffix(string(after), string(rest)) || want.TransferEncoding == nil && len(after) != len(rest) {
			t.Errorf("next request: begins at %.40q, in net/http at %.40q", rest, after)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// script is a handler that does what its bytes say, and notes what a client should see.
type script struct {
	data   []byte
	body   []byte // accepted by Write
	status int
	length int64 // declared; -1: not
}

func (s *script) next() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.length = -1
	names := []string{"X-A", "x-b", "Connection", "Content-Type", "Transfer-Encoding", "Date", "Trailer", "X A", "X:\r\nB"}
	values := []string{"a", "close", "keep-alive", "chunked", "a\r\nContent-Length: 9", "a\r\n\r\nHTTP/1.1 200 OK\r\n", "\n", "\x00\xff"}
	named := func(status int) {
		if s.status == 0 {
			s.status = status
			if n, err := strconv.ParseUint(w.Header().Get("Content-Length"), 10, 63); err == nil && status != 204 && status != 304 {
				s.length = int64(n)
			}
		}
	}
	for len(s.data) > 0 {
		switch s.next() % 8 {
		case 0:
			w.Header().Set(names[int(s.next())%len(names)], values[int(s.next())%len(values)])
		case 1:
			w.Header().Set("Content-Length", []string{"0", "3", "40000", "x", "-1", "3\r\n"}[s.next()%6])
		case 2:
			w.WriteHeader(103)
		case 3:
			status := []int{200, 204, 304, 404, 299, 999}[s.next()%6]
			w.WriteHeader(status)
			named(status)
		case 4, 5:
			p := bytes.Repeat([]byte{'a' + s.next()%26}, int(s.next())<<(s.next()%10))
			n, _ := w.Write(p)
			named(200)
			s.body = append(s.body, p[:n]...)
		case 6:
			w.(http.Flusher).Flush()
			named(200)
		case 7:
			io.CopyN(io.Discard, r.Body, int64(s.next()))
		}
	}
	named(200)
}

// FuzzResponse: whatever a handler does, a client reads what it wrote, or that it is not whole, and the next answer begins
// where this one ends.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{"", "\x04a\x03\x00", "\x01\x01\x04\x00\x03\x00", "\x06\x04\x00\x03\x06\x04\x01\xff\x09", "\x02\x03\x01", "\x03\x02", "\x07\x02\x06\x07\xff",
		"\x00\x00\x04\x04\x01\x01\x00", "\x00\x02\x01\x04\x01\x01\x00", "\x04\x00\xff\x09"} {
		for kind := range byte(16) {
			f.Add([]byte(s), kind)
		}
	}
	requests := []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	}
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		request := requests[int(kind)%len(requests)]
		did, served := &script{data: data}, 0
		srv := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if served++; served == 1 {
				did.ServeHTTP(w, r)
				return
			}
			io.WriteString(w, "the second")
		}), conns: map[*conn]struct{}{}}
		var out bytes.Buffer
		from := &recorded{input{r: strings.NewReader(request + "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), piece: 1 << 20}, &out}
		c := &conn{s: srv, net: from, socket: from, header: http.Header{}}
		srv.add(c)
		c.serve()

		in := bufio.NewReader(bytes.NewReader(out.Bytes()))
		method, _, _ := strings.Cut(request, " ")
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		for err == nil && r.StatusCode < 200 {
			r, err = http.ReadResponse(in, &http.Request{Method: method})
		}
		if err != nil {
			t.Fatalf("no answer: %v in %.300q", err, &out)
		}
		if r.StatusCode != did.status {
			t.Errorf("status: got %d, want %d", r.StatusCode, did.status)
		}
		for name, values := range r.Header {
			if !slices.Contains([]string{"X-A", "X-B", "Connection", "Content-Type", "Content-Length", "Date"}, name) {
				t.Errorf("header %s: %q was not set", name, values)
			}
		}
		got, err := io.ReadAll(r.Body)
		if method == "HEAD" {
			did.body = nil
		}
		short := method != "HEAD" && did.length > int64(len(did.body))
		if (err != nil) != short || !bytes.Equal(got, did.body) {
			t.Fatalf("body: got %d bytes %.50q, %v, want %d %.50q, short %v", len(got), got, err, len(did.body), did.body, short)
		}
		stays := served == 2
		if stays && (r.Close || short) {
			t.Errorf("another request was served: close %v, short %v", r.Close, short)
		}
		rest, _ := io.ReadAll(in)
		if !stays {
			if len(rest) > 0 {
				t.Errorf("beyond the end: %.100q", rest)
			}
			return
		}
		in = bufio.NewReader(bytes.NewReader(rest))
		if r, err = http.ReadResponse(in, nil); err != nil {
			t.Fatalf("second answer: %v in %.300q", err, rest)
		}
		if got, err = io.ReadAll(r.Body); string(got) != "the second" || err != nil {
			t.Errorf("second answer: got %q, %v", got, err)
		}
	})
}

// recorded is an input whose output is kept.
type recorded struct {
	input
	out *bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error)     { return r.out.Write(p) }
func (r *recorded) Close() error                    { return nil }
func (r *recorded) SetReadDeadline(time.Time) error { return nil }
