package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limits of the process under test.
const (
	readyMax = 30 * time.Second
	stopMax  = 15 * time.Second
	logMax   = 64 << 10 // bytes of the program's output that are shown when a test failed
)

// region is what the clients are set to, and what the node is.
const region = "us-east-1"

// node is the rouse under test.
type node struct {
	url  string       // http://127.0.0.1:PORT
	host string       // 127.0.0.1:PORT
	http *http.Client // reaches the node whatever the host of a URL says
}

// startNode starts the program in a folder of its own and stops it when t ends.
func startNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	data, project := filepath.Join(dir, "data"), filepath.Join(dir, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	out := &tail{}
	cmd := exec.Command(program(t), "dev", "--listen", "127.0.0.1:0", "--plain", "off", "--data", data)
	cmd.Dir, cmd.Stdout, cmd.Stderr = project, out, out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start rouse: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { stopNode(t, cmd, ended, out) })
	address, err := waitReady(filepath.Join(data, "node.json"), ended)
	if err != nil {
		t.Fatalf("rouse is not ready: %v", err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, u.Host)
		},
	}}
	return &node{url: address, host: u.Host, http: client}
}

// program is the path of the built binary: ROUSE_BIN, bin/rouse of this tree, or one built for this run.
func program(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("ROUSE_BIN"); p != "" {
		return absolute(t, p)
	}
	built := absolute(t, filepath.Join("..", "..", "bin", "rouse"))
	if _, err := os.Stat(built); err == nil {
		return built
	}
	p := filepath.Join(t.TempDir(), "rouse")
	cmd := exec.Command("go", "build", "-o", p, "./cmd/rouse")
	cmd.Dir = absolute(t, filepath.Join("..", ".."))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build rouse: %v\n%s", err, b)
	}
	return p
}

func absolute(t *testing.T, p string) string {
	t.Helper()
	a, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// waitReady reads the node's address from the file that it writes when it is ready.
func waitReady(file string, ended chan error) (string, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(readyMax)
	for {
		select {
		case err := <-ended:
			ended <- err
			return "", fmt.Errorf("it ended: %v", err)
		case <-late:
			return "", fmt.Errorf("no %s after %s", file, readyMax)
		case <-tick.C:
		}
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var info struct{ URL string }
		if err == nil {
			err = json.Unmarshal(b, &info)
		}
		return info.URL, err
	}
}

// stopNode ends the program as an operator would, and holds it to ending well.
func stopNode(t *testing.T, cmd *exec.Cmd, ended chan error, out *tail) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop rouse: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("rouse ended with %v, want a clean exit", err)
		}
	case <-time.After(stopMax):
		t.Errorf("rouse did not end within %s of SIGTERM", stopMax)
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-ended
	}
	if t.Failed() {
		t.Logf("the last that rouse said:\n%s", out)
	}
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if n := o.buf.Len() - logMax; n > 0 {
		o.buf.Next(n)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// until calls ask until it says yes, or fails t after the limit. It is for what is documented as eventual.
func until(t *testing.T, limit time.Duration, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !ask() {
		select {
		case <-late:
			t.Fatalf("%s: not within %s", what, limit)
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		case <-tick.C:
		}
	}
}
