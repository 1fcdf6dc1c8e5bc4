package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// An aside is what was moved off a CPU, and how to move it back.
type aside struct {
	back       []func() error
	interrupts int
}

// setAside has the kernel do its own work on one CPU alone, as an operator has it who gives the
// others to lcores: devices' interrupts and unbound workqueues. What may not be moved stays.
// restore undoes it. Threads of the kernel stay where they are: with those that write the disk
// behind the generator, etcd has fewer changes.
func setAside(cpu int) (restore func(), what string) {
	a := new(aside)
	a.moveInterrupts("/proc/irq", cpu)
	queues := a.write("/sys/devices/virtual/workqueue/cpumask", mask(cpu))
	what = fmt.Sprintf("%d devices' interrupts have CPU %d alone meanwhile", a.interrupts, cpu)
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
