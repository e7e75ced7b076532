package guest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/guesttest"
	"github.com/rouse-dev/rouse/guest/runtimes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// installed finds Node.js and Python; a test that needs one skips without, except in CI.
func installed(t testing.TB) []guest.Interpreter {
	t.Helper()
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: t.TempDir(), Path: []string{"/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	var list []guest.Interpreter
	for _, e := range r.List() {
		list = append(list, e.Interpreter)
	}
	for _, k := range []guest.Kind{guest.Node, guest.Python} {
		if os.Getenv("CI") == "true" && !slices.ContainsFunc(list, func(i guest.Interpreter) bool { return i.Kind == k }) {
			t.Fatalf("CI must have %s", k)
		}
	}
	return list
}

func interpreter(t testing.TB, k guest.Kind) guest.Interpreter {
	t.Helper()
	for _, i := range installed(t) {
		if i.Kind == k {
			return i
		}
	}
	missing(t, "no %s is installed", k)
	return guest.Interpreter{}
}

func TestConformance(t *testing.T) {
	guesttest.Run(t, guesttest.Config{Host: guesttest.NewProcess, Interpreters: installed(t)})
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		runtime, handler string
		want             guest.Kind
		err              rouse.Kind
	}{
		{"nodejs16.x", "index.handler", guest.Node, 0},
		{"nodejs24.x", "index.mjs#fetch", guest.Node, 0},
		{"nodejs24.x", "web:server.js", guest.Web, 0},
		{"python3.8", "app.handler", guest.Python, 0},
		{"python3.14", "app:app", guest.Python, 0},
		{"python3.14", "web:app.py", guest.Web, 0},
		{"provided.al2", "bootstrap", guest.Provided, 0},
		{"provided.al2023", "web:", guest.Web, 0},
		{"provided.al2023023", "bootstrap", guest.Provided, 0},
		{"provided.al", "bootstrap", 0, rouse.Unsupported},
		{"java21", "H", 0, rouse.Unsupported},
		{"dotnet8", "H", 0, rouse.Unsupported},
		{"ruby3.3", "H", 0, rouse.Unsupported},
		{"go1.x", "H", 0, rouse.Unsupported},
		{"python2.7", "H", 0, rouse.Unsupported},
		{"cobol", "H", 0, rouse.Invalid},
		{"", "H", 0, rouse.Invalid},
	} {
		got, err := guest.KindOf(c.runtime, c.handler)
		if got != c.want || err != nil && rouse.KindOf(err) != c.err || (err == nil) != (c.err == 0) {
			t.Errorf("KindOf(%q, %q): got %v, %v, want %v, %v", c.runtime, c.handler, got, err, c.want, c.err)
		}
	}
	if _, err := guest.KindOf("java21", ""); !strings.Contains(err.Error(), "java21: use an image") {
		t.Errorf("got %q, want the runtime and what to do", err)
	}
}

