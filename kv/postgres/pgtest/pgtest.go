// Package pgtest starts PostgreSQL servers for tests: real ones, Debian's or whatever is installed, in folders of their own.
//
// A server belongs to the test that started it and ends with it, also when the test's process is killed: a shell stands
// between the two and stops the server when its standard input closes. It listens on a Unix socket and nowhere else, runs as
// an ordinary user when the test is root's (PostgreSQL refuses to be), and can be killed and started again in the same folder,
// which is what tests of crashes need. Store opens a store in a schema of its own, so that many tests share one server.
//
// Where no server is installed the test is skipped with that reason, unless CI=true says that it must not be. What this
// package leaves to its users is what they do with the server; it promises nothing about speed.
package pgtest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
)

// BinVariable names the folder of the server's programs, where they are not in PATH or where Debian puts them.
const BinVariable = "ROUSE_POSTGRES_BIN"

// Config says what a server is like.
type Config struct {
	Getenv   func(string) string // os.Getenv of the test: CI and BinVariable
	Sync     bool                // fsync is on: for tests of crashes
	Settings []string            // of postgresql.conf, such as "max_connections=20"
	Clone    *Server             // start from a base backup of this one: a standby
	Auth     string              // how users prove themselves, as in pg_hba.conf; default trust
	TLS      bool                // it listens on a TCP port, too, with a certificate of its own making
}

// Server is a running server. Safe for concurrent use.
type Server struct {
	t        testing.TB
	bin      string
	dir      string // holds the socket and data/
	cred     *syscall.SysProcAttr
	password string // of the user rouse; "" when nobody asks for it
	port     int    // part of the socket's name; with Config.TLS of TCP as well

	mu    sync.Mutex
	alive *process // guarded by mu; nil: stopped
}

// process is one life of the server.
type process struct {
	shell *exec.Cmd
	stdin io.Closer
	done  chan struct{}
}

// bins are folders in which servers are found.
const bins = "/usr/lib/postgresql/*/bin"

// find answers with the folder of the newest server's programs.
func find(getenv func(string) string) (string, error) {
	if dir := getenv(BinVariable); dir != "" {
		return dir, nil
	}
	if found, err := filepath.Glob(bins); err == nil && len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return found[len(found)-1], nil
	}
	at, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("no PostgreSQL server is installed (%s, PATH, %s)", bins, BinVariable)
	}
	return filepath.Dir(at), nil
}

func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

