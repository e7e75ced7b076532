package guest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
)

// framed is the wire to a bootstrap of this package.
type framed struct {
	g      *Guest
	conn   net.Conn
	frames *frameReader
	fresh  atomic.Pointer[Credentials] // for the next invocation
	said   upMessage                   // when it was up

	closed  chan struct{}
	watched sync.WaitGroup
}

// bootFramed starts an interpreter with its bootstrap and waits for its first frame.
func bootFramed(ctx context.Context, g *Guest) (wire, error) {
	ours, theirs, err := newSocketPair()
	if err != nil {
		return nil, err
	}
	their := os.NewFile(uintptr(theirs), "guest")
	defer their.Close()
	our := os.NewFile(uintptr(ours), "guest")
	conn, err := net.FileConn(our)
	our.Close()
	if err != nil {
		return nil, err
	}
	w := &framed{g: g, conn: conn, frames: newFrameReader(conn), closed: make(chan struct{})}
	if err := w.exec(their); err != nil {
		w.close()
		return nil, err
	}
	w.watched.Add(1)
	go w.watch()
	if err := w.up(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *framed) exec(socket *os.File) error {
	g := w.g
	files, err := g.standard()
	if err != nil {
		return err
	}
	defer func() { closeAll(files) }()
	logs, err := g.out.pipe(true)
	if err != nil {
		return err
	}
	defer logs.Close()
	env := bootEnvironment(g.host, g.cfg.Kind, g.cfg.Interpreter, g.cfg.Environment)
	run := g.host.Path(runtimeRoot)
	return g.host.Exec(g.cfg.command(g.host), assignments(env), run, append(slices.Clone(files), socket, logs))
}

// command is how the bootstrap is started.
func (c *Config) command(h Host) []string {
	argv := []string{insidePath(h, c.Interpreter.Path)}
	if wrapper := c.Environment["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		argv = []string{insidePath(h, wrapper), argv[0]}
	}
	run := h.Path(runtimeRoot)
	if c.Kind == Python {
		// Unbuffered, as Lambda's is; no packages of a home folder; nothing written beside the code; UTF-8 whatever the
		// host's locales are.
		argv = append(argv, "-u", "-s", "-B", "-X", "utf8", run+"/python/bootstrap.py")
		return append(argv, c.Preload.argument()...)
	}
	argv = append(argv, "--max-http-header-size=81920")
	if c.MemoryMB > 0 { // Lambda's shares of the memory
		argv = append(argv, "--max-semi-space-size="+strconv.Itoa(max(1, c.MemoryMB*5/100)),
			"--max-old-space-size="+strconv.Itoa(c.MemoryMB*90/100))
	}
	return append(append(argv, run+"/node/bootstrap.cjs"), c.Preload.argument()...)
}

// insidePath moves a path of Lambda's layout to where the host shows it.
func insidePath(h Host, p string) string {
	for _, target := range []string{taskRoot, layerRoot, runtimeRoot, langRoot} {
		if rest, ok := strings.CutPrefix(p, target); ok && (rest == "" || rest[0] == '/') {
			return h.Path(target) + rest
		}
	}
	return p
}

// watch unblocks whoever reads when the process ends although something still holds its socket open.
func (w *framed) watch() {
	defer w.watched.Done()
	select {
	case <-w.g.host.Done():
		_ = w.conn.SetDeadline(time.Now().Add(lastWords))
	case <-w.closed:
	}
}

// heed makes ctx's end unblock the socket. The returned function reports whether the socket is still good.
func (w *framed) heed(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() { _ = w.conn.SetDeadline(time.Unix(1, 0)) })
}

func (w *framed) up(ctx context.Context) error {
	stop := w.heed(ctx)
	defer stop()
	kind, n, err := w.frames.next()
	if err == nil && kind != frameUp {
		err = fmt.Errorf("%w: %q instead of up", errFrame, byte(kind))
	}
	if err == nil {
		var b []byte
		if b, err = w.frames.payload(n); err == nil {
			w.said = parseUp(b)
			return nil
		}
	}
	fe, _, cerr := w.g.lost(ctx, err, "")
	w.g.out.drain()
	if cerr != nil {
		return cerr
	}
	return fmt.Errorf("%w: %s", ErrGuest, fe.Message)
}

// initMessage is the payload of an 'I' frame.
type initMessage struct {
	Env      map[string]string `json:"env"`
	Handler  string            `json:"handler"`
	TaskRoot string            `json:"taskRoot"`
	LayerDir string            `json:"layerRoot"`
}

