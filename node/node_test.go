package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/pebble"
	"github.com/rouse-dev/rouse/node"
)

// TestHealthFromTheFirstMoment: the address answers 503 from when it is open until the node is ready, and 200 from then on.
func TestHealthFromTheFirstMoment(t *testing.T) {
	address := freeAddress(t)
	seen := make(chan []int, 1)
	ready := make(chan struct{})
	go func() {
		var codes []int
		for {
			resp, err := http.Get("http://" + address + "/_rouse/health")
			if err == nil {
				codes = append(codes, resp.StatusCode)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			select {
			case <-ready:
				if err != nil {
					seen <- append(codes, -1)
					return
				}
			default:
			}
		}
		seen <- codes
	}()
	n := openAs(t, true, settings(t.TempDir(), "listen", address), nil)
	close(ready)
	codes := <-seen
	for i, c := range codes {
		if last := i == len(codes)-1; last && c != 200 || !last && c != 503 {
			t.Fatalf("health while starting: got %v, want 503s and then 200", codes)
		}
	}
	if len(codes) < 2 {
		t.Errorf("health while starting: got %v, want at least one 503 before the 200", codes)
	}
	for _, path := range []string{"/_rouse/health", "/_localstack/health"} {
		var h struct {
			Status, Version string
			Services        map[string]string
		}
		a := developer(n).plain(t, "GET", path)
		if err := json.Unmarshal([]byte(a.Body), &h); err != nil || a.Status != 200 || h.Status != "ready" || h.Services["lambda"] != "running" {
			t.Errorf("%s of a ready node: got %s, want 200 and status ready", path, a)
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestSecondNodeOnTheFolder(t *testing.T) {
	data := t.TempDir()
	first := openAs(t, true, settings(data), nil)
	file := filepath.Join(data, cli.NodeFile)
	said, err := os.ReadFile(file)
	must(t, err)
	own := fmt.Sprintf(`"pid": %d`, os.Getpid()) // both nodes of this test are one process; let it look like another's
	must(t, os.WriteFile(file, []byte(strings.Replace(string(said), own, `"pid": 1`, 1)), 0o600))
	for _, c := range []struct{ name, want string }{
		{"with the first's address known", "a node is already running on " + data + ": process 1 at " + first.URL()},
		{"with that file lost", "in use by another process"},
	} {
		n, err := tryOpen(t, true, settings(data), nil)
		if err == nil {
			stop(t, n)
			t.Fatalf("a second node %s: got a node, want it refused", c.name)
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), data) {
			t.Errorf("a second node %s: got %q, want it to say %q and name the folder", c.name, err, c.want)
		}
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if a := developer(first).plain(t, "GET", "/_rouse/health"); a.Status != 200 {
		t.Errorf("the first node after the second was refused: got %s, want 200", a)
	}
}

// TestSlowNodeIsThere: one that takes the call and does not answer soon is busy, not dead.
func TestSlowNodeIsThere(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer busy.Close()
	data := t.TempDir()
	url := "http://" + busy.Addr().String()
	must(t, os.WriteFile(filepath.Join(data, cli.NodeFile), fmt.Appendf(nil, `{"url": %q, "pid": 1}`, url), 0o600))
	n, err := tryOpen(t, true, settings(data), nil)
	if err == nil {
		stop(t, n)
	}
	if err == nil || !strings.Contains(err.Error(), "process 1 at "+url) {
		t.Errorf("a second node: got %v, want it refused for process 1 at %s", err, url)
	}
}

func TestRefusedStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := t.TempDir()
	stop(t, openAs(t, true, settings(used), nil))
	for _, c := range []struct {
		name  string
		dev   bool
		flags map[string]string
		spoil func(t *testing.T, data string)
		want  []string
	}{
		{name: "listen on a taken port", dev: true, flags: settings(copyOf(t, used), "listen", taken.Addr().String()),
			want: []string{taken.Addr().String(), "in use", "--listen HOST:PORT"}},
		{name: "plain on a taken port", dev: true, flags: settings(copyOf(t, used), "plain", taken.Addr().String()),
			want: []string{taken.Addr().String(), "in use", "--plain HOST:PORT"}},
		{name: "metrics on a taken port", dev: true, flags: settings(copyOf(t, used), "metrics", taken.Addr().String()),
			want: []string{taken.Addr().String(), "in use", "--metrics HOST:PORT", "--metrics off"}},
		{name: "a development node for everybody", dev: true, flags: settings(copyOf(t, used), "listen", "0.0.0.0:0"),
			want: []string{"loopback only", "--dev-key"}},
		{name: "a development node on all addresses", dev: true, flags: settings(copyOf(t, used), "listen", ":0"),
			want: []string{"loopback only", "--dev-key"}},
		{name: "no seal key", dev: true, flags: settings(copyOf(t, used)), want: []string{"seal.key is missing", "backup"},
			spoil: func(t *testing.T, data string) { must(t, os.Remove(filepath.Join(data, "seal.key"))) }},
		{name: "half a seal key", dev: true, flags: settings(copyOf(t, used)), want: []string{"seal.key has 16 bytes, want 32"},
			spoil: func(t *testing.T, data string) { must(t, os.Truncate(filepath.Join(data, "seal.key"), 16)) }},
		{name: "another seal key", dev: true, flags: settings(copyOf(t, used)), want: []string{"seal.key is not the key", "backup"},
			spoil: func(t *testing.T, data string) {
				must(t, os.WriteFile(filepath.Join(data, "seal.key"), []byte(strings.Repeat("k", 32)), 0o600))
			}},
		{name: "a store of a later Rouse", dev: true, flags: settings(copyOf(t, used)), spoil: newer,
			want: []string{"catalog", "99", "newer Rouse"}},
		{name: "the data folder is a file", dev: true, flags: settings(filepath.Join(copyOf(t, used), "seal.key")),
			want: []string{"data folder", "seal.key"}},
		{name: "weak isolation in production", dev: false, flags: settings(copyOf(t, used), "metrics", "off"),
			want: []string{"process", "--allow-weak-isolation", "rouse doctor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.spoil != nil {
				c.spoil(t, c.flags["data"])
			}
			n, err := tryOpen(t, c.dev, c.flags, nil)
			if err == nil {
				stop(t, n)
				t.Fatal("got a node, want it refused")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want it to say %q", err, w)
				}
			}
			if c.spoil != nil {
				return
			}
			if c.flags["data"] = copyOf(t, used); c.dev { // and nothing is held by what was refused
				stop(t, openAs(t, true, settings(c.flags["data"]), nil))
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// copyOf copies a stopped node's folder.
func copyOf(t testing.TB, data string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.CopyFS(dir, os.DirFS(data)))
	return dir
}

// newer marks the catalog as written by a later version.
func newer(t *testing.T, data string) {
	s, err := pebble.Open(pebble.Config{Dir: filepath.Join(data, "store")})
	must(t, err)
	must(t, s.Update(context.Background(), func(tx kv.Tx) error {
		tx.Set(format.Key("catalog"), []byte(`{"version":99}`))
		return nil
	}))
	must(t, s.Close())
}

func TestProduction(t *testing.T) {
	data := t.TempDir()
	metrics := freeAddress(t)
	flags := settings(data, "allow-weak-isolation", "true", "metrics", metrics)
	log := &said{}
	n := openAs(t, false, flags, log)
	id, secret := n.FirstKey()
	if len(id) < 16 || len(secret) < 40 {
		t.Fatalf("root key of a first start: got %q and a secret of %d bytes, want a key", id, len(secret))
	}
	c := developer(n)
	if a := c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...); a.Status != 403 {
		t.Errorf("test/test at a production node: got %s, want 403", a)
	}
	c.key = sigv4.Signer{AccessKeyID: id, SecretAccessKey: secret, Region: "us-east-1"}
	if a := c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...); a.Status != 200 ||
		!strings.Contains(a.Body, "arn:aws:iam::000000000000:root") {
		t.Errorf("the root key: got %s, want 200 and root", a)
	}
	if a := c.send(t, "rouse", "GET", "/_rouse/metrics", ""); a.Status != 404 {
		t.Errorf("metrics at the doors of production: got %s, want 404", a)
	}
	if a := (&client{url: "http://" + metrics}).plain(t, "GET", "/_rouse/metrics"); a.Status != 200 || !strings.Contains(a.Body, "rouse_instances_idle") {
		t.Errorf("metrics at their own address: got %s, want 200 and metrics", a)
	}
	stop(t, n)
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has the root key's secret")
	}
	n = openAs(t, false, flags, nil)
	if id, _ := n.FirstKey(); id != "" {
		t.Errorf("root key of a second start: got %q, want none", id)
	}
	c.url = n.URL()
	if a := c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...); a.Status != 200 {
		t.Errorf("the root key after a restart: got %s, want 200", a)
	}
}

var form = []string{"Content-Type", "application/x-www-form-urlencoded"}

// TestDevKeyWhenAsked: with --dev-key the key test/test works in production and for any listener of development.
func TestDevKeyWhenAsked(t *testing.T) {
	for _, dev := range []bool{true, false} {
		n := openAs(t, dev, settings(t.TempDir(), "listen", "0.0.0.0:0", "dev-key", "true", "allow-weak-isolation", "true",
			"metrics", "off"), nil)
		if a := developer(n).send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...); a.Status != 200 {
			t.Errorf("test/test with --dev-key, dev %v: got %s, want 200", dev, a)
		}
		c := developer(n)
		c.key.SecretAccessKey = "other"
		if a := c.send(t, "sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form...); a.Status != 403 {
			t.Errorf("test with a wrong secret, dev %v: got %s, want 403", dev, a)
		}
	}
}

