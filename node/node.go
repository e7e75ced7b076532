// Package node makes the parts of Rouse, joins them, starts them in order and stops them in reverse. It is the one place
// that knows all of them, does nothing else, and is the only reader of configuration.
//
//	folder, keys      store, blobs      leases, timers, outbox      rooms      sandboxes, pool, dispatch, deliver
//	     └───────────────┴────────────────────┴───────────────────────┴───────────────────────┴──► doors ──► listeners
//
// # Start
//
// The listener opens first, so that a taken port is the first thing a user hears of; until all parts are up it answers
// /_rouse/health with 503. Then the folder is locked (by the store), the parts are made, loops start (that of stacks
// goes on with what a crash interrupted), and health turns to 200. The file node.json says how the node is reached.
//
// # Stop
//
// Doors close to new requests and let running ones end; loops stop; instances end; the store closes last. Whatever takes
// longer than a second is cut off: everything acknowledged is on disk already, and events that were running are due again
// at the next start. A failed store ends the node by itself, with the reason.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/node/http1"
)

// version is set by the linker for releases.
var version string

// Version is this program's: a release's own, or that of the commit it was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}

// Node is a running node.
type Node struct {
	cfg     Config
	log     *slog.Logger
	url     string
	started time.Time
	first   firstKey

	users     users // who may use the development key
	sandboxes *room // for the connections of all code in sandboxes

	parts  *parts
	front  *front
	stop   context.CancelFunc
	loops  sync.WaitGroup
	asked  chan struct{} // closed when a client asked for the end
	once   sync.Once
	gone   chan struct{} // closed when the end begins: there is nothing to watch for any more
	ending sync.Once
	ended  error      // of the first Stop; set within ending
	done   chan error // buffer 1
	failed chan error // buffer 1: the first loop that could not go on
}

type firstKey struct{ id, secret string }

var _ cli.Node = (*Node)(nil)

// Start brings a node up; it returns when the node is ready.
func Start(ctx context.Context, o cli.NodeOptions) (cli.Node, error) {
	cfg, err := Load(o.Dev, o.Flags, o.Getenv, o.File, o.Must)
	if err != nil {
		return nil, err
	}
	level := slog.LevelInfo
	if cfg.Dev {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: level}))
	n, err := Open(ctx, cfg, o.Getenv, log)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Open makes and starts a node by a configuration. env is for what the node looks up by convention: PATH, HOME, SUDO_UID and
// npm's registry.
func Open(ctx context.Context, cfg Config, env func(string) (string, bool), log *slog.Logger) (*Node, error) {
	n := &Node{cfg: cfg, log: log, started: time.Now(), asked: make(chan struct{}), gone: make(chan struct{}),
		done: make(chan error, 1), failed: make(chan error, 1), users: usersOf(env)}
	if err := alreadyThere(cfg.Data); err != nil {
		return nil, err
	}
	listeners, err := n.listen()
	if err != nil {
		return nil, err
	}
	clients, sandboxes := connectionRooms()
	n.sandboxes = sandboxes
	for i := range listeners {
		listeners[i].Listener = &bounded{Listener: listeners[i].Listener, rooms: []*room{clients}}
	}
	n.front = newFront(listeners, log)
	n.front.serve()
	if err := n.open(ctx, env); err != nil {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceMax)
		defer cancel()
		n.front.close(grace)
		return nil, err
	}
	return n, nil
}

// alreadyThere refuses a folder whose node is running, in words better than those of a taken port or a locked store.
func alreadyThere(data string) error {
	b, err := os.ReadFile(filepath.Join(data, cli.NodeFile))
	var info cli.NodeInfo
	if err != nil || json.Unmarshal(b, &info) != nil || info.PID == os.Getpid() {
		return nil
	}
	c := http.Client{Timeout: time.Second}
	resp, err := c.Get(info.URL + "/_rouse/health")
	var slow net.Error
	switch {
	case err == nil:
		_ = resp.Body.Close()
	case !errors.As(err, &slow) || !slow.Timeout():
		return nil // nobody is there: the file is a leftover of a node that died
	}
	return fmt.Errorf("a node is already running on %s: process %d at %s; stop it with `rouse stop`, or use another folder with --data",
		data, info.PID, info.URL)
}

// listener is one address of the node.
type listener struct {
	net.Listener
	face face
}

// face is what an address shows.
type face int

const (
	faceDoors   face = iota
	facePlain        // the first API at /
	faceMetrics      // for Prometheus
)

// listen opens the addresses. A port that is taken is told with what can be done about it.
func (n *Node) listen() ([]listener, error) {
	if n.cfg.Dev && !loopback(n.cfg.Listen) && !n.cfg.DevKey {
		return nil, fmt.Errorf("--listen %s: a development node accepts the key test/test and so listens on loopback only; "+
			"use `rouse serve`, or --dev-key on a closed network", n.cfg.Listen)
	}
	var list []listener
	for _, l := range []struct {
		address *string
		flag    string
		face    face
	}{{&n.cfg.Listen, "--listen", faceDoors}, {&n.cfg.Plain, "--plain", facePlain}, {&n.cfg.Metrics, "--metrics", faceMetrics}} {
		if *l.address == "" || *l.address == "off" || l.face == facePlain && !n.cfg.Dev {
			continue
		}
		ln, err := open(*l.address, l.flag, l.face != faceDoors)
		if err != nil {
			for _, other := range list {
				_ = other.Close()
			}
			return nil, err
		}
		*l.address = ln.Addr().String()
		list = append(list, listener{ln, l.face})
	}
	n.url = n.cfg.PublicURL
	if n.url == "" {
		n.url = "http://" + reachable(n.cfg.Listen)
	}
	return list, nil
}

