package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// probe asks function name to try something and decodes what came of it.
func (r *rouse) probe(t testing.TB, name string, event m, out any) {
	t.Helper()
	a := r.try1(t, name, event)
	if a.Status != 200 || a.Header.Get("X-Amz-Function-Error") != "" {
		t.Fatalf("%s %v: got %s, want an answer", name, event, a)
	}
	if err := json.Unmarshal([]byte(a.Body), out); err != nil {
		t.Fatalf("%s %v answered %q: %v", name, event, a.Body, err)
	}
}

// try1 makes one attempt, whatever the answer, with the tail of the log.
func (r *rouse) try1(t testing.TB, name string, event m) answer {
	t.Helper()
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return r.send(t, "lambda", "POST", "/2015-03-31/functions/"+name+"/invocations", string(b), "X-Amz-Log-Type", "Tail")
}

// fails wants an error of the function, of that type and text.
func (r *rouse) fails(t testing.TB, name string, event m, typ, text string) answer {
	t.Helper()
	a := r.try1(t, name, event)
	var e struct{ ErrorType, ErrorMessage string }
	_ = json.Unmarshal([]byte(a.Body), &e)
	if a.Status != 200 || a.Header.Get("X-Amz-Function-Error") != "Unhandled" || e.ErrorType != typ ||
		!strings.Contains(e.ErrorMessage, text) {
		t.Errorf("%s %v: got %s, want 200, %s and %q", name, event, a, typ, text)
	}
	return a
}

// stays fails the test when the instance of a function is not the one that has counted to n.
func (r *rouse) stays(t testing.TB, name string, n int) {
	t.Helper()
	var got int
	if r.probe(t, name, m{"try": "count"}, &got); got != n+1 {
		t.Errorf("count of the instance of %s: got %d, want %d: it was to stay", name, got, n+1)
	}
}

