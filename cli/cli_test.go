package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/cli"
)

// fake is a node's door that answers what a test says, and notes what it was asked.
type fake struct {
	*httptest.Server
	answers map[string]any // path to a value, a func(body) (status, value), or an http.HandlerFunc

	mu    sync.Mutex
	asked []string // guarded by mu
}

func newFake(t *testing.T, answers map[string]any) *fake {
	f := &fake{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := r.URL.Path
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+path+" "+string(body))
	f.mu.Unlock()
	status, answer := 200, f.answers[r.URL.Path]
	switch a := answer.(type) {
	case nil:
		status, answer = 404, map[string]any{"__type": "UnknownOperationException", "message": "no " + path}
	case http.HandlerFunc:
		a(w, r)
		return
	case func(string) (int, any):
		status, answer = a(string(body))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) wasAsked(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.asked, func(s string) bool { return strings.Contains(s, what) })
}

// run is one command line.
type run struct {
	endpoint string
	in       string
	env      []string
	dir      string
	settings []cli.Setting
	start    func(context.Context, cli.NodeOptions) (cli.Node, error)
	doctor   cli.Doctor
}

// rouse runs a command line to its end.
func (r run) rouse(t *testing.T, args ...string) (out, err string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if r.dir == "" {
		r.dir = t.TempDir()
	}
	if r.endpoint != "" {
		args = append([]string{"--endpoint", r.endpoint}, args...)
	}
	code = cli.Main(context.Background(), args, cli.World{In: strings.NewReader(r.in), Out: &stdout, Err: &stderr, Environ: r.env, Dir: r.dir,
		Version: "1.2.3", Settings: r.settings, Start: r.start, Doctor: r.doctor})
	return stdout.String(), stderr.String(), code
}

// want checks what a command did: its exit code, and texts that must stand in its output or its errors.
func want(t *testing.T, out, err string, code, wantCode int, texts ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("got exit code %d, want %d\n%s%s", code, wantCode, out, err)
	}
	for _, text := range texts {
		if !strings.Contains(out+err, text) {
			t.Errorf("got\n%s%s\nwant a text with %q", out, err, text)
		}
	}
}

const call = "/_rouse/api/call/"

func functions(names ...string) map[string]any {
	var list []any
	for _, n := range names {
		list = append(list, map[string]any{"FunctionName": n, "Runtime": "nodejs22.x", "Handler": "index.handler", "MemorySize": 128, "Timeout": 90, "CodeSize": 2048})
	}
	return map[string]any{"Functions": list}
}

func TestInvoke(t *testing.T) {
	f := newFake(t, map[string]any{
		call + "lambda/ListFunctions": functions("hello", "shop-Quote-ABCDEFGH1234"),
		"/2015-03-31/functions/hello/invocations": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Log-Type") == "Tail" {
				w.Header().Set("X-Amz-Log-Result", "U1RBUlQgUmVxdWVzdElkOiB4ClNvbWV0aGluZwo=")
			}
			if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
				w.Header().Set("X-Amzn-Requestid", "id-1")
				w.WriteHeader(202)
				return
			}
			_, _ = w.Write([]byte(`{"ok":true}`))
		}),
		"/2015-03-31/functions/shop-Quote-ABCDEFGH1234/invocations": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = w.Write([]byte(`{"errorMessage":"boom"}`))
		}),
	})
	r := run{endpoint: f.URL}
	out, errs, code := r.rouse(t, "invoke", "hello")
	want(t, out, errs, code, 0)
	if out != "{\"ok\":true}\n" || errs != "" {
		t.Errorf("got %q and %q, want the answer alone", out, errs)
	}
	out, errs, code = r.rouse(t, "invoke", "hello", "--log", `{"n":1}`)
	want(t, out, errs, code, 0, "Something")
	if out != "{\"ok\":true}\n" {
		t.Errorf("got output %q, want the answer alone: the log goes to standard error", out)
	}
	out, errs, code = r.rouse(t, "invoke", "hello:live", "--async")
	want(t, out, errs, code, 0, "Accepted as id-1.")
	if !f.wasAsked("/hello/invocations?Qualifier=live") {
		t.Errorf("the qualifier was not asked for: %q", f.asked)
	}
	out, errs, code = r.rouse(t, "invoke", "quote")
	want(t, out, errs, code, 4, `{"errorMessage":"boom"}`)
	if errs != "" {
		t.Errorf("got %q beside the function's own error", errs)
	}
	out, errs, code = r.rouse(t, "invoke", "helo")
	want(t, out, errs, code, 1, `there is no function "helo"`, "Functions: hello, Quote")
	for _, tt := range []struct {
		payload, text string
	}{{"", "the payload is empty; want JSON, such as {}"}, {"{", "the payload is not JSON, at line 1"}, {"@no.json", "no.json: no such file"},
		{"ä?", "at line 1, column 1"}, {"{\"ä\":\n \"ö\" ü}", "at line 2, column 6"}} {
		out, errs, code = r.rouse(t, "invoke", "hello", tt.payload)
		want(t, out, errs, code, 2, tt.text)
	}
	out, errs, code = run{endpoint: f.URL, in: "[1]"}.rouse(t, "invoke", "hello", "-")
	want(t, out, errs, code, 0)
	if !f.wasAsked("invocations [1]") {
		t.Errorf("standard input was not sent: %q", f.asked)
	}
}

