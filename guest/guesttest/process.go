package guesttest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/guest"
)

// Place is what a host has to show its guest.
type Place struct {
	Task        string            // at /var/task
	Layers      string            // at /opt; "" for nothing
	Runtime     string            // at /var/runtime
	Interpreter guest.Interpreter // its Binds are to be visible; zero for programs of their own
}

// Host is a guest's host as the cases need it.
type Host interface {
	guest.Host
	// Exited says how the main process ended, in Lambda's words; asked after Done.
	Exited() string
	// Kill ends everything in the host and waits until it has.
	Kill()
}

// Process is a host without isolation: a child of the test.
type Process struct {
	place Place
	done  chan struct{}

	mu    sync.Mutex
	cmd   *exec.Cmd // guarded by mu
	ended error     // guarded by mu
}

// NewProcess makes a Process and sees to its end.
func NewProcess(t testing.TB, p Place) Host {
	h := &Process{place: p, done: make(chan struct{})}
	t.Cleanup(h.Kill)
	return h
}

// Exec implements guest.Host.
func (p *Process) Exec(argv, env []string, dir string, files []*os.File) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	cmd.ExtraFiles = files[3:]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.ended = err
		p.mu.Unlock()
		close(p.done)
	}()
	return nil
}

// Listen implements guest.Host on any free port of the loopback interface.
func (p *Process) Listen(int) (net.Listener, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return ln, ln.Addr().String(), nil
}

// Dial implements guest.Host.
func (p *Process) Dial(ctx context.Context, port int) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
}

// Done implements guest.Host.
func (p *Process) Done() <-chan struct{} { return p.done }

// Path implements guest.Host.
func (p *Process) Path(target string) string {
	switch target {
	case "/var/task":
		return p.place.Task
	case "/opt":
		if p.place.Layers != "" {
			return p.place.Layers
		}
	case "/var/runtime":
		return p.place.Runtime
	}
	return target
}

// Exited implements Host.
func (p *Process) Exited() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		return "exit status 0"
	}
	return strings.TrimSuffix(p.ended.Error(), " (core dumped)")
}

// Kill implements Host.
func (p *Process) Kill() {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// String names the host in failures.
func (p *Process) String() string { return fmt.Sprintf("process(%s)", p.place.Task) }
