package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// A frame of application/vnd.amazon.eventstream, all numbers big endian:
//
//	total length   4  headers length  4  CRC of these 8  4
//	headers           name length 1, name, type 7, value length 2, value
//	payload
//	CRC of all before 4

const (
	eventStreamType  = "application/vnd.amazon.eventstream"
	headerTypeString = 7
	chunkMax         = 64 << 10 // bytes of the function's output in one frame
	// integrationType marks a body that begins with a JSON prelude (status, headers, cookies) and eight NULs.
	integrationType = "application/vnd.awslambda.http-integration-response"
)

// appendFrame appends a message of the event called event.
func appendFrame(b []byte, event, contentType string, payload []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, 12)...)
	for _, h := range [][2]string{{":event-type", event}, {":content-type", contentType}, {":message-type", "event"}} {
		b = append(b, byte(len(h[0])))
		b = append(b, h[0]...)
		b = append(b, headerTypeString)
		b = binary.BigEndian.AppendUint16(b, uint16(len(h[1])))
		b = append(b, h[1]...)
	}
	headers := len(b) - start - 12
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start+4))
	binary.BigEndian.PutUint32(b[start+4:], uint32(headers))
	binary.BigEndian.PutUint32(b[start+8:], crc32.ChecksumIEEE(b[start:start+8]))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// InvokeWithResponseStreamInput of InvokeWithResponseStream.
type InvokeWithResponseStreamInput struct {
	Call
	InvocationType string `wire:"X-Amz-Invocation-Type,header" enum:"RequestResponse|DryRun"`
}

// InvokeWithResponseStreamOutput of InvokeWithResponseStream.
type InvokeWithResponseStreamOutput struct {
	StatusCode      int         `wire:",status"`
	ExecutedVersion string      `wire:"X-Amz-Executed-Version,header"`
	RequestID       string      `wire:"X-Amzn-Requestid,header"`
	ContentType     string      `wire:"Content-Type,header"`
	BodyType        string      `wire:"X-Amzn-Remapped-Content-Type,header"`
	EventStream     wire.Stream `wire:",payload"`
}

// completion is the last event of the stream.
type completion struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"`
	LogResult    string `json:",omitempty"`
}

func (d *Door) invokeStream(ctx context.Context, from rouse.Origin, in *InvokeWithResponseStreamInput) (
	*InvokeWithResponseStreamOutput, error) {
	inv, v, err := d.invocation(from, &in.Call, typeSync)
	if err != nil {
		return nil, err
	}
	if in.InvocationType == typeDryRun {
		return &InvokeWithResponseStreamOutput{StatusCode: 204, ExecutedVersion: v.Number}, nil
	}
	inv.Stream = true
	p := &pipe{
		head: make(chan rouse.Head), chunks: make(chan []byte), taken: make(chan struct{}), gone: make(chan struct{}),
		ended: make(chan ending, 1),
	}
	context.AfterFunc(ctx, p.leave)
	go func() { // ends with the invocation, which pump waits for
		res, err := d.cfg.Invoker.Invoke(ctx, inv, p)
		p.ended <- ending{res, err}
	}()
	// The status can still be an error until the function's first word, or its end.
	out := &InvokeWithResponseStreamOutput{
		StatusCode: 200, ExecutedVersion: v.Number, RequestID: inv.ID, ContentType: eventStreamType,
		BodyType: "application/octet-stream",
	}
	var first []byte
	select {
	case h := <-p.head:
		if first, err = prelude(h); err != nil {
			p.leave()
			return nil, err
		}
		if h.ContentType != "" {
			out.BodyType = h.ContentType
		}
		if len(first) > 0 {
			out.BodyType = integrationType
		}
	case first = <-p.chunks:
		first = bytes.Clone(first)
		p.taken <- struct{}{}
	case e := <-p.ended:
		if e.err != nil {
			return nil, invokeError(e.err, v)
		}
		p.ended <- e
	}
	out.EventStream = func(w io.Writer) error { return p.pump(w, first, in.LogType == logTail) }
	return out, nil
}

