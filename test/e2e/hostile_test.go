package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHostile drives one node with functions that lie to it, do not listen or take what they can; see docs/SECURITY.md. A
// bystander must notice nothing.
func TestHostile(t *testing.T) {
	needRoot(t)
	t.Parallel()
	testHostile(t, newRouse(t), "ns")
}

// TestHostileRootless is the same with a node that nobody runs.
func TestHostileRootless(t *testing.T) {
	t.Parallel()
	r := newRouse(t)
	if os.Geteuid() == 0 {
		asNobody(t, r)
	}
	testHostile(t, r, "ns rootless")
}

// asNobody has r run as a user without any right.
func asNobody(t *testing.T, r *rouse) {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs setpriv, of util-linux")
		}
		t.Skip("needs setpriv, of util-linux")
	}
	for dir := filepath.Dir(binary); dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o001 == 0 && strings.HasPrefix(dir, os.TempDir()+"/") { // made by the tests
			if err := os.Chmod(dir, st.Mode().Perm()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	for dir := r.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) { // so are these
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(r.dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	r.prefix = []string{setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"}
	r.args = append(r.args, "--allow-weak-isolation=on")
}

// testHostile wants the isolation to be in force that is named.
func testHostile(t *testing.T, r *rouse, want string) {
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	var status struct{ Isolation struct{ Driver string } }
	a := r.send(t, "rouse", "GET", "/_rouse/api/status", "")
	if err := json.Unmarshal([]byte(a.Body), &status); err != nil {
		t.Fatalf("status: got %s, %v", a, err)
	}
	if got := status.Isolation.Driver; got != want {
		if os.Geteuid() == 0 || os.Getenv("CI") == "true" {
			t.Fatalf("isolation: got %s, want %s", got, want)
		}
		t.Skipf("isolation: got %s, want %s", got, want)
	}
	role := r.role(t, "hostile")
	make1 := func(t *testing.T, name string, timeout int) {
		r.make(t, fn{Name: name, File: "hostile.js", Role: role, Timeout: timeout, Memory: 256})
	}
	make1(t, "bystander", 10)
	r.stays(t, "bystander", 0)
	t.Run("together", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"frames":      func(t *testing.T) { make1(t, "frames", 10); testFrames(t, r) },
			"deaf":        func(t *testing.T) { make1(t, "deaf", 2); testDeaf(t, r) },
			"random":      func(t *testing.T) { make1(t, "random", 10); testRandom(t, r) },
			"clock":       func(t *testing.T) { make1(t, "clock", 10); testClock(t, r) },
			"files":       func(t *testing.T) { make1(t, "files", 10); testFiles(t, r) },
			"flood":       func(t *testing.T) { make1(t, "flood", 30); testFlood(t, r) },
			"impersonate": func(t *testing.T) { make1(t, "impersonate", 10); testImpersonate(t, r) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	r.stays(t, "bystander", 1)
}

// frame is what a bootstrap sends: a length, a kind, the bytes. claims may differ from what is there.
func frame(kind byte, claims int, payload string) string {
	b := []byte{byte(claims), byte(claims >> 8), byte(claims >> 16), byte(claims >> 24)}
	return string(append(append(b, kind), payload...))
}

// testFrames: whatever a function writes where its runtime speaks, the platform ends that instance and nothing else.
func testFrames(t *testing.T, r *rouse) {
	for name, bytes := range map[string]string{
		"no frame at all":         "GET / HTTP/1.1\r\n\r\n",
		"an unknown kind":         frame('?', 0, ""),
		"a start":                 frame('U', 2, "{}"),
		"readiness":               frame('R', 0, ""),
		"an answer of 4 GiB":      frame('O', 1<<32-1, "{}"),
		"an error of 1 GiB":       frame('X', 1<<30, "{}"),
		"a piece without a head":  frame('D', 1, "x"),
		"an end without a head":   frame('Z', 0, ""),
		"two heads":               frame('H', 1, "x") + frame('H', 1, "x"),
		"an answer after a head":  frame('H', 1, "x") + frame('O', 2, "{}"),
		"the platform's own kind": frame('E', 2, "{}"),
	} {
		a := r.try1(t, "frames", m{"try": "frames", "bytes": base64.StdEncoding.EncodeToString([]byte(bytes))})
		var e struct{ ErrorType, ErrorMessage string }
		_ = json.Unmarshal([]byte(a.Body), &e)
		if a.Status != 200 || a.Header.Get("X-Amz-Function-Error") == "" || !strings.Contains(e.ErrorMessage, "Runtime sent an invalid message") {
			t.Errorf("%s: got %s, want the function's error", name, a)
		}
		r.stays(t, "frames", 0) // in another instance
	}
	// What is a whole answer is one: of that function, to that caller.
	a := r.try1(t, "frames", m{"try": "frames", "bytes": base64.StdEncoding.EncodeToString([]byte(frame('O', 8, `"forged"`)))})
	if a.Status != 200 || a.Body != `"forged"` {
		t.Errorf("a forged answer: got %s, want it for its own caller", a)
	}
}

// testDeaf: a process that does not read holds up its own caller, until the timeout, and nobody else.
func testDeaf(t *testing.T, r *rouse) {
	var last string
	if r.probe(t, "deaf", m{"try": "deaf"}, &last); last != "last" {
		t.Fatalf("deaf: got %q, want its answer", last)
	}
	began := time.Now()
	large := strings.Repeat("x", 5<<20) // more than any socket keeps
	r.fails(t, "deaf", m{"try": "size", "x": large}, "Sandbox.Timedout", "Task timed out after 2.00 seconds")
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("an event for a process that does not read: took %s, want about the timeout of 2 s", took)
	}
	var n int
	if r.probe(t, "deaf", m{"try": "size", "x": large}, &n); n < 5<<20 {
		t.Errorf("the next instance: got %d, want it to read all", n)
	}
}

// testRandom: instances at once do not share what must be unique, however their runtimes came up.
func testRandom(t *testing.T, r *rouse) {
	answers := make([][]string, 3)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			a, err := r.try("lambda", "POST", "/2015-03-31/functions/random/invocations", `{"try":"random"}`)
			if err != nil || json.Unmarshal([]byte(a.Body), &answers[i]) != nil {
				t.Errorf("random: got %s, %v", a, err)
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, a := range answers {
		for _, v := range a {
			if seen[v] {
				t.Errorf("random values of instances at once: got %v, want all different", answers)
			}
			seen[v] = true
		}
	}
	if len(seen) != 9 {
		t.Errorf("random values: got %v, want nine", answers)
	}
}

// testClock: who was frozen wakes to the present.
func testClock(t *testing.T, r *rouse) {
	for range 2 {
		var ms int64
		before := time.Now()
		r.probe(t, "clock", m{"try": "clock"}, &ms)
		if at := time.UnixMilli(ms); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("the time inside: got %s, want about %s", at, before)
		}
		wait(1200 * time.Millisecond) // frozen
	}
}

func testFiles(t *testing.T, r *rouse) {
	var got struct {
		Opened int
		Code   string
	}
	if r.probe(t, "files", m{"try": "files"}, &got); got.Code != "EMFILE" || got.Opened > 1024 || got.Opened < 500 {
		t.Errorf("files that a function opens: got %+v, want EMFILE before 1024", got)
	}
}

// testFlood: connections to the platform that never finish a request use up the function's own files and nobody's else.
func testFlood(t *testing.T, r *rouse) {
	var got struct {
		Open, Ended int
		Code        string
	}
	r.probe(t, "flood", m{"try": "flood", "most": 3000}, &got)
	if got.Open > 1024 || got.Open < 100 {
		t.Errorf("connections of one function to the platform: got %+v, want its limit of files", got)
	}
	began := time.Now()
	if a := r.send(t, "rouse", "GET", "/_rouse/health", ""); a.Status != 200 || time.Since(began) > 5*time.Second {
		t.Errorf("the node beside them: got %s after %s", a, time.Since(began))
	}
}

func testImpersonate(t *testing.T, r *rouse) {
	var got string
	if r.probe(t, "impersonate", m{"try": "listen"}, &got); got != "EADDRINUSE" {
		t.Errorf("a function that listens where the platform does: got %s, want EADDRINUSE", got)
	}
}
