package main

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A thread that was moved has its CPUs again afterwards, and those that are none of the
// kernel's keepers of memory are left where they are.
func TestAside(t *testing.T) {
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	id := other.Process.Pid
	cpus := func() (set unix.CPUSet) {
		if err := unix.SchedGetaffinity(id, &set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := cpus()
	if before.Count() < 2 {
		t.Skip("needs two CPUs")
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	var a aside
	if a.move(id, cpu); cpus() != before || len(a.what) != 0 {
		t.Errorf("moved: %v, %q", cpus(), a.what)
	}
	if got := a.confine(id, cpu); !got {
		t.Error("not confined")
	}
	if now := cpus(); now.Count() != 1 || !now.IsSet(cpu) {
		t.Errorf("on %v", now)
	}
	if a.restore(); cpus() != before {
		t.Errorf("on %v afterwards, before on %v", cpus(), before)
	}
	for name, want := range map[string]bool{"kdamond.0\n": true, "kswapd0\n": true, "kworker/u8:1\n": false, "authoritative\n": false} {
		if keeps(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
