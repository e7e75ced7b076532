package gateway_test

import (
	"bytes"
	"io"
	"net/http"
)

// recorder collects a backend's answer.
type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (w *recorder) response() *http.Response {
	return &http.Response{StatusCode: 200, Header: w.header, Body: io.NopCloser(&w.body)}
}
