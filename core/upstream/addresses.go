package upstream

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

const (
	ownerless  = 2 + 10 // octets of a record whose owner is a pointer, in front of its data (RFC 1035 §4.1.3)
	bareOPT    = 1 + 10 // octets of an OPT record without options
	toQuestion = 0xc000 | wire.HeaderLen
)

// addresses reports whether a message, which is a reply, is what most are: an answer to
// the flight's question by its very octets that holds addresses under pointers to the
// question, perhaps an OPT record that says nothing, and not an octet else. It is one look
// where judge takes several; of anything else, good or bad, judge finds out.
func (f *flight) addresses(msg []byte) bool {
	size := ownerless
	switch f.typ {
	case wire.TypeA:
		size += 4
	case wire.TypeAAAA:
		size += 16
	default:
		return false
	}
	from := wire.HeaderLen + int(f.nameLen) + 4
	if len(msg) < from+size || wire.Flags(msg)&wire.FlagTC != 0 || wire.RcodeOf(msg) != wire.RcodeSuccess ||
		binary.BigEndian.Uint16(msg[4:]) != 1 || binary.BigEndian.Uint16(msg[8:]) != 0 {
		return false
	}
	if string(msg[wire.HeaderLen:from-4]) != string(f.name()) ||
		binary.BigEndian.Uint16(msg[from-4:]) != f.typ || binary.BigEndian.Uint16(msg[from-2:]) != f.class {
		return false
	}
	n := int(binary.BigEndian.Uint16(msg[6:]))
	to := from + n*size
	if n == 0 || to > len(msg) || !bareEnd(msg[to:], binary.BigEndian.Uint16(msg[10:])) {
		return false
	}
	for rec := msg[from:to]; len(rec) >= size; rec = rec[size:] {
		if binary.BigEndian.Uint16(rec) != toQuestion || binary.BigEndian.Uint16(rec[2:]) != f.typ ||
			binary.BigEndian.Uint16(rec[4:]) != f.class || int(binary.BigEndian.Uint16(rec[10:])) != size-ownerless {
			return false
		}
	}
	return true
}

// bareEnd reports whether the end of a message is nothing, or one OPT record without
// options that has nothing to add to the response code (RFC 6891 §6.1.3), as the count of
// additional records says.
func bareEnd(end []byte, records uint16) bool {
	switch records {
	case 0:
		return len(end) == 0
	case 1:
		return len(end) == bareOPT && end[0] == 0 && binary.BigEndian.Uint16(end[1:]) == wire.TypeOPT &&
			end[5] == 0 && end[9] == 0 && end[10] == 0
	}
	return false
}
