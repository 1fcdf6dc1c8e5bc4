//go:build dpdk

package dpdk

// #include "burst.h"
// #include "turns.h"
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// threads has those that poll be on their lcores, and all others elsewhere.
//
// Who polls is not locked to a thread. Go's scheduler interrupts each goroutine after 10
// ms. One that is locked waits then until a thread beside the lcores has found nothing
// else to do and hands back the right to go on, which takes milliseconds where the CPU of that
// thread is busy. One that is not goes on at once, and by the same thread but for
// once in a long while. The new thread takes the lcore over then. That it is a long while
// is so because the thread that polls takes no signals of the scheduler.
type threads struct {
	home unix.CPUSet // of all others; the lcores, too, where there is no other CPU

	mu      sync.Mutex
	polling map[int]int // threads by lcores
}

// begin has the calling thread poll, as the first.
func (t *threads) begin(lcore int, c *C.struct_strata_lcore) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := t.sit(lcore); err != nil {
		return err
	}
	number := C.strata_register()
	if number < 0 {
		return fmt.Errorf("lcore %d: register its thread: %s", lcore, reason(number))
	}
	c.id = C.uint(number)
	C.strata_take_over(c)
	return nil
}

// takeOver has the calling thread poll from now on.
func (t *threads) takeOver(lcore int, c *C.struct_strata_lcore) {
	t.mu.Lock()
	defer t.mu.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// If the CPU was taken away from this process it is polled elsewhere, as before.
	_ = t.sit(lcore)
	C.strata_take_over(c)
}

// sit puts the calling thread on the lcore, in the place of the one that was there. It goes there
// first: where it comes from others may want the CPU.
func (t *threads) sit(lcore int) error {
	own, before := unix.Gettid(), t.polling[lcore]
	t.polling[lcore] = own
	err := pin(lcore)
	C.strata_unsignalled()
	// Naps are as long as they say, not up to 50 µs longer.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if before != 0 {
		t.leave(before)
	}
	return err
}

// end has nobody poll any more.
func (t *threads) end(lcore int, c *C.struct_strata_lcore) {
	t.mu.Lock()
	defer t.mu.Unlock()
	C.strata_unregister(c)
	before := t.polling[lcore]
	delete(t.polling, lcore)
	t.leave(before)
}

// leave makes a thread one like all others, if it has no lcore any more. mu is held.
func (t *threads) leave(id int) {
	if t.polls(id) {
		return
	}
	_ = unix.SchedSetaffinity(id, &t.home)
	C.strata_signalled(C.int(id))
}

// polls tells whether a thread does. mu is held.
func (t *threads) polls(id int) bool {
	for _, other := range t.polling {
		if other == id {
			return true
		}
	}
	return false
}

// keepPeriod is how often threads are looked for that were made on an lcore, and
// have inherited it. They are few: the scheduler makes none while it has idle ones.
const keepPeriod = 100 * time.Millisecond

// keep has such threads leave the lcores, until the channel is closed.
func (t *threads) keep(until <-chan struct{}) {
	tick := time.NewTicker(keepPeriod)
	defer tick.Stop()
	last := 0
	for {
		select {
		case <-until:
			return
		case <-tick.C:
		}
		if n, _ := runtime.ThreadCreateProfile(nil); n != last {
			last = n
			t.clear()
		}
	}
}

// clear has all that do not poll leave the lcores.
func (t *threads) clear() {
	ids, _ := tasks()
	for _, id := range ids {
		t.mu.Lock()
		if !t.polls(id) && t.away(id) {
			_ = unix.SchedSetaffinity(id, &t.home)
		}
		t.mu.Unlock()
	}
}

// away tells whether a thread may use a CPU that is not its home.
func (t *threads) away(id int) bool {
	var its unix.CPUSet
	if unix.SchedGetaffinity(id, &its) != nil {
		return false
	}
	for i := range its {
		if its[i]&^t.home[i] != 0 {
			return true
		}
	}
	return false
}
