package socket

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// shortTurn is the slice of processor time that a worker's thread asks for, ns: the
// least there is.
const shortTurn = 100_000

// shortenTurns has the kernel give the calling thread short turns, but soon (sched_setattr(2),
// EEVDF's slices, Linux 6.12): the collector's threads and other programs that have the
// CPU when a query comes would keep it for theirs otherwise, some 3 ms, and no thread gets
// more of it than before. Older kernels make nothing of it. It returns what undoes it.
func shortenTurns() (undo func(), err error) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return func() {}, fmt.Errorf("read the thread's scheduling: %w", err)
	}
	if before.Policy != unix.SCHED_NORMAL { // somebody has seen to it
		return func() {}, nil
	}
	short := *before
	short.Runtime = shortTurn
	if err := unix.SchedSetAttr(0, &short, 0); err != nil {
		return func() {}, fmt.Errorf("ask for short turns: %w", err)
	}
	return func() { _ = unix.SchedSetAttr(0, before, 0) }, nil
}
