package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSocket: over TCP, where reads and writes are system calls of their own.
func TestSocket(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than sockets hold
	waits, ended := make(chan struct{}, 1), make(chan error, 1)
	srv := &http.ServeMux{}
	srv.HandleFunc("/echo", tell)
	srv.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "whole" {
			w.Write(big)
			return
		}
		for p := range slices.Chunk(big, 30<<10) { // which the answer's buffer holds
			w.Write(p)
		}
	})
	srv.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) {
		waits <- struct{}{}
		for {
			if _, err := w.Write(big[:30<<10]); err != nil {
				ended <- err
				return
			}
		}
	})
	srv.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		waits <- struct{}{}
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	srv.HandleFunc("/deadline", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := io.ReadAll(r.Body)
		ended <- err
	})
	s := handler(srv.ServeHTTP)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(ln)
	defer s.Close()
	dial := func() *client {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return &client{t, c, bufio.NewReader(c)}
	}
	c := dial()
	for range 2 {
		c.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nabcd")
		c.send("efgh")
		if _, got := c.answer("POST"); !strings.Contains(got, `"abcdefgh"`) {
			t.Fatalf("got %s", got)
		}
		for _, how := range []string{"whole", "parts"} {
			c.send("GET /big?" + how + " HTTP/1.1\r\nHost: h\r\n\r\n")
			if _, got := c.answer("GET"); got != string(big) {
				t.Fatalf("%s: got %d bytes that are not what was sent", how, len(got))
			}
		}
	}
	dial().send("POST /deadline HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nabcd")
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read beyond its deadline: got %v", err)
	}
	c = dial()
	c.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-waits
	c.Conn.(*net.TCPConn).CloseWrite()
	<-ended
	c = dial()
	c.send("GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n")
	<-waits
	c.Close()
	if err := <-ended; err == nil {
		t.Error("writes to one who left: no error")
	}
	dial().send("GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n")
	<-waits
	s.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("writes when the server is closed: got %v, want %v", err, net.ErrClosed)
	}
}
