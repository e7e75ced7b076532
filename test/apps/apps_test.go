package apps

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
			n.asks(t, n.deploy(t, app.name)["Api"], app.calls...)
		})
	}
}

// TestTables: applications that keep items in tables, by the SDK of their language.
func TestTables(t *testing.T) {
	n := start(t)
	t.Run("weather", func(t *testing.T) {
		out := n.deploy(t, "weather", "Runtime="+n.boto3(t))
		n.asks(t, out["Api"], call{"POST", "/Prod/", 200, "noted"})
		n.item(t, `{"id":"1","sky":"clear"}`, "weather-reports", "1")
	})
	t.Run("people", func(t *testing.T) {
		out := n.deploy(t, "people", "Runtime="+n.boto3(t))
		status, body := n.ask(t, "POST", "http://"+out["Api"]+".execute-api.localhost/live", `{"id":"1","name":"Ada"}`)
		if status != 201 || body != "True True" {
			t.Errorf("got %d %s, want 201 and that the table's ARNs are its own", status, body)
		}
		n.item(t, `{"id":"1","name":"Ada"}`, out["Table"], "1")
		n.asks(t, out["Api"], call{"OPTIONS", "/live", 200, "{}\n"})
		n.asks(t, out["Api"], call{"POST", "/none", 403, `{"message":"Forbidden"}`})
	})
	t.Run("notes", func(t *testing.T) {
		out := n.deploy(t, "notes", "Runtime="+n.boto3(t))
		said := n.rouse(t, "invoke", out["Function"], `{"id":"1","text":"milk"}`)
		if said != `"AccessDeniedException"`+"\n" {
			t.Errorf("got %s, want that reading is denied", said)
		}
		n.item(t, `{"ID":"1","text":"milk"}`, out["Table"], "1")
	})
	t.Run("greeter", func(t *testing.T) {
		needRegistry(t)
		out := n.deploy(t, "greeter")
		n.asks(t, out["Api"], call{"GET", "/Prod/hello/1", 404, "Nobody is 1"})
		n.item(t, `{"PK":"1","SK":"SAID#","greeting":"Nobody is 1"}`, out["Table"], "1", "SAID#")
		n.rouse(t, "table", "put", out["Table"], `{"PK":"1","SK":"NAME#","name":"Ada"}`)
		n.asks(t, out["Api"], call{"GET", "/Prod/hello/1", 200, "Hello Ada"})
		n.item(t, `{"PK":"1","SK":"SAID#","greeting":"Hello Ada"}`, out["Table"], "1", "SAID#")
	})
}

// needRegistry skips a test that builds with packages of npm's registry where neither it nor a cache of it can be had. In
// CI it has to be.
func needRegistry(t *testing.T) {
	t.Helper()
	if os.Getenv("CI") != "true" && exec.CommandContext(t.Context(), "npm", "view", "--prefer-offline", "esbuild@0.28.2", "version").Run() != nil {
		t.Skip("npm or its registry is not there")
	}
}

// boto3 is a runtime whose interpreter here has boto3, as those of AWS have. Where there is none the test is skipped, in CI
// it fails.
func (n *node) boto3(t *testing.T) string {
	t.Helper()
	var list struct {
		Runtimes []struct {
			Path   string
			Serves []string
		}
	}
	said := n.rouse(t, "runtime", "list", "--json")
	if err := json.Unmarshal([]byte(said), &list.Runtimes); err != nil {
		t.Fatalf("rouse runtime list --json: got %s, want JSON: %v", said, err)
	}
	for _, r := range list.Runtimes {
		if len(r.Serves) > 0 && strings.Contains(r.Serves[0], "python") &&
			exec.CommandContext(t.Context(), r.Path, "-c", "import boto3").Run() == nil {
			return r.Serves[0]
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI needs boto3 where the node's Python finds it")
	}
	t.Skip("no Python of this machine that serves a runtime has boto3")
	return ""
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
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // whatever the host's name
			return (&net.Dialer{}).DialContext(ctx, network, n.address)
		},
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

// rouse runs a command against the node and returns what it printed.
func (n *node) rouse(t *testing.T, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), n.binary, args...)
	cmd.Env = n.environ()
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rouse %s: %v\n%s%s", strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

// environ is that of commands: the node's address and key, and how npm reaches its registry.
func (n *node) environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "ROUSE_ENDPOINT=http://" + n.address,
		"ROUSE_ACCESS_KEY_ID=test", "ROUSE_SECRET_ACCESS_KEY=test"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToLower(kv), "=")
		if strings.HasPrefix(name, "npm_config_") || strings.HasSuffix(name, "_proxy") || name == "node_extra_ca_certs" {
			env = append(env, kv)
		}
	}
	return env
}

// deploy deploys the application in a folder with values of parameters, and returns its outputs. What is built lies in a
// copy of the folder.
func (n *node) deploy(t *testing.T, name string, parameters ...string) map[string]string {
	t.Helper()
	folder := filepath.Join(n.dir, name)
	if err := os.CopyFS(folder, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	args := []string{"deploy", folder, "--name", name, "--json"}
	for _, p := range parameters {
		args = append(args, "-p", p)
	}
	out := n.rouse(t, args...)
	var deployed struct {
		Outputs []struct{ OutputKey, OutputValue string } `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(out), &deployed); err != nil {
		t.Fatalf("rouse deploy %s: got %s, want JSON: %v", name, out, err)
	}
	values := map[string]string{}
	for _, o := range deployed.Outputs {
		values[o.OutputKey] = o.OutputValue
	}
	return values
}

// asks sends requests to an API and wants their answers.
func (n *node) asks(t *testing.T, api string, calls ...call) {
	t.Helper()
	if api == "" {
		t.Fatal("got no output Api, want the API's id")
	}
	for _, c := range calls {
		status, body := n.ask(t, c.method, "http://"+api+".execute-api.localhost"+c.path, "")
		if status != c.status || body != c.body {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, status, body, c.status, c.body)
		}
	}
}

// item wants an item to be in a table.
func (n *node) item(t *testing.T, want, table string, key ...string) {
	t.Helper()
	if got := n.rouse(t, append([]string{"table", "get", table}, key...)...); got != want+"\n" {
		t.Errorf("the item %v of %s: got %s, want %s", key, table, got, want)
	}
}

func (n *node) ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
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
