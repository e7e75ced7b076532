// Package guesttest is the conformance suite of guest: one table of functions, events and what must come back, run over
// every kind of guest and every host. A case says what a handler does once per language; what its caller sees is said
// once for all of them, because it must not differ.
//
// Run takes the host as a constructor, so that the same table runs without root on a plain child process (NewProcess)
// and on each real sandbox driver. A case that needs a language that is not installed is skipped with that reason; the
// Runtime API is always there, since its functions are built with the Go toolchain that runs the test (and with
// aws-lambda-go, so that AWS's own client is what the Runtime API is tested with).
//
// It imports testing and is for tests only. It keeps nothing between cases: each makes its own host, and the host's
// constructor sees to its end.
package guesttest
