package guest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse"
)

// Config is what a guest needs before it has a function.
type Config struct {
	Kind        Kind
	Interpreter Interpreter       // Node, Python, and Web programs that are scripts; zero otherwise
	MemoryMB    int               // memory class: V8's heap limit is fixed at boot; 0 leaves it to V8
	Environment map[string]string // settings that the runtime reads when it starts, as BootSettings picks them
	Preload     Preload           // what of the AWS SDK is loaded ahead; Suits says for which functions
	Log         func(Line)        // gets each log line; must not block; nil drops them. One call at a time

	// Exited says how the guest's process ended, in Lambda's words: "exit status 1", "signal: killed". Asked after
	// Host.Done; nil or "" when nobody knows.
	Exited func() string
}

// Guest is the code inside one instance.
type Guest struct {
	host Host
	cfg  Config
	out  *output
	wire wire
	fn   Function
	web  bool

	closing sync.Once
}

// wire is a way to speak with a guest. invoke writes the body to a and returns the function's failure; its error is ctx's.
type wire interface {
	load(ctx context.Context, fn *Function, env map[string]string) error
	invoke(ctx context.Context, c *Call, a *answer) (*rouse.FunctionError, State, error)
	setCredentials(c Credentials)
	close()
}

// Boot starts the generic runtime and waits until it is up. Errors are the platform's; those of a runtime that did not
// come up have ErrGuest in their chain. When it fails, the host is to be killed.
func Boot(ctx context.Context, h Host, cfg Config) (*Guest, error) {
	g := &Guest{host: h, cfg: cfg, out: newOutput(cfg.Log)}
	if cfg.Exited == nil {
		g.cfg.Exited = func() string { return "" }
	}
	var err error
	switch cfg.Kind {
	case Node, Python:
		if cfg.Interpreter.Kind != cfg.Kind || cfg.Interpreter.Path == "" {
			return nil, rouse.Errorf(rouse.Internal, "boot %s: no interpreter", cfg.Kind)
		}
		g.wire, err = bootFramed(ctx, g)
	case Provided:
		g.wire = newServed(g)
	case Web:
		g.wire = newProxied(g)
	default:
		return nil, rouse.Errorf(rouse.Internal, "boot: %s is no kind of guest", cfg.Kind)
	}
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("boot %s: %w", cfg.Kind, err)
	}
	return g, nil
}

// Load makes the guest the function: Lambda's INIT phase. The error is an *InitError when the function failed, ctx's when
// that ended first, else the platform's. Must be called once; a guest that did not load can only be closed.
func (g *Guest) Load(ctx context.Context, fn Function) error {
	g.fn = fn
	g.web = g.cfg.Kind == Web || isWebHandler(g.cfg.Kind, fn.Handler)
	err := g.wire.load(ctx, &g.fn, fn.environment(g.cfg.Kind))
	g.out.drain()
	return err
}

// isWebHandler reports whether a bootstrap adapts the handler from HTTP; see the package page.
func isWebHandler(k Kind, handler string) bool {
	return k == Node && strings.Contains(handler, "#") || k == Python && strings.Contains(handler, ":")
}

// Invoke runs the function once. The body goes to out as it comes; Reply says how it ended. The error is ctx's when that
// ended before the answer was whole, and nothing else: the guest is Broken then.
func (g *Guest) Invoke(ctx context.Context, c Call, out rouse.Sink) (Reply, error) {
	a := &answer{sink: out, fold: g.web && !c.Stream}
	g.out.begin(c.ID)
	start := time.Now()
	fe, state, err := g.wire.invoke(ctx, &c, a)
	took := time.Since(start)
	g.out.drain()
	r := Reply{State: state, Duration: took, Streamed: a.streamed}
	if err != nil {
		r.State = Broken
		return r, err
	}
	r.Error = a.finish(fe)
	return r, nil
}

// Refresh hands newer credentials to the guest: Node and Python see them from the next invocation on, Provided and Web at
// the endpoint that Function.CredentialsByURL names. Safe for concurrent use.
func (g *Guest) Refresh(c Credentials) { g.wire.setCredentials(c) }

// Close lets go of the guest's sockets and pipes and waits until nothing of it runs on this side. A runtime that still
// lives sees the end of its socket and exits. Safe to call more than once.
func (g *Guest) Close() {
	g.closing.Do(func() {
		if g.wire != nil {
			g.wire.close()
		}
		g.out.close()
	})
}

// standard opens the child's first three files: nothing to read, and two pipes that are logged.
func (g *Guest) standard() ([]*os.File, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	files := []*os.File{null}
	for range 2 {
		w, err := g.out.pipe(false)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, w)
	}
	return files, nil
}

// exec starts a program that speaks for itself: Provided and Web.
func (g *Guest) exec(argv []string, env map[string]string) error {
	files, err := g.standard()
	if err != nil {
		return err
	}
	defer closeAll(files)
	all := bootEnvironment(g.host, g.cfg.Kind, g.cfg.Interpreter, g.cfg.Environment)
	maps.Copy(all, env)
	return g.host.Exec(argv, assignments(all), g.host.Path(taskRoot), files)
}

const (
	exitGrace   = time.Second            // between the end of the socket and the end of the process
	lastWords   = 100 * time.Millisecond // for what a process said before it ended
	acceptGrace = 10 * time.Millisecond  // for a connection that it made just before
)

// lost says what became of a guest that did not answer: err is what the socket said.
func (g *Guest) lost(ctx context.Context, err error, request string) (*rouse.FunctionError, State, error) {
	if ctx.Err() != nil {
		return nil, Broken, context.Cause(ctx)
	}
	if err == nil || !errors.Is(err, errFrame) {
		t := time.NewTimer(exitGrace)
		defer t.Stop()
		select {
		case <-g.host.Done():
			return exitError(request, g.cfg.Exited()), Exited, nil
		case <-ctx.Done():
			return nil, Broken, context.Cause(ctx)
		case <-t.C:
		}
	}
	msg := "Error: Runtime sent an invalid message"
	if request != "" {
		msg = "RequestId: " + request + " " + msg
	}
	return rouse.Unhandled("Runtime.Unknown", msg), Broken, nil
}
