//go:build linux && (amd64 || arm64)

package script_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox/script"
)

// process is one running interpreter.
type process struct {
	t   *testing.T
	fd  int
	pid int
}

// start runs the interpreter. ROUSE_TEST_RUNNER may name an emulator that can run it, for a foreign architecture.
func start(t *testing.T) *process {
	t.Helper()
	name := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(name, script.ELF(), 0o755); err != nil {
		t.Fatal(err)
	}
	argv := []string{name}
	if runner := os.Getenv("ROUSE_TEST_RUNNER"); runner != "" {
		argv = []string{runner, name}
	}
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Files: []uintptr{0, 1, 2, uintptr(sp[1])}})
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(sp[1])
	p := &process{t, sp[0], pid}
	t.Cleanup(func() { _ = unix.Close(p.fd); p.wait() })
	return p
}

func (p *process) wait() syscall.WaitStatus {
	var ws syscall.WaitStatus
	if p.pid != 0 {
		_, _ = syscall.Wait4(p.pid, &ws, 0, nil)
		p.pid = 0
	}
	return ws
}

func (p *process) send(s *script.Script, fds ...int) {
	p.t.Helper()
	b, err := s.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(p.fd, b, oob, nil, 0); err != nil {
		p.t.Fatal(err)
	}
}

// receive returns one message, "" when the process is gone.
func (p *process) receive() string {
	p.t.Helper()
	b := make([]byte, 256)
	n, err := unix.Read(p.fd, b)
	if err != nil && !errors.Is(err, unix.ECONNRESET) {
		p.t.Fatal(err)
	}
	return string(b[:max(0, n)])
}

func reply(s *script.Script, text string) { s.Reply(unix.SYS_WRITE, []byte(text)) }

func TestScriptsInTurn(t *testing.T) {
	p := start(t)
	for _, want := range []string{"one", "two", "three"} {
		var s script.Script
		reply(&s, want)
		s.Receive()
		p.send(&s)
		if got := p.receive(); got != want {
			t.Errorf("reply: got %q, want %q", got, want)
		}
	}
}

func TestEndsWithTheSocket(t *testing.T) {
	p := start(t)
	_ = unix.Shutdown(p.fd, unix.SHUT_RDWR)
	if ws := p.wait(); !ws.Exited() || ws.ExitStatus() != 1 {
		t.Errorf("end: got %v, want exit status 1", ws)
	}
}

func TestFailure(t *testing.T) {
	p := start(t)
	var s script.Script
	s.Call("close nothing, which is expected", unix.SYS_CLOSE, 999).Ignore()
	s.Call("open the missing file", unix.SYS_OPENAT, unix.AT_FDCWD, "/no/such/file", 0, 0)
	reply(&s, "not reached")
	p.send(&s)
	err, ok := s.Failure([]byte(p.receive()))
	if !ok || err.Name != "open the missing file" || err.Errno != syscall.ENOENT {
		t.Fatalf("failure: got %v, %v; want ENOENT of the missing file", err, ok)
	}
	if !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), "missing file: no such file") {
		t.Errorf("failure as an error: got %q", err)
	}
	if ws := p.wait(); ws.ExitStatus() != 1 {
		t.Errorf("end: got %v, want exit status 1", ws)
	}
	if _, ok := s.Failure([]byte("short")); ok {
		t.Error("a short message was taken for a failure")
	}
}

