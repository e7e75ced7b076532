package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/node"
)

// patience is how long a script waits for anything. A machine that is busy needs some; a script that needs all of it fails.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rouse": func() {
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.World{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Version: "test",
			Settings: node.Settings(), Start: node.Start, Doctor: node.Doctor,
			State: cli.State{Copy: node.CopyStore, Restore: node.Restore, Verify: node.VerifyBackup},
		}))
	}})
}

// TestScripts runs the command as a user does. Beside testscript's own, scripts have these commands:
//
//	start NAME ARG...         runs rouse ARG... until it says "Ready."; its output is in NAME.out and NAME.err. With --data,
//	                          or the folder that follows dev, $URL and $API become its addresses
//	follow NAME ARG...        runs rouse ARG..., which goes on: until what it follows is connected
//	keys FILE                 sets $KEY and $SECRET to the key that a first start printed
//	await FILE REGEXP         waits until FILE, which somebody writes to, matches
//	http [-X METHOD] [-H 'K: V'] [-d BODY] STATUS URL    asks, wants the status, and prints the body; a cookie that is set
//	                          is printed before it, and its NAME=VALUE is in $COOKIE
//	retry COMMAND...          runs a command until it succeeds
//	quit NAME [SIGNAL [CODE]] ends what was started, and wants its exit code
//	ended NAME CODE           waits for its end without a signal
//	replace FILE OLD NEW      edits a file in place, as an editor does: by another file and a rename
//	code N COMMAND...         runs a command and wants its exit code
//	json FILE|stdout PATH WANT  reads a value of a JSON document: .a.0.b
//	hold NAME                 opens a port, held until the end; its address is in $NAME
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nodes")
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup, Condition: condition, RequireUniqueNames: true,
		RequireExplicitExec: true, Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "follow": follow, "keys": keys, "await": await, "http": ask, "retry": retry, "quit": quit, "ended": ended, "replace": replace, "code": exitCode,
			"json": jsonValue, "hold": hold,
		}})
}

// setup gives each script a home of its own, and the caches of Go's tools.
func setup(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		return err
	}
	dirs := strings.Split(strings.TrimSpace(string(out)), "\n")
	e.Setenv("HOME", home)
	e.Setenv("GOCACHE", dirs[0])
	e.Setenv("GOMODCACHE", dirs[1])
	e.Setenv("GOROOT", dirs[2])
	e.Setenv("GOPROXY", "off") // what is not in the cache already is not asked for
	e.Setenv("GOFLAGS", "-mod=mod")
	for _, name := range registry() {
		e.Setenv(name, os.Getenv(name))
	}
	e.Setenv("npm_config_cache", filepath.Join(home, "npm"))
	e.Setenv("npm_config_offline", "true")
	cache, ok := os.LookupEnv("npm_config_cache")
	if user, err := os.UserHomeDir(); err == nil {
		if !ok {
			cache = filepath.Join(user, ".npm")
		}
		if _, ok := os.LookupEnv("npm_config_userconfig"); !ok {
			e.Setenv("npm_config_userconfig", filepath.Join(user, ".npmrc"))
		}
	}
	e.Setenv("NPM_CACHE", cache) // for scripts that need packages of the registry
	repository, err := filepath.Abs("..")
	e.Setenv("REPOSITORY", repository)
	e.Values[started{}] = map[string]*process{}
	e.Defer(func() { killAll(e.Values[started{}].(map[string]*process)) })
	return err
}

// registry names the variables of this environment that say how npm reaches its registry.
func registry() (names []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "npm_config_"), strings.HasSuffix(lower, "_proxy"), lower == "node_extra_ca_certs":
			names = append(names, name)
		}
	}
	return names
}

type started struct{}

// process is a rouse that runs beside a script.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func killAll(all map[string]*process) {
	for _, p := range all {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
	}
}

func condition(name string) (bool, error) {
	if name == "registry" { // npm's, or what a cache keeps of it
		return os.Getenv("CI") == "true" || exec.Command("npm", "view", "--prefer-offline", "esbuild@0.28.2", "version").Run() == nil, nil
	}
	tool, ok := strings.CutPrefix(name, "tool:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return os.Getenv("CI") == "true" || exec.Command(tool, "--version").Run() == nil || exec.Command(tool, "version").Run() == nil, nil
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARG...")
	}
	p := launch(ts, args)
	poll(ts, "Ready.", args[0], p, func() bool { return strings.Contains(read(ts, args[0]+".out"), "\nReady.\n") })
	addresses(ts, args[1:])
}

