// Package kvtest holds the drivers of kv to their contract, and lends stores to the tests of others.
//
// Memory is for every test that needs a store: a real one, on a file system in memory, fast enough to open one per case.
// Inside a testing/synctest bubble it lives in the bubble's time, so that leases, timers and retries of a week pass in a
// moment.
//
// Run is the conformance suite that each driver passes: what package kv says, sentence by sentence, under concurrency,
// against a model, and across crashes. It promises nothing about speed, and leaves to a driver's own tests what only that
// driver has: files, locks on folders, failing disks.
package kvtest