// TestSandbox drives one node with functions that misbehave. Each has its own function; a bystander must notice nothing.
func TestSandbox(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := newRouse(t)
	r.args = developed(r.args) // where test/test is accepted from this machine's clients and from nobody inside
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	role := r.role(t, "probe", "sts:GetCallerIdentity")
	r.make(t, fn{Name: "bystander", File: "probe.js", Role: role})
	r.stays(t, "bystander", 0)
	probe := func(t *testing.T, name string, f fn) {
		f.Name, f.File, f.Role = name, "probe.js", role
		r.make(t, f)
	}
	t.Run("together", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"memory":      func(t *testing.T) { probe(t, "memory", fn{}); testMemory(t, r) },
			"timeout":     func(t *testing.T) { probe(t, "timeout", fn{Timeout: 1}); testTimeout(t, r) },
			"tmp":         func(t *testing.T) { probe(t, "tmp", fn{Memory: 1024, Timeout: 30}); testTmp(t, r) },
			"bomb":        func(t *testing.T) { probe(t, "bomb", fn{Memory: 512, Timeout: 20}); testBomb(t, r) },
			"print":       func(t *testing.T) { probe(t, "print", fn{Timeout: 300}); testPrint(t, r) },
			"exit":        func(t *testing.T) { probe(t, "exit", fn{}); testExit(t, r) },
			"environment": func(t *testing.T) { probe(t, "environment", fn{Memory: 256}); testEnvironment(t, r) },
			"freeze":      func(t *testing.T) { probe(t, "freeze", fn{}); testFreeze(t, r) },
			"network":     func(t *testing.T) { probe(t, "network", fn{}); probe(t, "neighbour", fn{}); testNetwork(t, r) },
			"platform":    func(t *testing.T) { probe(t, "platform", fn{}); testPlatform(t, r) },
			"reserved":    func(t *testing.T) { probe(t, "reserved", fn{}); testReserved(t, r) },
			"boto3":       func(t *testing.T) { testBoto3(t, r) },
			"recursion":   func(t *testing.T) { testRecursion(t, r) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	r.stays(t, "bystander", 1)
}

// testMemory: the limit ends the instance that exceeds it, its caller learns why, and the next gets another instance.
func testMemory(t *testing.T, r *rouse) {
	var n int
	if r.probe(t, "memory", m{"try": "memory", "mb": 40}, &n); n != 40 {
		t.Errorf("40 MiB within 128: got %d, want 40", n)
	}
	a := r.fails(t, "memory", m{"try": "memory", "mb": 400}, "Runtime.OutOfMemory", "signal: killed")
	if !strings.Contains(a.tail(), "Memory Size: 128 MB\tMax Memory Used: 128 MB") {
		t.Errorf("the report of an attempt that used all memory: got %q, want 128 of 128 MB", a.tail())
	}
	r.stays(t, "memory", 0)
}

// testTimeout: a handler that does not end is ended at its time, even if it never yields.
func testTimeout(t *testing.T, r *rouse) {
	for _, how := range []m{{"try": "sleep", "ms": 60_000}, {"try": "spin"}} {
		began := time.Now()
		a := r.fails(t, "timeout", how, "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds")
		if took := time.Since(began); took < 900*time.Millisecond || took > 8*time.Second {
			t.Errorf("%v with a timeout of one second took %s", how, took)
		}
		if !strings.Contains(a.tail(), "Task timed out after 1.00 seconds") {
			t.Errorf("the log of %v: got %q, want the timeout in it", how, a.tail())
		}
		r.stays(t, "timeout", 0)
	}
}

// testTmp: /tmp takes what it is configured to and no more, and the function lives to tell.
func testTmp(t *testing.T, r *rouse) {
	var got struct {
		Written int
		Code    string
	}
	if r.probe(t, "tmp", m{"try": "tmp", "mb": 700}, &got); got.Code != "ENOSPC" || got.Written < 480 || got.Written > 512 {
		t.Errorf("700 MiB into a /tmp of 512: got %+v, want ENOSPC after almost 512", got)
	}
	if r.probe(t, "tmp", m{"try": "tmp", "mb": 100}, &got); got.Written != 100 {
		t.Errorf("100 MiB into an emptied /tmp: got %+v, want 100", got)
	}
	for path, want := range map[string]string{"/var/task/x": "EROFS", "/opt/x": "EROFS", "/etc/x": "EROFS", "/x": "EROFS"} {
		var code string
		if r.probe(t, "tmp", m{"try": "write", "path": path}, &code); code != want && code != "EACCES" && code != "ENOENT" {
			t.Errorf("write %s: got %s, want %s", path, code, want)
		}
	}
}

// testBomb: processes are limited, per sandbox.
func testBomb(t *testing.T, r *rouse) {
	var got struct {
		Made   int
		Failed string
	}
	r.probe(t, "bomb", m{"try": "bomb"}, &got)
	if !strings.Contains(strings.ToLower(got.Failed), "fork") || got.Made < 100 || got.Made > 1024 {
		t.Errorf("6000 processes: got %+v, want forks refused at Lambda's 1024 or before", got)
	}
}

// testPrint: a function that floods its log neither fills the node's memory nor stops it.
func testPrint(t *testing.T, r *rouse) {
	mb := soak(100, 1024)
	began := time.Now()
	var got int
	if r.probe(t, "print", m{"try": "print", "mb": mb}, &got); got != mb {
		t.Errorf("print: got %d, want %d", got, mb)
	}
	var status struct{ Memory struct{ Node int64 } }
	a := r.send(t, "rouse", "GET", "/_rouse/api/status", "")
	if err := json.Unmarshal([]byte(a.Body), &status); err != nil || status.Memory.Node > 600<<20 {
		t.Errorf("the node's memory after %d MiB of log: got %s, want at most 600 MiB", mb, a)
	}
	t.Logf("%d MiB printed in %s, the node has %d MiB", mb, time.Since(began).Round(time.Millisecond), status.Memory.Node>>20)
}

// testExit: a process that goes away instead of answering.
func testExit(t *testing.T, r *rouse) {
	r.fails(t, "exit", m{"try": "exit", "code": 3}, "Runtime.ExitError", "Runtime exited with error: exit status 3")
	r.fails(t, "exit", m{"try": "exit", "code": 0}, "Runtime.ExitError", "Runtime exited without providing a reason")
	r.stays(t, "exit", 0)
}

func testEnvironment(t *testing.T, r *rouse) {
	var env map[string]string
	r.probe(t, "environment", m{"try": "env"}, &env)
	for name, want := range map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "environment", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/environment", "AWS_REGION": "us-east-1",
		"AWS_DEFAULT_REGION": "us-east-1", "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x", "_HANDLER": "index.handler",
		"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "TZ": ":UTC"} {
		if env[name] != want {
			t.Errorf("%s: got %q, want %q", name, env[name], want)
		}
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL",
		"AWS_LAMBDA_LOG_STREAM_NAME", "PATH"} {
		if env[name] == "" {
			t.Errorf("%s: got nothing, want it set", name)
		}
	}
}

// testFreeze: an idle instance stands still, and is the same one when it is called again.
func testFreeze(t *testing.T, r *rouse) {
	var before, after int
	r.probe(t, "freeze", m{"try": "ticks"}, &before)
	wait(1500 * time.Millisecond)
	r.probe(t, "freeze", m{"try": "ticks"}, &after)
	if after-before > 60 { // of 150 when it ran on
		t.Errorf("ticks of 10 ms while idle for 1.5 s: got %d, want those before it froze", after-before)
	}
	if after < before {
		t.Errorf("ticks: got %d after %d, want the same instance", after, before)
	}
}

// testNetwork: a function reaches neither the host, nor private networks, nor another function.
func testNetwork(t *testing.T, r *rouse) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	var fib string
	r.probe(t, "neighbour", m{"try": "listen", "port": 7777}, &fib)
	to := [][2]string{{"169.254.169.254", "80"}, {"10.0.0.1", "80"}, {"192.168.0.1", "80"}, {"172.17.0.1", "80"}, {"127.0.0.1", port},
		{"127.0.0.1", "7777"}, {"127.0.0.1", r.url[strings.LastIndexByte(r.url, ':')+1:]}}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			to = append(to, [2]string{ip.IP.String(), port})
		}
	}
	for line := range strings.Lines(fib) { // every address that the neighbour has
		ip := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "|--"))
		if net.ParseIP(ip) != nil && !strings.HasPrefix(ip, "127.") &&
			!strings.HasSuffix(ip, ".0") && !strings.HasSuffix(ip, ".255") {
			to = append(to, [2]string{ip, "7777"})
		}
	}
	var got map[string]string
	r.probe(t, "network", m{"try": "dial", "to": to}, &got)
	for address, outcome := range got {
		if outcome == "connected" {
			t.Errorf("dial %s from a function: got %s, want it refused", address, outcome)
		}
	}
	var processes []string
	r.probe(t, "network", m{"try": "processes"}, &processes)
	if len(processes) > 4 {
		t.Errorf("processes that a function sees: got %q, want its own", processes)
	}
	for _, p := range []string{"/proc/1/environ", "/etc/shadow", r.dir + "/data/seal.key", "/root/.bashrc"} {
		var text string
		if r.probe(t, "network", m{"try": "read", "path": p}, &text); text != "EACCES" && text != "ENOENT" && text != "EPERM" {
			t.Errorf("read %s from a function: got %q, want it refused", p, text)
		}
	}
}

