package http1

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
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
