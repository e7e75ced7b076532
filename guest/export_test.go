package guest

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/rouse-dev/rouse"
)

// What the fuzz targets reach inside for: the parsers of what a guest sends.

// ReadRequests reads requests with their bodies until the first error.
func ReadRequests(b []byte, limit int64) (bodies []string, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(b), requestBuf)
	for {
		q, err := readRequest(r)
		if errors.Is(err, io.EOF) {
			return bodies, nil
		}
		if err != nil {
			return bodies, err
		}
		var body []byte
		err = q.readBody(r, limit, func(b []byte) { body = append(body, b...) })
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, string(body))
	}
}

// ReadAnswer reads frames as the answer to an invocation.
func ReadAnswer(b []byte, sink rouse.Sink, fold bool) (*rouse.FunctionError, State, error) {
	w := &framed{frames: newFrameReader(bytes.NewReader(b))}
	a := &answer{sink: sink, fold: fold}
	fe, state, err := w.answer(a)
	if err != nil {
		return nil, state, err
	}
	return a.finish(fe), state, nil
}

// ReadLog cuts pieces as they come from a pipe.
func ReadLog(pieces [][]byte, framed bool, log func(Line)) {
	o := newOutput(log)
	s := &stream{framed: framed}
	for _, p := range pieces {
		o.feedLocked(s, p)
	}
	s.ended = true
	o.flushLocked(s)
}

// ParsePrelude reads a streamed answer's metadata.
func ParsePrelude(b []byte) (rouse.Head, bool) { return parsePrelude(b) }

// WebRequest reads a payload 2.0 event; the answer is the request as it would be sent.
func WebRequest(event []byte) ([]byte, error) {
	q, err := webRequest(&Call{Event: event})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = q.Write(&b)
	return b.Bytes(), err
}

// Limits that tests hold.
const (
	PreludeMax = preludeMax
	HeadersMax = headersMax
	LineMaxH   = lineMax
	LogMsgMax  = logMsgMax
	SmallMax   = smallMax
	ConnsMax   = connsMax
)

// CodePaths are the files that c has code of.
func CodePaths(c *Code) (paths []string) {
	for _, f := range c.files {
		paths = append(paths, f.Path)
	}
	return paths
}