func TestBootSettings(t *testing.T) {
	env := map[string]string{"NODE_OPTIONS": "1", "TZ": "2", "LD_PRELOAD": "3", "PYTHONPATH": "4", "AWS_LAMBDA_EXEC_WRAPPER": "5", "TABLE": "6", "PATH": "7"}
	got := guest.BootSettings(env)
	want := map[string]string{"NODE_OPTIONS": "1", "TZ": "2", "LD_PRELOAD": "3", "PYTHONPATH": "4", "AWS_LAMBDA_EXEC_WRAPPER": "5"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := guest.BootSettings(map[string]string{"TABLE": "6"}); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestCredentialsKeepTheirSecret(t *testing.T) {
	c := guest.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "hush", SessionToken: "hush"}
	fn := guest.Function{Credentials: c}
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v %+v", fn, fn), fmt.Sprintf("%#v", fn)} {
		if strings.Contains(s, "hush") {
			t.Errorf("got %s, want no secret in it", s)
		}
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := guest.Install(dir); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "node", "bootstrap.cjs")
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := guest.Install(dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != string(want) {
		t.Errorf("got %.20q after another Install, want the bootstrap again", got)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*", ".new-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// lodging is a guest on a process.
type lodging struct {
	*guest.Guest
	host guesttest.Host

	mu    sync.Mutex
	lines []string
}

func (l *lodging) log(line guest.Line) {
	l.mu.Lock()
	l.lines = append(l.lines, string(line.Bytes))
	l.mu.Unlock()
}

func (l *lodging) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// place writes files, all executable, and the bootstraps.
func place(t *testing.T, files map[string]string) guesttest.Place {
	t.Helper()
	p := guesttest.Place{Task: t.TempDir(), Runtime: t.TempDir(), Layers: t.TempDir()}
	for name, text := range files {
		dir := p.Task
		if rest, ok := strings.CutPrefix(name, "/opt/"); ok {
			dir, name = p.Layers, rest
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := guest.Install(p.Runtime); err != nil {
		t.Fatal(err)
	}
	return p
}

func boot(t *testing.T, p guesttest.Place, cfg guest.Config) (*lodging, error) {
	t.Helper()
	l := &lodging{host: guesttest.NewProcess(t, p)}
	cfg.Log, cfg.Exited = l.log, l.host.Exited
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	g, err := guest.Boot(ctx, l.host, cfg)
	if err != nil {
		return l, err
	}
	l.Guest = g
	t.Cleanup(func() {
		l.host.Kill()
		g.Close()
	})
	return l, nil
}

// start boots and loads.
func start(t *testing.T, p guesttest.Place, cfg guest.Config, fn guest.Function) *lodging {
	t.Helper()
	l, err := boot(t, p, cfg)
	if err != nil {
		t.Fatalf("Boot: %v\n%s", err, l.text())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Load(ctx, fn); err != nil {
		t.Fatalf("Load: %v\n%s", err, l.text())
	}
	return l
}

func (l *lodging) call(t *testing.T, event, want string) {
	t.Helper()
	var out rouse.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := l.Invoke(ctx, guest.Call{ID: callID, Event: []byte(event), Deadline: time.Now().Add(time.Second)}, &out)
	if err != nil || r.Error != nil || out.String() != want {
		t.Errorf("got %s, %+v, %v, want %s\n%s", out.String(), r.Error, err, want, l.text())
	}
}

var both = []struct {
	kind          guest.Kind
	file, handler string
	environment   string // a handler that answers with variables
}{
	{guest.Node, "index.js", "index.handler", `exports.handler = async (keys) => keys.map((k) => process.env[k] || null)`},
	{guest.Python, "index.py", "index.handler", "import os\ndef handler(keys, context): return [os.environ.get(k) for k in keys]"},
}

func TestRefresh(t *testing.T) {
	for _, b := range both {
		t.Run(b.kind.String(), func(t *testing.T) {
			cfg := guest.Config{Kind: b.kind, Interpreter: interpreter(t, b.kind)}
			l := start(t, place(t, map[string]string{b.file: b.environment}), cfg, guest.Function{Handler: b.handler, Runtime: "x",
				Credentials: guest.Credentials{AccessKeyID: "ONE", Expires: time.Unix(0, 0)}})
			const ask = `["AWS_ACCESS_KEY_ID","AWS_CREDENTIAL_EXPIRATION"]`
			sep := map[guest.Kind]string{guest.Node: ",", guest.Python: ", "}[b.kind]
			l.call(t, ask, `["ONE"`+sep+`"1970-01-01T00:00:00Z"]`)
			l.Refresh(guest.Credentials{AccessKeyID: "TWO", Expires: time.Unix(3600, 0)})
			for range 2 {
				l.call(t, ask, `["TWO"`+sep+`"1970-01-01T01:00:00Z"]`)
			}
		})
	}
}

func TestSettingsAndWrapper(t *testing.T) {
	const wrapper = "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n"
	for _, b := range both {
		t.Run(b.kind.String(), func(t *testing.T) {
			env := map[string]string{"TZ": "Europe/Berlin", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper", "COLOUR": "blue"}
			cfg := guest.Config{Kind: b.kind, Interpreter: interpreter(t, b.kind), Environment: guest.BootSettings(env)}
			l := start(t, place(t, map[string]string{b.file: b.environment, "/opt/wrapper": wrapper}), cfg,
				guest.Function{Handler: b.handler, Runtime: "x", Environment: env})
			sep := map[guest.Kind]string{guest.Node: ",", guest.Python: ", "}[b.kind]
			l.call(t, `["TZ","WRAPPED","COLOUR"]`, `["Europe/Berlin"`+sep+`"yes"`+sep+`"blue"]`)
		})
	}
}

func TestRuntimeThatDoesNotStart(t *testing.T) {
	for _, b := range both {
		t.Run(b.kind.String(), func(t *testing.T) {
			p := place(t, map[string]string{"broken": "#!/bin/sh\necho no libraries >&2\nexit 127\n"})
			l, err := boot(t, p, guest.Config{Kind: b.kind, Interpreter: guest.Interpreter{Kind: b.kind, Path: filepath.Join(p.Task, "broken")}})
			if !errors.Is(err, guest.ErrGuest) || !strings.Contains(err.Error(), "exit status 127") {
				t.Errorf("Boot: got %v, want ErrGuest with the exit status", err)
			}
			if l.text() != "no libraries" {
				t.Errorf("got the log %q, want what the runtime said", l.text())
			}
			if _, err := boot(t, p, guest.Config{Kind: b.kind, Interpreter: guest.Interpreter{Kind: b.kind, Path: "/absent"}}); err == nil {
				t.Error("Boot of an absent interpreter: got no error, want one")
			}
			if _, err := boot(t, p, guest.Config{Kind: b.kind}); err == nil {
				t.Error("Boot without an interpreter: got no error, want one")
			}
		})
	}
}

func TestLoadGivesUp(t *testing.T) {
	for _, b := range []struct {
		kind                guest.Kind
		file, text, handler string
	}{
		{guest.Node, "index.js", "for (;;);", "index.handler"},
		{guest.Python, "index.py", "while True: pass", "index.handler"},
		{guest.Provided, "bootstrap", "#!/bin/sh\nsleep 60\n", "handler"},
		{guest.Web, "bootstrap", "#!/bin/sh\nsleep 60\n", "web:"},
	} {
		t.Run(b.kind.String(), func(t *testing.T) {
			cfg := guest.Config{Kind: b.kind}
			if b.kind.Interpreted() {
				cfg.Interpreter = interpreter(t, b.kind)
			}
			l, err := boot(t, place(t, map[string]string{b.file: b.text}), cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			begin := time.Now()
			if err := l.Load(ctx, guest.Function{Handler: b.handler, Runtime: "x"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Load: got %v, want the deadline", err)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("Load returned after %v, want at once", took)
			}
			l.host.Kill()
			l.Close()
			l.Close()
		})
	}
}

// TestShell: the bootstrap of AWS's tutorial on custom runtimes.
func TestShell(t *testing.T) {
	if _, err := os.Stat("/usr/bin/curl"); err != nil {
		missing(t, "no curl is installed")
	}
	const bootstrap = `#!/bin/sh
set -eu
. "$LAMBDA_TASK_ROOT/$(echo $_HANDLER | cut -d. -f1).sh"
while true
do
  HEADERS="$(mktemp)"
  EVENT_DATA=$(curl -sS -LD "$HEADERS" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  REQUEST_ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)
  rm "$HEADERS"
  RESPONSE=$($(echo "$_HANDLER" | cut -d. -f2) "$EVENT_DATA")
  curl -sS "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$REQUEST_ID/response" -d "$RESPONSE" > /dev/null
done
`
	const function = "handler() {\n  echo \"got $1\" >&2\n  echo \"Echoing request: '$1'\"\n}\n"
	p := place(t, map[string]string{"bootstrap": bootstrap, "function.sh": function})
	l := start(t, p, guest.Config{Kind: guest.Provided}, guest.Function{Handler: "function.handler", Runtime: "provided.al2023", TaskPath: p.Task})
	l.call(t, `{"text":"Hello"}`, `Echoing request: '{"text":"Hello"}'`)
	l.call(t, `{"n":2}`, `Echoing request: '{"n":2}'`)
	if want := "got {\"text\":\"Hello\"}\ngot {\"n\":2}"; l.text() != want {
		t.Errorf("got the log %q, want %q", l.text(), want)
	}
}

func TestEntrypoint(t *testing.T) {
	p := place(t, map[string]string{"/opt/bootstrap": "#!/bin/sh\nexit 4\n"})
	plain := filepath.Join(p.Runtime, "plain")
	if err := os.MkdirAll(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plain, "bootstrap"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ task, layer, want string }{
		"nowhere":           {p.Task, "", "Runtime.InvalidEntrypoint: Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"},
		"not executable":    {plain, p.Layers, "Runtime.InvalidEntrypoint: Error: fork/exec /var/task/bootstrap: permission denied"},
		"of a layer":        {p.Task, p.Layers, "Runtime.ExitError: Error: Runtime exited with error: exit status 4"},
		"taken for granted": {"", "", "Runtime.InvalidEntrypoint: Error: fork/exec " + p.Task + "/bootstrap: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := boot(t, p, guest.Config{Kind: guest.Provided})
			if err != nil {
				t.Fatal(err)
			}
			var ie *guest.InitError
			err = l.Load(context.Background(), guest.Function{TaskPath: c.task, LayerPath: c.layer})
			if !errors.As(err, &ie) || err.Error() != "initialise function: "+c.want {
				t.Errorf("Load: got %v, want %s", err, c.want)
			}
		})
	}
}

// TestEndlessWriter: a function that never stops writing cannot hold its answer back.
func TestEndlessWriter(t *testing.T) {
	p := place(t, map[string]string{"index.py": "import subprocess\ndef handler(event, context):\n    subprocess.Popen(['yes'])\n    return 1"})
	l := start(t, p, guest.Config{Kind: guest.Python, Interpreter: interpreter(t, guest.Python)}, guest.Function{Handler: "index.handler", Runtime: "x"})
	l.call(t, `1`, `1`)
}

// BenchmarkInvoke: two writes, two reads and two wake-ups on a socketpair; the limit is a ping-pong of one byte.
func BenchmarkInvoke(b *testing.B) {
	for _, k := range both {
		b.Run(k.kind.String(), func(b *testing.B) {
			dir := b.TempDir()
			if err := guest.Install(dir); err != nil {
				b.Fatal(err)
			}
			text := map[guest.Kind]string{guest.Node: `exports.handler = async (e) => ({ ok: e.n })`,
				guest.Python: "def handler(e, c): return {'ok': e['n']}"}[k.kind]
			task := b.TempDir()
			if err := os.WriteFile(filepath.Join(task, k.file), []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
			h := guesttest.NewProcess(b, guesttest.Place{Task: task, Runtime: dir})
			g, err := guest.Boot(context.Background(), h, guest.Config{Kind: k.kind, Interpreter: interpreter(b, k.kind)})
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			defer h.Kill()
			if err := g.Load(context.Background(), guest.Function{Handler: k.handler, Runtime: "x"}); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var out rouse.Buffer
			call := guest.Call{ID: callID, Event: []byte(`{"n":12345,"path":"/hello","headers":{"host":"x"}}`), Deadline: time.Now().Add(time.Hour)}
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if _, err := g.Invoke(ctx, call, &out); err != nil {
					b.Fatal(err)
				}
			}
			runtime.KeepAlive(g)
		})
	}
}

// TestWebProgram: a program that listens on $PORT sees its layers, and fetches its keys as SDKs do.
func TestWebProgram(t *testing.T) {
	const server = `
import http.server, json, os, stock, urllib.request
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        q = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        q.add_header("Authorization", os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
        key = json.load(urllib.request.urlopen(q))["AccessKeyId"]
        self.send_response(200); self.end_headers()
        self.wfile.write(("%s %d %s" % (key, stock.N, os.environ.get("AWS_ACCESS_KEY_ID"))).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`
	p := place(t, map[string]string{"server.py": server, "/opt/python/stock.py": "N = 7"})
	cfg := guest.Config{Kind: guest.Web, Interpreter: interpreter(t, guest.Python)}
	l := start(t, p, cfg, guest.Function{Handler: "web:server.py", Runtime: "python3.11", CredentialsByURL: true,
		Credentials: guest.Credentials{AccessKeyID: "ONE"}})
	const event = `{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET"}}}`
	answer := func(body string) string {
		return `{"statusCode":200,"headers":{"Server":"*"},"body":"` + body + `","isBase64Encoded":false}`
	}
	for _, key := range []string{"ONE", "TWO"} {
		var out rouse.Buffer
		r, err := l.Invoke(context.Background(), guest.Call{ID: callID, Event: []byte(event)}, &out)
		got := regexp.MustCompile(`"Server":"[^"]*"`).ReplaceAllString(out.String(), `"Server":"*"`)
		if want := answer(key + " 7 None"); err != nil || r.Error != nil || got != want {
			t.Errorf("got %s, %+v, %v, want %s\n%s", got, r.Error, err, want, l.text())
		}
		l.Refresh(guest.Credentials{AccessKeyID: "TWO"})
	}
}

// missing skips what this machine cannot run, and fails where it must be able to.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to run this: "+format, args...)
	}
	t.Skipf(format, args...)
}
