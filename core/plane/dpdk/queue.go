//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"errors"
	"net"
	"sync/atomic"
	"unsafe"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

// A queue is what one lcore polls: its queue of each port.
type queue struct {
	lcore int
	room  int           // octets of a reply
	hosts []*frame.Host // by port
	sums  []bool        // by port: it writes checksums itself

	c      *C.struct_strata_lcore
	taken  int // frames in hand
	next   int // of them, the first that has not been looked at
	want   int // how many the handler takes
	frames [burst]frame.Frame
	slots  [burst]uint8 // of each packet in the batch
	handed int

	exception *exception // nil: what is no query is dropped
	threads   *threads   // nil: whoever calls polls, wherever it is

	closed atomic.Bool
	_      [64]byte
	counts [frame.Verdicts]atomic.Uint64
	big    atomic.Uint64 // replies there was no room for
	_      [64]byte
	late   late
}

func newQueue(lcore int, index int, ports []*port, o *Options) (*queue, error) {
	c := C.strata_lcore()
	if c == nil {
		return nil, errors.New("no memory")
	}
	q := &queue{lcore: lcore, room: o.Room, c: c, want: burst}
	c.idle = C.uint16_t(o.Idle)
	c.long_gap = C.uint64_t(LongGap.Seconds() * float64(C.strata_hz()))
	for i, p := range ports {
		c.port[i] = C.struct_strata_port{id: p.device.id, queue: C.uint16_t(index), pool: p.device.pool}
		if p.use.checks() {
			c.port[i].flagged = 1
		}
		q.hosts, q.sums = append(q.hosts, p.host), append(q.sums, p.use.sums())
	}
	c.ports = C.uint16_t(len(ports))
	if o.Idle == Interrupt {
		if err := q.canWait(ports); err != nil {
			q.end()
			return nil, err
		}
	}
	return q, nil
}

// end gives its memory back. Nobody may be in Receive or Send any more; Deliver and
// Close may be called still.
func (q *queue) end() {
	q.late.mu.Lock()
	defer q.late.mu.Unlock()
	C.strata_lcore_end(q.c)
	q.c = nil
}

// Receive implements plane.Queue.
func (q *queue) Receive(batch []plane.Packet) (int, error) {
	q.want = min(len(batch), burst)
	for {
		if n := q.unpack(batch); n > 0 {
			return n, nil
		}
		if q.closed.Load() {
			return 0, net.ErrClosed
		}
		q.poll(1)
	}
}

// poll sends what is in hand and receives the next burst, in one call. If it is to wait
// it comes back with a frame, or when there is something else to do.
func (q *queue) poll(wait C.int) {
	if q.called() && q.late.waiting.Load() > 0 {
		q.sendLate()
	}
	want := q.want
	if q.closed.Load() {
		want = 0
	}
	n := C.strata_poll(q.c, C.uint16_t(want), wait)
	for n == C.STRATA_MOVED {
		q.threads.takeOver(q.lcore, q.c)
		n = C.strata_poll(q.c, C.uint16_t(want), wait)
	}
	q.taken, q.next = int(n), 0
}

// buffer is that of a slot: what was received, and room.
func (q *queue) buffer(slot int) []byte {
	s := &q.c.slot[slot]
	return unsafe.Slice((*byte)(s.data), s.room)[:s.length]
}

// unpack makes a batch of the queries in hand, and answers all else that can be.
func (q *queue) unpack(batch []plane.Packet) (n int) {
	var tally [frame.Verdicts]uint64
	for ; q.next < q.taken && n < len(batch); q.next++ {
		b, f := q.buffer(q.next), &q.frames[q.next]
		via := q.c.via[q.next]
		v := q.hosts[via].DecodeChecked(b, f, frame.Sums(q.c.slot[q.next].good))
		tally[v]++
		switch v {
		case frame.Query:
			q.hand(&batch[n], b, f, byte(via))
			q.slots[n] = uint8(q.next)
			n++
		case frame.Turned:
			s := &q.c.slot[q.next]
			s.start, s.end = C.uint32_t(f.Start), C.uint32_t(f.End)
		default:
			if q.exception != nil {
				q.exception.offer(b, v, byte(via))
			}
		}
	}
	for v, count := range tally {
		if count > 0 {
			q.counts[v].Add(count)
		}
	}
	q.handed = n
	return n
}

// hand makes a query's datagram a packet.
func (q *queue) hand(p *plane.Packet, b []byte, f *frame.Frame, via byte) {
	room := min(cap(b), max(f.Payload+q.room, f.End))
	p.Data = b[f.Payload:f.End:room]
	p.Client = f.Client
	p.Stream, p.Late = false, false
	f.Save(b, &p.Return)
	p.Return[viaAt] = via
}

// viaAt is where the port of a way back stands, behind the headers.
const viaAt = plane.ReturnSize - 1

var _ [viaAt - frame.WaySize]byte // it is free

// Send implements plane.Queue. What is received meanwhile is handed out by the next
// Receive.
func (q *queue) Send(batch []plane.Packet) error {
	for i := range batch[:min(len(batch), q.handed)] {
		if data := batch[i].Data; len(data) > 0 {
			q.turn(int(q.slots[i]), data)
		}
	}
	q.handed = 0
	if q.next == q.taken {
		q.poll(0)
	}
	return nil
}

// turn has a slot sent as the reply.
func (q *queue) turn(slot int, data []byte) {
	b, f := q.buffer(slot), &q.frames[slot]
	if len(data) > q.room || f.Payload+len(data) > cap(b) {
		q.big.Add(1)
		return
	}
	if in := b[f.Payload:cap(b)]; &in[0] != &data[0] {
		copy(in, data)
	}
	s := &q.c.slot[slot]
	end := 0
	if q.sums[q.c.via[slot]] {
		var l2, l3 int
		end, l2, l3 = f.TurnUnsummed(b[:cap(b)], len(data))
		s.l2, s.l3 = C.uint8_t(l2), C.uint8_t(l3)
	} else {
		end = f.Turn(b[:cap(b)], len(data))
	}
	s.start, s.end = C.uint32_t(f.Start), C.uint32_t(end)
}

// Close implements plane.Queue.
func (q *queue) Close() error {
	q.closed.Store(true)
	q.late.mu.Lock()
	defer q.late.mu.Unlock()
	q.call()
	return nil
}
