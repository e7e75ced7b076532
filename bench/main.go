// Bench measures what Rouse claims about speed: each figure beside a physical limit or a peer taken in the same run, on the
// same machine, in turn with it, and printed as a ratio. Absolute times are worth little on a machine that other work
// shares; a ratio of medians of interleaved runs is worth something.
//
//	make bench                  all rows
//	make bench BENCH=cold       rows whose name contains "cold"
//	make bench BENCH=abuse      what functions are worth beside one that does its worst
//	make bench BENCH=large      tables of up to ten million items; filling them takes minutes
//	make bench-peers            all rows, and other programs that do the same
//
// The rows, and what limits each:
//
//	ready         from exec to a healthy answer            a bare Go HTTP server, from exec to its first answer
//	idle memory   resident, ready and unused               the same server
//	cold          first request to a function never run    a bare boot of the same interpreter; fork and exec of the same binary
//	warm          requests per second, 64 connections      a bare HTTP server in the same language that does the same work
//	latency       median of one connection                 the same server
//	table         the database, 64 connections             a bare Go HTTP server, same bytes in and out
//	large         a table of many items                    the same node with a thousand
//	abuse         throughput beside a hostile neighbour    the same function alone
//
// Requests to Rouse go through its gateway: routed, authorised, in the full sandbox, metered, with all logs on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is one row of the table.
type result struct {
	limitIs      string  // what the limit is
	limit, rouse float64 // medians, in unit
	unit         string
	more         bool // more is better
}

// row is a name and what measures it.
type row struct {
	name    string
	measure func(context.Context) (result, error)
}

func (r result) ratio() float64 { return r.rouse / r.limit }

func main() {
	samples := flag.Int("n", 20, "samples of each cold start")
	seconds := flag.Duration("t", 3*time.Second, "length of one load")
	peers := flag.Bool("peers", false, "install other programs that do the same, and measure them too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	only := strings.Join(flag.Args(), " ")
	if err := run(ctx, only, *samples, *seconds, *peers); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, samples int, seconds time.Duration, peers bool) error {
	bin := os.Getenv("ROUSE_BIN")
	if bin == "" {
		return fmt.Errorf("ROUSE_BIN names no binary; run `make bench`")
	}
	b, err := newBench(ctx, bin, samples, seconds)
	if err != nil {
		return err
	}
	defer b.close()
	rows := []row{
		{"ready", b.ready}, {"idle memory", b.idleMemory},
		{"cold node", b.cold("node")}, {"cold python", b.cold("python")}, {"cold go", b.cold("go")},
		{"warm node", b.warm("node")}, {"warm python", b.warm("python")}, {"warm go", b.warm("go")},
		{"latency node", b.latency("node")}, {"latency python", b.latency("python")}, {"latency go", b.latency("go")},
	}
	rows = append(rows, b.coldRows()...)
	rows = append(rows, b.tableRows()...)
	for _, what := range abuses {
		rows = append(rows, row{"abuse " + what, b.abuse(what)})
	}
	if strings.Contains(only, "large") {
		rows = append(rows, b.largeRows()...)
	}
	if peers {
		rows = append(rows, b.peerRows()...)
	}
	fmt.Printf("%s/%s, %d processors, %s, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), b.isolation)
	fmt.Printf("%-17s %12s %12s  %-5s %8s  %s\n", "", "limit", "rouse", "", "ratio", "the limit is")
	for _, r := range rows {
		if !strings.Contains(r.name, only) {
			continue
		}
		res, err := r.measure(ctx)
		var none missing
		if errors.As(err, &none) {
			fmt.Printf("%-17s %s\n", r.name, none)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Printf("%-17s %12.2f %12.2f  %-5s %7.2f×  %s\n", r.name, res.limit, res.rouse, res.unit, res.ratio(), res.limitIs)
	}
	return nil
}

func median(list []float64) float64 {
	s := slices.Clone(list)
	slices.Sort(s)
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
