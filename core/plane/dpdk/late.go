//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"net"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

// late is where replies wait, from any goroutine, until the lcore polls next: only it
// may send.
type late struct {
	waiting atomic.Int32
	dropped atomic.Uint64
	mu      sync.Mutex
	frames  [maxLate]lateFrame
}

// maxLate is how many may wait between two polls; more are dropped rather than
// queued.
const maxLate = 256

type lateFrame struct {
	length int
	via    byte
	octets [1600]byte
}

// Deliver implements plane.Queue.
func (q *queue) Deliver(to plane.Return, reply []byte) error {
	if q.closed.Load() {
		return net.ErrClosed
	}
	if len(reply) == 0 {
		return nil
	}
	l := &q.late
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.waiting.Load()
	if n == maxLate || len(reply) > q.room {
		l.dropped.Add(1)
		return nil
	}
	f := &l.frames[n]
	if f.length = frame.Restore(&to, reply, f.octets[:]); f.length == 0 || int(to[viaAt]) >= len(q.hosts) {
		l.dropped.Add(1)
		return nil
	}
	f.via = to[viaAt]
	if l.waiting.Store(n + 1); n == 0 {
		q.call()
	}
	return nil
}

// sendLate sends all that wait.
func (q *queue) sendLate() {
	l := &q.late
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.frames[:l.waiting.Load()] {
		f := &l.frames[i]
		for C.strata_late(q.c, C.uint8_t(f.via), (*C.uint8_t)(unsafe.Pointer(&f.octets[0])), C.uint16_t(f.length)) < 0 {
			q.threads.takeOver(q.lcore, q.c)
		}
	}
	l.waiting.Store(0)
}
