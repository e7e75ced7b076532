package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rouse-dev/rouse"
)

const (
	runtimePort = 9001 // where Lambda's Runtime API listens
	connsMax    = 64   // connections that one guest may hold at once

	apiPrefix       = "/2018-06-01/runtime/"
	credentialsPath = "/2021-04-23/credentials"
)

// served is the wire to a program that speaks Lambda's Runtime API.
type served struct {
	g     *Guest
	ln    net.Listener
	token string // of the credentials endpoint

	ready  chan struct{}             // closed by the first request for an event: INIT is over
	failed chan *rouse.FunctionError // INIT failed, by the program's own word
	events chan *delivery            // at most one waits to be taken
	closed chan struct{}
	work   sync.WaitGroup
	begin  sync.Once

	mu          sync.Mutex
	current     *delivery             // guarded by mu: taken by the program, not ended
	conns       map[net.Conn]struct{} // guarded by mu
	credentials Credentials           // guarded by mu
}

func newServed(g *Guest) *served {
	return &served{g: g, ready: make(chan struct{}), failed: make(chan *rouse.FunctionError, 1),
		events: make(chan *delivery, 1), closed: make(chan struct{}), conns: map[net.Conn]struct{}{}, token: rand.Text()}
}

func (s *served) load(ctx context.Context, fn *Function, env map[string]string) error {
	program, fe := findBootstrap(s.g.host, fn)
	if fe != nil {
		return &InitError{Function: fe, State: Exited}
	}
	if err := s.listen(fn, env); err != nil {
		return err
	}
	if err := s.g.exec([]string{program}, env); err != nil {
		return execError(program, err)
	}
	select {
	case <-s.ready:
		return nil
	case fe := <-s.failed:
		return &InitError{Function: fe, State: Exited}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.g.host.Done():
		return s.diedInInit(ctx)
	}
}

// listen opens the listener and tells the program of it.
func (s *served) listen(fn *Function, env map[string]string) error {
	ln, addr, err := s.g.host.Listen(runtimePort)
	if err != nil {
		return fmt.Errorf("listen for the runtime: %w", err)
	}
	s.ln = ln
	s.work.Add(1)
	go s.accept()
	env["AWS_LAMBDA_RUNTIME_API"] = addr
	s.setCredentials(fn.Credentials)
	if fn.CredentialsByURL {
		env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://" + addr + credentialsPath
		env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = s.token
	}
	return nil
}

// diedInInit waits for what the program said before it ended.
func (s *served) diedInInit(ctx context.Context) error {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for died := time.Now(); !heardOut(died, s.drained); {
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case fe := <-s.failed:
		return &InitError{Function: fe, State: Exited}
	default:
		return &InitError{Function: exitError("", s.g.cfg.Exited()), State: Exited}
	}
}

// findBootstrap is where Lambda looks: in the function's code, then in its layers. Links of merged layers may lead anywhere:
// what they name on the host is none of the function's business.
func findBootstrap(h Host, fn *Function) (string, *rouse.FunctionError) {
	if fn.TaskPath == "" {
		return h.Path(taskRoot) + "/bootstrap", nil
	}
	for _, at := range []struct{ inside, host string }{{taskRoot, fn.TaskPath}, {layerRoot, fn.LayerPath}} {
		if at.host == "" {
			continue
		}
		st, err := statIn(at.host, "bootstrap")
		switch {
		case err != nil || st.IsDir():
			continue
		case st.Mode()&0o111 == 0:
			return "", invalidEntrypoint("fork/exec " + at.inside + "/bootstrap: permission denied")
		}
		return h.Path(at.inside) + "/bootstrap", nil
	}
	return "", invalidEntrypoint("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
}

// statIn follows links as far as they stay below dir.
func statIn(dir, name string) (fs.FileInfo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Stat(name)
}

// execError tells the function's fault from the platform's.
func execError(program string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		return &InitError{Function: invalidEntrypoint(err.Error()), State: Exited}
	}
	return fmt.Errorf("start %s: %w", program, err)
}

func invalidEntrypoint(why string) *rouse.FunctionError {
	return rouse.Unhandled("Runtime.InvalidEntrypoint", "Error: "+why)
}

func (s *served) setCredentials(c Credentials) {
	s.mu.Lock()
	s.credentials = c
	s.mu.Unlock()
}

func (s *served) invoke(ctx context.Context, c *Call, a *answer) (*rouse.FunctionError, State, error) {
	d := newDelivery(c, a)
	select {
	case s.events <- d:
	default:
		return s.g.lost(ctx, errFrame, c.ID) // the event before was never taken, and its caller has given up
	}
	e, ok := d.wait(ctx, s.g.host.Done(), s.drained)
	s.mu.Lock()
	if s.current == d {
		s.current = nil
	}
	s.mu.Unlock()
	if ok {
		select {
		case <-s.g.host.Done():
			e.state = Exited
		default:
		}
		return e.fe, e.state, nil
	}
	return s.g.lost(ctx, nil, c.ID)
}

// drained reports whether every connection has been read to its end.
func (s *served) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) == 0
}

func (s *served) close() {
	select {
	case <-s.closed:
		return
	default:
	}
	close(s.closed)
	if s.ln != nil {
		s.ln.Close()
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *served) accept() {
	defer s.work.Done()
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		full := len(s.conns) >= connsMax
		if !full {
			s.conns[c] = struct{}{}
		}
		s.mu.Unlock()
		select {
		case <-s.closed:
			full = true
		default:
		}
		if full {
			s.forget(c)
			continue
		}
		s.work.Add(1)
		go s.serve(c)
	}
}

func (s *served) forget(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}