func TestStopByRequest(t *testing.T) {
	data := t.TempDir()
	n := openAs(t, true, settings(data), nil)
	c := developer(n)
	if a := c.plain(t, "POST", "/_rouse/api/stop"); a.Status != 403 {
		t.Errorf("an unsigned stop: got %s, want 403", a)
	}
	if a := c.send(t, "rouse", "POST", "/_rouse/api/stop", ""); a.Status != 200 {
		t.Fatalf("stop: got %s, want 200", a)
	}
	select {
	case err := <-n.Done():
		if err != nil {
			t.Errorf("Done after a client's stop: got %v, want nil", err)
		}
	case <-time.After(waitMax):
		t.Fatalf("the node did not end within %s", waitMax)
	}
	if _, err := http.Get(n.URL() + "/_rouse/health"); err == nil {
		t.Error("a stopped node still answers")
	}
	if _, err := os.Stat(filepath.Join(data, cli.NodeFile)); !os.IsNotExist(err) {
		t.Errorf("%s of a stopped node: got %v, want it gone", cli.NodeFile, err)
	}
}

// TestStopTwice: whoever stops a node that stops or stopped already just learns that it has.
func TestStopTwice(t *testing.T) {
	n := openAs(t, true, settings(t.TempDir()), nil)
	var both sync.WaitGroup
	for range 3 {
		both.Go(func() { stop(t, n) })
	}
	both.Wait()
	stop(t, n)
}

