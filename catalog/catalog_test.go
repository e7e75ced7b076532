package catalog_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/blob"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	role    = "arn:aws:iam::111122223333:role/worker"
)

// open makes a catalog on an in-memory store; change may adjust its configuration.
func open(t testing.TB, change ...func(*catalog.Config)) *catalog.Catalog {
	t.Helper()
	cfg := config(t, kvtest.Memory(t))
	for _, f := range change {
		f(&cfg)
	}
	return reopen(t, cfg)
}

func config(t testing.TB, store kv.Store) catalog.Config {
	t.Helper()
	blobs, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatalf("open blobs: %v", err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	return catalog.Config{Region: region, Store: store, Blobs: blobs, CacheDir: t.TempDir(), Architecture: "x86_64"}
}

func reopen(t testing.TB, cfg catalog.Config) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open catalog: %v", err)
	}
	return c
}

// run starts the catalog's background work until the test ends.
func run(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// pack makes a zip of files; a name that ends in "*" is executable, one that ends in "@" a symbolic link to its content.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: strings.TrimRight(n, "*@"), Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasSuffix(n, "*") {
			h.SetMode(0o755)
		}
		if strings.HasSuffix(n, "@") {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ptr[T any](v T) *T { return &v }

func ref(fn string) catalog.Ref { return catalog.Ref{Account: account, Name: fn} }

// newFunction is a request that succeeds.
func newFunction(t testing.TB, source string) catalog.NewFunction {
	t.Helper()
	return catalog.NewFunction{
		Settings: catalog.Settings{Runtime: ptr("nodejs22.x"), Handler: ptr("index.handler"), Role: ptr(role)},
		Code:     catalog.Code{Zip: pack(t, map[string]string{"index.mjs": source})},
	}
}

func create(t testing.TB, c *catalog.Catalog, fn string) *catalog.Version {
	t.Helper()
	v, err := c.Create(t.Context(), ref(fn), newFunction(t, "export const handler = () => '"+fn+"'"))
	if err != nil {
		t.Fatalf("create %s: %v", fn, err)
	}
	return v
}

// wantErr checks kind, code and text of an error; text may be the beginning of it.
func wantErr(t testing.TB, err error, kind rouse.Kind, code, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %s", err, text)
	}
	if e.Kind != kind || e.Code != code || !strings.HasPrefix(e.Message, text) {
		t.Errorf("got %v %s %q\nwant %v %s %q", e.Kind, e.Code, e.Message, kind, code, text)
	}
}

func TestCreate(t *testing.T) {
	c := open(t)
	v := create(t, c, "hello")
	if v.State != catalog.Active || v.LastUpdateStatus != catalog.Successful {
		t.Errorf("states: got %s and %s, want Active and Successful", v.State, v.LastUpdateStatus)
	}
	if v.TimeoutSeconds != 3 || v.MemoryMB != 128 || v.TmpMB != 512 || v.LogGroup != "/aws/lambda/hello" {
		t.Errorf("defaults: got %d s, %d MB, %d MB, %s", v.TimeoutSeconds, v.MemoryMB, v.TmpMB, v.LogGroup)
	}
	if got, want := v.ARN.String(), "arn:aws:lambda:eu-west-1:111122223333:function:hello:$LATEST"; got != want {
		t.Errorf("ARN: got %s, want %s", got, want)
	}
	got, err := c.Resolve(rouse.FunctionARN(region, account, "hello", ""))
	if err != nil || got != v {
		t.Errorf("resolve: got %p, %v; want %p", got, err, v)
	}
	_, err = c.Create(t.Context(), ref("hello"), newFunction(t, "again"))
	wantErr(t, err, rouse.Exists, "ResourceConflictException", "Function already exist: hello")
	_, err = c.Resolve(rouse.FunctionARN(region, account, "nobody", "3"))
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException",
		"Function not found: arn:aws:lambda:eu-west-1:111122223333:function:nobody:3")
}

