package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What Debian's packages bring that this machine does not have. They are unpacked into a folder of this tree, as npm's are:
// that takes no rights and changes nothing of the machine. The Python that they are made for is Debian's own.
const (
	debianFolder = "debian"
	debianPython = "/usr/bin/python3"
	debianMax    = 5 * time.Minute
)

var debianPackages = []string{"python3-boto3", "awscli"}

// debian is what of Debian's packages was unpacked, when the first part that lacks a tool asks. Safe for concurrent use.
type debian struct {
	once sync.Once
	root string // "" when there is none, and why
	why  string
}

// tools are the packages, installed by the first call.
func (d *debian) tools(t *testing.T) (root, why string) {
	t.Helper()
	d.once.Do(func() { d.root, d.why = installDebian(t) })
	return d.root, d.why
}

// environment is what a program of root is started with, beside the rest.
func (d *debian) environment() []string {
	return []string{"PYTHONPATH=" + filepath.Join(d.root, "usr", "lib", "python3", "dist-packages")}
}

// installDebian unpacks debianPackages, and what they need and this machine lacks, and answers the folder; "" and the reason
// when this is no Debian or its packages cannot be had.
func installDebian(t *testing.T) (root, why string) {
	t.Helper()
	root = absolute(t, debianFolder)
	stamp := filepath.Join(root, ".installed")
	if _, err := os.Stat(stamp); err == nil {
		return root, ""
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", debianPython} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", "no " + tool + " to install them with"
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), debianMax)
	defer cancel()
	archives := t.TempDir()
	if err := downloadDebian(ctx, archives); err != nil {
		return "", err.Error()
	}
	found, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	check(t, err, "list packages")
	check(t, os.RemoveAll(root), "remove what an earlier run left")
	for _, deb := range found {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			t.Fatalf("unpack %s: %v\n%s", filepath.Base(deb), err, out)
		}
	}
	check(t, os.WriteFile(stamp, nil, 0o644), "note what is installed")
	return root, ""
}

// downloadDebian puts the archives into dir. A machine whose package lists are missing or too old gets lists for this run.
func downloadDebian(ctx context.Context, dir string) error {
	err := downloadListed(ctx, dir, nil)
	if err == nil {
		return nil
	}
	own := []string{"-o", "Dir::State::Lists=" + filepath.Join(dir, "lists"), "-o", "Dir::Cache=" + filepath.Join(dir, "cache")}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if _, failed := apt(ctx, dir, append(own, "update")...); failed != nil {
		return errors.Join(err, failed)
	}
	return downloadListed(ctx, dir, own)
}

func downloadListed(ctx context.Context, dir string, options []string) error {
	plan := append(slices.Clone(options), "install", "--print-uris", "-qq", "--yes", "--no-install-recommends")
	out, err := apt(ctx, dir, append(plan, debianPackages...)...)
	if err != nil {
		return err
	}
	get := append(slices.Clone(options), "download", "-qq")
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(line, "'") {
			name, _, _ := strings.Cut(fields[1], "_")
			get = append(get, name)
		}
	}
	_, err = apt(ctx, dir, get...)
	return err
}

func apt(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &out, &errs, time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
