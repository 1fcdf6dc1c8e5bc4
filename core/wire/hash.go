package wire

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// The hash is keyed afresh in each process, so that nobody who may choose names
// can choose collisions.
var (
	seedRoot = rand.Uint64() | 1
	seedWord = rand.Uint64() | 1
)

// HashRoot is the hash of the root name.
func HashRoot() uint64 { return seedRoot }

// hashLabel extends the hash of a suffix by the label in front of it, length
// octet included, eight octets at a time. b must be readable for eight octets
// beyond the label.
func hashLabel(h uint64, b []byte, n int) uint64 {
	for ; n > 8; n -= 8 {
		h = mix(h^binary.LittleEndian.Uint64(b), seedWord)
		b = b[8:]
	}
	w := binary.LittleEndian.Uint64(b) & (^uint64(0) >> (64 - 8*uint(n)))
	return mix(h^w, seedWord)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// HashName hashes a folded name as Query.Parse does: the hash of a name depends
// on the hash of its parent. For names that did not come in a query.
func HashName(name []byte) uint64 {
	var buf [MaxName + 8]byte
	copy(buf[:], name)
	var offs [MaxLabels + 1]uint8
	n := 0
	for i := 0; buf[i] != 0; i += 1 + int(buf[i]) {
		offs[n] = uint8(i)
		n++
	}
	h := seedRoot
	for n--; n >= 0; n-- {
		i := int(offs[n])
		h = hashLabel(h, buf[i:], 1+int(buf[i]))
	}
	return h
}

// HashWildcard is the hash of the name *.parent, given the parent's.
func HashWildcard(parent uint64) uint64 {
	return mix(parent^uint64('*')<<8^1, seedWord)
}
