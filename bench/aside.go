package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memoryKeepers are the kernel's threads that look after all of memory, in turns of milliseconds
// which grow with it. An operator keeps them off lcores (docs/operating.md).
var memoryKeepers = []string{"kdamond", "kcompactd", "khugepaged", "kswapd", "ksmd"}

// An aside is what was moved off a CPU, and how to move it back.
type aside struct {
	back []func() error
	what []string
}

// setAside has the kernel's keepers of memory work on one CPU alone, as far as they may be moved.
// restore undoes it; what names them.
func setAside(cpu int) (restore func(), what string) {
	a := new(aside)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			a.move(id, cpu)
		}
	}
	if len(a.what) == 0 {
		return a.restore, "the kernel's threads and other programs may have any CPU"
	}
	return a.restore, fmt.Sprintf("the kernel's %s may have CPU %d alone meanwhile, other programs any", strings.Join(a.what, ", "), cpu)
}

// kernelThreads is the parent of them all.
const kernelThreads = 2

// move moves a process that is one of them.
func (a *aside) move(id, cpu int) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id))
	if parent, _, bad := parseStat(data); err != nil || bad != nil || parent != kernelThreads || !keeps(string(name)) {
		return
	}
	if a.confine(id, cpu) {
		a.what = append(a.what, strings.TrimSpace(string(name)))
	}
}

func keeps(name string) bool {
	return slices.ContainsFunc(memoryKeepers, func(k string) bool { return strings.HasPrefix(name, k) })
}

// confine has a thread use one CPU alone, if it may use several, and may be told so.
func (a *aside) confine(id, cpu int) bool {
	var before, one unix.CPUSet
	if unix.SchedGetaffinity(id, &before) != nil || before.Count() < 2 {
		return false
	}
	if one.Set(cpu); unix.SchedSetaffinity(id, &one) != nil {
		return false
	}
	a.back = append(a.back, func() error {
		if err := unix.SchedSetaffinity(id, &before); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("restore the CPUs of thread %d: %w", id, err)
		}
		return nil
	})
	return true
}

func (a *aside) restore() {
	for _, back := range a.back {
		if err := back(); err != nil {
			slog.Warn("not as it was before", "reason", err)
		}
	}
	a.back = nil
}
