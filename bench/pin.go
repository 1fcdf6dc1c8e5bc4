package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin puts every thread of the process tree on one CPU. taskset at the start is
// not enough: Knot's workers choose CPUs for themselves and would sit on the
// generator's. everyCPU leaves them where they are.
func pin(pid, cpu int) error {
	if cpu == everyCPU {
		return nil
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, tid := range threads(pid) {
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin thread %d to CPU %d: %w", tid, cpu, err)
		}
	}
	return nil
}

// pinned checks that no thread has left the CPU.
func pinned(pid, cpu int) error {
	if cpu == everyCPU {
		return nil
	}
	for _, tid := range threads(pid) {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &set); err != nil {
			continue // the thread has ended
		}
		if set.Count() != 1 || !set.IsSet(cpu) {
			return fmt.Errorf("check pinning: thread %d is not held to CPU %d", tid, cpu)
		}
	}
	return nil
}

// threads lists the thread ids of the process tree.
func threads(pid int) []int {
	var ids []int
	for _, p := range tree(pid) {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p))
		for _, path := range paths {
			if id, err := strconv.Atoi(filepath.Base(path)); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
