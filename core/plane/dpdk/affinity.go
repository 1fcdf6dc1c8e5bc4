//go:build dpdk

package dpdk

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepOff moves all threads of this process off the lcores, and tells one CPU where
// they are, and where they were. Threads made later inherit that. Where no other CPU
// may be used they stay.
func keepOff(lcores []int) (home int, alone bool, set unix.CPUSet, err error) {
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		return 0, false, set, os.NewSyscallError("sched_getaffinity", err)
	}
	rest := set
	for _, cpu := range lcores {
		if !set.IsSet(cpu) {
			return 0, false, set, fmt.Errorf("lcore %d: this process may use CPUs %s", cpu, list(&set))
		}
		rest.Clear(cpu)
	}
	if rest.Count() == 0 {
		return lcores[0], false, set, nil
	}
	// Twice: a thread may be made by one that has not been moved yet.
	for range 2 {
		if err := moveAll(&rest); err != nil {
			return 0, false, set, err
		}
	}
	return first(&rest), true, set, nil
}

func moveAll(to *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, to); err != nil && err != unix.ESRCH {
			return fmt.Errorf("keep thread %d off the lcores: %w", id, err)
		}
	}
	return nil
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
