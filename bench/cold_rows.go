package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// coldRows are first requests and what comes of many of them, beside programs that do as little as can be done: a worker that
// is up already and receives code, a fork of a zygote, an exec into as many namespaces.
func (b *bench) coldRows() []row {
	return []row{
		{"cold node worker", b.coldWorker(b.plainNode)}, {"cold node sdk", b.coldWorker(b.withSDK)},
		{"cold node bundled", b.coldWorker(b.bundled)}, {"cold node p99", b.coldTail},
		{"cold python fork", b.coldFork(pythonRecipe("py", pythonCode))}, {"cold python sdk", b.coldFork(pythonRecipe("pysdk", botoCode))},
		{"cold go exec", b.coldExec}, {"cold burst", b.burst},
		{"create node", b.create(nodeRecipe("many", nodeCode), "bare boots: node -e 0", func() *exec.Cmd { return exec.Command("node", "-e", "0") })},
		{"create go", b.create(recipe{name: "manygo", runtime: "provided.al2023", handler: "bootstrap", binary: filepath.Join(b.dir, "app/gobin/bootstrap")},
			"namespaces and exec of a Go binary", b.spaces)},
		{"idle node", b.idle(nodeRecipe("idle", nodeCode), nodeWorker, false)},
		{"idle python", b.idle(pythonRecipe("idlepy", pythonCode), pythonZygote, true)},
	}
}

const (
	tailSamples = 1000
	burstSize   = 100
	createSize  = 100
)

func (b *bench) plainNode(context.Context) (recipe, error) { return nodeRecipe("small", nodeCode), nil }

func (b *bench) withSDK(ctx context.Context) (recipe, error) {
	return nodeRecipe("sdk", sdkCode), b.sdk(ctx)
}

func (b *bench) bundled(ctx context.Context) (recipe, error) {
	code, err := b.bundle(ctx)
	if err == nil {
		err = b.node22(ctx)
	}
	rec := nodeRecipe("bundled", code)
	rec.runtime = "nodejs22.x"
	return rec, err
}

// coldWorker holds first requests against a worker that is up already and becomes a small function.
func (b *bench) coldWorker(make func(context.Context) (recipe, error)) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "a worker that is up and receives a small function", unit: "ms"}
		rec, err := make(ctx)
		if err != nil {
			return r, err
		}
		return b.inTurn(ctx, r, rec, func(i int) (float64, error) {
			w, err := startWorker(b.dir, i, nodeWorker...)
			if err != nil {
				return 0, err
			}
			defer w.stop()
			if err := pause(ctx, coldGap); err != nil { // it comes to rest
				return 0, err
			}
			took, conn, err := w.become(nodeCode)
			if err != nil {
				return 0, err
			}
			return millis(took), conn.Close()
		})
	}
}

// coldFork holds them against a fork of a zygote that becomes a small function.
func (b *bench) coldFork(rec recipe) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "a fork of a zygote that receives a small function", unit: "ms"}
		z, err := startWorker(b.dir, 0, pythonZygote...)
		if err != nil {
			return r, err
		}
		defer z.stop()
		return b.inTurn(ctx, r, rec, func(int) (float64, error) {
			took, conn, err := z.become(pythonCode)
			if err != nil {
				return 0, err
			}
			return millis(took), conn.Close()
		})
	}
}

// coldExec holds them against an exec into as many namespaces.
func (b *bench) coldExec(ctx context.Context) (result, error) {
	r := result{limitIs: "namespaces and exec of a Go binary that exits", unit: "ms"}
	rec := recipe{name: "go", runtime: "provided.al2023", handler: "bootstrap", binary: filepath.Join(b.dir, "app/gobin/bootstrap")}
	return b.inTurn(ctx, r, rec, func(int) (float64, error) {
		began := time.Now()
		err := b.spaces().Run()
		return millis(time.Since(began)), err
	})
}

func (b *bench) spaces() *exec.Cmd {
	cmd := exec.Command(b.goServer, "exit")
	inNamespaces(cmd)
	return cmd
}

// inTurn measures a first request after each sample of the limit.
func (b *bench) inTurn(ctx context.Context, r result, rec recipe, sample func(int) (float64, error)) (result, error) {
	names, err := b.publish(ctx, rec, b.samples)
	if err != nil {
		return r, err
	}
	var limit, rouse []float64
	for i, name := range names {
		a, err := sample(i)
		if err != nil {
			return r, err
		}
		if err := pause(ctx, coldGap); err != nil {
			return r, err
		}
		z, err := b.first(ctx, name)
		if err != nil {
			return r, err
		}
		limit, rouse = append(limit, a), append(rouse, z)
	}
	r.limit, r.rouse = median(limit), median(rouse)
	return r, nil
}

