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
// so that its length does not tell the name (RFC 7830, RFC 8467 §4.1). The OPT record
// is the last there is.
func (f *flight) pad(msg []byte, start int) []byte {
	var zeros [padBlock]byte
	length := start + wire.HeaderLen + len(f.name()) + 4 + optFixed - 2
	n := -(len(msg) - start + 4) & (padBlock - 1)
	msg = wire.AppendOption(msg, optionPadding, zeros[:n])
	binary.BigEndian.PutUint16(msg[length:], uint16(len(msg)-length-2))
	return msg
}

const (
	padBlock      = 128 // octets
	optFixed      = 11  // octets of an OPT record in front of its options
	optionPadding = 12
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
