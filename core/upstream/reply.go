package upstream

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// A verdict is what a reply is worth.
type verdict uint8

const (
	addresses verdict = iota // as useful, and of the plainest kind
	useful
	truncated     // ask again over TCP (RFC 7766 §5)
	noEDNS        // the server knows no OPT record, or not ours (RFC 6891 §6.1.3, §7): ask without
	bogus         // what the server found is not valid; another one may find better
	failing       // SERVFAIL and the like: another server may do better
	lame          // the server refers to others
	garbled       // its records cannot be read, or are all about other names
	noReply       // from here on not believed: not a reply to a query (RFC 5452 §9.1)
	otherQuestion // than the query's
	otherCase     // of the name than the query's
	otherSubnet   // than the query's client subnet (RFC 7871 §7.3)
)

func (v verdict) believed() bool { return v < noReply }

// strangeness is what a reply with a verdict that is not believed is counted as.
func strangeness(v verdict) int { return int(v-noReply) + cStrange }

// opcodeBits of the header's second word; only standard queries are sent.
const opcodeBits = 0xf << 11

// isReply reports whether msg has a header, and that of a reply.
func isReply(msg []byte) bool {
	return len(msg) >= wire.HeaderLen && wire.Flags(msg)&(wire.FlagQR|opcodeBits) == wire.FlagQR
}

// judge looks at a reply with the ID of one of the flight's attempts. cut: it was longer
// than our buffer.
func (f *flight) judge(a *attempt, msg []byte, cut bool) verdict {
	if !isReply(msg) {
		return noReply
	}
	if !a.mixed && !cut && f.addresses(msg) {
		return addresses
	}
	return f.examine(a, msg, cut)
}

// examine is judge's long way, for a reply of any kind.
func (f *flight) examine(a *attempt, msg []byte, cut bool) verdict {
	rcode := wire.RcodeOf(msg)
	if binary.BigEndian.Uint16(msg[4:]) == 0 && len(msg) == wire.HeaderLen && rcode == wire.RcodeFormErr {
		// Who cannot read a query may not be able to repeat its question.
		if a.edns {
			return noEDNS
		}
		return failing
	}
	switch {
	case !f.sameQuestion(msg):
		return otherQuestion
	case !a.stream() && !f.sameCase(msg, f.mixOf(a)):
		return otherCase
	case !a.stream() && (cut || wire.Flags(msg)&wire.FlagTC != 0):
		return truncated
	case wire.Flags(msg)&wire.FlagTC != 0: // over TCP: the server cannot say it at all
		return failing
	}
	in := inspect(msg, f.name(), f.class)
	switch {
	case in.subnet != nil && a.edns && in.whole && !sameSubnet(f.subnet(), in.subnet):
		return otherSubnet
	case !in.whole, in.answers && !in.related:
		return garbled
	case a.edns && in.rcode == wire.RcodeBadVers,
		a.edns && !in.opt && (in.rcode == wire.RcodeFormErr || in.rcode == wire.RcodeNotImp):
		return noEDNS
	case in.bogus():
		return bogus
	case in.rcode != wire.RcodeSuccess && in.rcode != wire.RcodeNXDomain && in.rcode != wire.RcodeYXDomain:
		return failing
	case in.lame(msg):
		return lame
	}
	return useful
}

// sameQuestion compares the question section, the name without regard to case.
func (f *flight) sameQuestion(msg []byte) bool {
	end := wire.HeaderLen + len(f.name())
	return binary.BigEndian.Uint16(msg[4:]) == 1 && len(msg) >= end+4 &&
		binary.BigEndian.Uint16(msg[end:]) == f.typ && binary.BigEndian.Uint16(msg[end+2:]) == f.class &&
		wire.EqualFold(msg[wire.HeaderLen:end], f.name())
}

// sameCase reports whether the name of the same question has the case that mix gave it.
func (f *flight) sameCase(msg []byte, mix uint64) bool {
	return mix == 0 || sameCase(msg[wire.HeaderLen:][:f.nameLen], f.name(), mix)
}

// foldQuestion undoes what mixCase did, for those who compare octets.
func (f *flight) foldQuestion(msg []byte) {
	if len(msg) >= wire.HeaderLen+len(f.name()) {
		copy(msg[wire.HeaderLen:], f.name())
	}
}