// TestStopAtOnce: without patience the node ends all the same, and its folder is good for the next.
func TestStopAtOnce(t *testing.T) {
	data := t.TempDir()
	n := openAs(t, true, settings(data), nil)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Stop(now); err != nil {
		t.Errorf("Stop without patience: got %v, want nil", err)
	}
	openAs(t, true, settings(data), nil)
}

// TestStartIsCancelled: a start whose caller gives up leaves nothing behind.
func TestStartIsCancelled(t *testing.T) {
	data, address := t.TempDir(), freeAddress(t)
	for i := range 4 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*5*time.Millisecond)
		n, err := start(ctx, settings(data, "listen", address))
		cancel()
		if err == nil {
			must(t, n.Stop(context.Background()))
		}
	}
	openAs(t, true, settings(data, "listen", address), nil)
}

// TestMetrics: the page is Prometheus's and counts what ran.
func TestMetrics(t *testing.T) {
	n := openAs(t, true, settings(t.TempDir()), nil)
	c := developer(n)
	makeFunction(t, c, "counted", "exports.handler = async () => 1")
	c.invoke(t, "counted", "{}")
	a := c.plain(t, "GET", "/_rouse/metrics")
	if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("metrics: got %d and %q, want 200 and text", a.Status, a.Header.Get("Content-Type"))
	}
	for _, want := range []string{"# TYPE rouse_instances_idle gauge", "rouse_instances_idle 1", `function="counted"`} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("metrics: got no %q in\n%s", want, a.Body)
		}
	}
}