func follow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: follow NAME ARG...")
	}
	p := launch(ts, args)
	poll(ts, "Following", args[0], p, func() bool { return strings.Contains(read(ts, args[0]+".err"), "Following") })
}

// launch runs rouse beside the script.
func launch(ts *testscript.TestScript, args []string) *process {
	all := ts.Value(started{}).(map[string]*process)
	name := args[0]
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer stderr.Close()
	cmd := exec.Command(find(ts, "rouse"), args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = ts.MkAbs("."), stdout, stderr, environ(ts)
	ts.Check(cmd.Start())
	p := &process{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its state says how it ended
		close(p.done)
	}()
	all[name] = p
	return p
}

var printedKeys = regexp.MustCompile(`AWS_ACCESS_KEY_ID=(\S+)\s+AWS_SECRET_ACCESS_KEY=(\S+)`)

func keys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keys FILE")
	}
	m := printedKeys.FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("%s has no keys:\n%s", args[0], ts.ReadFile(args[0]))
	}
	ts.Setenv("KEY", m[1])
	ts.Setenv("SECRET", m[2])
}

// addresses sets $URL and $API to those of the node that was started.
func addresses(ts *testscript.TestScript, args []string) {
	data := ".rouse"
	for i, a := range args {
		if a == "--data" {
			data = args[i+1]
		}
	}
	if last := args[len(args)-1]; data == ".rouse" && !strings.HasPrefix(last, "-") && args[0] == "dev" {
		if st, err := os.Stat(ts.MkAbs(last)); err == nil && st.IsDir() {
			data = filepath.Join(last, ".rouse")
		} else if err == nil {
			data = filepath.Join(filepath.Dir(last), ".rouse")
		}
	}
	var info cli.NodeInfo
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(data, cli.NodeFile))), &info))
	ts.Setenv("URL", info.URL)
	ts.Setenv("API", "http://"+info.Plain)
}

func find(ts *testscript.TestScript, tool string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if st, err := os.Stat(filepath.Join(dir, tool)); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return filepath.Join(dir, tool)
		}
	}
	ts.Fatalf("%s is not in PATH", tool)
	return ""
}

// environ is the script's environment, as far as commands here need it.
func environ(ts *testscript.TestScript) []string {
	var env []string
	names := []string{"PATH", "HOME", "TMPDIR", "WORK", "GOCACHE", "GOMODCACHE", "GOROOT", "GOPROXY", "GOFLAGS", "npm_config_cache",
		"npm_config_offline", "npm_config_prefer_offline", "npm_config_userconfig", "ROUSE_LISTEN", "ROUSE_PLAIN", "ROUSE_METRICS",
		"ROUSE_REGION", "ROUSE_DATA", "ROUSE_EGRESS", "NO_COLOR", "CLICOLOR_FORCE"}
	for _, name := range append(names, registry()...) {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// read is a file that is being written, as far as it is there.
func read(ts *testscript.TestScript, file string) string {
	b, err := os.ReadFile(ts.MkAbs(file))
	if err != nil {
		return ""
	}
	return string(b)
}

// poll waits until ok, and fails with what a process wrote when that takes too long or the process ends before.
func poll(ts *testscript.TestScript, what, name string, p *process, ok func() bool) {
	deadline, tick := time.NewTimer(patience), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !ok() {
		var ended <-chan struct{}
		if p != nil {
			ended = p.done
		}
		select {
		case <-tick.C:
		case <-ended:
			if ok() {
				return
			}
			ts.Fatalf("%s ended (%v) before %s:\n%s\n%s", name, p.cmd.ProcessState, what, read(ts, name+".out"), read(ts, name+".err"))
		case <-deadline.C:
			ts.Fatalf("waited %v in vain for %s; %s wrote:\n%s\n%s", patience, what, name, read(ts, name+".out"), read(ts, name+".err"))
		}
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	deadline, tick := time.NewTimer(patience), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !re.MatchString(read(ts, args[0])) {
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("waited %v in vain for %s to match %s; it has:\n%s", patience, args[0], args[1], read(ts, args[0]))
		}
	}
}

// ask sends one request.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	req, want, err := parseRequest(args)
	if neg || err != nil {
		ts.Fatalf("usage: http [-X METHOD] [-H 'K: V'] [-d BODY] STATUS URL (%v)", err)
	}
	status, body, cookie, err := send(req)
	ts.Check(err)
	if cookie != "" {
		fmt.Fprintln(ts.Stdout(), "Set-Cookie:", cookie)
		pair, _, _ := strings.Cut(cookie, ";")
		ts.Setenv("COOKIE", pair)
	}
	fmt.Fprintln(ts.Stdout(), body)
	if status != want {
		ts.Fatalf("%s %s: got %d %s, want %d", req.Method, req.URL, status, body, want)
	}
}

func parseRequest(args []string) (*http.Request, int, error) {
	method, body := "GET", ""
	header := http.Header{}
	for len(args) > 2 {
		switch args[0] {
		case "-X":
			method = args[1]
		case "-d":
			method, body = "POST", args[1]
		case "-H":
			k, v, _ := strings.Cut(args[1], ": ")
			header.Set(k, v)
		default:
			return nil, 0, fmt.Errorf("unknown flag %s", args[0])
		}
		args = args[2:]
	}
	if len(args) != 2 {
		return nil, 0, fmt.Errorf("got %d arguments", len(args))
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequest(method, args[1], strings.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header = header
	return req, want, nil
}

func send(req *http.Request) (status int, body, cookie string, err error) {
	c := http.Client{Timeout: patience}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header.Get("Set-Cookie"), err
}

func retry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: retry COMMAND...")
	}
	deadline, tick := time.NewTimer(patience), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		out, err := repeat(ts, args)
		if err == nil {
			fmt.Fprint(ts.Stdout(), out)
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("%s: still fails after %v: %v\n%s", strings.Join(args, " "), patience, err, out)
		}
	}
}

