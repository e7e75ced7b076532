//go:build linux

package ns_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/ns"
	"github.com/rouse-dev/rouse/sandbox/sandboxtest"
)

// hello builds a program that says that it runs by closing its standard output.
func hello(b *testing.B) string {
	b.Helper()
	dir := sandboxtest.Files(b, map[string]string{"main.go": "package main\nfunc main() {}\n", "go.mod": "module hello\n"})
	cmd := exec.Command("go", "build", "-o", "hello", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func lambda() sandbox.Spec { return sandbox.Spec{Limits: sandbox.LambdaLimits(1769, 64)} }

// ran starts the program and waits until it has ended.
func ran(b *testing.B, box sandbox.Sandbox) {
	b.Helper()
	if err := box.Exec([]string{"/var/task/hello"}, nil, "/var/task", nil); err != nil {
		b.Fatal(err)
	}
	<-box.Done()
	if got := box.Exit(); got.Code != 0 {
		b.Fatalf("exit: got %+v, want success", got)
	}
}

// BenchmarkLimit is what the kernel asks for by itself: a fork and an exec into the same seven namespaces, without
// mounts, limits, users or filters. (No C program can do with less.)
func BenchmarkLimit(b *testing.B) {
	needRoot(b)
	program := filepath.Join(hello(b), "hello")
	for _, c := range []struct {
		name  string
		flags uintptr
	}{{"bare", 0}, {"namespaces", unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				pid, err := syscall.ForkExec(program, []string{program}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: c.flags}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCold: from nothing until the payload has run. Should cost: 5 groups made and 7 limits written (15 µs each), two
// forks of a tiny process, one exec, 6 namespaces, 4 mounts, 6 messages, about 150 calls of the init.
func BenchmarkCold(b *testing.B) {
	d := open(b, ns.Config{})
	code := hello(b)
	for b.Loop() {
		box, err := d.Create(context.Background(), lambda())
		if err != nil {
			b.Fatal(err)
		}
		if err := box.Mount(code, sandbox.MountTask); err != nil {
			b.Fatal(err)
		}
		ran(b, box)
		b.StopTimer()
		box.Kill()
		b.StartTimer()
	}
}

// BenchmarkSpecialise: from a ready sandbox until the payload has run: a mount, limits, a fork and an exec.
func BenchmarkSpecialise(b *testing.B) {
	d := open(b, ns.Config{})
	code := hello(b)
	for b.Loop() {
		b.StopTimer()
		box, err := d.Create(context.Background(), sandbox.Spec{Limits: sandbox.LambdaLimits(128, 64)})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := box.Mount(code, sandbox.MountTask); err != nil {
			b.Fatal(err)
		}
		if err := box.Limit(lambda().Limits); err != nil {
			b.Fatal(err)
		}
		ran(b, box)
		b.StopTimer()
		box.Kill()
		b.StartTimer()
	}
}

func BenchmarkCreate(b *testing.B) {
	for _, egress := range []bool{false, true} {
		name := "loopback"
		if egress {
			name = "egress"
		}
		b.Run(name, func(b *testing.B) {
			d := open(b, ns.Config{Egress: egress})
			spec := lambda()
			spec.Egress = everything(egress)
			for b.Loop() {
				box, err := d.Create(context.Background(), spec)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				box.Kill()
				b.StartTimer()
			}
		})
	}
}

func BenchmarkKill(b *testing.B) {
	d := open(b, ns.Config{})
	for b.Loop() {
		b.StopTimer()
		box, err := d.Create(context.Background(), lambda())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		box.Kill()
	}
}

func BenchmarkMount(b *testing.B) {
	d := open(b, ns.Config{})
	code := hello(b)
	box := sandboxtest.Create(b, d, lambda())
	for b.Loop() {
		if err := box.Mount(code, sandbox.MountTask); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListen(b *testing.B) {
	d := open(b, ns.Config{})
	box := sandboxtest.Create(b, d, lambda())
	for b.Loop() {
		l, _, err := box.Listen(0)
		if err != nil {
			b.Fatal(err)
		}
		_ = l.Close()
	}
}

func BenchmarkFreezeThaw(b *testing.B) {
	d := open(b, ns.Config{})
	box := sandboxtest.Create(b, d, lambda())
	if err := box.Exec([]string{"/bin/sleep", "1000"}, nil, "/", nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := box.Freeze(); err != nil {
			b.Fatal(err)
		}
		if err := box.Thaw(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	d := open(b, ns.Config{})
	box := sandboxtest.Create(b, d, lambda())
	for b.Loop() {
		if _, err := box.Stats(); err != nil {
			b.Fatal(err)
		}
	}
}
