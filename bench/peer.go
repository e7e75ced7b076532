package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// peerRows are other programs that do the same, installed from the npm registry when asked for: `make bench-peers`.
func (b *bench) peerRows() []row {
	return []row{{"peer get", b.dynalite(b.getItem)}, {"peer put", b.dynalite(b.putItem)}}
}

const dynaliteVersion = "dynalite@3.2.1"

// dynalite is DynamoDB's API in JavaScript, here with its items in memory: it writes nothing to disk and checks no signature.
// It gets the same table, requests and client.
func (b *bench) dynalite(prepare func() (string, shots)) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: dynaliteVersion + ", in memory", unit: "req/s", more: true}
		if err := b.makeTable(ctx); err != nil {
			return r, err
		}
		p, address, err := b.startDynalite(ctx)
		if err != nil {
			return r, err
		}
		defer p.stop()
		peer := &bench{api: address}
		if err := peer.makeTable(ctx); err != nil {
			return r, err
		}
		_, next := prepare()
		var limit, rouse []float64
		for range repeats {
			a, _, err := volley(ctx, address, tableClients, b.seconds, next)
			if err != nil {
				return r, fmt.Errorf("dynalite: %w", err)
			}
			z, _, err := volley(ctx, b.api, tableClients, b.seconds, next)
			if err != nil {
				return r, err
			}
			limit, rouse = append(limit, a), append(rouse, z)
		}
		r.limit, r.rouse = median(limit), median(rouse)
		return r, nil
	}
}

func (b *bench) startDynalite(ctx context.Context) (*program, string, error) {
	dir := filepath.Join(b.dir, "dynalite")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	if err := tool(ctx, dir, "npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--omit=optional", "--prefix", ".", dynaliteVersion); err != nil {
		return nil, "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(address)
	p, err := start(dir, nil, "node", "node_modules/dynalite/cli.js", "--host", "127.0.0.1", "--port", port, "--createTableMs", "0")
	if err != nil {
		return nil, "", err
	}
	err = until(ctx, 20*time.Second, func() error {
		resp, err := http.Post("http://"+address, "application/json", strings.NewReader("{}"))
		if err == nil {
			err = resp.Body.Close() // it answers, though with an error
		}
		return err
	})
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return p, address, nil
}