// repeat runs one of the commands here that can be repeated, or a program.
func repeat(ts *testscript.TestScript, args []string) (string, error) {
	if args[0] == "http" {
		req, want, err := parseRequest(args[1:])
		if err != nil {
			return "", err
		}
		status, body, _, err := send(req)
		if err == nil && status != want {
			err = fmt.Errorf("got %d, want %d", status, want)
		}
		return body + "\n", err
	}
	if args[0] == "grep" { // grep TEXT COMMAND...: a program whose output has the text
		out, err := repeat(ts, args[2:])
		if err == nil && !strings.Contains(out, args[1]) {
			err = fmt.Errorf("the output lacks %q", args[1])
		}
		return out, err
	}
	cmd := exec.Command(find(ts, args[0]), args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func quit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 3 {
		ts.Fatalf("usage: quit NAME [SIGNAL [CODE]]")
	}
	p := ts.Value(started{}).(map[string]*process)[args[0]]
	signal, want := syscall.SIGINT, "0"
	if len(args) > 1 {
		signal = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[1]]
	}
	if len(args) > 2 {
		want = args[2]
	}
	ts.Check(p.cmd.Process.Signal(signal))
	if signal == syscall.SIGKILL {
		want = "-1"
	}
	ended(ts, false, []string{args[0], want})
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	name := args[0]
	p := ts.Value(started{}).(map[string]*process)[name]
	poll(ts, "the end", name, p, func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s ended with %s, want %s:\n%s\n%s", name, got, args[1], read(ts, name+".out"), read(ts, name+".err"))
	}
}

func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	file := ts.MkAbs(args[0])
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q:\n%s", args[0], args[1], text)
	}
	tmp := filepath.Join(filepath.Dir(file), ".edit~")
	ts.Check(os.WriteFile(tmp, []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
	ts.Check(os.Rename(tmp, file))
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: got exit code %d, want %s\n%s%s", strings.Join(args[1:], " "), got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &v); err != nil {
		ts.Fatalf("%s is not JSON: %v\n%s", args[0], err, ts.ReadFile(args[0]))
	}
	for _, step := range strings.Split(strings.TrimPrefix(args[1], "."), ".") {
		switch c := v.(type) {
		case map[string]any:
			v = c[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(c) {
				ts.Fatalf("%s: %s has %d elements", args[0], args[1], len(c))
			}
			v = c[i]
		default:
			v = nil
		}
	}
	if got := fmt.Sprint(v); (got == args[2]) == neg {
		ts.Fatalf("%s: got %q, want %q (not: %v)", args[1], got, args[2], neg)
	}
}

func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold NAME")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}