func open(address, flag string, optional bool) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		return ln, nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	without := ""
	if optional {
		without = "; without it: " + flag + " off"
	}
	return nil, fmt.Errorf("listen on %s: %w; another address: %s HOST:PORT (port 0 takes a free one)%s", address, err, flag, without)
}

// reachable is how an address is dialled from this machine.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// open makes the parts and starts them.
func (n *Node) open(ctx context.Context, env func(string) (string, bool)) error {
	if err := os.MkdirAll(n.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	// One that was there may be open to all users of the machine: they could read the functions' code and settings.
	if err := os.Chmod(n.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	p, err := n.build(ctx, env)
	if err != nil {
		return err
	}
	n.parts = p
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	for _, l := range p.loops {
		n.loops.Go(func() {
			if err := l.run(run); err != nil && run.Err() == nil {
				n.fail(fmt.Errorf("%s: %w", l.name, err))
			}
		})
	}
	n.front.open(map[face]http.Handler{faceDoors: p.handler, facePlain: p.plain, faceMetrics: p.metrics})
	if err := n.writeNodeFile(); err != nil {
		return errors.Join(err, n.Stop(ctx))
	}
	p.announced.Store(true)
	go n.watch()
	return nil
}

// fail notes the first reason to end.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// watch ends the node when a part cannot go on or a client asked for it.
func (n *Node) watch() {
	var reason error
	select {
	case reason = <-n.failed:
		n.log.Error("the node ends", "err", reason)
	case reason = <-n.parts.store.failed:
		n.log.Error("the node ends: its store failed", "err", reason)
	case <-n.asked:
	case <-n.gone:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := n.Stop(ctx)
	if reason != nil {
		err = reason
	}
	n.done <- err
}

// ask is what a client's StopNode does.
func (n *Node) ask() {
	n.once.Do(func() { close(n.asked) })
}

// Done gives the reason when the node ended by itself or by a client's wish; nothing after Stop.
func (n *Node) Done() <-chan error { return n.done }

// URL is how the node is reached from here.
func (n *Node) URL() string { return n.url }

// FirstKey is the root key that was made at first start; "" when there was one.
func (n *Node) FirstKey() (id, secret string) { return n.first.id, n.first.secret }

// Stop ends the node in order; when ctx is done first, at once. Later calls wait for the first and answer the same.
func (n *Node) Stop(ctx context.Context) error {
	n.ending.Do(func() {
		close(n.gone)
		n.ended = n.end(ctx)
	})
	return n.ended
}

func (n *Node) end(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, graceMax)
	defer cancel()
	n.front.close(grace)
	n.stop()
	n.awaitLoops(grace)
	err := n.parts.close(grace)
	// Last, because whoever told the node to stop waits for it: ports and folder are free from here on.
	if gone := os.Remove(filepath.Join(n.cfg.Data, cli.NodeFile)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		n.log.Warn("remove node file", "err", gone)
	}
	return err
}

// How long a stop waits. Both and the closing of the store fit into the two seconds that a user waits after Ctrl-C.
const (
	graceMax  = time.Second            // for requests and events that run, all together
	settleMax = 500 * time.Millisecond // for loops to note what became of events that were cut off
)

// awaitLoops waits until all loops have ended or ctx is done.
func (n *Node) awaitLoops(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		n.loops.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// settle lets the loops write what became of the instances that were just ended, while the store is still open.
func (n *Node) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleMax)
	defer cancel()
	n.awaitLoops(ctx)
	return nil
}

// front is the listeners and who answers them: first a closed door, then the parts' handlers.
type front struct {
	servers []*http1.Server
	lists   []listener
	doors   []*door
	wg      sync.WaitGroup
	log     *slog.Logger
}

// door is a handler that can be opened.
type door struct {
	mu      sync.RWMutex
	handler http.Handler // guarded by mu
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.RLock()
	h := d.handler
	d.mu.RUnlock()
	h.ServeHTTP(w, r)
}

func newFront(lists []listener, log *slog.Logger) *front {
	f := &front{lists: lists, log: log}
	for range lists {
		d := &door{handler: http.HandlerFunc(starting)}
		f.doors = append(f.doors, d)
		f.servers = append(f.servers, &http1.Server{Handler: d, ConnContext: withPeer, Logger: log})
	}
	return f
}

// starting answers while the parts come up.
func starting(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"status":"starting"}`))
}

func (f *front) serve() {
	for i, s := range f.servers {
		f.wg.Go(func() {
			if err := s.Serve(f.lists[i]); err != nil && !errors.Is(err, http.ErrServerClosed) {
				f.log.Error("serve", "address", f.lists[i].Addr(), "err", err)
			}
		})
	}
}

// open lets requests in.
func (f *front) open(faces map[face]http.Handler) {
	for i, d := range f.doors {
		d.mu.Lock()
		d.handler = faces[f.lists[i].face]
		d.mu.Unlock()
	}
}

// close lets running requests end until ctx is done.
func (f *front) close(ctx context.Context) {
	for _, s := range f.servers {
		f.wg.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				_ = s.Close() // streams and slow functions are cut off; their work is on disk or repeated
			}
		})
	}
	f.wg.Wait()
}
