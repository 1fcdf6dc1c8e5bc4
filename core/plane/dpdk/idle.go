//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Both sides count what an lcore may do the same way.
const (
	_ = uint(Poll-C.STRATA_SPIN) + uint(C.STRATA_SPIN-Poll)
	_ = uint(Backoff-C.STRATA_NAP) + uint(C.STRATA_NAP-Backoff)
	_ = uint(Interrupt-C.STRATA_WAIT) + uint(C.STRATA_WAIT-Interrupt)
)

// canWait has the ports' interrupts wake the lcore.
func (q *queue) canWait(ports []*port) error {
	for i, p := range ports {
		switch code := C.strata_can_wait(q.c, C.uint8_t(i)); code {
		case 0:
		case -C.int(unix.ENOTSUP):
			return fmt.Errorf("port %s: driver %s has no receive interrupts: set dpdk.idle to backoff or poll", p, p.driver())
		default:
			return fmt.Errorf("port %s: wait for frames: %s", p, reason(code))
		}
	}
	return nil
}

// flag is where the lcore is called.
func (q *queue) flag() *uint32 { return (*uint32)(unsafe.Pointer(&q.c.called)) }

// call has the lcore come back from its polling, from any goroutine. Whoever calls has
// said before what for, and holds late.mu: the lcore may have gone.
func (q *queue) call() {
	if q.c == nil {
		return
	}
	atomic.StoreUint32(q.flag(), 1)
	if wake := int(q.c.wake); wake >= 0 {
		unix.Write(wake, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// called tells whether somebody has, since it was last asked.
func (q *queue) called() bool {
	if atomic.LoadUint32(q.flag()) == 0 {
		return false
	}
	atomic.StoreUint32(q.flag(), 0)
	return true
}
