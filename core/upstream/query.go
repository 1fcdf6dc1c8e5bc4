package upstream

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// appendQuery appends the query for a flight's question, its name in the case
// that mix says: bit i mod 64 makes a capital of letter i. 0 leaves it folded.
func (f *flight) appendQuery(dst []byte, id uint16, mix uint64, edns bool) []byte {
	flags := uint16(0)
	if f.rd {
		flags |= wire.FlagRD | wire.FlagAD // AD: whether it is authentic is understood (RFC 6840 §5.7)
	}
	if f.cd {
		flags |= wire.FlagCD
	}
	var opt *wire.EDNS
	if edns {
		opt = &wire.EDNS{UDPSize: wire.DefaultUDP, DO: f.do, Options: f.options()}
	}
	start := len(dst)
	dst = wire.AppendQuery(dst, id, flags, f.name(), f.typ, f.class, opt)
	if mix != 0 {
		mixCase(dst[start+wire.HeaderLen:][:f.nameLen], mix)
	}
	return dst
}

// pad fills the query that begins at start of msg up to a multiple of padBlock octets,
// so that its length does not tell the name (RFC 7830, RFC 8467 §4.1).
func (f *flight) pad(msg []byte, start int) []byte {
	return f.lengthen(msg, start, optionPadding, padBlock)
}

// even fills a query that leaves with others up to a multiple of evenBlock octets: of one
// size they are one message, which the kernel cuts. Not by padding, upon which the reply is
// padded, too (RFC 7830 §4), but by an option that says nothing to anybody (RFC 6891
// §6.1.2, §9); and only where one of ours goes along anyway.
func (f *flight) even(msg []byte, start int) []byte {
	if len(f.options()) == 0 || (len(msg)-start)%evenBlock == 0 {
		return msg
	}
	return f.lengthen(msg, start, optionEven, evenBlock)
}

// lengthen adds an option of zeros, so that a query that begins at start of msg becomes as long
// as a multiple of block. The OPT record is the last there is.
func (f *flight) lengthen(msg []byte, start int, option uint16, block int) []byte {
	var zeros [padBlock]byte
	length := start + wire.HeaderLen + len(f.name()) + 4 + optFixed - 2
	n := -(len(msg) - start + 4) & (block - 1)
	msg = wire.AppendOption(msg, option, zeros[:n])
	binary.BigEndian.PutUint16(msg[length:], uint16(len(msg)-length-2))
	return msg
}

const (
	padBlock      = 128 // octets; a power of two, as is the next
	evenBlock     = 32
	optFixed      = 11 // octets of an OPT record in front of its options
	optionPadding = 12
	optionEven    = 65314 // of those for local use, next to wire.OptionTrail
)

// mixCase makes capitals of letters of a folded name. Length octets are below
// 'a' and so are left alone.
func mixCase(name []byte, mix uint64) {
	for i, c := range name {
		if 'a' <= c && c <= 'z' && mix>>(i%64)&1 != 0 {
			name[i] = c &^ 0x20
		}
	}
}

// sameCase reports whether a name, equal to the folded one but for case, has
// the case that mix gave it.
func sameCase(name, folded []byte, mix uint64) bool {
	for i, c := range folded {
		if 'a' <= c && c <= 'z' && mix>>(i%64)&1 != 0 {
			c &^= 0x20
		}
		if name[i] != c {
			return false
		}
	}
	return true
}
