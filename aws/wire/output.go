package wire

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
)

var noneType = reflect.TypeFor[None]()

// Encode writes out, a pointer to the operation's Out, as the answer to a request. sent tells, beside an error, that the
// head has gone out already and no error can be sent any more.
func (e *Entry) Encode(w http.ResponseWriter, out any, id string) (sent bool, err error) {
	p, err := e.plans()
	if err != nil {
		return false, err
	}
	v := reflect.ValueOf(out).Elem()
	w.Header().Set("X-Amzn-Requestid", e.table.formID(id))
	switch e.table.Service.Protocol {
	case Query:
		doc := e.table.answerXML(e.Name, v, p.out, id)
		return true, send(w, 200, "text/xml", doc)
	case RESTJSON:
		return e.encodeREST(w, v, p.out)
	}
	var enc jsonEncoder
	if p.out != nil {
		enc.b = make([]byte, 0, 512)
		enc.object(v, p.out)
	}
	if enc.err != nil {
		return false, enc.err
	}
	e.table.sum(w, enc.b)
	return true, send(w, 200, e.table.contentType(), enc.b)
}

func (t *Table) contentType() string {
	switch t.Service.Protocol {
	case JSON10:
		return "application/x-amz-json-1.0"
	case JSON11:
		return "application/x-amz-json-1.1"
	case Query:
		return "text/xml"
	}
	return "application/json"
}

// formID is the id of a request as clients are shown it.
func (t *Table) formID(id string) string {
	if t.Service.FormID != nil {
		return t.Service.FormID(id)
	}
	return id
}

