package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An aside is what was moved off a CPU, and how to move it back.
type aside struct {
	back       []func() error
	interrupts int
	threads    int // of the kernel
}

// setAside has the kernel do its own work on one CPU alone, as an operator has it who gives the
// others to lcores: devices' interrupts, unbound workqueues, and threads of the kernel that are
// bound to no CPU. What may not be moved stays. restore undoes it.
func setAside(cpu int) (restore func(), what string) {
	a := new(aside)
	a.moveInterrupts("/proc/irq", cpu)
	queues := a.write("/sys/devices/virtual/workqueue/cpumask", mask(cpu))
	a.moveThreads(cpu)
	what = fmt.Sprintf("%d devices' interrupts and %d threads of the kernel have CPU %d alone meanwhile", a.interrupts, a.threads, cpu)
	if queues {
		what += ", and so have unbound workqueues"
	}
	return a.restore, what
}

// restore goes backwards: what was moved last comes back first.
func (a *aside) restore() {
	for i := len(a.back) - 1; i >= 0; i-- {
		if err := a.back[i](); err != nil {
			slog.Warn("not as it was before", "reason", err)
		}
	}
	a.back = nil
}

// mask is the CPU in hexadecimal, in groups of 32 bits, as the kernel reads sets.
func mask(cpu int) string {
	return fmt.Sprintf("%x", uint32(1)<<(cpu%32)) + strings.Repeat(",00000000", cpu/32)
}

// write sets a file of the kernel's, and tells whether it could be.
func (a *aside) write(path, text string) bool {
	before, err := os.ReadFile(path)
	if err != nil || os.WriteFile(path, []byte(text), 0o644) != nil {
		return false
	}
	a.back = append(a.back, func() error {
		if err := os.WriteFile(path, before, 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("restore %s: %w", path, err)
		}
		return nil
	})
	return true
}

// moveInterrupts moves all that there are, and those that will be.
func (a *aside) moveInterrupts(dir string, cpu int) {
	a.write(filepath.Join(dir, "default_smp_affinity"), mask(cpu))
	files, _ := filepath.Glob(filepath.Join(dir, "[0-9]*", "smp_affinity"))
	for _, file := range files {
		if a.write(file, mask(cpu)) {
			a.interrupts++
		}
	}
}

// kernelThreads is the parent of them all.
const kernelThreads = 2

// moveThreads moves the kernel's threads that may use several CPUs.
func (a *aside) moveThreads(cpu int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if parent, _, err := parseStat(data); err != nil || parent != kernelThreads {
			continue
		}
		if id, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && a.moveThread(id, cpu) {
			a.threads++
		}
	}
}

func (a *aside) moveThread(id, cpu int) bool {
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
