package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The Runtime API's side of HTTP/1.1, by hand: it serves one guest, a handful of paths and one request at a time, and
// net/http would cost three times the CPU of it.

const (
	lineMax    = 16 << 10 // bytes of a request line or of a header that is looked at
	headersMax = 2 << 20  // bytes of all headers: clients put a cause of up to 1 MiB for X-Ray into one, which is read past
	requestBuf = 32 << 10
)

// errHTTP is a request that breaks HTTP; the connection is closed after a 400.
var errHTTP = errors.New("guest: broken HTTP request")

// request is what the Runtime API needs of a request's head.
type request struct {
	method, path  string
	contentType   string
	errorType     string // Lambda-Runtime-Function-Error-Type
	errorBody     string // Lambda-Runtime-Function-Error-Body, a trailer
	authorization string
	streaming     bool // Lambda-Runtime-Function-Response-Mode
	proceed       bool // the client waits for "100 Continue" before it sends the body
	close         bool
	chunked       bool
	length        int64 // of the body; 0 when chunked
}

// readLine reads a line without its end. A line longer than the buffer comes cut, with cut set, and is read to its end.
func readLine(r *bufio.Reader, budget *int) (line []byte, cut bool, err error) {
	line, err = r.ReadSlice('\n')
	*budget -= len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		line, cut = bytes.Clone(line[:min(len(line), lineMax)]), true
		for errors.Is(err, bufio.ErrBufferFull) && *budget > 0 {
			var rest []byte
			rest, err = r.ReadSlice('\n')
			*budget -= len(rest)
		}
	}
	if *budget <= 0 {
		return nil, false, fmt.Errorf("%w: headers too long", errHTTP)
	}
	if err != nil {
		return nil, false, err
	}
	if len(line) > lineMax {
		line, cut = line[:lineMax], true
	}
	return bytes.TrimRight(line, "\r\n"), cut, nil
}

// readRequest reads a request's head. io.EOF means that the client is gone between requests.
func readRequest(r *bufio.Reader) (*request, error) {
	budget := headersMax
	line, cut, err := readLine(r, &budget)
	if err != nil {
		return nil, err
	}
	first := strings.Split(string(line), " ")
	if cut || len(first) != 3 || first[0] == "" || !strings.HasPrefix(first[1], "/") ||
		!strings.HasPrefix(first[2], "HTTP/1.") {
		return nil, fmt.Errorf("%w: request line", errHTTP)
	}
	q := &request{method: first[0], close: first[2] == "HTTP/1.0"}
	q.path, _, _ = strings.Cut(first[1], "?")
	sized := false
	err = readHeaders(r, &budget, func(name, value string) error {
		switch name {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || sized && int64(n) != q.length {
				return fmt.Errorf("%w: content length", errHTTP)
			}
			q.length, sized = int64(n), true
		case "transfer-encoding":
			if !strings.EqualFold(value, "chunked") {
				return fmt.Errorf("%w: transfer encoding", errHTTP)
			}
			q.chunked = true
		case "connection":
			q.close = q.close || strings.EqualFold(value, "close")
		case "expect":
			q.proceed = strings.EqualFold(value, "100-continue")
		case "content-type":
			q.contentType = value
		case "authorization":
			q.authorization = value
		case "lambda-runtime-function-response-mode":
			q.streaming = strings.EqualFold(value, "streaming")
		case "lambda-runtime-function-error-type":
			q.errorType = value
		}
		return nil
	})
	if err == nil && q.chunked && sized {
		err = fmt.Errorf("%w: both a length and chunks", errHTTP)
	}
	return q, err
}

// readHeaders calls visit for each header that is whole, its name in lower case, until the empty line.
func readHeaders(r *bufio.Reader, budget *int, visit func(name, value string) error) error {
	for {
		line, cut, err := readLine(r, budget)
		if err != nil {
			return noEOF(err)
		}
		if len(line) == 0 {
			return nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return fmt.Errorf("%w: header", errHTTP)
		}
		if cut {
			continue // nothing that matters is that long
		}
		if err := visit(strings.ToLower(string(name)), string(bytes.TrimSpace(value))); err != nil {
			return err
		}
	}
}

// readBody hands the body to write in pieces that live until it returns, and keeps the trailers that matter in q. A body
// of more than limit bytes is broken.
func (q *request) readBody(r *bufio.Reader, limit int64, write func([]byte)) error {
	if !q.chunked {
		if q.length > limit {
			return fmt.Errorf("%w: body too long", errHTTP)
		}
		return pass(r, q.length, requestBuf, write)
	}
	budget := headersMax
	for total := int64(0); ; {
		line, cut, err := readLine(r, &budget)
		if err != nil {
			return noEOF(err)
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 40)
		if err != nil || cut {
			return fmt.Errorf("%w: chunk size", errHTTP)
		}
		if n == 0 {
			break
		}
		if total += int64(n); total > limit {
			return fmt.Errorf("%w: body too long", errHTTP)
		}
		if err := pass(r, int64(n), requestBuf, write); err != nil {
			return err
		}
		var end [2]byte
		if _, err := io.ReadFull(r, end[:]); err != nil || end != [2]byte{'\r', '\n'} {
			return fmt.Errorf("%w: chunk end", errHTTP)
		}
		budget = headersMax
	}
	return readHeaders(r, &budget, func(name, value string) error {
		switch name {
		case "lambda-runtime-function-error-type":
			q.errorType = value
		case "lambda-runtime-function-error-body":
			q.errorBody = value
		}
		return nil
	})
}

// writeAnswer writes a JSON answer with a status.
func writeAnswer(w *bufio.Writer, status, body string, end bool) {
	w.WriteString("HTTP/1.1 ")
	w.WriteString(status)
	w.WriteString("\r\nContent-Type: application/json\r\nContent-Length: ")
	w.WriteString(strconv.Itoa(len(body)))
	if end {
		w.WriteString("\r\nConnection: close")
	}
	w.WriteString("\r\n\r\n")
	w.WriteString(body)
}
