// Package compat holds Rouse against the clients that AWS's users have: the AWS SDKs for Go v2, for JavaScript v3 and for
// Python, and the AWS CLI. Each gets what a user would set (AWS_ENDPOINT_URL, the key test/test and a region) and nothing
// that is Rouse's own.
//
// # How it runs
//
// One test, TestCompat, starts the built program as a process (`rouse dev` on a free port, with a folder of its own) and
// stops it by SIGTERM at the end. Its parts run against that one node at the same time:
//
//	go       here, with the SDK's own types: waiters, paginators, typed exceptions
//	wire     here, with requests signed by hand: what a client with a bad key, clock or signature is told
//	cli      here, a table of `aws …` commands
//	python   python/*.py under python3        ┐ programs that print a line for each case, which
//	js       js/*.mjs under node              ┘ becomes a subtest (see report in program_test.go)
//
// On Debian, boto3 and the AWS CLI are unpacked here when the machine lacks them (tools_test.go). A tool that is not to be had
// skips its part and says what is missing; with CI=true in the environment it fails instead.
//
// # What holds here
//
// Every part names its resources with its own prefix and removes what it made, so the parts neither need nor disturb one
// another, and each can run alone: go test -run TestCompat/clients/python. Retries of the SDKs are off, but for one fault of
// the Go SDK's own (see onlyOwnFaults): an answer that only comes at the second try is a fault. What AWS documents is the
// measure; a test is not bent to what Rouse does.
//
// It is a module of its own so that Rouse itself never links an AWS SDK.
package compat
