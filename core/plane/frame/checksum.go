package frame

import "encoding/binary"

// sum adds b to a ones' complement sum (RFC 1071), eight octets at a time as two halves, whose carries
// have room: 2³²−1 is a multiple of 2¹⁶−1, so the width does not change what fold makes of
// it. s is below 2⁶². All but the last part of what is summed must have an even length.
func sum(b []byte, s uint64) uint64 {
	n := len(b)
	if n < 8 {
		return s + short(b)
	}
	last := binary.BigEndian.Uint64(b[n-8:])
	other := last << (64 - 8*(uint(n)&7)) // what is no whole word, with zeros behind it
	s += other >> 32
	other &= 0xffffffff
	for ; len(b) >= 8; b = b[8:] {
		w := binary.BigEndian.Uint64(b)
		s += w >> 32
		other += w & 0xffffffff
	}
	return s + other
}

// short is the sum of less than eight octets.
func short(b []byte) (s uint64) {
	for i, c := range b {
		s += uint64(c) << (8 * (^i & 1))
	}
	return s
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
