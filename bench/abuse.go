package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// abuses are what a function can do to its neighbours, as app/abuse knows them.
var abuses = []string{"fork bomb", "spinner", "memory hog", "log flood", "tmp filler", "file hog", "connections"}

// abuseMax bounds one abuse: the function's timeout, for when it can no longer end itself.
const abuseMax = 20 * time.Second

// abuse: a function's throughput beside another that does its worst, against what it has alone. The limit is 1: a neighbour
// that nobody notices.
func (b *bench) abuse(what string) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "the same function alone", unit: "req/s", more: true}
		victim := b.base + "/node0"
		if _, err := load(ctx, victim, abuseConnections, time.Second); err != nil { // bring instances up
			return r, err
		}
		var alone, kept []float64
		before, err := load(ctx, victim, abuseConnections, b.seconds)
		if err != nil {
			return r, err
		}
		for range repeats {
			stop := b.startAbuse(ctx, what)
			select {
			case <-time.After(abuseAhead):
			case <-ctx.Done():
			}
			z, err := load(ctx, victim, abuseConnections, b.seconds)
			stop()
			if err != nil {
				return r, fmt.Errorf("beside a %s: %w", what, err)
			}
			after, err := load(ctx, victim, abuseConnections, b.seconds)
			if err != nil {
				return r, err
			}
			a := (before + after) / 2
			alone, kept = append(alone, a), append(kept, z/a)
			before = after
		}
		// Of each round what was kept of the throughput just before and after it: others use this machine too.
		r.limit = median(alone)
		r.rouse = r.limit * median(kept)
		return r, ctx.Err()
	}
}

const (
	abuseConnections = 16
	abuseAhead       = 1500 * time.Millisecond // before its neighbour is measured
)

// startAbuse keeps one instance at it. The returned function waits for its end.
func (b *bench) startAbuse(ctx context.Context, what string) (stop func()) {
	until := time.Now().Add(abuseAhead + b.seconds)
	var running sync.WaitGroup
	running.Go(func() {
		for left := time.Until(until); left > 10*time.Millisecond && ctx.Err() == nil; left = time.Until(until) {
			q := url.Values{"what": {what}, "ms": {fmt.Sprint(left.Milliseconds())}}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/abuse?"+q.Encode(), nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil { // what it answers, if anything, is its own affair
				_ = resp.Body.Close()
			}
		}
	})
	return running.Wait
}
