package pool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// Ports that the code inside an instance dials, on its own loopback.
const endpointPort = 4566

// initTimeout is Lambda's limit of the INIT phase. A function that takes longer is initialised again as part of its first
// invocation, within the function's own timeout
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
const initTimeout = 10 * time.Second

// bootTimeout bounds what is the platform's own: a generic runtime that is not up by then will not come.
const bootTimeout = 30 * time.Second

// CredentialsTTL is how long an instance's keys last, and when they are replaced.
const (
	CredentialsTTL     = 6 * time.Hour
	credentialsRenewal = time.Hour
)

// Runtime is what a version runs on.
type Runtime struct {
	Kind        guest.Kind
	Interpreter guest.Interpreter // zero for native code
	Image       []sandbox.Bind    // the bootstrap and the interpreter
	SDK         bool              // the AWS SDK comes with it
}

// Maker is what a pool needs to make instances. All functions must be safe for concurrent use.
type Maker struct {
	Driver      sandbox.Driver
	Region      string
	Egress      egress.Policy // of the public internet, what instances reach at most
	LateMounts  bool          // the driver can show code to processes that already run: runtimes are booted ahead
	Runtime     func(v *catalog.Version) (Runtime, error)
	Code        func(ctx context.Context, v *catalog.Version) (Code, error)
	Credentials func(ctx context.Context, v *catalog.Version) (guest.Credentials, error)
	Lines       func(v *catalog.Version, stream string) LineWriter
	Reach       func(v *catalog.Version) (egress.Policy, error) // what a version may reach of that; nil: all
	Endpoint    func(ln net.Listener)                           // serves the platform to one instance until ln is closed
	Spares      int                                             // sandboxes kept ready per image, empty and with a runtime up, default 2; negative: none
	SpareBytes  int64                                           // what spares beyond these may take of memory, default a tenth of the machine
	Compiled    string                                          // the folder where compiled code is kept; "": nothing is compiled ahead
	Logger      *slog.Logger

	young atomic.Int64 // attempts that have run for less than a second

	mu         sync.Mutex
	shelves    []*shelf // guarded by mu; the one used last at the end
	filler     sync.WaitGroup
	ended      bool                   // guarded by mu
	queue      []job                  // guarded by mu; the first is being done
	stop       context.CancelFunc     // guarded by mu; ends the job that is being done
	likes      map[like]guest.Preload // guarded by mu
	codes      map[string]*guest.Code // guarded by mu
	codesBytes int                    // guarded by mu; of codes
}

// Code is where a version's files are on this machine. Release must be called once, when no instance shows them any more.
type Code struct {
	Task    string // shown at /var/task
	Layers  string // shown at /opt; "" for none
	Release func()
}

// startup is what is known of a start, successful or not.
type startup struct {
	cold                                    bool
	sandbox, mount, runtime, init, overhead time.Duration
	peak                                    int64
	lines                                   *lines
}

func (s startup) total() time.Duration { return s.sandbox + s.mount + s.runtime + s.init + s.overhead }

func (s startup) timing(t rouse.Timing) rouse.Timing {
	t.Start = rouse.StartCold
	t.Sandbox, t.Mount, t.Runtime, t.Init = s.sandbox, s.mount, s.runtime, s.init
	return t
}

// make starts an instance of v. Errors are *guest.InitError when the function itself could not initialise, with the
// startup telling how far it came; all else is the platform's.
func (m *Maker) make(ctx context.Context, v *catalog.Version) (*instance, startup, error) {
	in, st, err := m.tryMake(ctx, v, "init", initTimeout)
	if !errors.Is(err, errInitTimeout) {
		return in, st, err
	}
	timeout := time.Duration(v.TimeoutSeconds) * time.Second
	in, st, err = m.tryMake(ctx, v, "invoke", timeout)
	if errors.Is(err, errInitTimeout) {
		err = &guest.InitError{Function: timedOut(timeout), State: guest.Broken}
	}
	return in, st, err
}

var errInitTimeout = errors.New("pool: the function did not initialise in time")

func (m *Maker) tryMake(ctx context.Context, v *catalog.Version, phase string, timeout time.Duration) (in *instance, st startup, err error) {
	st = startup{cold: true}
	began := time.Now()
	rt, err := m.Runtime(v)
	if err != nil {
		return nil, st, err
	}
	code, err := m.Code(ctx, v)
	if err != nil {
		return nil, st, fmt.Errorf("unpack code: %w", err)
	}
	in = &instance{release: code.Release, renew: m.renew(v), keepsKeys: !rt.Kind.Interpreted()}
	defer func() {
		st.overhead = max(0, time.Since(began)-st.sandbox-st.mount-st.runtime-st.init)
		if err != nil {
			in.close()
			in = nil
		}
	}()
	stream := streamName(v.Number)
	in.lines = newLines(v, m.Lines(v, stream))
	st.lines = in.lines
	defer func() { m.refill(v, rt, m.preload(v, rt, code.Task)) }()
	if err = m.furnish(ctx, in, v, rt, code, &st); err != nil {
		return in, st, err
	}
	fn, err := m.function(ctx, in, v, code, stream)
	if err != nil {
		return in, st, err
	}
	if fn.Code = m.compiled(v, rt); fn.Code == nil && m.compilable(v, rt) {
		m.enqueue(job{v, true}, againMax)
	}
	in.lines.initStart(v, m.Region, rt)
	return in, st, m.load(ctx, in, fn, phase, timeout, &st)
}

