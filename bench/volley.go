package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
)

// shots makes the i-th request of a connection, whole: head and body. Nothing of it may be expensive, since the machine is
// shared with what is measured.
type shots func(connection, i int) []byte

// same asks the same again and again.
func same(request []byte) shots { return func(int, int) []byte { return request } }

// volley sends requests over kept connections, one at a time on each, and returns answers per second and the median time
// of one. The same few hundred nanoseconds of client stand before limit and Rouse; net/http's own would be half of the limit.
func volley(ctx context.Context, address string, connections int, d time.Duration, next shots) (rate float64, usual time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	began := time.Now()
	var wg sync.WaitGroup
	took := make([][]time.Duration, connections)
	failed := make([]error, connections)
	for c := range connections {
		wg.Go(func() { took[c], failed[c] = shoot(ctx, address, func(i int) []byte { return next(c, i) }) })
	}
	wg.Wait()
	passed := time.Since(began)
	var all []float64
	for c := range connections {
		if failed[c] != nil {
			return 0, 0, failed[c]
		}
		for _, t := range took[c] {
			all = append(all, float64(t))
		}
	}
	return float64(len(all)) / passed.Seconds(), time.Duration(median(all)), nil
}

// shoot sends one request after the other until ctx ends, and wants 200 each time.
func shoot(ctx context.Context, address string, next func(i int) []byte) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	for i := 0; ctx.Err() == nil; i++ {
		request := next(i)
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return took, err
		}
		if err := answered(r); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

var (
	statusOK = []byte("HTTP/1.1 200")
	length   = []byte("content-length:")
)

// answered reads one answer off r.
func answered(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok, body := bytes.HasPrefix(line, statusOK), -1
	status := string(line)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if len(line) > len(length) && bytes.EqualFold(line[:len(length)], length) {
			if body, err = strconv.Atoi(string(bytes.TrimSpace(line[len(length):]))); err != nil {
				return err
			}
		}
	}
	if body < 0 {
		return fmt.Errorf("an answer without a length: %s", status)
	}
	if !ok {
		text, _ := io.ReadAll(io.LimitReader(r, int64(body)))
		return fmt.Errorf("answered %s: %s", bytes.TrimSpace([]byte(status)), text)
	}
	_, err = r.Discard(body)
	return err
}

// plain is a request without a signature.
func plain(method, address, path string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", method, path, address, len(body))
	b.Write(body)
	return b.Bytes()
}

// signed is a call of DynamoDB's API as its SDKs make it. The signature is good for minutes.
func signed(address, operation string, body []byte) []byte {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		panic(err) // address is our own
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	signer := sigv4.Signer{AccessKeyID: "test", SecretAccessKey: "test", Region: "us-east-1", Service: "dynamodb"}
	signer.Sign(r, sigv4.HashPayload(body), time.Now())
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", address, len(body))
	_ = r.Header.Write(&b) // to memory
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