// TestNoNode: whatever needs a node says where it looked, and how to start one.
func TestNoNode(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	for _, args := range [][]string{{"list"}, {"status"}, {"stop"}, {"invoke", "x"}, {"logs", "x"}, {"logs", "-f"}, {"usage"}, {"deploy"}, {"delete", "x"}, {"runtime", "list"}} {
		dir := t.TempDir()
		out, errs, code := run{endpoint: dead.URL, dir: dir}.rouse(t, args...)
		want(t, out, errs, code, 3, "error: no node answers at "+dead.URL+": connection refused", "rouse dev")
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%v left %v behind (%v)", args, entries, err)
		}
	}
}

// TestWhoAnswers: another server, or one that is not ready, is told apart.
func TestWhoAnswers(t *testing.T) {
	f := newFake(t, map[string]any{"/_rouse/api/status": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = w.Write([]byte(`{"status":"starting"}`))
	}), "/_rouse/api/runtimes": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		_, _ = w.Write([]byte("<html>\nnginx"))
	}), call + "lambda/ListFunctions": func(string) (int, any) {
		return 403, map[string]any{"__type": "InvalidClientTokenId", "message": "The security token included in the request is invalid."}
	}})
	r := run{endpoint: f.URL}
	out, errs, code := r.rouse(t, "status")
	want(t, out, errs, code, 1, "the node is starting; try again in a moment")
	out, errs, code = r.rouse(t, "runtime", "list")
	want(t, out, errs, code, 1, "does not answer as Rouse does, but: 502 Bad Gateway <html>")
	out, errs, code = r.rouse(t, "list")
	want(t, out, errs, code, 1, "error: The security token included", "Name a key that this node knows: ROUSE_ACCESS_KEY_ID")
}

// TestListOfNearest: a list says what a function runs on where that is not what it asks for.
func TestListOfNearest(t *testing.T) {
	list := map[string]any{"Functions": []any{}}
	for _, name := range []string{"nodejs99.x", "nodejs22.x", "provided.al2023023", "provided.al2023"} {
		list["Functions"] = append(list["Functions"].([]any), map[string]any{"FunctionName": "f" + name[len(name)-3:], "Runtime": name, "Handler": "h"})
	}
	f := newFake(t, map[string]any{call + "lambda/ListFunctions": list, call + "cloudformation/DescribeStacks": map[string]any{},
		"/_rouse/api/runtimes": map[string]any{"Runtimes": []any{map[string]any{"name": "node 22.1.0", "serves": []string{"nodejs22.x", "nodejs99.x"},
			"exact": []string{"nodejs22.x"}}}}})
	out, errs, code := run{endpoint: f.URL}.rouse(t, "list")
	want(t, out, errs, code, 0, "nodejs99.x on node 22.1.0   ", "nodejs22.x   ", "provided.al2023023 as provided.al2023  h", "provided.al2023   ")
	if asked := strings.Join(f.asked, "\n"); !strings.Contains(asked, "runtimes?for=nodejs22.x&for=nodejs99.x&for=provided.al2023&for=provided.al2023023") {
		t.Errorf("got requests\n%s\nwant the functions' runtimes asked for", asked)
	}
}