// load is the INIT phase.
func (m *Maker) load(ctx context.Context, in *instance, fn guest.Function, phase string, timeout time.Duration, st *startup) error {
	initCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := time.Now()
	err := in.guest.Load(initCtx, fn)
	st.init = time.Since(t)
	if err == nil {
		return nil
	}
	in.measure()
	st.peak = in.peak
	var fe *guest.InitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case initCtx.Err() != nil:
		in.lines.initReport(st.init, phase, ending{status: "timeout", lost: true})
		return errInitTimeout
	case errors.As(err, &fe):
		if fe.State == guest.Exited && in.outOfMemory() {
			fe.Function = rouse.Unhandled("Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed")
		}
		in.lines.initReport(st.init, phase, failed(fe.Function, true))
	}
	return err
}

// limitsOf are Lambda's, save that every instance may use one processor at least: Lambda gives 128 MB a fourteenth of one,
// because it sells the rest, and starts a function with more than that. Here the machine is its owner's, an idle processor
// helps nobody, and between instances that are busy at once the kernel divides fairly.
func limitsOf(memoryMB, tmpMB int) sandbox.Limits {
	l := sandbox.LambdaLimits(memoryMB, tmpMB)
	l.CPUs = max(l.CPUs, 1)
	return l
}

// furnish takes a sandbox, shows it the code, gives it its size, and brings the runtime up unless it is.
func (m *Maker) furnish(ctx context.Context, in *instance, v *catalog.Version, rt Runtime, code Code, st *startup) error {
	t := time.Now()
	s, err := m.ready(ctx, v, rt, m.preload(v, rt, code.Task))
	if err != nil {
		return fmt.Errorf("make sandbox: %w", err)
	}
	in.box, in.guest, in.yield = s.box, s.guest, m.newYielder(s.box, v)
	s.lines.to.Store(in.lines)
	st.sandbox = time.Since(t)
	t = time.Now()
	if err := m.show(in, v, code); err != nil {
		return err
	}
	st.mount = time.Since(t)
	if s.guest != nil {
		return nil
	}
	t = time.Now()
	if err := m.boot(ctx, s, guest.Config{MemoryMB: v.MemoryMB, Environment: guest.BootSettings(v.Environment)}, rt); err != nil {
		return err
	}
	in.guest = s.guest
	st.runtime = time.Since(t)
	return nil
}

// show puts code, limits and the platform's endpoint into an instance's sandbox, which from before that reaches what the
// version may.
func (m *Maker) show(in *instance, v *catalog.Version, code Code) error {
	if m.Reach != nil {
		p, err := m.Reach(v)
		if err == nil && !p.All() {
			err = in.box.Reach(p)
		}
		if err != nil {
			return fmt.Errorf("limit egress: %w", err)
		}
	}
	if err := in.box.Mount(code.Task, sandbox.MountTask); err != nil {
		return fmt.Errorf("mount code: %w", err)
	}
	if code.Layers != "" {
		if err := in.box.Mount(code.Layers, sandbox.MountLayers); err != nil {
			return fmt.Errorf("mount layers: %w", err)
		}
	}
	limits := limitsOf(v.MemoryMB, v.TmpMB)
	limits.Share = 100 // of its fair part: a spare is made with less
	if err := in.box.Limit(limits); err != nil {
		return fmt.Errorf("limit sandbox: %w", err)
	}
	ln, addr, err := in.box.Listen(endpointPort)
	if err != nil {
		return fmt.Errorf("listen in sandbox: %w", err)
	}
	in.endpoint, in.address = ln, addr
	in.serving.Go(func() { m.Endpoint(ln) }) // until close closes ln
	return nil
}

// function is what the guest has to become.
func (m *Maker) function(ctx context.Context, in *instance, v *catalog.Version, code Code, stream string) (guest.Function, error) {
	creds, err := m.Credentials(ctx, v)
	if err != nil {
		return guest.Function{}, fmt.Errorf("credentials of the role: %w", err)
	}
	in.expires = creds.Expires
	arn := v.ARN
	if name, _, ok := arn.FunctionName(); ok {
		arn.Resource = "function:" + name
	}
	return guest.Function{Name: v.Name, Version: v.Number, ARN: arn.String(), Handler: v.Handler, Runtime: v.Runtime,
		MemoryMB: v.MemoryMB, Timeout: time.Duration(v.TimeoutSeconds) * time.Second, Account: v.Account, Region: m.Region,
		LogGroup: v.LogGroup, LogStream: stream, LogFormat: v.LogFormat, LogLevel: v.LogLevel, Endpoint: "http://" + in.address,
		TaskPath: code.Task, LayerPath: code.Layers, Environment: v.Environment, Credentials: creds}, nil
}

// renew returns what fetches newer keys for an instance of v.
func (m *Maker) renew(v *catalog.Version) func(context.Context) (guest.Credentials, error) {
	return func(ctx context.Context) (guest.Credentials, error) { return m.Credentials(ctx, v) }
}

// streamName is the name of a new log stream, as Lambda makes them.
func streamName(version string) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return fmt.Sprintf("%s/[%s]%s", time.Now().UTC().Format("2006/01/02"), version, hex.EncodeToString(id[:]))
}