func (w *framed) load(ctx context.Context, fn *Function, env map[string]string) error {
	stop := w.heed(ctx)
	defer stop()
	for k := range w.g.cfg.Environment {
		delete(env, k) // it was there from the start, and the runtime may have changed it since
	}
	h := w.g.host
	msg, err := json.Marshal(initMessage{Env: env, Handler: fn.Handler, TaskRoot: h.Path(taskRoot),
		LayerDir: h.Path(layerRoot)})
	if err != nil {
		return fmt.Errorf("encode init: %w", err)
	}
	if err = w.hand(fn.Code); err == nil {
		err = sendFrame(w.conn, frameInit, msg)
	}
	if err != nil {
		return w.loadLost(ctx, err)
	}
	kind, n, err := w.frames.next()
	var payload []byte
	if err == nil {
		payload, err = w.frames.payload(n)
	}
	if err != nil {
		return w.loadLost(ctx, err)
	}
	switch kind {
	case frameReady:
		return nil
	case frameFailed, frameFatal:
		return &InitError{Function: functionError(payload, ""), State: Exited}
	}
	return w.loadLost(ctx, fmt.Errorf("%w: %q after init", errFrame, byte(kind)))
}

func (w *framed) loadLost(ctx context.Context, err error) error {
	fe, state, err := w.g.lost(ctx, err, "")
	if err != nil {
		return err
	}
	return &InitError{Function: fe, State: state}
}

// callMessage stands before the event in an 'E' frame.
type callMessage struct {
	ID            string            `json:"id"`
	DeadlineMS    int64             `json:"deadline"`
	ARN           string            `json:"arn"`
	Trace         string            `json:"trace,omitempty"`
	ClientContext json.RawMessage   `json:"clientContext,omitempty"`
	Identity      json.RawMessage   `json:"identity,omitempty"`
	Env           map[string]string `json:"env,omitempty"` // newer credentials
}

func (w *framed) invoke(ctx context.Context, c *Call, a *answer) (*rouse.FunctionError, State, error) {
	stop := w.heed(ctx)
	msg := callMessage{ID: c.ID, DeadlineMS: c.Deadline.UnixMilli(), ARN: c.ARN, Trace: c.Trace,
		ClientContext: c.ClientContext, Identity: c.Identity}
	if fresh := w.fresh.Swap(nil); fresh != nil {
		msg.Env = fresh.environment()
	}
	meta, err := json.Marshal(msg)
	if err != nil { // the client context or identity is not JSON: the doors check that
		stop()
		return rouse.Unhandled("Runtime.InvalidContext", "the client context is not JSON"), Alive, nil
	}
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(len(meta)))
	err = sendFrame(w.conn, frameEvent, size[:], meta, c.Event)
	var fe *rouse.FunctionError
	state := Alive
	if err == nil {
		fe, state, err = w.answer(a)
	}
	if err != nil {
		stop()
		return w.g.lost(ctx, err, c.ID)
	}
	if !stop() && state == Alive {
		state = Broken // answered in the last moment: the socket has a deadline in the past now
	}
	return fe, state, nil
}

// answer reads frames until the invocation has ended. Its error means that there will be no answer.
func (w *framed) answer(a *answer) (*rouse.FunctionError, State, error) {
	for {
		kind, n, err := w.frames.next()
		if err != nil {
			return nil, 0, err
		}
		switch kind {
		case frameResult, frameData:
			if (kind == frameData) != a.streamed {
				return nil, 0, fmt.Errorf("%w: %q out of turn", errFrame, byte(kind))
			}
			if kind == frameResult && n > rouse.ResultMax {
				a.err = tooLarge()
			}
			if err := w.frames.pass(n, a.write); err != nil {
				return nil, 0, err
			}
			if kind == frameResult {
				return nil, Alive, nil
			}
			continue
		case frameHead, frameEnd, frameError, frameFatal:
		default:
			return nil, 0, fmt.Errorf("%w: %q instead of an answer", errFrame, byte(kind))
		}
		payload, err := w.frames.payload(n)
		if err != nil {
			return nil, 0, err
		}
		switch kind {
		case frameHead:
			if a.streamed {
				return nil, 0, fmt.Errorf("%w: a second head", errFrame)
			}
			a.start(string(payload))
		case frameEnd:
			if !a.streamed {
				return nil, 0, fmt.Errorf("%w: an end without a head", errFrame)
			}
			return nil, Alive, nil
		case frameError:
			return functionError(payload, ""), Alive, nil
		case frameFatal:
			return functionError(payload, ""), Exited, nil
		}
	}
}

func (w *framed) setCredentials(c Credentials) { w.fresh.Store(&c) }

func (w *framed) close() {
	select {
	case <-w.closed:
		return
	default:
	}
	close(w.closed)
	w.conn.Close()
	w.watched.Wait()
}
