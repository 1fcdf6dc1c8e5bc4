//go:build dpdk

package dpdk

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepOff moves all threads of this process off the lcores, and tells where they were.
// Threads made later inherit that. Where no other CPU may be used they stay.
func keepOff(lcores []int) (t *threads, before unix.CPUSet, err error) {
	// The calling thread's: the process's first one may be DPDK's, which has pinned it.
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, before, os.NewSyscallError("sched_getaffinity", err)
	}
	t = &threads{home: before, polling: map[int]int{}}
	for _, cpu := range lcores {
		if !before.IsSet(cpu) {
			return nil, before, fmt.Errorf("dpdk.lcores has %d; this process may use CPUs %s", cpu, list(&before))
		}
		t.home.Clear(cpu)
	}
	if t.home.Count() == 0 {
		t.home = before
		return t, before, nil
	}
	// Twice: a thread may be made by one that has not been moved yet.
	for range 2 {
		if err := moveAll(&t.home); err != nil {
			return nil, before, err
		}
	}
	return t, before, nil
}

func moveAll(to *unix.CPUSet) error {
	ids, err := tasks()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := unix.SchedSetaffinity(id, to); err != nil && err != unix.ESRCH {
			return fmt.Errorf("keep thread %d off the lcores: %w", id, err)
		}
	}
	return nil
}

// tasks are the threads of this process.
func tasks() (ids []int, err error) {
	entries, err := os.ReadDir("/proc/self/task")
	for _, e := range entries {
		if id, err := strconv.Atoi(e.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, err
}

const maxCPUs = 1024 // of a unix.CPUSet

func first(set *unix.CPUSet) int {
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	return 0
}

// list names the CPUs of a set: "0,1,4".
func list(set *unix.CPUSet) (s string) {
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			s += "," + strconv.Itoa(cpu)
		}
	}
	return s[min(1, len(s)):]
}

// pin keeps the calling thread on one CPU.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to lcore %d: %w", cpu, err)
	}
	return nil
}