// testPlatform: the endpoint inside knows the function by its role, and lets it do what the role may.
func testPlatform(t *testing.T, r *rouse) {
	type result struct {
		Status int
		Body   string
	}
	var got result
	if r.probe(t, "platform", m{"try": "caller"}, &got); got.Status != 200 ||
		!strings.Contains(got.Body, "arn:aws:sts::000000000000:assumed-role/probe/platform") {
		t.Errorf("who the platform takes a function for: got %+v, want its role's session", got)
	}
	if r.probe(t, "platform", m{"try": "caller", "keys": m{"id": "test", "secret": "test"}}, &got); got.Status != 403 {
		t.Errorf("test/test from inside a sandbox: got %+v, want 403", got)
	}
	if r.probe(t, "platform", m{"try": "invoke", "name": "bystander", "event": m{"try": "count"}}, &got); got.Status != 403 ||
		!strings.Contains(got.Body, "is not authorized to perform: lambda:InvokeFunction") {
		t.Errorf("a call of another function without permission: got %+v, want 403", got)
	}
	for _, path := range []string{"/2015-03-31/functions", "/2015-03-31/functions/bystander", "/2015-03-31/functions/platform"} {
		if r.probe(t, "platform", m{"try": "call", "service": "lambda", "method": "GET", "path": path}, &got); got.Status != 403 {
			t.Errorf("GET %s beyond the role: got %+v, want 403", path, got)
		}
	}
	for _, path := range []string{"/_rouse/metrics", "/_rouse/api/status", "/_rouse/health"} {
		if r.probe(t, "platform", m{"try": "call", "service": "rouse", "method": "GET", "path": path}, &got); got.Status < 400 {
			t.Errorf("GET %s, an operator's page, from inside: got %+v, want it refused", path, got)
		}
	}
	if r.probe(t, "platform", m{"try": "call", "service": "rouse", "method": "POST", "path": "/_rouse/api/stop"}, &got); got.Status != 403 {
		t.Errorf("stop the node from inside: got %+v, want 403", got)
	}
}

