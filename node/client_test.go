package node_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/node"
)

// waitMax is how long a test waits for what has to come by itself.
const waitMax = 30 * time.Second

// client signs requests to a node as any AWS tool does.
type client struct {
	url   string
	key   sigv4.Signer
	agent http.Client
}

func developer(n cli.Node) *client {
	return &client{url: n.URL(), key: sigv4.Signer{AccessKeyID: "test", SecretAccessKey: "test", Region: "us-east-1"}}
}

// answer is a response that was read to its end.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// send makes one signed request.
func (c *client) send(t testing.TB, service, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	key := c.key
	key.Service = service
	key.Sign(req, sigv4.HashPayload([]byte(body)), time.Now())
	return c.read(t, req)
}

// plain makes one request that nobody signed.
func (c *client) plain(t testing.TB, method, path string) answer {
	t.Helper()
	req, err := http.NewRequest(method, c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.read(t, req)
}

func (c *client) read(t testing.TB, req *http.Request) answer {
	t.Helper()
	resp, err := c.agent.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// call runs an operation of a service by its JSON shape and fails the test when it is refused.
func (c *client) call(t testing.TB, service, operation string, in any) map[string]any {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	a := c.send(t, "rouse", "POST", "/_rouse/api/call/"+service+"/"+operation, string(b))
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s: got %s, want 200", service, operation, a)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil && a.Body != "" {
		t.Fatalf("%s %s answered %q: %v", service, operation, a.Body, err)
	}
	return out
}

// invoke calls a function and waits for its answer.
func (c *client) invoke(t testing.TB, function, event string) answer {
	t.Helper()
	return c.send(t, "lambda", "POST", "/2015-03-31/functions/"+function+"/invocations", event)
}

// archive makes a zip of names and contents.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i]}
		h.SetMode(0o755)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// said is a log that a test reads while others write it.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// settings are the flags of a node for tests: free ports, no namespaces. A node of production needs "metrics" besides.
func settings(data string, more ...string) map[string]string {
	m := map[string]string{"data": data, "listen": "127.0.0.1:0", "plain": "127.0.0.1:0", "isolation": "process"}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}

func noEnvironment(string) (string, bool) { return "", false }

// tryOpen starts a node or says why not. Who gets a node stops it.
func tryOpen(t testing.TB, dev bool, flags map[string]string, log io.Writer) (*node.Node, error) {
	t.Helper()
	cfg, err := node.Load(dev, flags, noEnvironment, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = io.Discard
	}
	t.Cleanup(func() { removable(t, cfg.Data) })
	return node.Open(context.Background(), cfg, os.LookupEnv, slog.New(slog.NewTextHandler(log, nil)))
}

// removable lets an ordinary user remove unpacked code, whose folders nobody may write to.
func removable(t testing.TB, data string) {
	t.Helper()
	err := filepath.WalkDir(data, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
}

// openAs starts a node that is stopped with the test, if it was not stopped before.
func openAs(t testing.TB, dev bool, flags map[string]string, log io.Writer) *node.Node {
	t.Helper()
	n, err := tryOpen(t, dev, flags, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t testing.TB, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitMax)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: got %v, want nil", err)
	}
}

// until asks again and again until the answer is yes.
func until(t testing.TB, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(waitMax)
	for !ask() {
		select {
		case <-late:
			t.Fatalf("%s: not within %s", what, waitMax)
		case <-tick.C:
		}
	}
}
