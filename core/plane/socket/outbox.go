package socket

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// An outbox holds a batch of replies as the messages of one sendmmsg. Replies to the
// same client from the same address become one message, which the kernel cuts into
// datagrams behind most of its stack (UDP_SEGMENT): a resolver that asks much gets
// its answers at a fraction of their price. All datagrams of a message have the size
// of the first but the last, which may be smaller: so replies leave by size, the
// largest first, and a message ends behind the first that is smaller.
type outbox struct {
	count    int
	messages [maxBatch]mmsghdr
	vecs     [maxBatch]unix.Iovec // in the order of the messages
	controls [maxBatch]control
	order    [maxBatch]uint64 // of the replies: client, size, and the index in the batch
}

const (
	// maxSegment is the largest reply that is sent as a segment: it must fit the
	// path's MTU, of which 1,280 is sure (RFC 8200 §5), less 48 octets of headers.
	maxSegment = 1232
	// maxMessage is what one message may hold (65,535 less IPv4 and UDP headers).
	maxMessage = 65507
)

// pack makes messages of the replies in a batch of at most maxBatch.
func (o *outbox) pack(batch []plane.Packet, q *udpQueue) {
	n := 0
	for i := range batch {
		if size := len(batch[i].Data); size > 0 {
			o.order[n] = clientOf(&batch[i].Return)<<24 | uint64(0xffff-size)<<8 | uint64(i)
			n++
		}
	}
	o.count = 0
	if n < 2 || q.whole.Load() {
		o.singles(0, n, batch, q)
		return
	}
	slices.Sort(o.order[:n])
	o.arrange(o.order[:n])
	o.fold(o.order[:n], batch, q)
}

// clientOf is nearly unique for a client, in 40 bits: two of them that are alike
// are told apart when it matters.
func clientOf(r *plane.Return) uint64 {
	address := binary.NativeEndian.Uint32(r[4:])
	if family(r) == unix.AF_INET6 {
		address = binary.NativeEndian.Uint32(r[12:]) ^ binary.NativeEndian.Uint32(r[20:])
	}
	return (uint64(address)<<16 | uint64(binary.NativeEndian.Uint16(r[2:]))) * 0x9e3779b97f4a7c15 >> 24
}

// indexOf is where in the batch the reply is that has a place in the order.
func indexOf(place uint64) int { return int(place & 0xff) }

// fold makes messages of replies that are in order.
func (o *outbox) fold(order []uint64, batch []plane.Packet, q *udpQueue) {
	var m *mmsghdr // may take more
	var first *plane.Packet
	for at, place := range order {
		p := &batch[indexOf(place)]
		if m == nil || !joins(p, first, int(m.Iovlen)) {
			first, m = p, o.single(p, at, q)
			if len(p.Data) > maxSegment {
				m = nil
			}
			continue
		}
		o.vecs[at].Base = &p.Data[0]
		o.vecs[at].SetLen(len(p.Data))
		if m.Iovlen == 1 {
			c := &o.controls[o.count-1]
			m.Control = &c.octets[0]
			m.SetControllen(c.writeSegment(int(m.Controllen), len(first.Data)))
		}
		m.SetIovlen(int(m.Iovlen) + 1)
		if len(p.Data) < len(first.Data) {
			m = nil
		}
	}
}

// joins tells whether a reply may be the next segment of the message of count replies
// that begins with first.
func joins(p, first *plane.Packet, count int) bool {
	return len(p.Data) <= len(first.Data) && (count+1)*len(first.Data) <= maxMessage && [returnUsed]byte(p.Return[:]) == [returnUsed]byte(first.Return[:])
}

// single adds a message of one reply. at is the vector it uses.
func (o *outbox) single(p *plane.Packet, at int, q *udpQueue) *mmsghdr {
	o.vecs[at].Base = &p.Data[0]
	o.vecs[at].SetLen(len(p.Data))
	m, c := &o.messages[o.count], &o.controls[o.count]
	o.count++
	m.Name, m.Namelen = &p.Return[0], nameLen(&p.Return)
	m.Iov, m.Iovlen = &o.vecs[at], 1
	m.Control = nil
	m.SetControllen(0)
	if q.local {
		m.Control = &c.octets[0]
		m.SetControllen(c.writeLocal(&p.Return, q.v6))
	}
	return m
}

// singles makes a message of each reply from one to another place in the order.
func (o *outbox) singles(from, to int, batch []plane.Packet, q *udpQueue) {
	for at := from; at < to; at++ {
		o.single(&batch[indexOf(o.order[at])], at, q)
	}
}

// unfold replaces the messages that are left, the last ones, by one for each reply.
func (o *outbox) unfold(left []mmsghdr, batch []plane.Packet, q *udpQueue) []mmsghdr {
	from := 0
	for i := range o.messages[:o.count-len(left)] {
		from += int(o.messages[i].Iovlen)
	}
	to := from
	for i := range left {
		to += int(left[i].Iovlen)
	}
	o.count = 0
	o.singles(from, to, batch, q)
	return o.messages[:o.count]
}