// testReserved: a function has its reserved concurrency and no more.
func testReserved(t *testing.T, r *rouse) {
	r.call(t, "lambda", "PutFunctionConcurrency", m{"FunctionName": "reserved", "ReservedConcurrentExecutions": 1}, nil)
	codes := r.atOnce(t, "reserved", 3)
	if codes[200] != 1 || codes[429] != 2 {
		t.Errorf("three calls at once with one reserved: got %v, want one 200 and two 429", codes)
	}
	r.call(t, "lambda", "PutFunctionConcurrency", m{"FunctionName": "reserved", "ReservedConcurrentExecutions": 0}, nil)
	a := r.try1(t, "reserved", m{"try": "count"})
	if a.Status != 429 || !strings.Contains(a.Body, "ReservedFunctionConcurrentInvocationLimitExceeded") {
		t.Errorf("a call with none reserved: got %s, want 429", a)
	}
}

// atOnce makes n calls that overlap and counts their status codes.
func (r *rouse) atOnce(t testing.TB, name string, n int) map[int]int {
	t.Helper()
	var mu sync.Mutex
	codes := map[int]int{}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			a, err := r.try("lambda", "POST", "/2015-03-31/functions/"+name+"/invocations", `{"try":"sleep","ms":1500}`)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			codes[a.Status]++
			mu.Unlock()
		})
	}
	all.Wait()
	return codes
}

// boto3 is a runtime that has boto3. Without one the test is skipped, in CI it fails.
func (r *rouse) boto3(t *testing.T) string {
	t.Helper()
	var list struct {
		Runtimes []struct{ Modules, Serves []string }
	}
	a := r.send(t, "rouse", "GET", "/_rouse/api/runtimes", "")
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
		t.Fatal(err)
	}
	for _, x := range list.Runtimes {
		if strings.Contains(strings.Join(x.Modules, " "), "boto3") && len(x.Serves) > 0 {
			return x.Serves[0]
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI needs boto3 where the node's Python finds it: %s", a)
	}
	t.Skip("no Python of this machine that serves a runtime has boto3")
	return ""
}

// testBoto3: the SDK finds the platform by the environment alone.
func testBoto3(t *testing.T, r *rouse) {
	runtime := r.boto3(t)
	r.make(t, fn{Name: "boto3", File: "boto.py", Role: r.role(t, "boto"), Timeout: 60, Memory: 256, More: m{"Runtime": runtime}})
	var got struct{ Caller, Denied string }
	r.probe(t, "boto3", m{}, &got)
	if !strings.HasPrefix(got.Caller, "arn:aws:sts::000000000000:assumed-role/boto/boto3") || !strings.HasPrefix(got.Denied, "AccessDenied") {
		t.Errorf("boto3 in a function: got %+v, want its role's session, and AccessDenied for what the role may not", got)
	}
}

// testRecursion: a function that causes itself is stopped after HopsMax hops.
func testRecursion(t *testing.T, r *rouse) {
	r.call(t, "logs", "CreateLogGroup", m{"logGroupName": "/ran"}, nil)
	r.make(t, fn{Name: "again", File: "again.js", Role: r.role(t, "again-role", "lambda:InvokeFunction", "logs:CreateLogStream")})
	a := r.send(t, "lambda", "POST", "/2015-03-31/functions/again/invocations", `{"id":"chain"}`, "X-Amz-Invocation-Type", "Event")
	if a.Status != 202 {
		t.Fatalf("the first of a chain: got %s, want 202", a)
	}
	until(t, "the chain is stopped", func() bool {
		return strings.Contains(r.ask(t, "logs", "FilterLogEvents", m{"logGroupName": "/aws/lambda/again", "filterPattern": "REFUSED"}).Body, "REFUSED")
	})
	runs := r.ran(t)["chain"]
	a = r.ask(t, "logs", "FilterLogEvents", m{"logGroupName": "/aws/lambda/again", "filterPattern": "REFUSED"})
	if runs < 15 || runs > 17 || !strings.Contains(a.Body, "recursive loop") {
		t.Errorf("a function that causes itself: got %d runs and %s, want about 16 and the refusal", runs, fmt.Sprint(a))
	}
}

// TestLimitsOfANode: what an operator set holds: concurrency of the account, how long idle instances stay.
func TestLimitsOfANode(t *testing.T) {
	t.Parallel()
	r := launch(t, "--concurrency", "2", "--keep-alive", "1s")
	r.make(t, fn{Name: "f", File: "probe.js"})
	codes := r.atOnce(t, "f", 4)
	if codes[200] != 2 || codes[429] != 2 {
		t.Errorf("four calls at once with a concurrency of two: got %v, want two 200 and two 429", codes)
	}
	r.stays(t, "f", 1)
	until(t, "idle instances go", func() bool {
		return r.measures(t, "rouse_instances_idle 0")
	})
	r.stays(t, "f", 0)
}
