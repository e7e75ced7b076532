package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is a running Rouse with the application deployed, and the limit programs built.
type bench struct {
	bin, dir  string
	samples   int
	seconds   time.Duration
	rouse     *program
	base      string // where the application is served
	api       string // where AWS's API is, host and port
	isolation string
	goServer  string // the limit program in Go
}

// program is a process that was started for the bench.
type program struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

func start(dir string, env []string, name string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(name, args...)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.log, &p.log
	p.cmd.Env = append(os.Environ(), env...)
	return p, p.cmd.Start()
}

// stop ends the process in order, and by force after five seconds.
func (p *program) stop() {
	if p == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	force := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	_ = p.cmd.Wait()
}

// nodeInfo is what a node says of itself in node.json.
type nodeInfo struct {
	URL   string `json:"url"`
	Plain string `json:"plain"`
}

// startRouse starts a node in a folder of its own and waits until it is healthy.
func (b *bench) startRouse(ctx context.Context, dir string) (*program, nodeInfo, time.Duration, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nodeInfo{}, 0, err
	}
	began := time.Now()
	p, err := start(dir, nil, b.bin, "dev", "--listen", "127.0.0.1:0", "--plain", "127.0.0.1:0", "--data", filepath.Join(dir, "state"), "--no-watch")
	if err != nil {
		return nil, nodeInfo{}, 0, err
	}
	var info nodeInfo
	err = until(ctx, 20*time.Second, func() error {
		raw, err := os.ReadFile(filepath.Join(dir, "state", "node.json"))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &info); err != nil {
			return err
		}
		return healthy(info.URL + "/_rouse/health")
	})
	took := time.Since(began)
	if err != nil {
		p.stop()
		return nil, info, 0, fmt.Errorf("start rouse: %w\n%s", err, p.log.String())
	}
	return p, info, took, nil
}

func healthy(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// until tries again, every half millisecond, until f succeeds or the time is over.
func until(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func newBench(ctx context.Context, bin string, samples int, seconds time.Duration) (_ *bench, err error) {
	dir, err := os.MkdirTemp("", "rouse-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{bin: bin, dir: dir, samples: samples, seconds: seconds}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	b.goServer = filepath.Join(dir, "limit-go")
	if err := tool(ctx, "limit/go", "go", "build", "-o", b.goServer, "."); err != nil {
		return nil, err
	}
	app := filepath.Join(dir, "app")
	if err := b.writeApp(ctx, app); err != nil {
		return nil, err
	}
	var info nodeInfo
	if b.rouse, info, _, err = b.startRouse(ctx, filepath.Join(dir, "rouse")); err != nil {
		return nil, err
	}
	b.base, b.api = "http://"+info.Plain, addressOf(info.URL)
	if err := tool(ctx, app, bin, "deploy", "--endpoint", info.URL); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, bin, "status", "--endpoint", info.URL, "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("rouse status: %w", err)
	}
	var s struct{ Isolation struct{ Driver string } }
	if err := json.Unmarshal(out, &s); err != nil {
		return nil, err
	}
	b.isolation = "isolation " + s.Isolation.Driver
	return b, nil
}

// addressOf is the host and port of a URL.
func addressOf(url string) string { return strings.TrimPrefix(url, "http://") }

// tool runs a command to its end; what it printed is part of the error.
func tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}

func (b *bench) close() {
	b.rouse.stop()
	_ = os.RemoveAll(b.dir)
}

// get asks once and wants 200.
func get(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return nil
}