// TestMetricsAddress: where they are by default, and that the doors show them only when nothing else does.
func TestMetricsAddress(t *testing.T) {
	for dev, want := range map[bool]string{true: "", false: "127.0.0.1:9469"} {
		c, err := node.Load(dev, nil, noEnvironment, "", false)
		if must(t, err); c.Metrics != want {
			t.Errorf("metrics by default, dev %v: got %q, want %q", dev, c.Metrics, want)
		}
	}
	own := freeAddress(t)
	for _, at := range []string{"off", own} {
		n := openAs(t, true, settings(t.TempDir(), "metrics", at), nil)
		if a := developer(n).plain(t, "GET", "/_rouse/metrics"); a.Status != 404 {
			t.Errorf("metrics at the doors with --metrics %s: got %s, want 404", at, a)
		}
	}
	n := openAs(t, true, settings(t.TempDir()), nil)
	for _, url := range []string{"http://" + own, n.URL()} {
		for host, want := range map[string]int{"localhost": 200, "evil.example": 403} {
			r, err := http.NewRequest("GET", url+"/_rouse/metrics", nil)
			must(t, err)
			r.Host = host
			if a := (&client{}).read(t, r); a.Status != want {
				t.Errorf("metrics asked as %s: got %s, want %d", host, a, want)
			}
		}
	}
}

// TestNoSecretInLogs: what must not be read is not logged, whether it was accepted or refused.
func TestNoSecretInLogs(t *testing.T) {
	data, log := t.TempDir(), &said{}
	n := openAs(t, true, settings(data), log)
	c := developer(n)
	const word = "SuperSecretWord"
	c.call(t, "iam", "CreateRole", map[string]any{"RoleName": "r", "AssumeRolePolicyDocument": lambdaTrust})
	in := function(t, "secretive", "exports.handler = async () => process.env.WORD")
	in["Environment"] = map[string]any{"Variables": map[string]string{"WORD": word}}
	c.call(t, "lambda", "CreateFunction", in)
	c.awaitActive(t, "secretive")
	c.call(t, "iam", "CreateUser", map[string]any{"UserName": "u"})
	made := c.call(t, "iam", "CreateAccessKey", map[string]any{"UserName": "u"})
	secret, _ := made["AccessKey"].(map[string]any)["SecretAccessKey"].(string)
	session := c.call(t, "sts", "GetSessionToken", map[string]any{})
	token, _ := session["Credentials"].(map[string]any)["SessionToken"].(string)
	if a := c.invoke(t, "secretive", "{}"); a.Body != `"`+word+`"` {
		t.Fatalf("invoke: got %s, want the word", a)
	}
	c.send(t, "lambda", "PUT", "/2015-03-31/functions/secretive/configuration", fmt.Sprintf(`{"Timeout":-1,"Description":%q}`, word))
	c.send(t, "lambda", "POST", "/2015-03-31/functions", `{"FunctionName":"`+word)
	stop(t, n)
	got := log.String()
	if !strings.Contains(got, "operation=CreateFunction") || !strings.Contains(got, "operation=CreateAccessKey") {
		t.Errorf("the audit lines of what was changed are missing in\n%s", got)
	}
	for name, s := range map[string]string{"an environment variable": word, "a secret access key": secret, "a session token": token,
		"code": "process.env.WORD"} {
		if s == "" || strings.Contains(got, s) {
			t.Errorf("the log has %s (%q):\n%s", name, s, got)
		}
	}
	storedPlain(t, data, secret)
}

// storedPlain fails when a secret can be read in the files of the store.
func storedPlain(t *testing.T, data, secret string) {
	t.Helper()
	must(t, filepath.WalkDir(data, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(b), secret) {
			t.Errorf("%s holds a secret key as it is", p)
		}
		return err
	}))
}
