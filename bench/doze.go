package main

import (
	"fmt"
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

// goFirst has the calling thread run before all others on its CPU, until back is
// called from it.
func goFirst() (back func(), err error) {
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(0, &first, 0); err != nil {
		return nil, fmt.Errorf("ask before all others on the CPU (SCHED_FIFO): %w", err)
	}
	return func() {
		as := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
		_ = unix.SchedSetAttr(0, &as, 0) // lowering is allowed to everybody
	}, nil
}