// prelude is what precedes the body of an HTTP answer; nothing for other heads.
func prelude(h rouse.Head) ([]byte, error) {
	if h.Status == 0 && len(h.Header) == 0 && len(h.Cookies) == 0 {
		return nil, nil
	}
	headers := map[string]string{}
	for k, v := range h.Header {
		headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	if _, ok := headers["content-type"]; !ok && h.ContentType != "" {
		headers["content-type"] = h.ContentType
	}
	b, err := json.Marshal(struct {
		StatusCode int               `json:"statusCode,omitempty"`
		Headers    map[string]string `json:"headers,omitempty"`
		Cookies    []string          `json:"cookies,omitempty"`
	}{h.Status, headers, h.Cookies})
	if err != nil {
		return nil, fmt.Errorf("encode the head of a stream: %w", err)
	}
	return append(b, make([]byte, 8)...), nil
}

// ending is how an invocation ended.
type ending struct {
	result rouse.Result
	err    error
}

// pipe hands the output of an invocation to the connection, chunk by chunk and without a buffer between: a slow client
// slows the function down.
type pipe struct {
	head   chan rouse.Head
	chunks chan []byte
	taken  chan struct{} // the last chunk may be reused
	ended  chan ending   // buffer 1: exactly one
	gone   chan struct{} // closed by leave
	once   sync.Once
}

// leave tells the function's side that nobody reads any more.
func (p *pipe) leave() { p.once.Do(func() { close(p.gone) }) }

var errGone = errors.New("lambda: the client of a stream is gone")

// Head keeps the head for the answer.
func (p *pipe) Head(h rouse.Head) error {
	select {
	case p.head <- h:
		return nil
	case <-p.gone:
		return errGone
	}
}

// Write hands b over and waits until it was sent.
func (p *pipe) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		chunk := b[n:min(len(b), n+chunkMax)]
		select {
		case p.chunks <- chunk:
		case <-p.gone:
			return n, errGone
		}
		select {
		case <-p.taken:
		case <-p.gone:
			return n, errGone
		}
		n += len(chunk)
	}
	return len(b), nil
}

// pump writes frames until the invocation has ended.
func (p *pipe) pump(w io.Writer, first []byte, tail bool) (err error) {
	defer func() {
		if err != nil {
			p.leave()
			<-p.ended // the function goes on, but its output goes nowhere
		}
	}()
	var b []byte
	send := func(event, contentType string, payload []byte) error {
		b = appendFrame(b[:0], event, contentType, payload)
		_, err := w.Write(b)
		return err
	}
	if len(first) > 0 {
		if err := send("PayloadChunk", "application/octet-stream", first); err != nil {
			return err
		}
	}
	for {
		select {
		case chunk := <-p.chunks:
			err := send("PayloadChunk", "application/octet-stream", chunk)
			if err != nil {
				return err
			}
			p.taken <- struct{}{}
		case e := <-p.ended:
			p.ended <- e // for the deferred wait
			last, err := json.Marshal(e.completion(tail))
			if err != nil {
				return fmt.Errorf("encode the end of a stream: %w", err)
			}
			return send("InvokeComplete", "application/json", last)
		}
	}
}

// completion tells the client how it ended. Details of the platform's faults stay here.
func (e ending) completion(tail bool) completion {
	var c completion
	switch {
	case e.err != nil && rouse.KindOf(e.err) == rouse.Internal:
		c.ErrorCode, c.ErrorDetails = "ServiceException", "The invocation ended by a fault of the platform."
	case e.err != nil:
		c.ErrorCode, c.ErrorDetails = "ServiceException", e.err.Error()
	case e.result.Error != nil:
		c.ErrorCode, c.ErrorDetails = "Unhandled", string(e.result.Error.Payload)
	}
	if tail && e.err == nil {
		c.LogResult = base64.StdEncoding.EncodeToString(lastBytes(e.result.Tail))
	}
	return c
}
