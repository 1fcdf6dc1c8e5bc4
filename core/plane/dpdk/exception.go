//go:build dpdk

package dpdk

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/plane/frame"
)

// An exception is where frames that are no queries wait for the kernel: those of one
// queue, whose lcore puts them in and never waits. One goroutine of the process takes
// them out, which is the one that makes system calls.
type exception struct {
	in, out atomic.Uint32 // how many were put in and taken out
	wake    chan<- struct{}
	macs    [][6]byte     // by port
	up      atomic.Uint64 // frames the kernel got
	full    atomic.Uint64 // that it did not get: more waited, or the interface is down
	down    atomic.Uint64 // frames of the kernel's that were handed to the port
	unsent  atomic.Uint64 // that were dropped: more waited
	frames  [maxExceptions]exceptionFrame
}

// maxExceptions is how many may wait; more are dropped rather than queued. A power of 2.
const maxExceptions = 256

type exceptionFrame struct {
	length uint16
	via    byte
	octets [2048]byte // what a buffer holds
}

// For the kernel is what is meant for this host, by its Ethernet address or a group, and not the
// plane's. What is damaged or has an impossible sender is not worth its while.
var forKernel = [frame.Verdicts]bool{frame.Foreign: true, frame.Other: true, frame.Fragment: true, frame.Options: true}

// offer hands a received frame to the kernel.
func (e *exception) offer(b []byte, v frame.Verdict, via byte) {
	if !forKernel[v] || b[0]&1 == 0 && [6]byte(b) != e.macs[via] {
		return
	}
	in := e.in.Load()
	if in-e.out.Load() == maxExceptions || len(b) > len(e.frames[0].octets) {
		e.full.Add(1)
		return
	}
	f := &e.frames[in%maxExceptions]
	f.length, f.via = uint16(copy(f.octets[:], b)), via
	e.in.Store(in + 1)
	select {
	case e.wake <- struct{}{}:
	default: // it is awake
	}
}

// drain gives the kernel what waits.
func (e *exception) drain(give func(via byte, b []byte) error) {
	for out := e.out.Load(); out != e.in.Load(); out++ {
		f := &e.frames[out%maxExceptions]
		if give(f.via, f.octets[:f.length]) == nil {
			e.up.Add(1)
		} else {
			e.full.Add(1)
		}
		e.out.Store(out + 1)
	}
}

// inject has the lcore send a whole frame by a port, with its next poll.
func (q *queue) inject(via byte, b []byte) {
	l := &q.late
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.waiting.Load()
	if q.closed.Load() || n == maxLate || len(b) > len(l.frames[0].octets) {
		q.exception.unsent.Add(1)
		return
	}
	f := &l.frames[n]
	f.length, f.via = copy(f.octets[:], b), via
	q.exception.down.Add(1)
	if l.waiting.Store(n + 1); n == 0 {
		q.call()
	}
}

// except makes the exception interface of a port.
func (k *kernel) except(s *server, at int) error {
	p := s.ports[at]
	t, err := openTap(tapName(at), byte(at), p.mac(), s.options.Addresses)
	if err != nil {
		return err
	}
	k.taps = append(k.taps, t)
	k.count++
	k.log.Info("the kernel has what is no query", "port", p.String(), "interface", t.name)
	return nil
}

// run moves frames between exception interfaces and ports until endTaps.
func (k *kernel) run(s *server) {
	if len(k.taps) == 0 {
		return
	}
	wake := make(chan struct{}, 1)
	k.wake = wake
	var macs [][6]byte
	for _, p := range s.ports {
		macs = append(macs, [6]byte(p.mac()))
	}
	for _, q := range s.queues {
		q.exception = &exception{wake: wake, macs: macs}
	}
	k.running.Go(func() { k.give(s, wake) })
	for _, t := range k.taps {
		k.running.Go(func() { t.take(s.queues[0]) })
	}
}

// give hands the kernel what the lcores have for it.
func (k *kernel) give(s *server, wake <-chan struct{}) {
	taps := make(map[byte]*tap)
	for _, t := range k.taps {
		taps[t.via] = t
	}
	give := func(via byte, b []byte) error {
		t := taps[via]
		if t == nil {
			return net.ErrClosed
		}
		if s.ports[via].host.Partial {
			frame.Complete(b)
		}
		_, err := t.Write(b)
		return err
	}
	for range wake {
		for _, q := range s.queues {
			q.exception.drain(give)
		}
	}
}

// take has a port send what the kernel has for it.
func (t *tap) take(q *queue) {
	b := make([]byte, 65536)
	for {
		n, err := t.Read(b)
		if err != nil {
			return // closed: nothing else ends a tap
		}
		q.inject(t.via, b[:n])
	}
}

// What comes to an end is given that long without a frame of the kernel's, and as many
// times that in all.
const (
	quiet   = 50 * time.Millisecond
	patient = 10
)

// settle waits until the kernel has said its last by the exception interfaces: sockets have been
// drained before, and the segments that end their connections need the lcores.
func (k *kernel) settle(ctx context.Context, s *server) {
	if len(k.taps) == 0 {
		return
	}
	t := time.NewTicker(quiet)
	defer t.Stop()
	said := s.Exceptions().Down
	for range patient {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := s.Exceptions().Down
		if now == said {
			return
		}
		said = now
	}
}

// endTaps removes the exception interfaces. Nobody may poll any more.
func (k *kernel) endTaps() (err error) {
	for _, t := range k.taps {
		err = errors.Join(err, t.Close())
	}
	k.taps = nil
	if k.wake != nil {
		close(k.wake)
	}
	k.running.Wait()
	return err
}

// Exceptions implements Plane.
func (s *server) Exceptions() (sum Exceptions) {
	sum.Interfaces = s.kernel.count
	for _, q := range s.queues {
		if e := q.exception; e != nil {
			sum.Up += e.up.Load()
			sum.UpDropped += e.full.Load()
			sum.Down += e.down.Load()
			sum.DownDropped += e.unsent.Load()
		}
	}
	return sum
}