// coldTail is the slowest of a hundred among first requests to a thousand functions, while the pool is being filled again.
func (b *bench) coldTail(ctx context.Context) (result, error) {
	r := result{limitIs: "its own median", unit: "ms"}
	names, err := b.publish(ctx, nodeRecipe("tail", nodeCode), tailSamples)
	if err != nil {
		return r, err
	}
	var all []float64
	for _, name := range names {
		took, err := b.first(ctx, name)
		if err == nil {
			err = pause(ctx, tailGap)
		}
		if err != nil {
			return r, err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	r.limit, r.rouse = median(all), all[len(all)*99/100]
	return r, nil
}

// together runs f for 0 … n-1, so many at once, and returns the time until the last ends.
func together(n, atOnce int, f func(int) error) (time.Duration, error) {
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	failed := make([]error, n)
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			failed[i] = f(i)
			<-slots
		})
	}
	wg.Wait()
	return time.Since(began), errors.Join(failed...)
}

// burst: first requests to a hundred functions at once, until the last is answered, against a hundred workers that are up.
// Another burst before has shown the pool what to expect.
func (b *bench) burst(ctx context.Context) (result, error) {
	r := result{limitIs: "100 workers that are up, all at once", unit: "ms"}
	var limit, rouse []float64
	for round := range 4 {
		names, err := b.publish(ctx, nodeRecipe(fmt.Sprint("burst", round), nodeCode), burstSize)
		if err != nil {
			return r, err
		}
		took, err := b.workersAtOnce(burstSize)
		if err != nil {
			return r, err
		}
		limit = append(limit, millis(took))
		if err := pause(ctx, settleTime); err != nil {
			return r, err
		}
		if took, err = together(burstSize, burstSize, func(i int) error { _, err := b.first(ctx, names[i]); return err }); err != nil {
			return r, err
		}
		if round > 0 {
			rouse = append(rouse, millis(took))
		}
	}
	r.limit, r.rouse = median(limit), median(rouse)
	return r, nil
}

func (b *bench) workersAtOnce(n int) (time.Duration, error) {
	var list []*worker
	defer func() {
		for _, w := range list {
			w.stop()
		}
	}()
	for i := range n {
		w, err := startWorker(b.dir, i, nodeWorker...)
		if err != nil {
			return 0, err
		}
		list = append(list, w)
	}
	return together(n, n, func(i int) error {
		_, conn, err := list[i].become(nodeCode)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// create: how many new instances per second, as many at once as keep the processors busy, against bare starts.
func (b *bench) create(rec recipe, limitIs string, bare func() *exec.Cmd) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: limitIs, unit: "/s", more: true}
		atOnce := 2 * runtime.NumCPU()
		var limit, rouse []float64
		for round := range 3 {
			part := rec
			part.name = fmt.Sprint(rec.name, round)
			names, err := b.publish(ctx, part, createSize)
			if err != nil {
				return r, err
			}
			took, err := together(createSize, atOnce, func(int) error { return bare().Run() })
			if err != nil {
				return r, err
			}
			limit = append(limit, createSize/took.Seconds())
			if took, err = together(createSize, atOnce, func(i int) error { _, err := b.first(ctx, names[i]); return err }); err != nil {
				return r, err
			}
			rouse = append(rouse, createSize/took.Seconds())
		}
		r.limit, r.rouse = median(limit), median(rouse)
		return r, nil
	}
}

// idle is the memory of an instance that has answered and waits, one among a hundred, each page counted in parts of those
// who share it.
func (b *bench) idle(rec recipe, argv []string, forks bool) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "100 workers that have answered", unit: "MiB"}
		code := rec.files["index.js"] + rec.files["app.py"]
		var list []*worker
		var open []func() error
		defer func() {
			for _, w := range list {
				w.stop()
			}
		}()
		for i := range burstSize {
			if i == 0 || !forks {
				w, err := startWorker(b.dir, i, argv...)
				if err != nil {
					return r, err
				}
				list = append(list, w)
			}
			_, conn, err := list[len(list)-1].become(code)
			if err != nil {
				return r, err
			}
			open = append(open, conn.Close)
		}
		r.limit = share(os.Getpid(), argv[len(argv)-1])
		for _, shut := range open {
			if err := shut(); err != nil {
				return r, err
			}
		}
		names, err := b.publish(ctx, rec, burstSize)
		if err != nil {
			return r, err
		}
		for _, name := range names {
			if _, err := b.first(ctx, name); err != nil {
				return r, err
			}
		}
		if err := pause(ctx, settleTime); err != nil {
			return r, err
		}
		r.rouse = share(b.rouse.cmd.Process.Pid, "/bootstrap.")
		return r, nil
	}
}

// share is the memory of one process in MiB, in the mean, of those that descend from one and have a word in their command.
func share(root int, word string) float64 {
	var total, n float64
	for _, pid := range descendants(root) {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(command), word) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err == nil {
					total, n = total+kb/1024, n+1
				}
			}
		}
	}
	return total / max(1, n)
}

// descendants are all processes below one.
func descendants(root int) (list []int) {
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
		rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
		var parent int
		if f := strings.Fields(rest); len(f) > 1 {
			parent, _ = strconv.Atoi(f[1])
		}
		parents[parent] = append(parents[parent], pid)
	}
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		list = append(list, parents[todo[0]]...)
		todo = append(todo, parents[todo[0]]...)
	}
	return list
}
