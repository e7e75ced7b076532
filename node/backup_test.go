package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
	"github.com/rouse-dev/rouse/node"
)

// onServer is the URL of a store of its own.
func onServer(s *pgtest.Server) string { return s.URL() + "&schema=" + pgtest.Schema() }

// options are those of a command on state.
func options(flags map[string]string) cli.NodeOptions {
	return cli.NodeOptions{Dev: true, Flags: flags, Getenv: noEnvironment, Log: io.Discard}
}

func quiet(string) {}

// saveTo asks a node for a backup.
func (c *client) saveTo(t testing.TB, file string) {
	t.Helper()
	req, err := http.NewRequest("GET", c.url+"/_rouse/api/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	key := c.key
	key.Service = "rouse"
	key.Sign(req, sigv4.HashPayload(nil), time.Now())
	resp, err := c.agent.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Fatalf("GetBackup: got %s, %v, want 200 and a whole file", resp.Status, err)
	}
}

// writer puts items 0, 1, 2 … into a table until it is told to stop.
type writer struct {
	acked atomic.Int64 // the last that was acknowledged
	stop  atomic.Bool
	wg    sync.WaitGroup
}

func (w *writer) start(t testing.TB, c *client) {
	c.call(t, "dynamodb", "CreateTable", map[string]any{"TableName": "numbers", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{map[string]any{"AttributeName": "n", "AttributeType": "N"}},
		"KeySchema":            []any{map[string]any{"AttributeName": "n", "KeyType": "HASH"}}})
	w.wg.Go(func() {
		for n := int64(1); !w.stop.Load(); n++ {
			a := c.ask(t, "dynamodb", "PutItem", fmt.Sprintf(`{"TableName":"numbers","Item":{"n":{"N":"%d"}}}`, n))
			if a.Status != 200 {
				t.Errorf("PutItem %d: got %s, want 200", n, a)
				return
			}
			w.acked.Store(n)
		}
	})
}

// TestBackupAndRestore: a backup of a node that works, of either kind of store, becomes a node on the other kind that has
// everything: what was acknowledged before it began, and of what came meanwhile a beginning without gaps.
func TestBackupAndRestore(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv})
	for name, stores := range map[string][2]string{"folder to PostgreSQL": {"", onServer(server)}, "PostgreSQL to folder": {onServer(server), ""}} {
		t.Run(name, func(t *testing.T) {
			in := func(store string) map[string]string {
				if store == "" {
					return settings(t.TempDir())
				}
				return settings(t.TempDir(), "store", store)
			}
			first := openAs(t, true, in(stores[0]), nil)
			c := developer(first)
			for _, m := range makings(t) {
				if a := c.ask(t, m.service, m.name, m.input); a.Status/100 != 2 {
					t.Fatalf("%s %s: got %s, want it made", m.service, m.name, a)
				}
			}
			key := c.call(t, "iam", "CreateAccessKey", map[string]any{"UserName": "u"})["AccessKey"].(map[string]any)
			asset := strings.Repeat("artifact ", 100_000)
			hash := sigv4.HashPayload([]byte(asset))
			if a := c.send(t, "rouse", "PUT", "/_rouse/api/assets/"+hash, asset); a.Status != 200 {
				t.Fatalf("upload an artifact: got %s, want 200", a)
			}
			c.awaitActive(t, "f")
			var w writer
			w.start(t, c)
			until(t, "some items are there", func() bool { return w.acked.Load() > 20 })
			file := filepath.Join(t.TempDir(), "backup")
			acked := w.acked.Load()
			c.saveTo(t, file)
			w.stop.Store(true)
			w.wg.Wait()
			want := c.call(t, "lambda", "GetFunction", map[string]any{"FunctionName": "f"})["Configuration"]
			stop(t, first)

			flags := in(stores[1])
			got, err := node.Restore(t.Context(), options(flags), file, quiet)
			if err != nil || got.Pairs == 0 || got.Blobs < 3 {
				t.Fatalf("Restore: got %+v, %v, want pairs and the blobs of a function, a layer and an artifact", got, err)
			}
			second := openAs(t, true, flags, nil)
			c = developer(second)
			if have := c.call(t, "lambda", "GetFunction", map[string]any{"FunctionName": "f"})["Configuration"]; !same(have, want) {
				t.Errorf("function after Restore: got %v, want %v", have, want)
			}
			c.hasNumbers(t, acked)
			if a := c.send(t, "rouse", "GET", "/_rouse/api/assets/"+hash, ""); a.Status != 200 {
				t.Errorf("the artifact after Restore: got %s, want 200", a)
			}
			other := *c
			other.key = sigv4.Signer{AccessKeyID: key["AccessKeyId"].(string), SecretAccessKey: key["SecretAccessKey"].(string), Region: "us-east-1"}
			if a := other.send(t, "lambda", "GET", "/2015-03-31/functions", ""); a.Status != 200 {
				t.Errorf("ListFunctions with a key that was sealed: got %s, want 200", a)
			}
			if _, err := node.Restore(t.Context(), options(flags), file, quiet); err == nil {
				t.Error("Restore over a node: got nil, want an error")
			}
		})
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return volatile.ReplaceAllString(string(x), "") == volatile.ReplaceAllString(string(y), "")
}

