package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/node/http1"
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

// TestClientLeavesLate: the deadline of a body that has come does not end the watch.
func TestClientLeavesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			io.ReadAll(r.Body)
			c.SetReadDeadline(time.Time{})
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
			ended <- r.Context().Err()
		}))
		cl := srv.dial(t)
		cl.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
		time.Sleep(time.Second)
		cl.send("a")
		time.Sleep(10 * time.Second)
		cl.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context of one who left: got %v, want %v", err, context.Canceled)
		}
		srv.Close()
	})
}

// TestCloseCancels: a request that has just begun ends with the server as one does that is watched already.
func TestCloseCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 2)
		srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			select {
			case <-r.Context().Done():
			case <-time.After(time.Hour):
			}
			ended <- time.Since(began)
		}))
		srv.dial(t).send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(time.Second) // this one is watched
		srv.dial(t).send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		synctest.Wait()
		srv.Close()
		for range 2 {
			if took := <-ended; took > 2*time.Second {
				t.Errorf("context: ended after %v, want it with the server", took)
			}
		}
	})
}

// TestAnswerBeforeBody: who answers first and reads then is told what became of the body, and the client gets nothing but
// the answer.
func TestAnswerBeforeBody(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
	for name, c := range map[string]struct {
		send string
		want string
		err  error
	}{
		"taken in":           {post + "\r\nabc", "", http.ErrBodyReadAfterClose},
		"taken in, by parts": {strings.Replace(post, "Content-Length: 3", "Transfer-Encoding: chunked", 1) + "\r\n3\r\nabc\r\n0\r\n\r\n", "", http.ErrBodyReadAfterClose},
		"waiting":            {post + "Expect: 100-continue\r\n\r\nabc", "abc", nil},
	} {
		t.Run(name, func(t *testing.T) {
			type result struct {
				body string
				err  error
			}
			read := make(chan result, 1)
			srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "an")
				http.NewResponseController(w).Flush()
				b, err := io.ReadAll(r.Body)
				read <- result{string(b), err}
				io.WriteString(w, "swer")
			}))
			cl := srv.dial(t)
			go io.WriteString(cl, c.send)
			if _, got := cl.answer("POST"); got != "answer" {
				t.Errorf("got %q, want the answer", got)
			}
			if got := <-read; got.body != c.want || !errors.Is(got.err, c.err) {
				t.Errorf("body: got %q, %v, want %q, %v", got.body, got.err, c.want, c.err)
			}
		})
	}
}

// TestMemoryOfAnswers: an answer with many headers costs its connection nothing afterwards.
func TestMemoryOfAnswers(t *testing.T) {
	srv := serve(t, &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/many" {
			for i := range 100_000 {
				w.Header()[fmt.Sprintf("X-%d", i)] = nil
			}
		}
	})})
	cl := srv.dial(t)
	heap := func(path string) uint64 {
		cl.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		cl.answer("GET")
		cl.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		cl.answer("GET")
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap("/")
	if after := heap("/many"); after > before+1<<20 {
		t.Errorf("an idle connection holds %d bytes after an answer with many headers", after-before)
	}
}

// TestMemoryOfHeads: a head costs its connection little more than its headers do, whatever stands in its lines.
func TestMemoryOfHeads(t *testing.T) {
	var before, after runtime.MemStats
	srv := serve(t, handler(func(w http.ResponseWriter, r *http.Request) {
		runtime.GC()
		runtime.ReadMemStats(&after)
		io.WriteString(w, r.Header.Get("A")) // until here the request is held
	}))
	cl := srv.dial(t)
	runtime.GC()
	runtime.ReadMemStats(&before)
	cl.send("GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A:\r\n", 16_000) + "\r\n")
	cl.answer("GET")
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 1<<20 {
		t.Errorf("a request of 64 KB in lines of one header holds %d bytes", held)
	}
}
