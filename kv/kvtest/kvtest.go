// Package kvtest holds the drivers of kv to their contract, and lends stores to the tests of others.
//
// Memory is for every test that needs a store: a real one, on a file system in memory, fast enough to open one per case.
// Inside a testing/synctest bubble it lives in the bubble's time, so that leases, timers and retries of a week pass in a
// moment. Disk is for tests that lose power.
//
// Run is the conformance suite that each driver passes: what package kv says, sentence by sentence, under concurrency,
// against a model, and across crashes. It promises nothing about speed, and leaves to a driver's own tests what only that
// driver has: files, locks on folders, failing disks.
package kvtest

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
)

// Open makes a fresh store for a test. crash, nil if the driver has none, loses power: it answers with what comes up again.
// The store from before plays the process that died: it may go on running, but nothing that it does counts any more.
type Open func(t testing.TB) (store kv.Store, crash func() kv.Store)

// test is one test of the suite.
type test struct {
	name string
	run  func(*testing.T, Open)
}

// Run holds a driver to the contract.
func Run(t *testing.T, open Open) {
	run(t, open, []test{
		{"Basics", testBasics},
		{"Scan", testScan},
		{"OwnWrites", testOwnWrites},
		{"NothingOnError", testNothingOnError},
		{"Limits", testLimits},
		{"Closed", testClosed},
		{"Contexts", testContexts},
		{"Clock", testClock},
		{"Wake", testWake},
		{"Log", testLog},
		{"Trim", testTrim},
		{"Claim", testClaim},
		{"ClaimInsertsBelow", testClaimInsertsBelow},
		{"Snapshot", testSnapshot},
		{"Model", testModel},
	})
	RunConcurrent(t, open)
}

// RunConcurrent is the part of Run in which much happens at once: worth running again on a disk of another speed.
func RunConcurrent(t *testing.T, open Open) {
	run(t, open, []test{
		{"LostUpdate", testLostUpdate},
		{"WriteSkew", testWriteSkew},
		{"AbsentKeys", testAbsentKeys},
		{"StableViews", testStableViews},
		{"HotKey", testHotKey},
		{"LongAgainstShort", testLongAgainstShort},
		{"Tail", testTail},
		{"ClaimExclusive", testClaimExclusive},
		{"Linearizable", testLinearizable},
		{"Crash", testCrash},
	})
}

// RunCrash is the part of Run that loses power under load: worth running again where losing power has more than one form.
func RunCrash(t *testing.T, open Open) {
	run(t, open, []test{{"Crash", testCrash}})
}

func run(t *testing.T, open Open, tests []test) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// fresh opens a store and closes it with the test.
func fresh(t testing.TB, open Open) kv.Store {
	t.Helper()
	s, _ := open(t)
	t.Cleanup(func() { shut(t, s) })
	return s
}

func shut(t testing.TB, s kv.Store) {
	t.Helper()
	if err := s.Close(); err != nil && !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Close: got %v, want nil", err)
	}
}

// set writes pairs of key and value.
func set(t testing.TB, s kv.Store, pairs ...string) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	}))
}

// get reads one key in a View; absent is "-".
func get(t testing.TB, s kv.Store, key string) string {
	t.Helper()
	got := "-"
	must(t, s.View(t.Context(), func(v kv.View) error {
		b, ok, err := v.Get([]byte(key))
		if ok {
			got = string(b)
		}
		return err
	}))
	return got
}

// pairs reads a range as "k=v" strings.
func pairs(t testing.TB, s kv.Store, r kv.Range, limit int) (got []string) {
	t.Helper()
	must(t, s.View(t.Context(), func(v kv.View) error {
		for p, err := range v.Scan(r, limit) {
			if err != nil {
				return err
			}
			got = append(got, string(p.Key)+"="+string(p.Value))
		}
		return nil
	}))
	return got
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want nil", err)
	}
}

func want(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// number and bytesOf are counters as values; what is absent is 0.
func number(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func bytesOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// add adds n to the counter at key, within tx.
func add(tx kv.Tx, key string, n uint64) error {
	b, _, err := tx.Get([]byte(key))
	if err != nil {
		return err
	}
	tx.Set([]byte(key), bytesOf(number(b)+n))
	return nil
}

// counter reads the counter at key.
func counter(ctx context.Context, s kv.Store, key string) (n uint64, err error) {
	err = s.View(ctx, func(v kv.View) error {
		b, _, err := v.Get([]byte(key))
		n = number(b)
		return err
	})
	return n, err
}
