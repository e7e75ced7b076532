package http1_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestNoWatchBetweenRequests: a body that is taken in only after the handler starts no watch that outlives the request, and
// takes a byte of the next.
func TestNoWatchBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, r.Method)
		}))
		cl := srv.dial(t)
		for range 3 {
			cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
			time.Sleep(5 * time.Second) // the answer is not read meanwhile
			if _, got := cl.answer("POST"); got != "POST" {
				t.Fatalf("got %q, want POST", got)
			}
			time.Sleep(time.Second)
		}
		srv.Close()
	})
}
