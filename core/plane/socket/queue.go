package socket

import (
	"net"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// A udpQueue is one UDP socket and the memory its batches pass through.
type udpQueue struct {
	*handle
	counters
	room  int  // octets of a datagram, in and out
	v6    bool // the socket's family
	local bool // bound to every address: each datagram tells which one was asked
	kept  bool // the socket outlives us: what waits in it is for the next process
	rest  int  // batches still taken after stop

	gather gather
	beside beside
	whole  atomic.Bool // the kernel can't cut messages
	zones  zones
	buffer []byte // maxBatch times room
	in     [maxBatch]mmsghdr
	inVec  [maxBatch]unix.Iovec
	inCtl  [maxBatch]control
	out    outbox
}

// restAfterStop bounds how much of what the kernel had already taken in is
// answered after stop: as many batches as a full receive buffer may hold.
const restAfterStop = 64

func newQueue(h *handle, o UDPOptions, v6, local, kept bool) *udpQueue {
	q := &udpQueue{handle: h, room: o.Room, v6: v6, local: local, kept: kept, rest: restAfterStop}
	q.whole.Store(o.NoSegments)
	q.gather.limit = max(o.Gather, 0)
	q.buffer = make([]byte, maxBatch*q.room)
	for i := range q.in {
		q.inVec[i].Base = &q.buffer[i*q.room]
		q.inVec[i].SetLen(q.room)
		q.in[i].Iov, q.in[i].Iovlen = &q.inVec[i], 1
		if local {
			q.in[i].Control = &q.inCtl[i].octets[0]
		}
	}
	return q
}

// Receive implements plane.Queue.
func (q *udpQueue) Receive(batch []plane.Packet) (int, error) {
	if !q.enter() {
		return 0, net.ErrClosed
	}
	defer q.leave()
	batch = batch[:min(len(batch), maxBatch)]
	q.prepare(batch)
	for !q.ended() {
		if q.gather.nap(q.beside.awaited()) {
			q.naps.Add(1)
		}
		q.beside.turn()
		taken, errno := recvmmsg(q.fd, q.in[:len(batch)])
		if errno != 0 {
			q.unready(errno)
			continue
		}
		n := q.unpack(batch[:taken])
		q.gather.took(taken)
		if n > 0 {
			q.received.Add(uint64(n))
			q.batches.Add(1)
			return n, nil
		}
		q.prepare(batch)
	}
	return 0, net.ErrClosed
}

// ended tells whether there is nothing more to receive. After stop, what the
// kernel has already taken in is answered, unless a successor will.
func (q *udpQueue) ended() bool {
	if !q.stopped.Load() {
		return false
	}
	q.rest--
	return q.kept || q.rest < 0 || q.closed()
}

// unready handles a receive that gave nothing: wait, or forget an error that
// says something about a datagram sent earlier (ICMP) or about memory just now.
func (q *udpQueue) unready(errno syscall.Errno) {
	switch {
	case errno != unix.EAGAIN:
	case q.stopped.Load():
		q.rest = 0
	default:
		q.gather.idle()
		other := q.beside.awaited()
		q.beside.due = wait(q.fd, q.wake, q.beside.fd())
		if other >= 0 && q.gather.rest() {
			q.naps.Add(1)
		}
	}
}

// prepare points the messages at the batch: the kernel writes each client's
// address where the reply's way back is kept.
func (q *udpQueue) prepare(batch []plane.Packet) {
	for i := range batch {
		m := &q.in[i]
		m.Name, m.Namelen = &batch[i].Return[0], nameSize
		if q.local {
			m.SetControllen(controlSize)
		}
	}
}

// unpack makes packets of what came, leaving out what can't be answered: cut
// datagrams, and those without a client.
func (q *udpQueue) unpack(batch []plane.Packet) int {
	n := 0
	for i := range batch {
		m, r := &q.in[i], &batch[i].Return
		if m.Flags&unix.MSG_TRUNC != 0 || m.Namelen < unix.SizeofSockaddrInet4 {
			q.oversize.Add(1)
			continue
		}
		if q.local {
			readLocal(q.inCtl[i].octets[:min(m.Controllen, controlSize)], r)
		}
		p := &batch[n]
		if n != i {
			p.Return = *r
		}
		at := i * q.room
		p.Data = q.buffer[at : at+int(m.length) : at+q.room]
		p.Client = q.zones.clientOf(r)
		p.Stream, p.Late = false, false
		n++
	}
	return n
}

// Send implements plane.Queue. What the kernel won't take is dropped and
// counted; it is not an error.
func (q *udpQueue) Send(batch []plane.Packet) error {
	if !q.enter() {
		return net.ErrClosed
	}
	defer q.leave()
	for len(batch) > 0 {
		part := batch[:min(len(batch), maxBatch)]
		q.out.pack(part, q)
		n := q.flush(&q.out, part)
		q.sent.Add(n.sent)
		if n.segmented > 0 {
			q.segmented.Add(n.segmented)
		}
		if n.unsent > 0 {
			q.unsent.Add(n.unsent)
		}
		batch = batch[len(part):]
	}
	return nil
}

// outcome is what became of a batch's replies. Those segmented are among those sent.
type outcome struct{ sent, segmented, unsent uint64 }

// flush sends the packed messages, each until the kernel has taken or refused it.
func (q *udpQueue) flush(o *outbox, batch []plane.Packet) (n outcome) {
	messages := o.messages[:o.count]
	for len(messages) > 0 {
		taken, errno := sendmmsg(q.fd, messages)
		if errno != 0 {
			taken = 0
		}
		for i := range messages[:taken] {
			n.sent += uint64(messages[i].Iovlen)
			if messages[i].Iovlen > 1 {
				n.segmented += uint64(messages[i].Iovlen)
			}
		}
		messages = messages[taken:]
		switch {
		case errno == 0 || errno == unix.EINTR:
		case messages[0].Iovlen > 1 && refusesSegments(errno):
			q.whole.Store(true)
			messages = o.unfold(messages, batch, q)
		default:
			n.unsent += uint64(messages[0].Iovlen)
			messages = messages[1:]
		}
	}
	return n
}

// refusesSegments tells the errors of a kernel, a device or a route that can't
// cut messages from the others.
func refusesSegments(errno syscall.Errno) bool {
	return errno == unix.EINVAL || errno == unix.EIO || errno == unix.ENOPROTOOPT || errno == unix.EMSGSIZE
}

// Deliver implements plane.Queue. The reply is sent before it returns; like any
// other it is dropped when the kernel won't take it.
func (q *udpQueue) Deliver(to plane.Return, reply []byte) error {
	if len(reply) == 0 {
		return nil
	}
	if !q.enter() {
		return net.ErrClosed
	}
	defer q.leave()
	var c control
	vec := unix.Iovec{Base: unsafe.SliceData(reply)}
	vec.SetLen(len(reply))
	m := unix.Msghdr{Name: &to[0], Namelen: nameLen(&to), Iov: &vec, Iovlen: 1}
	if q.local {
		m.Control = &c.octets[0]
		m.SetControllen(c.writeLocal(&to, q.v6))
	}
	errno := sendmsg(q.fd, &m)
	for errno == unix.EINTR {
		errno = sendmsg(q.fd, &m)
	}
	if errno != 0 {
		q.unsent.Add(1)
		return nil
	}
	q.late.Add(1)
	return nil
}

// Close implements plane.Queue.
func (q *udpQueue) Close() error {
	q.close()
	return nil
}
