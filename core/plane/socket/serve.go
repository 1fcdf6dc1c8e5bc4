package socket

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// AnyCPU lets a worker's thread run wherever the kernel puts it.
const AnyCPU = -1

// Serve answers a queue's packets until it is closed or stopped, on a thread of
// its own, which is pinned to the given CPU unless that is AnyCPU. It returns nil
// then; the thread ends with the goroutine that called it, if it was pinned.
func Serve(queue plane.Queue, handler plane.Handler, cpu int) error {
	takeProcessor()
	defer holders.Add(-1)
	runtime.LockOSThread()
	// Naps are as long as they say, not up to 50 µs longer.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	undo, _ := shortenTurns() // or the kernel's usual ones
	if cpu != AnyCPU {
		// Not unlocked: a pinned thread must not be used for anything else, so it
		// ends with its goroutine.
		if err := pin(cpu); err != nil {
			return err
		}
	} else {
		defer runtime.UnlockOSThread()
		defer undo()
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	}
	if q, ok := queue.(*udpQueue); ok {
		if c, ok := handler.(plane.Companion); ok {
			c.Join()
			defer c.Leave()
			q.beside.Companion = c
			defer func() { q.beside.Companion = nil }()
		}
	}
	return loop(queue, handler)
}

// holders is how many goroutines are in Serve.
var holders atomic.Int32

// takeProcessor raises GOMAXPROCS above the number of workers: each holds one of
// the scheduler's processors for itself while there is load, and on a process
// confined to as many CPUs as it has workers, all else would wait 10 ms for its
// turn.
func takeProcessor() {
	if held := int(holders.Add(1)); runtime.GOMAXPROCS(0) <= held {
		runtime.GOMAXPROCS(held + 1)
	}
}

// loop is the way of every query: in, answered, out.
func loop(queue plane.Queue, handler plane.Handler) error {
	batch := make([]plane.Packet, maxBatch)
	companion, _ := handler.(plane.Companion)
	for {
		n, err := queue.Receive(batch)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		handler.Answer(batch[:n], queue)
		err = queue.Send(batch[:n])
		if companion != nil {
			companion.Sent()
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("send: %w", err)
		}
	}
}

func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin worker to CPU %d: %w", cpu, err)
	}
	return nil
}