func TestReopenFindsEverything(t *testing.T) {
	cfg := config(t, kvtest.Memory(t))
	c := reopen(t, cfg)
	create(t, c, "a")
	create(t, c, "b")
	r := ref("a")
	if _, err := c.Publish(t.Context(), r, ptr("first"), "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateAlias(t.Context(), r, "live", catalog.AliasChange{Version: ptr("1")}); err != nil {
		t.Fatal(err)
	}
	u, err := c.CreateURL(t.Context(), r, catalog.URLChange{AuthType: catalog.AuthNone})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddPermission(t.Context(), r, catalog.Grant{Sid: "s", Action: "lambda:InvokeFunction", Principal: "*"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Reserve(t.Context(), r, ptr(7)); err != nil {
		t.Fatal(err)
	}
	d := reopen(t, cfg)
	v, err := d.Resolve(rouse.FunctionARN(region, account, "a", "live"))
	if err != nil || v.Number != "1" || v.Description != "first" || *v.Reserved != 7 {
		t.Errorf("resolve: got %+v, %v; want version 1 with 7 reserved", v, err)
	}
	if got, err := d.ResolveURL(u.ID); err != nil || got.Function.String() != "arn:aws:lambda:eu-west-1:111122223333:function:a" {
		t.Errorf("resolve url: got %+v, %v", got, err)
	}
	if got, want := d.Policy(rouse.FunctionARN(region, account, "a", "")), c.Policy(rouse.FunctionARN(region, account, "a", "")); got != want || got == "" {
		t.Errorf("policy: got %q, want %q", got, want)
	}
	if got, want := d.Account(account), c.Account(account); got != want || got.Functions != 2 {
		t.Errorf("account: got %+v, want %+v", got, want)
	}
}

func TestPublish(t *testing.T) {
	c := open(t)
	r := ref("f")
	in := newFunction(t, "1")
	in.Publish = true
	v, err := c.Create(t.Context(), r, in)
	if err != nil || v.Number != "1" {
		t.Fatalf("create: got %v, %v; want version 1", v, err)
	}
	if v, err = c.Publish(t.Context(), r, nil, "", ""); err != nil || v.Number != "1" {
		t.Errorf("publish without change: got %v, %v; want version 1", v, err)
	}
	if _, err = c.UpdateConfig(t.Context(), r, catalog.Settings{MemoryMB: ptr(256)}, ""); err != nil {
		t.Fatal(err)
	}
	if v, err = c.Publish(t.Context(), r, nil, "", ""); err != nil || v.Number != "2" || v.MemoryMB != 256 {
		t.Errorf("publish: got %+v, %v; want version 2 with 256 MB", v, err)
	}
	if err := c.Delete(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: "2"}); err != nil {
		t.Fatal(err)
	}
	if v, err = c.Publish(t.Context(), r, nil, "", ""); err != nil || v.Number != "3" {
		t.Errorf("publish after deleting 2: got %+v, %v; want version 3", v, err)
	}
	if err := c.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	in.Publish = true
	if v, err = c.Create(t.Context(), r, in); err != nil || v.Number != "4" {
		t.Errorf("create and publish again: got %+v, %v; want version 4, numbers are never reused", v, err)
	}
	_, err = c.Publish(t.Context(), r, nil, "nonsense", "")
	wantErr(t, err, rouse.Invalid, "InvalidParameterValueException", "CodeSHA256 (nonsense) is different from current CodeSHA256 in $LATEST")
	_, err = c.Publish(t.Context(), r, nil, "", "old")
	wantErr(t, err, rouse.Conflict, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias")
}

func TestDeleteRemovesEverything(t *testing.T) {
	c := open(t, func(cfg *catalog.Config) { cfg.Grace = 1 })
	create(t, c, "f")
	r := ref("f")
	steps := []func() error{
		func() error { _, err := c.Publish(t.Context(), r, nil, "", ""); return err },
		func() error {
			_, err := c.CreateAlias(t.Context(), r, "live", catalog.AliasChange{Version: ptr("1")})
			return err
		},
		func() error {
			_, err := c.CreateURL(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: "live"}, catalog.URLChange{AuthType: "NONE"})
			return err
		},
		func() error {
			_, err := c.AddPermission(t.Context(), r, catalog.Grant{Sid: "s", Action: "*", Principal: "s3.amazonaws.com"})
			return err
		},
		func() error {
			_, err := c.PutEventConfig(t.Context(), r, catalog.EventChange{Retries: ptr(0)}, false)
			return err
		},
		func() error { return c.Reserve(t.Context(), r, ptr(100)) },
		func() error { return c.Tag(t.Context(), r, map[string]string{"a": "b"}) },
		func() error { return c.Delete(t.Context(), r) },
	}
	for i, f := range steps {
		if err := f(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if got := c.Account(account); got.Functions != 0 || got.CodeBytes != 0 || got.UnreservedConcurrency != got.Concurrency {
		t.Errorf("account after delete: got %+v, want zeros", got)
	}
	create(t, c, "f")
	if _, _, err := c.GetPolicy(r); rouse.KindOf(err) != rouse.NotFound {
		t.Errorf("policy of the new function: got %v, want not found", err)
	}
	if as, _, err := c.Aliases(r, "", "", 10); err != nil || len(as) != 0 {
		t.Errorf("aliases of the new function: got %v, %v; want none", as, err)
	}
	if vs, _, err := c.Versions(r, "", 10); err != nil || len(vs) != 1 {
		t.Errorf("versions of the new function: got %v, %v; want $LATEST only", vs, err)
	}
	if tags, err := c.Tags(r); err != nil || len(tags) != 0 {
		t.Errorf("tags of the new function: got %v, %v; want none", tags, err)
	}
}
