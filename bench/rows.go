package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// repeats of what is measured as a whole: starts and loads, in turn with their limits.
const repeats = 5

// ready: one exec, one listen, one answer; the rest is opening the store and making the first sandbox.
func (b *bench) ready(ctx context.Context) (result, error) {
	r := result{limitIs: "a bare Go HTTP server, from exec to its first answer", unit: "ms"}
	var limit, rouse []float64
	for i := range repeats {
		s, took, err := b.startLimit(ctx, "go")
		if err != nil {
			return r, err
		}
		s.stop()
		limit = append(limit, millis(took))
		p, _, took, err := b.startRouse(ctx, filepath.Join(b.dir, fmt.Sprint("ready", i)))
		if err != nil {
			return r, err
		}
		p.stop()
		rouse = append(rouse, millis(took))
	}
	r.limit, r.rouse = median(limit), median(rouse)
	return r, nil
}

func (b *bench) idleMemory(ctx context.Context) (result, error) {
	r := result{limitIs: "a bare Go HTTP server", unit: "MiB"}
	s, _, err := b.startLimit(ctx, "go")
	if err != nil {
		return r, err
	}
	defer s.stop()
	p, _, _, err := b.startRouse(ctx, filepath.Join(b.dir, "idle"))
	if err != nil {
		return r, err
	}
	defer p.stop()
	select {
	case <-ctx.Done():
		return r, ctx.Err()
	case <-time.After(3 * time.Second): // idle is what is left after the start
	}
	if r.limit, err = resident(s.cmd.Process.Pid); err != nil {
		return r, err
	}
	r.rouse, err = resident(p.cmd.Process.Pid)
	return r, err
}

// resident is a process's memory in MiB.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// boots are the bare starts that cold starts are held against.
var boots = map[string]struct {
	is   string
	argv []string
}{
	"node":   {"a bare boot: node -e 0", []string{"node", "-e", "0"}},
	"python": {"a bare boot: python3 -c 0", []string{"python3", "-S", "-c", "0"}},
	"go":     {"fork and exec of a Go binary that exits", nil},
}

// cold: the first request to functions that never ran, each in turn with a bare boot.
func (b *bench) cold(language string) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		boot := boots[language]
		argv := boot.argv
		if argv == nil {
			argv = []string{b.goServer, "exit"}
		}
		r := result{limitIs: boot.is, unit: "ms"}
		var limit, rouse []float64
		c := &http.Client{}
		for i := range b.samples {
			t := time.Now()
			if err := exec.CommandContext(ctx, argv[0], argv[1:]...).Run(); err != nil {
				return r, err
			}
			limit = append(limit, millis(time.Since(t)))
			t = time.Now()
			if err := get(c, fmt.Sprintf("%s/%s%d", b.base, language, i+1)); err != nil {
				return r, err
			}
			rouse = append(rouse, millis(time.Since(t)))
			select {
			case <-ctx.Done():
				return r, ctx.Err()
			case <-time.After(20 * time.Millisecond): // the spare sandbox is made again
			}
		}
		r.limit, r.rouse = median(limit), median(rouse)
		return r, nil
	}
}

// servers are the bare servers that warm requests are held against.
func (b *bench) server(language, port string) []string {
	switch language {
	case "node":
		return []string{"node", "limit/node/server.mjs", port}
	case "python":
		return []string{"python3", "limit/python/server.py", port}
	}
	return []string{b.goServer, "serve", port}
}

// startLimit starts a bare server and waits for its first answer.
func (b *bench) startLimit(ctx context.Context, language string) (*limitServer, time.Duration, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, 0, err
	}
	_, port, _ := net.SplitHostPort(address)
	argv := b.server(language, port)
	began := time.Now()
	p, err := start("", nil, argv[0], argv[1:]...)
	if err != nil {
		return nil, 0, err
	}
	url := "http://" + address + "/"
	if err := until(ctx, 20*time.Second, func() error { return healthy(url) }); err != nil {
		p.stop()
		return nil, 0, fmt.Errorf("start %v: %w\n%s", argv, err, p.log.String())
	}
	return &limitServer{p, address, url}, time.Since(began), nil
}

type limitServer struct {
	*program
	address, url string
}

// warm: 64 connections ask as fast as they are answered.
func (b *bench) warm(language string) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "a bare " + language + " HTTP server, same work", unit: "req/s", more: true}
		s, _, err := b.startLimit(ctx, language)
		if err != nil {
			return r, err
		}
		defer s.stop()
		rouse := b.application(language)
		// Instances come up, and each compiles for itself what it runs often.
		if _, _, err := volley(ctx, rouse.address, warmClients, warmUp, rouse.shots); err != nil {
			return r, err
		}
		var limits, rates []float64
		for range repeats {
			a, _, err := volley(ctx, s.address, warmClients, b.seconds, same(plain("GET", s.address, "/", nil)))
			if err != nil {
				return r, fmt.Errorf("the limit: %w", err)
			}
			z, _, err := volley(ctx, rouse.address, warmClients, b.seconds, rouse.shots)
			if err != nil {
				return r, err
			}
			limits, rates = append(limits, a), append(rates, z)
		}
		r.limit, r.rouse = median(limits), median(rates)
		return r, nil
	}
}

const (
	warmClients = 64
	warmUp      = 4 * time.Second
)

// application is where a language's function is served, and what asks it.
func (b *bench) application(language string) (a struct {
	address string
	shots   shots
}) {
	a.address = addressOf(b.base)
	a.shots = same(plain("GET", a.address, "/"+language+"0", nil))
	return a
}

// load returns answers per second.
func load(ctx context.Context, url string, connections int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer c.CloseIdleConnections()
	var answers atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := get(c, url); err != nil {
					failed.Store(&err)
					return
				}
				answers.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(answers.Load()) / time.Since(began).Seconds(), nil
}

// latency: one connection, one request after the other.
func (b *bench) latency(language string) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "a bare " + language + " HTTP server, same work", unit: "ms"}
		s, _, err := b.startLimit(ctx, language)
		if err != nil {
			return r, err
		}
		defer s.stop()
		rouse := b.application(language)
		var limits, times []float64
		for range repeats {
			_, at, err := volley(ctx, s.address, 1, b.seconds/3, same(plain("GET", s.address, "/", nil)))
			if err != nil {
				return r, fmt.Errorf("the limit: %w", err)
			}
			_, zt, err := volley(ctx, rouse.address, 1, b.seconds/3, rouse.shots)
			if err != nil {
				return r, err
			}
			limits, times = append(limits, millis(at)), append(times, millis(zt))
		}
		r.limit, r.rouse = median(limits), median(times)
		return r, ctx.Err()
	}
}