// hasNumbers wants items 1 to at least least, without gaps.
func (c *client) hasNumbers(t testing.TB, least int64) {
	t.Helper()
	have := map[string]bool{}
	in := map[string]any{"TableName": "numbers"}
	for {
		out := c.call(t, "dynamodb", "Scan", in)
		for _, it := range out["Items"].([]any) {
			have[it.(map[string]any)["n"].(map[string]any)["N"].(string)] = true
		}
		if out["LastEvaluatedKey"] == nil {
			break
		}
		in["ExclusiveStartKey"] = out["LastEvaluatedKey"]
	}
	for n := range int64(len(have)) {
		if !have[fmt.Sprint(n+1)] {
			t.Errorf("item %d of %d after Restore: got none, want no gap", n+1, len(have))
			return
		}
	}
	if int64(len(have)) < least {
		t.Errorf("items after Restore: got %d, want at least the %d that were acknowledged before the backup", len(have), least)
	}
}

// TestRestoreRefuses: what is no whole backup, and what is not empty, stays as it was.
func TestRestoreRefuses(t *testing.T) {
	n := openAs(t, true, settings(t.TempDir()), nil)
	file := filepath.Join(t.TempDir(), "backup")
	developer(n).saveTo(t, file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"torn":    {whole[:len(whole)-10], "torn"},
		"foreign": {[]byte("something else entirely"), "not a backup"},
		"newer":   {append([]byte("rouse backup 9\n"), whole[15:]...), "format 9"},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(file, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := node.Restore(t.Context(), options(settings(dir)), file, quiet)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Restore of a %s file: got %v, want %q", name, err, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("Restore of a %s file: the folder was made, want nothing", name)
		}
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Restore(t.Context(), options(settings(dir)), file, quiet); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Restore into a folder that is not empty: got %v, want it refused", err)
	}
}

// TestCopyStore: from a folder to PostgreSQL and back; a node on the copy has everything.
func TestCopyStore(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv})
	data, there := t.TempDir(), onServer(server)
	n := openAs(t, true, settings(data), nil)
	var w writer
	w.start(t, developer(n))
	until(t, "some items are there", func() bool { return w.acked.Load() > 20 })
	w.stop.Store(true)
	w.wg.Wait()
	if _, err := node.CopyStore(t.Context(), data, there, quiet); err == nil || !strings.Contains(err.Error(), "rouse backup") {
		t.Errorf("copy of a running node's store: got %v, want it refused with what to do", err)
	}
	stop(t, n)
	first, err := node.CopyStore(t.Context(), data, there, quiet)
	if err != nil || first.Pairs == 0 {
		t.Fatalf("CopyStore to PostgreSQL: got %+v, %v, want it copied", first, err)
	}
	if _, err := node.CopyStore(t.Context(), data, there, quiet); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("copy to a store that is there: got %v, want it refused", err)
	}
	n = openAs(t, true, settings(data, "store", there), nil)
	developer(n).hasNumbers(t, w.acked.Load())
	if got := developer(n).send(t, "rouse", "GET", "/_rouse/api/status", "").Body; !strings.Contains(got, `"store":"postgres://rouse@`) {
		t.Errorf("status: got %s, want the store without a password", got)
	}
	stop(t, n)
	if err := os.Rename(filepath.Join(data, "store"), filepath.Join(t.TempDir(), "old")); err != nil {
		t.Fatal(err)
	}
	if _, err := node.CopyStore(t.Context(), there, data, quiet); err != nil {
		t.Fatalf("CopyStore back: got %v, want nil", err)
	}
	n = openAs(t, true, settings(data), nil)
	developer(n).hasNumbers(t, w.acked.Load())
	for _, bad := range [][2]string{{data, data}, {t.TempDir(), there}, {"/nowhere", there}, {there, "/nowhere"}} {
		if _, err := node.CopyStore(t.Context(), bad[0], bad[1], quiet); err == nil {
			t.Errorf("CopyStore of %s to %s: got nil, want an error", bad[0], bad[1])
		}
	}
}

// TestSealOfAnother: a node whose seal key is not the store's does not start.
func TestSealOfAnother(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv})
	there := onServer(server)
	openAs(t, true, settings(t.TempDir(), "store", there), nil)
	_, err := tryOpen(t, true, settings(t.TempDir(), "store", there), nil)
	if err == nil || !strings.Contains(err.Error(), "seal.key") {
		t.Errorf("second node with a key of its own: got %v, want it told which key it needs", err)
	}
}

// TestStoreGoesAway: a node outlives its server, says so while it is away, and goes on.
func TestStoreGoesAway(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Auth: "scram-sha-256"})
	var log said
	n := openAs(t, true, settings(t.TempDir(), "store", onServer(server)), &log)
	c := developer(n)
	healthy := func() bool { return c.plain(t, "GET", "/_rouse/health").Status == 200 }
	c.call(t, "logs", "CreateLogGroup", map[string]any{"logGroupName": "/before"})
	server.Kill()
	until(t, "health says that the store is away", func() bool { return !healthy() })
	server.Run()
	until(t, "the node is well again", healthy)
	c.call(t, "logs", "CreateLogGroup", map[string]any{"logGroupName": "/after"})
	if a := c.ask(t, "logs", "DescribeLogGroups", `{}`); !strings.Contains(a.Body, "/before") || !strings.Contains(a.Body, "/after") {
		t.Errorf("log groups after the server came back: got %s, want both", a)
	}
	for what, text := range map[string]string{"log": log.String(), "status": c.send(t, "rouse", "GET", "/_rouse/api/status", "").Body} {
		if strings.Contains(text, server.Password()) || strings.Contains(text, url.QueryEscape(server.Password())) {
			t.Errorf("%s tells the password: %s", what, text)
		}
	}
}
