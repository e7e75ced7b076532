package compat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

const programMax = 3 * time.Minute

// pythonSuite runs each program of python/ whose name does not begin with an underscore.
func pythonSuite(t *testing.T, n *node, d *debian) {
	python, env := findPython(t, d)
	programs, err := filepath.Glob(filepath.Join("python", "[a-z]*.py"))
	check(t, err, "list programs")
	for _, p := range programs {
		if filepath.Base(p) == "cases.py" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(p), ".py"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(python, "-B", filepath.Base(p))
			cmd.Dir, cmd.Env = "python", append(environment(t, n), env...)
			runProgram(t, cmd)
		})
	}
}

// findPython is an interpreter that has boto3, and what to set for it: the one on the PATH, the system's, which Debian's
// package serves, or that with the package unpacked here.
func findPython(t *testing.T, d *debian) (python string, env []string) {
	t.Helper()
	for _, name := range []string{"python3", debianPython} {
		p, err := exec.LookPath(name)
		if err == nil && exec.Command(p, "-c", "import boto3").Run() == nil {
			return p, nil
		}
	}
	root, why := d.tools(t)
	if root == "" {
		missing(t, "no python3 with boto3 (Debian: python3-boto3), and "+why)
	}
	return debianPython, d.environment()
}

// jsSuite runs each program of js/ after its packages are installed.
func jsSuite(t *testing.T, c *goClients) {
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "no node")
	}
	installPackages(t)
	t.Run("inside", func(t *testing.T) { t.Parallel(); testInside(t, c) })
	programs, err := filepath.Glob(filepath.Join("js", "*.mjs"))
	check(t, err, "list programs")
	for _, p := range programs {
		if filepath.Base(p) == "cases.mjs" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(p), ".mjs"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(node, filepath.Base(p))
			cmd.Dir, cmd.Env = "js", environment(t, c.node)
			runProgram(t, cmd)
		})
	}
}

// installPackages runs npm ci unless js/node_modules is what js/package-lock.json says.
func installPackages(t *testing.T) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join("js", "package-lock.json"))
	check(t, err, "read package-lock.json")
	sum := sha256.Sum256(lock)
	want, stamp := hex.EncodeToString(sum[:]), filepath.Join("js", "node_modules", ".installed")
	got, err := os.ReadFile(stamp)
	if err == nil && string(got) == want {
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		missing(t, "no npm, and js/node_modules is not there")
	}
	cmd := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = "js"
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, b)
	}
	check(t, os.WriteFile(stamp, []byte(want), 0o644), "note what is installed")
}

// runProgram runs a program of cases and reports what it says.
func runProgram(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programMax)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Dir, bounded.Env, bounded.WaitDelay = cmd.Dir, cmd.Env, time.Second
	var out, errs bytes.Buffer
	bounded.Stdout, bounded.Stderr = &out, &errs
	err := bounded.Run()
	failed := report(t, out.String())
	if err != nil && !failed {
		t.Errorf("%v\n%s%s", err, out.String(), errs.String())
	}
	if t.Failed() && errs.Len() > 0 {
		t.Logf("it said:\n%s", errs.String())
	}
}

// report makes a subtest of each line that a program printed:
//
//	ok NAME
//	skip NAME: REASON        what the client is too old to do
//	not ok NAME: REASON      with \n for line ends
//	done COUNT               the last line; without it the program did not get that far
//
// It says whether one of them failed.
func report(t *testing.T, out string) bool {
	t.Helper()
	cases, done, failed := map[string]string{}, "", false
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "done":
			done = rest
		case word == "ok":
			cases[rest] = ""
		case word == "skip" || strings.HasPrefix(line, "not ok "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "not ok "), ": ")
			cases[strings.TrimPrefix(name, "skip ")] = line
		default:
			t.Errorf("a line that is no result: %q", line)
		}
	}
	names := make([]string, 0, len(cases))
	for name := range cases {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		failed = !t.Run(name, func(t *testing.T) {
			line := cases[name]
			_, reason, _ := strings.Cut(line, ": ")
			switch {
			case strings.HasPrefix(line, "skip "):
				t.Skip(reason)
			case line != "":
				t.Error(strings.ReplaceAll(reason, `\n`, "\n"))
			}
		}) || failed
	}
	if done == "" {
		t.Errorf("it did not run to its end")
	}
	return failed
}
