package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rouse-dev/rouse"
)

// Fault returns err as a client of the service sees it: with the code of the service's table and, for Kind Internal, a
// generic text. The original is its cause. Never nil.
func (t *Table) Fault(err error, id string) *rouse.Error {
	var e *rouse.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.DeadlineExceeded):
		e = rouse.Errorf(rouse.Timeout, "The request took too long")
	default:
		e = &rouse.Error{Kind: rouse.Internal}
	}
	f := *e
	f.Err = err
	if int(f.Kind) >= rouse.KindCount {
		f.Kind = rouse.Internal
	}
	if f.Kind == rouse.Internal {
		f.Code, f.Message = "", "Rouse failed to process the request; its log says more about request "+id
	}
	switch f.Code {
	case "":
		f.Code = t.Service.Errors[f.Kind].Code
	case codeMalformed:
		f.Code = t.Service.Malformed
	}
	return &f
}

// Status is the HTTP status of an error that Fault returned.
func (t *Table) Status(f *rouse.Error) int {
	if s := t.Service.Statuses[f.Code]; s != 0 {
		return s
	}
	if s := t.Service.Errors[f.Kind].Status; s != 0 {
		return s
	}
	return http.StatusInternalServerError
}

// EncodeError writes an error that Fault returned in the service's protocol.
func (t *Table) EncodeError(w http.ResponseWriter, f *rouse.Error, id string) {
	w.Header().Set("X-Amzn-Requestid", t.formID(id))
	status := t.Status(f)
	if t.Service.Protocol == Query {
		_ = send(w, status, "text/xml", t.errorXML(f, status, id)) // the client is gone, which its own log will say
		return
	}
	members := map[string]any{"message": f.Message}
	if t.Service.Protocol == RESTJSON {
		w.Header().Set("X-Amzn-Errortype", f.Code)
	} else {
		members["__type"] = f.Code
	}
	if t.Service.ErrorMembers != nil {
		for k, v := range t.Service.ErrorMembers(f.Code, f) {
			if members[k] = v; v == nil {
				delete(members, k)
			}
		}
	}
	body, err := json.Marshal(members)
	if err != nil {
		body = []byte("{}")
	}
	t.sum(w, body)
	_ = send(w, status, t.contentType(), body)
}

func (t *Table) errorXML(f *rouse.Error, status int, id string) []byte {
	fault := "Sender"
	if status >= 500 {
		fault = "Receiver"
	}
	e := xmlEncoder{}
	e.b = append(e.b, "<ErrorResponse xmlns=\""...)
	e.text(t.Service.Namespace)
	e.b = append(e.b, "\">"...)
	e.open("Error")
	e.element("Type", fault)
	e.element("Code", f.Code)
	e.element("Message", f.Message)
	e.close("Error")
	e.element("RequestId", id)
	e.close("ErrorResponse")
	return e.b
}