// sum adds the checksum of the body, where the service has one.
func (t *Table) sum(w http.ResponseWriter, body []byte) {
	if t.Service.CRC32 {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
}

// send writes a whole body.
func send(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	if h.Get("Content-Type") == "" && status != http.StatusNoContent {
		h.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if len(body) == 0 {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// answerXML wraps the output as query services do.
func (t *Table) answerXML(op string, v reflect.Value, pl *plan, id string) []byte {
	e := xmlEncoder{b: make([]byte, 0, 1024)}
	e.b = append(e.b, "<"+op+"Response xmlns=\""...)
	e.text(t.Service.Namespace)
	e.b = append(e.b, "\">"...)
	if pl != nil {
		e.open(op + "Result")
		e.object(v, pl)
		e.close(op + "Result")
	}
	e.open("ResponseMetadata")
	e.element("RequestId", id)
	e.close("ResponseMetadata")
	e.close(op + "Response")
	return e.b
}

func (e *Entry) encodeREST(w http.ResponseWriter, v reflect.Value, pl *plan) (sent bool, err error) {
	status := e.status
	if pl == nil {
		return true, send(w, status, "application/json", nil)
	}
	for _, f := range pl.fields {
		fv := f.of(v)
		switch f.in {
		case inStatus:
			if n := int(reflect.Indirect(fv).Int()); n != 0 {
				status = n
			}
		case inHeader:
			writeHeader(w.Header(), fv, f)
		case inPrefix:
			for _, k := range sortedKeys(fv) {
				w.Header().Set(f.wire+k.String(), headerText(fv.MapIndex(k).String()))
			}
		}
	}
	if status < 200 || status > 599 {
		return false, fmt.Errorf("wire: %s answers with status %d", e.Name, status)
	}
	if pl.payload != nil && pl.payload.shape.kind != kindStruct {
		return sendPayload(w, status, pl.payload.of(v), pl.payload.shape)
	}
	enc := jsonEncoder{b: make([]byte, 0, 512)}
	switch {
	case pl.payload != nil:
		if fv := pl.payload.of(v); fv.Kind() != reflect.Pointer || !fv.IsNil() {
			enc.value(fv, pl.payload.shape, formatDefault)
		}
	case pl.onBody || status != http.StatusNoContent:
		enc.object(v, pl)
	}
	if enc.err != nil {
		return false, enc.err
	}
	if status == http.StatusNoContent {
		enc.b = nil
	}
	return true, send(w, status, "application/json", enc.b)
}

func writeHeader(h http.Header, v reflect.Value, f *field) {
	if absent(v, f) || f.unsupported != "" {
		return
	}
	v = reflect.Indirect(v)
	if f.shape.kind == kindList {
		var texts []string
		for i := range v.Len() {
			texts = append(texts, textOf(reflect.Indirect(v.Index(i)), f.shape.elem, headerFormat(f)))
		}
		h.Set(f.wire, headerText(strings.Join(texts, ",")))
		return
	}
	h.Set(f.wire, headerText(textOf(v, f.shape, headerFormat(f))))
}

func headerFormat(f *field) timeFormat {
	if f.format == formatDefault {
		return formatHTTP
	}
	return f.format
}

// headerText keeps a value within its line.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// sendPayload writes a body that is not JSON of ours.
func sendPayload(w http.ResponseWriter, status int, v reflect.Value, s *shape) (sent bool, err error) {
	const binary = "application/octet-stream"
	v = reflect.Indirect(v)
	switch {
	case !v.IsValid():
		return true, send(w, status, binary, nil)
	case s.kind == kindBlob, s.kind == kindRaw:
		return true, send(w, status, binary, v.Bytes())
	case s.kind == kindString:
		return true, send(w, status, "text/plain; charset=utf-8", []byte(v.String()))
	case s.kind == kindAny || v.IsNil():
		return true, send(w, status, binary, nil)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", binary)
	}
	w.WriteHeader(status)
	if s.kind == kindStream {
		return true, v.Interface().(Stream)(&flushWriter{w: w, flusher: http.NewResponseController(w)})
	}
	r := v.Interface().(io.Reader)
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	_, err = io.Copy(&flushWriter{w: w, flusher: http.NewResponseController(w)}, r)
	return true, err
}

// flushWriter sends every piece at once: somebody waits for it.
type flushWriter struct {
	w       io.Writer
	flusher *http.ResponseController
}

func (f *flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.flusher.Flush()
	}
	return n, err
}

// EncodeJSON writes out as Caller answers it: the API's JSON shape, and the payload beside it or nil. The caller closes
// the payload.
func (e *Entry) EncodeJSON(out any) ([]byte, io.ReadCloser, error) {
	p, err := e.plans()
	if err != nil {
		return nil, nil, err
	}
	if p.out == nil {
		return []byte("{}"), nil, nil
	}
	v := reflect.ValueOf(out).Elem()
	enc := jsonEncoder{b: make([]byte, 0, 512), names: true}
	if enc.object(v, p.out); enc.err != nil {
		return nil, nil, enc.err
	}
	if f := p.out.payload; f != nil && f.shape.kind != kindStruct {
		return enc.b, payloadReader(reflect.Indirect(f.of(v)), f.shape), nil
	}
	return enc.b, nil, nil
}

// payloadReader hands a payload out; a Stream runs while it is read and is told when the reader leaves.
func payloadReader(v reflect.Value, s *shape) io.ReadCloser {
	switch {
	case !v.IsValid(), s.kind != kindString && v.IsNil():
		return nil
	case s.kind == kindString:
		return io.NopCloser(strings.NewReader(v.String()))
	case s.kind == kindBlob, s.kind == kindRaw:
		return io.NopCloser(bytes.NewReader(v.Bytes()))
	case s.kind == kindStream:
		r, w := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.CloseWithError(runStream(v.Interface().(Stream), w))
		}()
		return &pipeReader{PipeReader: r, done: done}
	}
	if rc, ok := v.Interface().(io.ReadCloser); ok {
		return rc
	}
	return io.NopCloser(v.Interface().(io.Reader))
}

// runStream turns a panic into the reader's error, as a door does with its request's.
func runStream(s Stream, w io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("wire: stream panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return s(w)
}

// pipeReader waits at Close for the Stream to end.
type pipeReader struct {
	*io.PipeReader
	done chan struct{}
}

func (p *pipeReader) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}
