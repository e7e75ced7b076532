package apps

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	readyMax = 15 * time.Second
	stopMax  = 10 * time.Second
)

// call is a request to an application and what it has to answer.
type call struct {
	method, path string
	status       int
	body         string
}

func TestApplications(t *testing.T) {
	n := start(t)
	for _, app := range []struct {
		name, needs string
		calls       []call
	}{
		{"quick", "node", []call{
			{"GET", "/", 200, "$default / 1234"},
			{"POST", "/a/b", 200, "$default /a/b 1234"},
		}},
		{"inline", "python3", []call{
			{"GET", "/", 200, "GET /"},
			{"PUT", "/any/where", 200, "PUT /any/where"},
		}},
		{"regional", "python3", []call{
			{"GET", "/prod", 200, `{"stage": "prod", "path": "/"}`},
			{"GET", "/prod/none", 403, `{"message":"Missing Authentication Token"}`},
			{"GET", "/test", 403, `{"message":"Forbidden"}`},
		}},
	} {
		t.Run(app.name, func(t *testing.T) {
			if _, err := exec.LookPath(app.needs); err != nil {
				t.Skipf("%s is not on this machine", app.needs)
			}
			base := "http://" + n.deploy(t, app.name) + ".execute-api.localhost"
			for _, c := range app.calls {
				status, body := n.ask(t, c.method, base+c.path)
				if status != c.status || body != c.body {
					t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, status, body, c.status, c.body)
				}
			}
		})
	}
}

// node is a running rouse dev.
type node struct {
	binary, address, dir string
	client               *http.Client
}

func start(t *testing.T) *node {
	t.Helper()
	n := &node{binary: os.Getenv("ROUSE_BIN"), address: freeAddress(t), dir: t.TempDir()}
	if n.binary == "" {
		n.binary = filepath.Join(t.TempDir(), "rouse")
		build := exec.Command("go", "build", "-o", n.binary, "github.com/rouse-dev/rouse/cmd/rouse")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build rouse: %v\n%s", err, out)
		}
	}
	if err := os.Chmod(n.dir, 0o755); err != nil { // functions run as another user
		t.Fatal(err)
	}
	n.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		Dial: func(network, _ string) (net.Conn, error) { return net.Dial(network, n.address) }, // whatever the host's name
	}}
	t.Cleanup(n.client.CloseIdleConnections)
	var said bytes.Buffer
	cmd := exec.Command(n.binary, "dev", "--plain", "off", "--listen", n.address, "--data", filepath.Join(n.dir, "data"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, &said, &said
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start rouse: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopMax):
			t.Errorf("rouse did not end within %s of SIGTERM", stopMax)
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("rouse said:\n%s", said.String())
		}
		removable(t, n.dir)
	})
	n.awaitReady(t)
	return n
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func (n *node) awaitReady(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(readyMax)
	for {
		if resp, err := n.client.Get("http://" + n.address + "/_rouse/health"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-late:
			t.Fatalf("rouse is not ready after %s", readyMax)
		case <-tick.C:
		}
	}
}

// removable lets an ordinary user remove unpacked code, whose folders nobody may write to.
func removable(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// deploy deploys the application in a folder and returns the id of its API, its output Api.
func (n *node) deploy(t *testing.T, name string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), n.binary, "deploy", name, "--name", name, "--json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "ROUSE_ENDPOINT=http://" + n.address,
		"ROUSE_ACCESS_KEY_ID=test", "ROUSE_SECRET_ACCESS_KEY=test"}
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rouse deploy %s: %v\n%s%s", name, err, out, said.String())
	}
	var deployed struct {
		Outputs []struct{ OutputKey, OutputValue string } `json:"outputs"`
	}
	if err := json.Unmarshal(out, &deployed); err != nil {
		t.Fatalf("rouse deploy %s: got %s, want JSON: %v", name, out, err)
	}
	for _, o := range deployed.Outputs {
		if o.OutputKey == "Api" {
			return o.OutputValue
		}
	}
	t.Fatalf("rouse deploy %s: got outputs %v, want Api among them", name, deployed.Outputs)
	return ""
}

func (n *node) ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
