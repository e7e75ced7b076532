package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// badRequest is what a client is told that sends no proper request.
type badRequest struct {
	status int
	why    string
}

func (e *badRequest) Error() string { return e.why }

func bad(why string) error { return &badRequest{http.StatusBadRequest, why} }

var (
	headEnd = []byte("\r\n\r\n")
	bareEnd = []byte("\n\n") // for which a proper end would be waited for in vain
)

// head reads up to the end of a head, and returns it without its last line.
func (c *conn) head() (string, error) {
	limit := c.s.HeadMax
	if limit <= 0 {
		limit = headMax
	}
	for looked := c.from; ; {
		if i := bytes.Index(c.buf[looked:c.to], headEnd); i >= 0 && looked+i+2-c.from <= limit {
			text := string(c.buf[c.from : looked+i+2])
			c.from = looked + i + len(headEnd)
			return text, nil
		}
		if bytes.Contains(c.buf[looked:c.to], bareEnd) {
			return "", bad("lines that end without a carriage return")
		}
		if c.to-c.from > limit {
			return "", &badRequest{http.StatusRequestHeaderFieldsTooLarge, "the head is longer than " + strconv.Itoa(limit) + " bytes"}
		}
		if c.to == len(c.buf) {
			b := c.buf
			if c.from == 0 || c.to-c.from > len(b)/2 {
				b = make([]byte, 2*len(b))
			}
			c.to = copy(b, c.buf[c.from:c.to])
			c.buf, c.from = b, 0
		}
		looked = max(c.from, c.to-len(headEnd)+1)
		if err := c.fill(); err != nil {
			return "", err
		}
	}
}

// request reads a request's head into req. body is nil for a request without one.
func (c *conn) request() (*body, error) {
	text, err := c.head()
	if err != nil {
		return nil, err
	}
	r := &c.req
	r.RemoteAddr, r.Body = c.remote, http.NoBody
	f, err := parse(r, text)
	if err != nil || r.ContentLength == 0 {
		return nil, err
	}
	b := &body{c: c, left: r.ContentLength, waits: f.waits}
	if r.ContentLength < 0 {
		b.chunked, b.left = true, 0
	}
	r.Body = b
	return b, nil
}

// framing is what a head says of its message that http.Request has no place for.
type framing struct {
	hosts, lengths int
	coding         string // Transfer-Encoding
	codings        int
	waits          bool // for 100 Continue
	keeps          bool // an HTTP/1.0 client that wants its connection kept
}