func TestResultsAndFiles(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := start(t)
	var s script.Script
	pid := s.Call("getpid", unix.SYS_GETPID).Var()
	missing := s.Call("close", unix.SYS_CLOSE, 999).Ignore().Var()
	s.Call("write to the file that came", unix.SYS_WRITE, script.Received(1), "through\n", 8)
	s.Call("close", unix.SYS_CLOSE, script.Received(1))
	s.ReplyFiles(unix.SYS_SENDMSG, []script.Var{s.Constant(7), pid, missing, script.Control()}, []script.Var{script.Received(0)})
	s.Receive()
	p.send(&s, int(r.Fd()), int(w.Fd()))
	_ = w.Close()
	b, oob := make([]byte, 128), make([]byte, 64)
	n, on, _, _, err := unix.Recvmsg(p.fd, b, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n != 32 {
		t.Fatalf("reply: got %d bytes, %v; want 32", n, err)
	}
	word := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	if word(0) != 7 || word(2) != -int64(syscall.EBADF) || word(3) != 3 {
		t.Errorf("values: got %d, %d, %d; want 7, -EBADF, 3", word(0), word(2), word(3))
	}
	if os.Getenv("ROUSE_TEST_RUNNER") == "" && word(1) != int64(p.pid) {
		t.Errorf("pid: got %d, want %d", word(1), p.pid)
	}
	list, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil || len(list) != 1 {
		t.Fatalf("control messages: got %d, %v; want one", len(list), err)
	}
	fds, err := unix.ParseUnixRights(&list[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("files: got %v, %v; want one", fds, err)
	}
	defer unix.Close(fds[0])
	got := make([]byte, 16)
	k, _ := unix.Read(fds[0], got)
	if string(got[:k]) != "through\n" {
		t.Errorf("the file that came back: read %q, want %q", got[:k], "through\n")
	}
}

func TestBranches(t *testing.T) {
	p := start(t)
	var s script.Script
	wrong, equal, less, loop, end := s.NewLabel(), s.NewLabel(), s.NewLabel(), s.NewLabel(), s.NewLabel()
	five, minus := s.Constant(5), s.Constant(-5)
	s.IfEqual(five, 4, wrong)
	s.IfLess(five, 5, wrong)
	s.IfLess(five, -6, wrong)
	s.IfEqual(five, five, equal)
	reply(&s, "equal did not jump")
	s.Bind(wrong)
	reply(&s, "wrong")
	s.Call("exit", unix.SYS_EXIT_GROUP, 1)
	s.Bind(equal)
	s.IfLess(minus, 0, less)
	reply(&s, "less did not jump")
	s.Bind(less)
	// Backwards: closes descriptors from a list of results until one is not open.
	dup := s.Call("dup", unix.SYS_DUP, script.Control()).Var()
	s.Bind(loop)
	n := s.Call("close", unix.SYS_CLOSE, dup).Ignore().Var()
	s.IfLess(n, 0, end)
	s.Jump(loop)
	s.Bind(end)
	reply(&s, "right")
	s.Receive()
	p.send(&s)
	if got := p.receive(); got != "right" {
		t.Errorf("branches: got %q, want right", got)
	}
}

func TestForkAndControl(t *testing.T) {
	p := start(t)
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	child := &process{t: t, fd: sp[0]}
	defer unix.Close(sp[0])
	var s script.Script
	forked := s.NewLabel()
	pid := s.Call("clone", unix.SYS_CLONE, int(unix.SIGCHLD), 0, 0, 0, 0).Var()
	s.IfEqual(pid, 0, forked)
	s.Call("close", unix.SYS_CLOSE, script.Received(0))
	reply(&s, "parent")
	s.Call("wait4", unix.SYS_WAIT4, pid, 0, 0, 0)
	reply(&s, "reaped")
	s.Receive()
	s.Bind(forked)
	s.SetControl(script.Received(0))
	reply(&s, "child")
	s.Receive()
	p.send(&s, sp[1])
	_ = unix.Close(sp[1])
	if got := p.receive(); got != "parent" {
		t.Errorf("the parent: got %q", got)
	}
	if got := child.receive(); got != "child" {
		t.Errorf("the child on its own socket: got %q", got)
	}
	var again script.Script
	reply(&again, "again")
	again.Call("exit", unix.SYS_EXIT_GROUP, 0)
	child.send(&again)
	if got := child.receive(); got != "again" {
		t.Errorf("the child's second script: got %q", got)
	}
	if got := p.receive(); got != "reaped" {
		t.Errorf("the parent: got %q", got)
	}
}

func TestExecve(t *testing.T) {
	if os.Getenv("ROUSE_TEST_RUNNER") != "" {
		t.Skip("an emulator does not execute the host's programs")
	}
	p := start(t)
	var s script.Script
	s.Call("dup", unix.SYS_DUP3, script.Control(), 1, 0)
	s.Call("execve", unix.SYS_EXECVE, "/bin/sh", s.Strings([]string{"sh", "-c", `printf %s "$A$1"`, "sh", "b c"}),
		s.Strings([]string{"A=a", "PATH=/bin"}))
	p.send(&s)
	if got := p.receive(); got != "ab c" {
		t.Errorf("the program's output: got %q, want %q", got, "ab c")
	}
}

func TestBytesRefuses(t *testing.T) {
	var zero script.Script
	zero.Call("open", unix.SYS_OPENAT, "a\x00b")
	var nowhere script.Script
	nowhere.Jump(nowhere.NewLabel())
	var long script.Script
	long.Data(make([]byte, script.SizeMax))
	long.Receive()
	for name, s := range map[string]*script.Script{"a zero byte": &zero, "a label nowhere": &nowhere, "too much": &long} {
		if _, err := s.Bytes(); err == nil {
			t.Errorf("a script with %s: got no error", name)
		}
	}
	var full script.Script
	full.Data(make([]byte, script.SizeMax-64))
	full.Receive()
	if b, err := full.Bytes(); err != nil || len(b) != script.SizeMax {
		t.Errorf("the longest script: got %d bytes, %v; want %d", len(b), err, script.SizeMax)
	}
}

// TestLongestScriptArrives: a message of SizeMax passes a socket with the system's default buffers.
func TestLongestScriptArrives(t *testing.T) {
	p := start(t)
	var s script.Script
	reply(&s, "whole")
	s.Receive()
	head, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.Data(make([]byte, script.SizeMax-len(head)))
	p.send(&s)
	if got := p.receive(); got != "whole" {
		t.Errorf("reply: got %q, want whole", got)
	}
}

// TestELF: what the kernel is asked to load: code that cannot be written, memory that cannot be executed, no stack
// that can.
func TestELF(t *testing.T) {
	f, err := elf.NewFile(bytes.NewReader(script.ELF()))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_EXEC || f.Class != elf.ELFCLASS64 {
		t.Errorf("type: got %v %v, want a 64-bit executable", f.Type, f.Class)
	}
	for _, p := range f.Progs {
		if p.Flags&elf.PF_W != 0 && p.Flags&elf.PF_X != 0 {
			t.Errorf("segment at %#x is writable and executable", p.Vaddr)
		}
		if p.Type == elf.PT_LOAD && p.Vaddr%p.Align != p.Off%p.Align {
			t.Errorf("segment at %#x does not lie in the file as in memory", p.Vaddr)
		}
	}
	if size := f.Progs[0].Filesz - 64 - 3*56; size > 512 {
		t.Errorf("the code has %d bytes, want at most 512", size)
	}
}

// TestForeignArchitecture runs all of this on arm64, or amd64, where an emulator is installed (Debian: qemu-user).
func TestForeignArchitecture(t *testing.T) {
	arch, emulator := "arm64", "qemu-aarch64"
	if runtime.GOARCH == "arm64" {
		arch, emulator = "amd64", "qemu-x86_64"
	}
	runner, err := exec.LookPath(emulator)
	if err != nil || os.Getenv("ROUSE_TEST_RUNNER") != "" {
		t.Skip("needs " + emulator)
	}
	name := filepath.Join(t.TempDir(), "script.test")
	build := exec.Command("go", "test", "-c", "-o", name, ".")
	build.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", arch, err, out)
	}
	cmd := exec.Command(runner, name)
	cmd.Env = append(os.Environ(), "ROUSE_TEST_RUNNER="+runner)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("on %s: %v\n%s", arch, err, out)
	}
}
