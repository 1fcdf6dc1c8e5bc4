package socket

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// An outbox holds a batch of replies as the messages of one sendmmsg. Replies of
// the same size to the same client from the same address become one message,
// which the kernel cuts into datagrams behind most of its stack (UDP_SEGMENT):
// a resolver that asks much gets its answers at a fraction of their price.
type outbox struct {
	count    int
	messages [maxBatch]mmsghdr
	vecs     [maxBatch]unix.Iovec
	controls [maxBatch]control

	heads [buckets]uint8   // bucket → first of its groups + 1
	group [maxBatch]flight // groups of the batch, in order of their first reply
	next  [maxBatch]uint8  // reply → the next of its group + 1
}

// A flight is the replies that leave as one message.
type flight struct {
	key         uint64
	first, last uint8 // replies
	size        uint8 // how many
	chain       uint8 // the next group of the same bucket + 1
}

const (
	buckets = 128
	// maxSegment is the largest reply that is sent as a segment: it must fit the
	// path's MTU, of which 1,280 is sure (RFC 8200 §5), less 48 octets of headers.
	maxSegment = 1232
	// maxMessage is what one message may hold (65,535 less IPv4 and UDP headers).
	maxMessage = 65507
)

// pack makes messages of the replies in a batch of at most maxBatch.
func (o *outbox) pack(batch []plane.Packet, q *udpQueue) {
	o.count = 0
	if len(batch) < 2 || q.whole.Load() {
		for i := range batch {
			if len(batch[i].Data) > 0 {
				o.single(&batch[i], i, q)
			}
		}
		return
	}
	o.fold(batch, q, o.sort(batch))
}

// single adds a message of one reply. at is the vector it may use.
func (o *outbox) single(p *plane.Packet, at int, q *udpQueue) {
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
}

// sort finds the groups of a batch and returns how many there are.
func (o *outbox) sort(batch []plane.Packet) int {
	clear(o.heads[:])
	groups := 0
	for i := range batch {
		size := len(batch[i].Data)
		if size == 0 {
			continue
		}
		key := keyOf(&batch[i].Return, size)
		bucket := &o.heads[key*0x9e3779b97f4a7c15>>(64-7)]
		g := o.find(*bucket, key, batch, i)
		o.next[i] = 0
		if g == nil {
			g = &o.group[groups]
			groups++
			*g = flight{key: key, first: uint8(i), last: uint8(i), size: 1, chain: *bucket}
			*bucket = uint8(groups)
			continue
		}
		o.next[g.last] = uint8(i) + 1
		g.last = uint8(i)
		g.size++
	}
	return groups
}

// find returns the group of a bucket that reply i may join.
func (o *outbox) find(chain uint8, key uint64, batch []plane.Packet, i int) *flight {
	for chain != 0 {
		g := &o.group[chain-1]
		size := len(batch[i].Data)
		if g.key == key && size <= maxSegment && (int(g.size)+1)*size <= maxMessage &&
			[returnUsed]byte(batch[i].Return[:]) == [returnUsed]byte(batch[g.first].Return[:]) {
			return g
		}
		chain = g.chain
	}
	return nil
}

// keyOf is nearly unique for client and size: port and the end of the address,
// of either family.
func keyOf(r *plane.Return, size int) uint64 {
	address := binary.NativeEndian.Uint32(r[4:])
	if family(r) == unix.AF_INET6 {
		address = binary.NativeEndian.Uint32(r[12:]) ^ binary.NativeEndian.Uint32(r[20:])
	}
	return uint64(address)<<32 | uint64(binary.NativeEndian.Uint16(r[2:]))<<16 | uint64(uint16(size))
}

// fold makes a message of each group.
func (o *outbox) fold(batch []plane.Packet, q *udpQueue, groups int) {
	vec := 0
	for g := range o.group[:groups] {
		f := &o.group[g]
		first := &batch[f.first]
		o.single(first, vec, q)
		vec++
		if f.size == 1 {
			continue
		}
		m, c := &o.messages[o.count-1], &o.controls[o.count-1]
		for i := o.next[f.first]; i != 0; i = o.next[i-1] {
			o.vecs[vec].Base = &batch[i-1].Data[0]
			o.vecs[vec].SetLen(len(batch[i-1].Data))
			vec++
		}
		m.SetIovlen(int(f.size))
		m.Control = &c.octets[0]
		m.SetControllen(c.writeSegment(int(m.Controllen), len(first.Data)))
	}
}

// unfold replaces the messages that are left by one for each reply. The groups
// are in the order of the messages, so what is left of them is the tail.
func (o *outbox) unfold(left []mmsghdr, batch []plane.Packet, q *udpQueue) []mmsghdr {
	gone := o.count - len(left)
	groups, count := o.count, 0
	o.count = 0
	for g := gone; g < groups; g++ {
		for i := o.group[g].first + 1; i != 0; i = o.next[i-1] {
			o.single(&batch[i-1], count, q)
			count++
		}
	}
	return o.messages[:o.count]
}