func TestListAsTextAndJSON(t *testing.T) {
	f := newFake(t, map[string]any{call + "lambda/ListFunctions": functions("hello"), call + "cloudformation/DescribeStacks": map[string]any{
		"Stacks": []any{map[string]any{"StackName": "s", "StackStatus": "UPDATE_ROLLBACK_COMPLETE", "CreationTime": 1.5}}}})
	out, errs, code := run{endpoint: f.URL}.rouse(t, "list")
	want(t, out, errs, code, 0)
	if wantOut := "STACK  STATUS                    DESCRIPTION\ns      update rollback complete\n\n" +
		"FUNCTION  RUNTIME     HANDLER        MEMORY  TIMEOUT  CODE\nhello     nodejs22.x  index.handler  128 MB  1m30s    2.0 KiB\n"; out != wantOut {
		t.Errorf("got\n%s\nwant\n%s", out, wantOut)
	}
	out, errs, code = run{endpoint: f.URL}.rouse(t, "list", "--json")
	want(t, out, errs, code, 0)
	var v struct{ Functions, Stacks []map[string]any }
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Functions) != 1 || v.Functions[0]["Timeout"] != 90.0 || len(v.Stacks) != 1 {
		t.Errorf("got %+v (%v) of\n%s", v, err, out)
	}
	f = newFake(t, map[string]any{call + "lambda/ListFunctions": map[string]any{}, call + "cloudformation/DescribeStacks": map[string]any{}})
	out, errs, code = run{endpoint: f.URL}.rouse(t, "list", "--json")
	want(t, out, errs, code, 0, `"functions": []`, `"stacks": []`)
	out, errs, code = run{endpoint: f.URL}.rouse(t, "list")
	want(t, out, errs, code, 0, "No functions. Deploy some")
	out, errs, code = run{endpoint: f.URL}.rouse(t, "invoke", "x")
	want(t, out, errs, code, 1, "There are no functions yet")
}

// TestColour: never in a pipe, never with NO_COLOR, and on demand.
func TestColour(t *testing.T) {
	f := newFake(t, map[string]any{call + "lambda/ListFunctions": functions("hello"), call + "cloudformation/DescribeStacks": map[string]any{}})
	for _, tt := range []struct {
		env  []string
		want bool
	}{{nil, false}, {[]string{"CLICOLOR_FORCE=1"}, true}, {[]string{"CLICOLOR_FORCE=0"}, false}, {[]string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, false}} {
		out, _, _ := run{endpoint: f.URL, env: tt.env}.rouse(t, "list")
		if got := strings.Contains(out, "\x1b["); got != tt.want {
			t.Errorf("%v: got colour %v, want %v: %q", tt.env, got, tt.want, out)
		}
	}
}

// TestEnv: what is printed can be evaluated by a shell, whatever the values hold, and unsets what leads elsewhere.
func TestEnv(t *testing.T) {
	r := run{endpoint: "http://127.0.0.1:4566", env: []string{"AWS_PROFILE=work", "AWS_ENDPOINT_URL_KINESIS=http://elsewhere", "HTTP_PROXY=http://proxy",
		"NO_PROXY=intranet"}}
	out, errs, code := r.rouse(t, "env")
	want(t, out, errs, code, 0, "export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n", "export AWS_ACCESS_KEY_ID=test\n", "export AWS_SECRET_ACCESS_KEY=test\n",
		"export AWS_REGION=us-east-1\n", "unset AWS_PROFILE\n", "unset AWS_SESSION_TOKEN\n", "unset AWS_ENDPOINT_URL_KINESIS\n",
		"export NO_PROXY=intranet,127.0.0.1,localhost\n", "export no_proxy=127.0.0.1,localhost\n")
	r.env = []string{"ROUSE_ACCESS_KEY_ID=AKIA1", "ROUSE_SECRET_ACCESS_KEY=a'b $(c)", "ROUSE_SESSION_TOKEN=t t"}
	out, errs, code = r.rouse(t, "env")
	want(t, out, errs, code, 0, "export AWS_ACCESS_KEY_ID=AKIA1\n", `export AWS_SECRET_ACCESS_KEY='a'\''b $(c)'`+"\n", "export AWS_SESSION_TOKEN='t t'\n")
	if strings.Contains(out, "unset AWS_SESSION_TOKEN") || strings.Contains(out, "NO_PROXY") {
		t.Errorf("got\n%s\nwant the token kept, and no word of proxies", out)
	}
}

