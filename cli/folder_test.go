package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/cli"
)

// TestInitOverwritesNothing: one file that is there, and none is written.
func TestInitOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x", "template.yaml"), "mine")
	out, errs, code := run{dir: dir}.rouse(t, "init", "x")
	want(t, out, errs, code, 1, "error: x/template.yaml exists; nothing was written")
	if entries, err := os.ReadDir(filepath.Join(dir, "x")); err != nil || len(entries) != 1 {
		t.Errorf("got %v (%v), want the one file that was there", entries, err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "template.yaml")); err != nil {
		t.Fatal(err)
	}
	out, errs, code = run{dir: dir}.rouse(t, "init")
	want(t, out, errs, code, 1, "template.yaml exists")
	for _, language := range []string{"node", "python", "go"} {
		out, errs, code = run{dir: dir}.rouse(t, "init", "new "+language, "-l", language)
		want(t, out, errs, code, 0, "+ template.yaml", " dev 'new "+language+"'")
	}
	if _, err := os.Stat(filepath.Join(dir, "new go", "hello", "go.mod")); err != nil {
		t.Errorf("the Go starter has no go.mod: %v", err)
	}
	out, errs, code = run{dir: dir}.rouse(t, "init", "-l", "../../etc")
	want(t, out, errs, code, 2, `language "../../etc": want node, python or go`)
}

// TestResetRefuses: only a folder that is a node's alone is deleted, only when nobody runs on it, and only when asked twice.
func TestResetRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"project/store/index.js", "project/main.js", "home/seal.key", "home/store/x", "home/letters/y", "odd/store/x",
		".rouse/store/x", ".rouse/seal.key", ".rouse/blobs/y", ".rouse/build/z.zip"} {
		write(t, filepath.Join(dir, f), "x")
	}
	for _, tt := range []struct{ data, text string }{
		{"project", "is not a folder of Rouse's state alone: it holds main.js; nothing was deleted"},
		{"home", "is not a folder of Rouse's state alone: it holds letters; nothing was deleted"},
		{"odd", "is not a folder of Rouse's state: it has no seal.key; nothing was deleted"},
		{"project/main.js", "not a directory"},
	} {
		out, errs, code := run{dir: dir}.rouse(t, "reset", "--yes", "--data", tt.data)
		want(t, out, errs, code, 1, tt.text)
		if _, err := os.Stat(filepath.Join(dir, tt.data)); err != nil {
			t.Errorf("%s is gone: %v", tt.data, err)
		}
	}
	out, errs, code := run{dir: dir, in: "no\n"}.rouse(t, "reset")
	want(t, out, errs, code, 1, "Delete "+filepath.Join(dir, ".rouse")+" and everything in it? [y/N]", "nothing was deleted")
	out, errs, code = run{dir: dir}.rouse(t, "reset")
	want(t, out, errs, code, 1, "nothing was deleted")

	f := newFake(t, map[string]any{"/_rouse/health": map[string]any{"status": "ready"}})
	write(t, filepath.Join(dir, ".rouse", cli.NodeFile), `{"url":"`+f.URL+`","pid":42}`)
	out, errs, code = run{dir: dir}.rouse(t, "reset", "-y")
	want(t, out, errs, code, 1, "a node is running on", "(process 42); stop it first: rouse stop")
	f.Close()

	write(t, filepath.Join(dir, ".rouse", "code", "hash", "tree", "index.js"), "1")
	if err := os.Chmod(filepath.Join(dir, ".rouse", "code", "hash", "tree"), 0o500); err != nil { // as unpacked code is
		t.Fatal(err)
	}
	out, errs, code = run{dir: dir, in: "y\n"}.rouse(t, "reset")
	want(t, out, errs, code, 0, "Deleted ")
	if _, err := os.Stat(filepath.Join(dir, ".rouse")); err == nil {
		t.Error("the folder is still there")
	}
	out, errs, code = run{dir: dir}.rouse(t, "reset")
	want(t, out, errs, code, 0, "There is no state at")
}

// TestHelp: every command has examples, says what it is, and keeps cobra's own words to itself.
func TestHelp(t *testing.T) {
	r := run{settings: []cli.Setting{{Name: "listen", Help: "address of the doors"}, {Name: "dev-key", Help: "accept test/test"},
		{Name: "data", Help: "folder"}, {Name: "price.name", Help: "name of the price book"}}}
	out, errs, code := r.rouse(t)
	want(t, out, errs, code, 0, "Rouse runs serverless applications", "Exit codes", "rouse help configuration")
	for _, group := range []string{"Run", "Applications", "See what happens", "More"} {
		want(t, out, "", 0, 0, "\n"+group+"\n")
	}
	for _, command := range []string{"dev", "up", "serve", "status", "stop", "reset", "init", "deploy", "delete", "list", "invoke", "logs", "usage", "env",
		"exec", "runtime", "runtime list", "runtime add", "doctor", "version"} {
		for _, args := range [][]string{append(strings.Fields(command), "--help"), append([]string{"help"}, strings.Fields(command)...)} {
			out, errs, code := r.rouse(t, args...)
			want(t, out, errs, code, 0, "\nUsage\n", "\nExamples\n  ")
			for _, noise := range []string{"[flags]", "string", "duration", "help for", "Global Flags", "`"} {
				if strings.Contains(strings.ReplaceAll(out, "`rouse", ""), noise) && noise != "`" {
					t.Errorf("rouse %s has %q in it:\n%s", strings.Join(args, " "), noise, out)
				}
			}
		}
	}
	out, errs, code = r.rouse(t, "help", "configuration")
	want(t, out, errs, code, 0, "  listen      address of the doors\n", "  price.name  name of the price book\n", "ROUSE_LOG_MAX", "rouse.toml")
	out, errs, code = r.rouse(t, "dev", "--help")
	want(t, out, errs, code, 0, "--listen HOST:PORT", "also: up", "-p, --parameter NAME=VALUE")
	out, errs, code = r.rouse(t, "--version")
	want(t, out, errs, code, 0, "rouse 1.2.3 ")
	out, errs, code = r.rouse(t, "version", "--json")
	want(t, out, errs, code, 0, `"version": "1.2.3"`)
}

func TestDoctor(t *testing.T) {
	checks := []cli.Check{{Group: "Isolation", Name: "memory limit", State: "ok", Detail: "cgroups"},
		{Group: "Isolation", Name: "user per sandbox", State: "missing", Detail: "one for all", Lift: "run as root"},
		{Group: "Tools", Name: "npm", State: "weak", Detail: "not installed", Lift: "needed to install"}}
	runs := true
	r := run{doctor: func(context.Context, string) ([]cli.Check, bool) { return checks, runs }}
	out, errs, code := r.rouse(t, "doctor")
	want(t, out, errs, code, 0)
	if wantOut := "Isolation\n  ✓ memory limit         cgroups\n  ✗ user per sandbox     one for all\n                         → run as root\n\n" +
		"Tools\n  ~ npm                  not installed\n                         → needed to install\n"; out != wantOut {
		t.Errorf("got\n%s\nwant\n%s", out, wantOut)
	}
	runs = false
	out, errs, code = r.rouse(t, "doctor", "--json")
	want(t, "", errs, code, 1, "functions cannot run on this machine")
	var got []cli.Check
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 3 || got[1].Lift != "run as root" {
		t.Errorf("got %+v (%v)", got, err)
	}
}