// Start makes and starts a server that ends with the test.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	bin, err := find(cfg.Getenv)
	if err != nil {
		if cfg.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "rouse-pg-") // not the test's own folder, whose path may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: bin, dir: dir, cred: ordinary(), port: 5432}
	t.Cleanup(func() {
		s.Stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the server's folder: %v", err)
		}
	})
	if s.cred != nil && s.cred.Credential != nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(s.cred.Credential.Uid), int(s.cred.Credential.Gid)))
	}
	args := []string{"-D", s.data(), "-U", "rouse", "-A", cmp.Or(cfg.Auth, "trust"), "-E", "UTF8", "--no-locale", "-N"}
	if err == nil && cfg.Auth != "" {
		s.password = rand.Text()
		file := filepath.Join(dir, "password")
		err = os.WriteFile(file, []byte(s.password), 0o644)
		args = append(args, "--pwfile", file)
	}
	if err == nil && cfg.Clone != nil {
		err = s.tool("pg_basebackup", "-D", s.data(), "-h", cfg.Clone.dir, "-U", "rouse", "-R", "-X", "stream", "-c", "fast")
	} else if err == nil {
		err = s.tool("initdb", args...)
	}
	if err == nil {
		err = s.configure(cfg)
	}
	if err != nil {
		t.Fatalf("make server: %v", err)
	}
	s.Run()
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) configure(cfg Config) error {
	onOff := map[bool]string{true: "on", false: "off"}
	lines := append([]string{"listen_addresses=''", "unix_socket_directories='" + s.dir + "'", "max_connections=200", "log_min_messages=fatal",
		"fsync=" + onOff[cfg.Sync], "full_page_writes=" + onOff[cfg.Sync], "shared_buffers=32MB"}, cfg.Settings...)
	if cfg.TLS {
		more, err := s.certify()
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// tool runs one of the server's programs to its end.
func (s *Server) tool(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.SysProcAttr, cmd.Dir = s.cred, "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// script runs the server until it ends or the test does.
const script = `exec 3<&0; "$@" 3<&- & pid=$!; (while read -r line <&3; do :; done; kill -QUIT $pid) & exec 3<&-; wait $pid`

// Run starts the server, again if it was stopped, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script, "sh", filepath.Join(s.bin, "postgres"), "-D", s.data())
	cmd.SysProcAttr, cmd.Dir = s.cred, "/"
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second // the watching part of the shell goes with its standard input
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatalf("start server: %v", err)
	}
	p := &process{shell: cmd, stdin: in, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	s.mu.Lock()
	s.alive = p
	s.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); ; {
		select {
		case <-p.done:
			s.t.Fatalf("start server: it ended: %s", said.String())
		case <-limit:
			s.t.Fatal("start server: it does not answer")
		case <-tick.C:
			if s.tool("pg_isready", "-q", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "rouse", "-d", "postgres") == nil {
				return
			}
		}
	}
}

// Kill kills all of the server's processes at once, as a loss of power would, and waits until they are gone.
func (s *Server) Kill() { s.end(func(pid int) { s.kill(pid) }) }

// Immediate stops the server as pg_ctl -m immediate does: its processes are told to go at once.
func (s *Server) Immediate() { s.end(func(pid int) { syscall.Kill(pid, syscall.SIGQUIT) }) }

// Stop stops the server in order; connections are cut.
func (s *Server) Stop() { s.end(func(pid int) { syscall.Kill(pid, syscall.SIGINT) }) }

func (s *Server) end(how func(pid int)) {
	s.mu.Lock()
	p := s.alive
	s.alive = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	if pid := s.pid(); pid > 0 {
		how(pid)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		s.t.Error("stop server: it does not end")
	}
	p.stdin.Close()
}

// pid is the server's first process.
func (s *Server) pid() int {
	f, err := os.Open(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}

// kill kills a process and its children, the children first noticed before they can notice.
func (s *Server) kill(pid int) {
	all := append([]int{pid}, children(pid)...)
	for _, p := range all {
		syscall.Kill(p, syscall.SIGKILL)
	}
	// What was being forked meanwhile.
	for _, p := range children(pid) {
		syscall.Kill(p, syscall.SIGKILL)
	}
}

// children are the processes that pid has started, as far as the system tells.
func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// Promote makes a standby the server that takes writes.
func (s *Server) Promote() {
	s.t.Helper()
	if err := s.tool("pg_ctl", "promote", "-w", "-D", s.data()); err != nil {
		s.t.Fatal(err)
	}
}

// URL is the server's, for a store in a schema.
func (s *Server) URL() string {
	return "postgres://rouse:" + s.password + "@/postgres?" + url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}}.Encode()
}

// Password is that of the user in URL.
func (s *Server) Password() string { return s.password }

// Address is the server's port of TCP, and the file of the certificate that signs for it.
func (s *Server) Address() (hostPort, root string) {
	return net.JoinHostPort("localhost", strconv.Itoa(s.port)), filepath.Join(s.dir, "root.crt")
}

// Dir is the folder of the server's socket: the host of its address.
func (s *Server) Dir() string { return s.dir }

// SQL runs a script with psql and answers with what it prints.
func (s *Server) SQL(sql string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "rouse", "-d", "postgres", "-c", sql)
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+s.password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("psql: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Session is a psql that stays connected.
type Session struct {
	t  testing.TB
	in io.Writer
}

// Session connects a psql until the test ends.
func (s *Server) Session(t testing.TB) *Session {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-qAtX", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "rouse", "-d", "postgres")
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+s.password)
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("psql: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &Session{t, in}
}

// Send sends a line; what it answers is not looked at.
func (c *Session) Send(sql string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, sql+"\n"); err != nil {
		c.t.Fatalf("psql: %v", err)
	}
}

// Schema makes up the name of a schema.
func Schema() string { return "s" + strings.ToLower(rand.Text()[:12]) }

// Store opens a store in a new schema and closes it with the test, unless the test does.
func (s *Server) Store(t testing.TB) kv.Store {
	t.Helper()
	return s.Open(t, postgres.Config{Schema: Schema()})
}

// Open opens a store as cfg says and closes it with the test, unless the test does.
func (s *Server) Open(t testing.TB, cfg postgres.Config) *postgres.Store {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = s.URL()
	}
	store, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Errorf("close store: %v", err)
		}
	})
	return store
}
