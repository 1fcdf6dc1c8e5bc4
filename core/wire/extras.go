package wire

import "encoding/binary"

// Extras are the EDNS options that a reply carries for its asker's sake, beside what
// it says itself. They are a copy: the query's own options are gone once the reply's
// first record is written. The zero Extras is none.
type Extras struct {
	cookie [ClientCookie + serverCookie]byte
	size   uint8 // octets of cookie; 0: none
	pad    bool
}

// ExtrasRoom is more than Extras take of a reply.
const ExtrasRoom = 4 + ClientCookie + serverCookie + 4 + padBlock

// padBlock is what lengths of padded replies are multiples of (RFC 8467 §4.1).
const padBlock = 468

// Pad has the reply padded, so that its length says little about it. It is for
// replies that leave enciphered, to queries that had the option (RFC 7830 §4).
func (x *Extras) Pad() { x.pad = true }

// HasCookie tells whether the reply carries a cookie.
func (x *Extras) HasCookie() bool { return x.size > 0 }

// room is the octets that a reply has to keep for its cookie.
func (x *Extras) room() int {
	if !x.HasCookie() {
		return 0
	}
	return 4 + int(x.size)
}

// put appends the options of an OPT record to m, which has n octets. Padding is the
// last option, as it counts all others, and takes what room there is.
func (x *Extras) put(m []byte, n int) int {
	if x.HasCookie() {
		n = putOption(m, n, OptionCookie, x.cookie[:x.size])
	}
	if x.pad && n+4 <= len(m) {
		end := min((n+4+padBlock-1)/padBlock*padBlock, len(m))
		binary.BigEndian.PutUint16(m[n:], OptionPadding)
		binary.BigEndian.PutUint16(m[n+2:], uint16(end-n-4))
		clear(m[n+4 : end])
		n = end
	}
	return n
}

func putOption(m []byte, n int, code uint16, data []byte) int {
	binary.BigEndian.PutUint16(m[n:], code)
	binary.BigEndian.PutUint16(m[n+2:], uint16(len(data)))
	return n + 4 + copy(m[n+4:], data)
}
