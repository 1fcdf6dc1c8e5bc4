package cache

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

const (
	ownerless  = 2 + 10 // octets of a record whose owner is a pointer, in front of its data (RFC 1035 §4.1.3)
	bareOPT    = 1 + 10 // octets of an OPT record without options
	toQuestion = 0xc000 | wire.HeaderLen
)

// addresses is read, follow and write in one look, for what most answers are: addresses of
// the question's name and nothing else, each under a pointer to the question. It reports
// false where a message is anything else, be it good or bad; nothing is written then.
func (b *builder) addresses(msg []byte) (life uint32, ok bool) {
	q := &b.question
	size := 0
	switch q.Type {
	case wire.TypeA:
		size = 4
	case wire.TypeAAAA:
		size = 16
	default:
		return 0, false
	}
	size += ownerless
	from := wire.HeaderLen + len(q.Name) + 4
	if len(msg) < from+size {
		return 0, false
	}
	n := int(binary.BigEndian.Uint16(msg[6:]))
	to := from + n*size
	if n == 0 || !b.bare(msg, from, to) {
		return 0, false
	}
	for at := from; at < to; at += size {
		rec := msg[at:]
		if binary.BigEndian.Uint16(rec) != toQuestion || binary.BigEndian.Uint16(rec[2:]) != q.Type ||
			binary.BigEndian.Uint16(rec[4:]) != q.Class || int(binary.BigEndian.Uint16(rec[10:])) != size-ownerless {
			return 0, false
		}
	}
	b.out = append(b.out, msg[wire.HeaderLen:to]...)
	b.body = from
	ttl := uint32(maxTTL)
	for at := from; at < to; at += size {
		believed := capTTL(binary.BigEndian.Uint32(b.out[at+6:]))
		binary.BigEndian.PutUint32(b.out[at+6:], believed)
		b.ttls = append(b.ttls, uint16(at+6-from))
		ttl = min(ttl, believed)
	}
	b.answers = n
	return ttl * 1000, true
}

// bare reports whether a message is a reply to the question, by its very octets, without
// an error, and holds nothing but what stands between from and to, and perhaps an OPT
// record that says nothing.
func (b *builder) bare(msg []byte, from, to int) bool {
	const opcode = 0xf << 11
	q := &b.question
	if wire.Flags(msg)&(wire.FlagQR|opcode|wire.FlagTC) != wire.FlagQR || wire.RcodeOf(msg) != wire.RcodeSuccess ||
		binary.BigEndian.Uint16(msg[4:]) != 1 || binary.BigEndian.Uint16(msg[8:]) != 0 ||
		string(msg[wire.HeaderLen:from-4]) != string(q.Name) ||
		binary.BigEndian.Uint16(msg[from-4:]) != q.Type || binary.BigEndian.Uint16(msg[from-2:]) != q.Class {
		return false
	}
	switch binary.BigEndian.Uint16(msg[10:]) {
	case 0:
		return len(msg) == to
	case 1:
		opt := msg[min(to, len(msg)):]
		return len(opt) == bareOPT && opt[0] == 0 && binary.BigEndian.Uint16(opt[1:]) == wire.TypeOPT &&
			opt[5] == 0 && opt[9] == 0 && opt[10] == 0 // of its TTL the upper octet is the response code's (RFC 6891 §6.1.3)
	}
	return false
}
