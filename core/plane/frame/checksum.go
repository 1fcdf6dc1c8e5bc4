package frame

import (
	"encoding/binary"
	"math/bits"
)

// sum adds b to a ones' complement sum (RFC 1071), 16 octets at a time: 2⁶⁴−1 is a multiple of
// 2¹⁶−1, so the width does not change what fold makes of it, nor does the order of octets
// within a word, which is put right in the end. s is below 2⁶³. All but the last part of
// what is summed must have an even length.
func sum(b []byte, s uint64) uint64 {
	n := len(b)
	if n < 16 {
		return s + short(b)
	}
	// What is no whole 16 octets: the last 16, without those that are.
	cut := 128 - 8*(uint(n)&15)
	low, high := binary.LittleEndian.Uint64(b[n-16:]), binary.LittleEndian.Uint64(b[n-8:])
	words, carries := bits.Add64(low>>cut|high<<(64-cut)|high>>(cut-64), high>>cut, 0)
	for ; len(b) >= 16; b = b[16:] {
		two, carry := bits.Add64(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), 0)
		words, carry = bits.Add64(words, two, carry)
		carries += carry
	}
	words = halves(words) + carries
	return s + uint64(bits.ReverseBytes16(fold(words)))
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
	s = halves(halves(s))
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// halves is the sum of both of a word.
func halves(w uint64) uint64 { return w>>32 + w&0xffffffff }

// pseudo is the sum of the pseudo-header (RFC 768, RFC 8200 §8.1): both addresses,
// the protocol and the length.
func pseudo(addresses []byte, protocol uint8, length int) uint64 {
	s := uint64(protocol) + uint64(length)
	if len(addresses) == 2*4 {
		return s + halves(binary.BigEndian.Uint64(addresses))
	}
	return sum(addresses, s)
}

// whole tells whether what is summed has its checksum in it, undamaged.
func whole(s uint64) bool { return fold(s) == 0xffff }