func TestExec(t *testing.T) {
	r := run{endpoint: "http://127.0.0.1:4566", env: []string{"AWS_PROFILE=work", "AWS_ENDPOINT_URL_S3=http://elsewhere", "KEPT=yes"}, in: "input"}
	out, errs, code := r.rouse(t, "exec", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID -$AWS_PROFILE-$AWS_ENDPOINT_URL_S3- $KEPT; cat; exit 7")
	want(t, out, errs, code, 7)
	if out != "http://127.0.0.1:4566 test --- yes\ninput" || errs != "" {
		t.Errorf("got %q and %q", out, errs)
	}
	out, errs, code = r.rouse(t, "exec", "sh", "-c", "kill -TERM $$")
	want(t, out, errs, code, 128+15)
	out, errs, code = r.rouse(t, "exec", "no-such-tool", "--flag")
	want(t, out, errs, code, 127, "there is no command no-such-tool")
	out, errs, code = r.rouse(t, "exec")
	want(t, out, errs, code, 2, "name a command to run")

	aws := filepath.Join(t.TempDir(), "aws") // old versions do not read the variable
	write(t, aws, "#!/bin/sh\necho \"$@\"\n")
	if err := os.Chmod(aws, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, _, _ = r.rouse(t, "exec", "--", aws, "lambda", "list-functions"); out != "--endpoint-url http://127.0.0.1:4566 lambda list-functions\n" {
		t.Errorf("aws got %q", out)
	}
	if out, _, _ = r.rouse(t, "exec", "--", aws, "--endpoint-url=http://x", "s3"); out != "--endpoint-url=http://x s3\n" {
		t.Errorf("aws with an endpoint of its own got %q", out)
	}
}

// TestWhichNode: --endpoint, ROUSE_ENDPOINT, the folder here or above, --data, the default.
func TestWhichNode(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(filepath.Join(dir, ".rouse"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".rouse", cli.NodeFile), `{"url":"http://127.0.0.1:1111","region":"eu-west-1","mode":"dev"}`)
	write(t, filepath.Join(dir, "other", cli.NodeFile), `{"url":"http://127.0.0.1:2222","region":"eu-west-2","mode":"serve"}`)
	write(t, filepath.Join(dir, "broken", cli.NodeFile), `{`)
	for _, tt := range []struct {
		name string
		r    run
		args []string
		want string
	}{
		{"none", run{}, nil, "http://127.0.0.1:4566"},
		{"above", run{dir: deep}, nil, "http://127.0.0.1:1111"},
		{"data", run{dir: deep}, []string{"--data", filepath.Join(dir, "other")}, "http://127.0.0.1:2222"},
		{"ROUSE_DATA", run{dir: dir, env: []string{"ROUSE_DATA=other"}}, nil, "http://127.0.0.1:2222"},
		{"ROUSE_ENDPOINT", run{dir: deep, env: []string{"ROUSE_ENDPOINT=http://127.0.0.1:3333/"}}, nil, "http://127.0.0.1:3333"},
		{"endpoint", run{dir: deep, env: []string{"ROUSE_ENDPOINT=http://127.0.0.1:3333"}}, []string{"--endpoint", "http://127.0.0.1:5555"}, "http://127.0.0.1:5555"},
	} {
		out, errs, code := tt.r.rouse(t, append([]string{"env"}, tt.args...)...)
		want(t, out, errs, code, 0, "export AWS_ENDPOINT_URL="+tt.want+"\n")
	}
	out, errs, code := run{dir: dir, env: []string{"AWS_ACCESS_KEY_ID=mine", "AWS_SECRET_ACCESS_KEY=s"}}.rouse(t, "env", "--data", "other")
	want(t, out, errs, code, 0, "export AWS_REGION=eu-west-2\n", "AWS_ACCESS_KEY_ID=mine") // production: the user's own key
	out, errs, code = run{dir: dir, env: []string{"AWS_ACCESS_KEY_ID=mine"}}.rouse(t, "env")
	want(t, out, errs, code, 0, "AWS_ACCESS_KEY_ID=test") // development: its own
	out, errs, code = run{dir: dir}.rouse(t, "env", "--data", "broken")
	want(t, out, errs, code, 1, filepath.Join("broken", cli.NodeFile))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
