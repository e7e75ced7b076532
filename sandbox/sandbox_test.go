package sandbox_test

import (
	"math"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/sandbox"
)

func TestLambdaLimits(t *testing.T) {
	for _, c := range []struct {
		memory, tmp int
		cpus        float64
	}{{1769, 512, 1}, {128, 512, 0.07235}, {10240, 10240, 5.7885}} {
		l := sandbox.LambdaLimits(c.memory, c.tmp)
		if l.MemoryBytes != int64(c.memory)<<20 || l.TmpBytes != int64(c.tmp)<<20 || l.Files != 1024 || l.Pids != 1024 {
			t.Errorf("%d MB: got %+v, want Lambda's", c.memory, l)
		}
		if math.Abs(l.CPUs-c.cpus) > 0.001 {
			t.Errorf("%d MB: got %f CPUs, want %f", c.memory, l.CPUs, c.cpus)
		}
	}
}

func TestMerge(t *testing.T) {
	old := sandbox.Limits{MemoryBytes: 128 << 20, CPUs: 1, Pids: 10, Files: 20, TmpBytes: 30}
	if got, err := old.Merge(sandbox.Limits{}); got != old || err != nil {
		t.Errorf("no change: got %+v, %v; want %+v", got, err, old)
	}
	all := sandbox.Limits{MemoryBytes: 64 << 20, CPUs: 2, Share: 10, Pids: 3, Files: 4, TmpBytes: 5}
	if got, err := old.Merge(all); got != all || err != nil {
		t.Errorf("every change: got %+v, %v; want %+v", got, err, all)
	}
	if got, err := old.Merge(sandbox.Limits{MemoryBytes: 1}); got != old || rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("a wrong change: got %+v, %v; want the old ones and kind invalid", got, err)
	}
}

func TestReport(t *testing.T) {
	check := func(name string, s sandbox.State) sandbox.Check { return sandbox.Check{Name: name, State: s} }
	limits := []sandbox.Check{check(sandbox.CheckMemory, sandbox.InForce), check(sandbox.CheckCPU, sandbox.InForce)}
	for _, c := range []struct {
		name            string
		checks          []sandbox.Check
		limited, egress bool
	}{
		{"nothing", nil, false, false},
		{"all", append(limits, check(sandbox.CheckPids, sandbox.InForce), check(sandbox.CheckEgress, sandbox.InForce)), true, true},
		{"no pids", append(limits, check(sandbox.CheckPids, sandbox.Missing), check(sandbox.CheckEgress, sandbox.Missing)),
			false, false},
	} {
		r := sandbox.Report{Checks: c.checks}
		if r.Limited() != c.limited || r.Egress() != c.egress {
			t.Errorf("%s: got limited %v, egress %v; want %v, %v", c.name, r.Limited(), r.Egress(), c.limited, c.egress)
		}
	}
}
