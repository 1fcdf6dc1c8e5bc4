//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
)

// A queue is what one lcore polls: its queue of each port.
type queue struct {
	lcore   int
	room    int // octets of a reply
	backoff bool
	hosts   []*frame.Host // by port

	c      *C.struct_strata_lcore
	taken  int // frames in hand
	next   int // of them, the first that has not been looked at
	want   int // how many the handler takes
	frames [burst]frame.Frame
	slots  [burst]uint8 // of each packet in the batch
	handed int
	empty  int // polls in a row that brought nothing

	exception *exception // nil: what is no query is dropped

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
	q := &queue{lcore: lcore, room: o.Room, backoff: o.Backoff, c: c, want: burst}
	c.long_gap = C.uint64_t(LongGap.Seconds() * float64(C.strata_hz()))
	for i, p := range ports {
		c.port[i] = C.struct_strata_port{id: p.device.id, queue: C.uint16_t(index), pool: p.device.pool}
		q.hosts = append(q.hosts, p.host)
	}
	c.ports = C.uint16_t(len(ports))
	return q, nil
}

// end gives its memory back. Nobody may be in Receive or Send any more.
func (q *queue) end() { C.strata_lcore_end(q.c) }

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
		q.poll()
	}
}

// poll sends what is in hand and receives the next burst, in one call.
func (q *queue) poll() {
	if q.late.waiting.Load() > 0 {
		q.sendLate()
	}
	want := q.want
	if q.closed.Load() {
		want = 0
	}
	q.taken, q.next = int(C.strata_poll(q.c, C.uint16_t(want))), 0
	if q.taken > 0 {
		q.empty = 0
	} else if q.empty++; q.backoff && q.empty > patience {
		q.c.napped = 1
		unix.Nanosleep(&unix.Timespec{Nsec: int64(nap)}, nil)
	}
}

// An lcore that backs off does so after as many empty polls, some tenths of a
// millisecond, for as long.
const (
	patience = 2000
	nap      = 50 * time.Microsecond
)

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
		v := q.hosts[via].Decode(b, f)
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
		q.poll()
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
	end := f.Turn(b[:cap(b)], len(data))
	s := &q.c.slot[slot]
	s.start, s.end = C.uint32_t(f.Start), C.uint32_t(end)
}

// Close implements plane.Queue.
func (q *queue) Close() error {
	q.closed.Store(true)
	return nil
}

// read sums what was counted here and in C.
func (q *queue) read() Counts {
	hz := float64(C.strata_hz())
	span := func(cycles uint64) time.Duration {
		return time.Duration(float64(cycles) / hz * float64(time.Second))
	}
	n := func(counter *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(counter)) }
	c := q.c
	counts := Counts{
		Lcore: q.lcore, Bursts: n(&c.bursts), Polls: n(&c.polls), Sent: n(&c.sent), Unsent: n(&c.unsent) + q.big.Load() + q.late.dropped.Load(),
		Late: n(&c.late), Oversize: n(&c.oversize), Busy: span(n(&c.busy)), Longest: span(n(&c.longest)), Gaps: n(&c.gaps),
	}
	if began := n(&c.began); began != 0 {
		counts.Up = span(n(&c.entered) - began)
	}
	for v := range q.counts {
		counts.Frames[v] = q.counts[v].Load()
	}
	return counts
}
