package frame

import (
	"encoding/binary"
	"math/bits"
)

// sum adds b to a ones' complement sum (RFC 1071), eight octets at a time: 2⁶⁴−1 is
// a multiple of 2¹⁶−1, so the width does not change what fold makes of it. All
// but the last part of what is summed must have an even length.
func sum(b []byte, s uint64) uint64 {
	for len(b) >= 8 {
		var carry uint64
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += carry
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		rest += uint64(b[0]) << 8
	}
	s, carry := bits.Add64(s, rest, 0)
	return s + carry
}

// fold makes a sum 16 bits wide.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// pseudo is the sum of the pseudo-header (RFC 768, RFC 8200 §8.1): both addresses,
// the protocol and the length.
func pseudo(addresses []byte, protocol uint8, length int) uint64 {
	return sum(addresses, uint64(protocol)+uint64(length))
}

// whole tells whether what is summed has its checksum in it, undamaged.
func whole(s uint64) bool { return fold(s) == 0xffff }