// parse reads a head: its lines, each with its CRLF.
func parse(r *http.Request, text string) (f framing, err error) {
	line, rest := cut(text)
	if err := parseLine(r, line); err != nil {
		return f, err
	}
	usual := min(strings.Count(rest, "\n"), headersUsual)
	values := make([]string, 0, usual) // of one each, but for a head of very many lines
	r.Header = make(http.Header, usual)
	for rest != "" {
		line, rest = cut(rest)
		name, value, ok := field(line)
		if !ok {
			return f, bad("a header line without a proper name, or with a control character")
		}
		keep, err := f.meet(r, name, value)
		if err != nil {
			return f, err
		}
		if !keep {
			continue
		}
		if had := r.Header[name]; had != nil {
			r.Header[name] = append(had, value)
			continue
		}
		if len(values) == cap(values) {
			r.Header[name] = []string{value}
			continue
		}
		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return f, f.settle(r)
}

// cut cuts off the first line. A CR or LF that does not end it properly stays in it, where nothing takes it.
func cut(text string) (line, rest string) {
	i := strings.IndexByte(text, '\n')
	if i > 0 && text[i-1] == '\r' {
		return text[:i-1], text[i+1:]
	}
	return text, ""
}

// field reads a header line. Names are canonical: most are as they come.
func field(line string) (name, value string, ok bool) {
	i, canonical, upper := 0, true, true
	for ; i < len(line) && class[line[i]]&inToken != 0; i++ {
		c := line[i]
		canonical = canonical && !(upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z')
		upper = c == '-'
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return "", "", false
	}
	if name, value = line[:i], trim(line[i+1:]); !canonical {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	return name, value, isText(value)
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseLine reads the request line.
func parseLine(r *http.Request, line string) error {
	method, rest, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !isToken(method) || target == "" || !isText(target) || strings.Contains(target, "\t"):
		return bad("no proper request line")
	case proto == "HTTP/1.1":
		r.ProtoMinor = 1
	case proto == "HTTP/1.0":
	case len(proto) == len("HTTP/1.1") && strings.HasPrefix(proto, "HTTP/"):
		return &badRequest{http.StatusHTTPVersionNotSupported, "HTTP/1.1 is spoken here"}
	default:
		return bad("no proper request line")
	}
	r.Method, r.RequestURI, r.Proto, r.ProtoMajor = method, target, proto, 1
	switch {
	case method == http.MethodConnect:
		return &badRequest{http.StatusNotImplemented, "this is no proxy"}
	case target == "*" && method != http.MethodOptions:
		return bad("no proper request target")
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return bad("no proper request target")
	}
	r.URL, r.Host = u, u.Host
	return nil
}

// meet takes what a header line says of the message. keep: it is for the handler too.
func (f *framing) meet(r *http.Request, name, value string) (keep bool, err error) {
	switch name {
	case "Host":
		f.hosts++
		if f.hosts > 1 || !isHost(value) {
			return false, bad("no proper Host")
		}
		if r.URL.Host == "" {
			r.Host = value
		}
		return false, nil
	case "Content-Length":
		f.lengths++
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || f.lengths > 1 {
			return false, bad("no proper Content-Length")
		}
		r.ContentLength = int64(n)
	case "Transfer-Encoding":
		f.codings++
		f.coding = value
		return false, nil
	case "Connection":
		for token := range strings.SplitSeq(value, ",") {
			token = trim(token)
			r.Close = r.Close || strings.EqualFold(token, "close")
			f.keeps = f.keeps || strings.EqualFold(token, "keep-alive")
		}
	case "Expect":
		if !strings.EqualFold(value, "100-continue") {
			return false, &badRequest{http.StatusExpectationFailed, "an expectation that is not known"}
		}
		f.waits = r.ProtoMinor == 1
	}
	return true, nil
}

// settle holds against one another what the lines have said.
func (f *framing) settle(r *http.Request) error {
	if f.hosts == 0 && r.ProtoMinor == 1 {
		return bad("no Host")
	}
	r.Close = r.Close || r.ProtoMinor == 0 && !f.keeps
	switch {
	case f.codings == 0:
	case r.ProtoMinor == 0 || f.lengths > 0 || f.codings > 1:
		return bad("a Transfer-Encoding beside a Content-Length, of HTTP/1.0, or two of them")
	case !strings.EqualFold(f.coding, "chunked"):
		return &badRequest{http.StatusNotImplemented, "a Transfer-Encoding that is not known"}
	default:
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	}
	return nil
}

// class says what a byte may be part of.
var class = func() (t [256]byte) {
	for b := range 256 {
		c := byte(b)
		switch {
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			t[b] = inToken | inText | inHost
		case c >= 0x20 && c != 0x7f || c == '\t':
			t[b] = inText
			if strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
				t[b] |= inToken
			}
			if strings.IndexByte("!$%&'()*+,-.:;=[]_~", c) >= 0 {
				t[b] |= inHost
			}
		}
	}
	return t
}()

const (
	inToken = 1 << iota // names of headers, methods (RFC 9110 §5.6.2)
	inText              // values of headers: no control character but a tab
	inHost              // RFC 3986 §3.2.2, with a port
)

func consists(s string, of byte) bool {
	for i := range len(s) {
		if class[s[i]]&of == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return s != "" && consists(s, inToken) }
func isText(s string) bool  { return consists(s, inText) }
func isHost(s string) bool  { return consists(s, inHost) }
