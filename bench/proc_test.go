package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	// The command is the program's to choose: spaces and parentheses happen.
	line := "77 (a) b (c) S 42 77 77 0 -1 4194304 100 0 0 0 123 45 6 7 20 0 1 0 999 0 0\n"
	parent, ticks, err := parseStat([]byte(line))
	if err != nil || parent != 42 || ticks != 1680*time.Millisecond {
		t.Errorf("parent %d, CPU %v, error %v", parent, ticks, err)
	}
	for _, bad := range []string{"", "77 (x", "77 (x) S", "77 (x) S p 77 77 0 -1 4194304 100 0 0 0 123 45 6", strings.Replace(line, "123", "?", 1)} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	if ns, err := parseSchedstat([]byte("55104 48187 2\n")); err != nil || ns != 55104 {
		t.Errorf("%v, %v", ns, err)
	}
	if _, err := parseSchedstat(nil); err == nil {
		t.Error("no error for an empty file")
	}
}

func TestUsageSince(t *testing.T) {
	before := usage{tasks: map[int]time.Duration{1: time.Second}, ticks: time.Second}
	after := usage{tasks: map[int]time.Duration{1: 3 * time.Second, 2: time.Second}, ticks: 4 * time.Second}
	if spent, ticks, source := after.since(before); spent != 3*time.Second || ticks != 3*time.Second || source != "schedstat" {
		t.Errorf("%v, %v from %s", spent, ticks, source)
	}
	after.ticks = 5 * time.Second // a third thread came, worked a second and went
	if spent, _, source := after.since(before); spent != 4*time.Second || source != "stat" {
		t.Errorf("%v from %s", spent, source)
	}
}

func TestKilobytes(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 12 kB\n")
	if got := kilobytes(status, "VmHWM:"); got != 1234<<10 {
		t.Errorf("VmHWM %d", got)
	}
	if got := kilobytes(status, "Pss:"); got != 0 {
		t.Errorf("a missing line is %d", got)
	}
}

func TestMachineTime(t *testing.T) {
	before := parseMachineTime([]byte("cpu 100 0 50 800 10 0 0 5 60 0\ncpu0 9 9 9\n"))
	after := parseMachineTime([]byte("cpu 180 0 90 850 20 0 0 25 99 0\n"))
	stolen, others := after.since(before, time.Second) // of 200 ticks: 60 idle, 20 stolen, 120 busy, 100 ours
	if stolen != 0.1 || others != 0.1 {
		t.Errorf("stolen %v, others %v", stolen, others)
	}
	if stolen, others := before.since(before, 0); stolen != 0 || others != 0 {
		t.Errorf("no time passed: stolen %v, others %v", stolen, others)
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("77 (a) b (c) S 42 77 77 0 -1 4194304 100 0 0 0 123 45 6 7 20 0 1 0 999 0 0\n"))
	f.Add([]byte("cpu 100 0 50 800 10 0 0 5 60 0\n"))
	f.Add([]byte("55104 48187 2\nPss: 12 kB\nPss:kB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = parseStat(data) // must only not panic
		_, _ = parseSchedstat(data)
		_ = parseMachineTime(data)
		_ = kilobytes(data, "Pss:")
	})
}
