package node_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/process"
)

// TestDataFolderIsPrivate: a folder that was there before, open to all, is not left so.
func TestDataFolderIsPrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	openAs(t, true, settings(data), nil)
	if st, err := os.Stat(data); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the data folder: got %v, %v, want 0700", st.Mode(), err)
	}
}

// TestFunctionsAreNotOnLoopback: code inside reaches the platform on a 127.0.0.1, and the development key, which is good
// there, is still refused to it, by function URLs as by the services.
func TestFunctionsAreNotOnLoopback(t *testing.T) {
	n := openAs(t, true, settings(t.TempDir()), nil)
	c := developer(n)
	makeFunction(t, c, "guarded", `exports.handler = async e => ({statusCode: 200, body: "in, from " + e.requestContext.http.sourceIp})`)
	made := c.call(t, "lambda", "CreateFunctionUrlConfig", map[string]any{"FunctionName": "guarded", "AuthType": "AWS_IAM"})
	u, err := url.Parse(made["FunctionUrl"].(string))
	if err != nil {
		t.Fatal(err)
	}
	makeFunction(t, c, "hostile", `
const http = require("node:http");
exports.handler = e => new Promise(done => {
  const to = new URL(e.base ?? process.env.AWS_ENDPOINT_URL);
  const q = http.request({host: to.hostname, port: to.port, path: e.path, headers: e.headers}, a => {
    let body = ""; a.on("data", b => body += b); a.on("end", () => done({status: a.statusCode, body})); });
  q.on("error", x => done({status: -1, body: String(x)}));
  q.end();
});`)
	signed := func(host, service string) map[string]any {
		r, err := http.NewRequest("GET", "http://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		key := c.key
		key.Service = service
		key.Sign(r, sigv4.HashPayload(nil), time.Now())
		headers := map[string]string{"host": host}
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		return map[string]any{"path": "/", "headers": headers}
	}
	ask := func(in map[string]any) (out struct {
		Status int
		Body   string
	}) {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		a := c.invoke(t, "hostile", string(b))
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			t.Fatalf("hostile answered %s: %v", a, err)
		}
		return out
	}
	if got := ask(signed(u.Host, "lambda")); got.Status != 403 {
		t.Errorf("a function URL asked from inside with the development key: got %d %s, want 403", got.Status, got.Body)
	}
	req := signed(u.Host, "lambda")
	r, err := http.NewRequest("GET", n.URL()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = u.Host
	for name, v := range req["headers"].(map[string]string) {
		r.Header.Set(name, v)
	}
	if a := c.read(t, r); a.Status != 200 || !strings.Contains(a.Body, "in, from 127.0.0.1") {
		t.Errorf("the function URL asked by a developer: got %s, want 200", a)
	}
	other := signed(u.Host, "s3")
	r.Header = http.Header{}
	for name, v := range other["headers"].(map[string]string) {
		r.Header.Set(name, v)
	}
	if a := c.read(t, r); a.Status != 403 {
		t.Errorf("the function URL with a signature for another service: got %s, want 403", a)
	}
}

// TestFunctionsSeeTheirOwnCode: without namespaces too, where paths of the host are paths of the function.
func TestFunctionsSeeTheirOwnCode(t *testing.T) {
	data := t.TempDir()
	n := openAs(t, true, settings(data), nil)
	if !confinesFiles(t) {
		missing(t, "this system has nothing to keep a process from files")
	}
	c := developer(n)
	makeFunction(t, c, "neighbour", "exports.handler = async () => 'secret sauce'")
	makeFunction(t, c, "curious", `
const fs = require("node:fs");
exports.handler = async dirs => {
  const seen = [fs.readFileSync(__filename, "utf8").length > 0 ? "own" : ""];
  for (const d of dirs) { try { seen.push(...fs.readdirSync(d)); } catch (e) { seen.push(e.code); } }
  return seen;
}`)
	if a := c.invoke(t, "neighbour", "{}"); a.Body != `"secret sauce"` {
		t.Fatalf("the neighbour: got %s", a)
	}
	b, err := json.Marshal([]string{filepath.Join(data, "code"), data, filepath.Join(data, "blobs")})
	must(t, err)
	if a := c.invoke(t, "curious", string(b)); a.Body != `["own","EACCES","EACCES","EACCES"]` {
		t.Errorf("what a function sees of the node's folders: got %s, want its own code and EACCES", a)
	}
}

// confinesFiles reports whether the process driver hides files on this system.
func confinesFiles(t *testing.T) bool {
	t.Helper()
	d, err := process.Open(t.Context(), process.Config{Dir: t.TempDir()})
	must(t, err)
	defer d.Close() // it ran nothing
	for _, check := range d.Report().Checks {
		if check.Name == sandbox.CheckFiles {
			return check.State != sandbox.Missing
		}
	}
	return false
}

// TestPlainAnswersToItsOwnNames: a site whose name resolves to loopback cannot read a developer's API through the browser.
func TestPlainAnswersToItsOwnNames(t *testing.T) {
	data := t.TempDir()
	n := openAs(t, true, settings(data), nil)
	var info cli.NodeInfo
	b, err := os.ReadFile(filepath.Join(data, cli.NodeFile))
	if err == nil {
		err = json.Unmarshal(b, &info)
	}
	must(t, err)
	c := developer(n)
	ask := func(host string) answer {
		r, err := http.NewRequest("GET", "http://"+info.Plain+"/", nil)
		must(t, err)
		r.Host = host
		return c.read(t, r)
	}
	_, port, err := net.SplitHostPort(info.Plain)
	must(t, err)
	for _, host := range []string{info.Plain, "localhost:" + port, "shop.localhost", "[::1]:" + port, "host.docker.internal:" + port} {
		if a := ask(host); a.Status != 404 { // no API is deployed
			t.Errorf("the plain address asked as %s: got %s, want 404", host, a)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:" + port, "localhost.evil.example", "10.0.0.1:" + port, "0.0.0.0:" + port} {
		if a := ask(host); a.Status != 403 || !strings.Contains(a.Body, "localhost and 127.0.0.1 only") {
			t.Errorf("the plain address asked as %s: got %s, want 403 and a hint", host, a)
		}
	}
	data = t.TempDir()
	openAs(t, true, settings(data, "plain", "0.0.0.0:0"), nil)
	b, err = os.ReadFile(filepath.Join(data, cli.NodeFile))
	if err == nil {
		err = json.Unmarshal(b, &info)
	}
	must(t, err)
	if a := ask("api.example.org"); a.Status != 404 {
		t.Errorf("a plain address for everybody: got %s, want 404", a)
	}
}
