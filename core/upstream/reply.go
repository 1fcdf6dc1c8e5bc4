package upstream

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// A verdict is what a believed reply is worth.
type verdict uint8

const (
	useful    verdict = iota
	truncated         // ask again over TCP (RFC 7766 §5)
	noEDNS            // the server knows no OPT record (RFC 6891 §7): ask without
	failing           // SERVFAIL and the like: another server may do better
	strange           // not a reply to this query: RFC 5452 §9.1
)

// opcodeBits of the header's second word; only standard queries are sent.
const opcodeBits = 0xf << 11

// isReply reports whether msg has a header, and that of a reply.
func isReply(msg []byte) bool {
	return len(msg) >= wire.HeaderLen && wire.Flags(msg)&(wire.FlagQR|opcodeBits) == wire.FlagQR
}

// judge looks at a reply with the right ID. cut: it was longer than our buffer.
// overUDP and edns say how the query went.
func (f *flight) judge(msg []byte, mix uint64, overUDP, edns, cut bool) verdict {
	if !isReply(msg) {
		return strange
	}
	rcode := wire.RcodeOf(msg)
	if binary.BigEndian.Uint16(msg[4:]) == 0 && len(msg) == wire.HeaderLen && rcode == wire.RcodeFormErr {
		// Who cannot read a query may not be able to repeat its question.
		if edns {
			return noEDNS
		}
		return failing
	}
	if !f.sameQuestion(msg, mix) {
		return strange
	}
	switch {
	case overUDP && (cut || wire.Flags(msg)&wire.FlagTC != 0):
		return truncated
	case wire.Flags(msg)&wire.FlagTC != 0: // over TCP: the server cannot say it at all
		return failing
	case rcode == wire.RcodeFormErr && edns && !hasOPT(msg):
		return noEDNS
	case rcode == wire.RcodeServFail, rcode == wire.RcodeRefused, rcode == wire.RcodeNotImp, rcode == wire.RcodeFormErr:
		return failing
	}
	return useful
}

// sameQuestion compares the question section.
func (f *flight) sameQuestion(msg []byte, mix uint64) bool {
	end := wire.HeaderLen + f.nameLen
	if binary.BigEndian.Uint16(msg[4:]) != 1 || len(msg) < end+4 ||
		binary.BigEndian.Uint16(msg[end:]) != f.typ || binary.BigEndian.Uint16(msg[end+2:]) != f.class {
		return false
	}
	name := msg[wire.HeaderLen:end]
	return wire.EqualFold(name, f.name()) && (mix == 0 || sameCase(name, f.name(), mix))
}

// hasOPT reports whether a message has an OPT record.
func hasOPT(msg []byte) bool {
	r, ok := wire.NewReader(msg)
	if !ok {
		return false
	}
	var rec wire.Record
	for r.Next(&rec) {
		if rec.Section == wire.Additional && rec.Type == wire.TypeOPT {
			return true
		}
	}
	return false
}

// foldQuestion undoes what mixCase did, for those who compare octets.
func (f *flight) foldQuestion(msg []byte) {
	if len(msg) >= wire.HeaderLen+f.nameLen {
		copy(msg[wire.HeaderLen:], f.name())
	}
}
