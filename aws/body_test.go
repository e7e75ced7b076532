package aws_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws"
)

// begin sends the head of a signed request and a part of its body.
func (h *house) begin(body string, part int) net.Conn {
	h.t.Helper()
	r := h.rest("PUT", "/streams/s", body)
	c, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	head := fmt.Sprintf("PUT /streams/s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.URL.Host, len(body))
	for name := range r.Header {
		head += name + ": " + r.Header.Get(name) + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"+body[:part]); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// TestMemoryOfStrangers: bodies whose signatures can be checked only at their end share a limit; one that goes makes room.
func TestMemoryOfStrangers(t *testing.T) {
	h := openWith(t, aws.Config{StrangersMax: 1 << 20})
	body := strings.Repeat("x", 700<<10)
	h.want(h.rest("PUT", "/streams/s", body), 200, "xxx")
	begun := h.begin(body, 600<<10)
	until(t, "the second body is refused", func() bool {
		if answered(begun) { // it came before the room of the request above was given back, and was refused itself
			begun = h.begin(body, 600<<10)
		}
		return h.do(h.rest("PUT", "/streams/s", body)).status == http.StatusTooManyRequests
	})
	h.want(h.rest("PUT", "/streams/s", body), 429, "Too many large requests at once")
	h.want(h.rest("PUT", "/streams/s", "small"), 200, "small")
	_ = begun.Close()
	until(t, "a body has room again", func() bool { return h.do(h.rest("PUT", "/streams/s", body)).status == 200 })
	wrong := h.rest("PUT", "/streams/s", body)
	wrong.Header.Set("Authorization", strings.Replace(wrong.Header.Get("Authorization"), "Signature=", "Signature=0", 1))
	for range 3 {
		if got := h.do(wrong.Clone(t.Context())); got.status != 403 {
			t.Fatalf("a large body with a wrong signature: got %d %s, want 403", got.status, got.body)
		}
		wrong.Body = io.NopCloser(strings.NewReader(body))
	}
	h.want(h.rest("PUT", "/streams/s", body), 200, "xxx")
}

// answered reports whether the server has said something on c.
func answered(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}

// until asks again and again until the answer is yes.
func until(t *testing.T, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !ask(); {
		select {
		case <-late:
			t.Fatalf("%s: not within 20 s", what)
		case <-tick.C:
		}
	}
}

// TestBodiesThatDoNotCome: who begins a body and does not go on is not waited for.
func TestBodiesThatDoNotCome(t *testing.T) {
	h := openWith(t, aws.Config{BodyPatience: 50 * time.Millisecond})
	res, err := http.ReadResponse(bufio.NewReader(h.begin("whole", 2)), nil)
	if err != nil {
		t.Fatalf("half a body: got %v, want an answer", err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(b), "IncompleteBody") && res.Header.Get("X-Amzn-Errortype") != "IncompleteBody" {
		t.Errorf("half a body: got %d %s, want 400 IncompleteBody", res.StatusCode, b)
	}
	h.want(h.rest("PUT", "/streams/s", "whole"), 200, "whole")
}

// ahead notes how much room was made for the first piece of a body.
type ahead struct{ room int }

func (a *ahead) Read(p []byte) (int, error) {
	a.room = max(a.room, len(p))
	return 0, io.ErrUnexpectedEOF
}
func (a *ahead) Close() error { return nil }

// TestNoRoomOnAWord: what a head says of its body's length sets nothing aside.
func TestNoRoomOnAWord(t *testing.T) {
	h := open(t)
	r := h.rest("PUT", "/streams/s", strings.Repeat("x", 1<<20))
	body := &ahead{}
	r.Body = body
	r.RemoteAddr = "127.0.0.1:1"
	serve(h.door, r)
	if body.room == 0 || body.room > 64<<10 {
		t.Errorf("room for %d bytes of a body that has not come, want at most 64 KiB", body.room)
	}
}
