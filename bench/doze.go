package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dozeMost bounds a sleep, so that what is beside gets its turn.
const dozeMost = 10 * time.Millisecond

// doze sleeps until there is a packet, or the next query is due.
func (r *asker) doze(begin time.Time) {
	wait := dozeMost
	if r.Asked < r.Count {
		wait = min(wait, time.Until(begin.Add(r.moment(r.Asked))))
	}
	if wait <= 0 {
		return
	}
	polls := make([]unix.PollFd, 0, 8)
	for _, fd := range r.fds {
		polls = append(polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	until := unix.NsecToTimespec(int64(wait))
	// Raw for the same reason as read; interrupted is as good as over.
	_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&polls[0])), uintptr(len(polls)), uintptr(unsafe.Pointer(&until)), 0, 0, 0)
}

// goFirst has all threads of this process run before all others on their CPU, until back
// is called. All, because the thread that asks has to wait for others at times: Go takes
// a processor from who has had it for 10 ms, and another thread hands it back.
func goFirst() (back func(), err error) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return nil, fmt.Errorf("ask how this process is scheduled: %w", err)
	}
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := schedule(first); err != nil {
		return nil, fmt.Errorf("ask before all others on the CPU (SCHED_FIFO): %w", err)
	}
	return func() { _ = schedule(*before) }, nil // what was may be again
}

// schedule gives all threads of this process a policy; later ones inherit it.
func schedule(as unix.SchedAttr) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err == nil {
			err = unix.SchedSetAttr(tid, &as, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
			return err
		}
	}
	return nil
}
