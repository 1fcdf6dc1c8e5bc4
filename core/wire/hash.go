package wire

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// The hash is keyed afresh in each process, so that nobody who may choose names
// can choose collisions.
var (
	seedEnd  = rand.Uint64() | 1
	seedWord = rand.Uint64() | 1
	seedHead = rand.Uint64() | 1
)

// A name is hashed from its end on, in blocks of 16 octets, and what its first 16
// octets are is mixed in last. So all suffixes of a name share the work on their common
// end, and each costs one step more; and a name that stands in a message is hashed
// without its labels being looked at.
const hashBlock = 16

// HashName hashes a name of any case as Query.Parse does.
func HashName(name []byte) uint64 {
	if len(name) < hashBlock {
		return hashShort(name)
	}
	h, n := seedEnd, len(name)
	for end := n; end > hashBlock; end -= hashBlock {
		low, high := block(name[end-hashBlock:])
		h = hashStep(h, low, high)
	}
	low, high := block(name)
	return hashHead(h, low, high, n)
}

// hashShort is HashName of a name that is no block long.
func hashShort(name []byte) uint64 {
	var buf [hashBlock]byte
	copy(buf[:], name)
	return hashHead(seedEnd, fold8(binary.LittleEndian.Uint64(buf[:])), fold8(binary.LittleEndian.Uint64(buf[8:])), len(name))
}

// hashStep goes on by a block.
func hashStep(h, low, high uint64) uint64 { return mix(low^h, high^seedWord) }

// hashHead ends the hash of a name with its first block: where it is shorter than that, with
// zeros behind it.
func hashHead(h, low, high uint64, n int) uint64 { return mix(low^h, high^seedHead^uint64(n)) }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hashAll hashes each suffix of a name of any case whose labels are known. It reads the name
// where it comes from: what has just been written to q cannot be read in other widths at once.
func (q *Query) hashAll(name []byte) {
	n := len(name)
	if n < hashBlock {
		for i := 0; i <= q.Labels; i++ {
			q.Hash[i] = hashShort(name[q.Offset[i]:])
		}
		return
	}
	var ends [MaxName/hashBlock + 1]uint64 // by blocks behind
	h := seedEnd
	for i, end := 0, n; ; i, end = i+1, end-hashBlock {
		ends[i] = h
		if end <= hashBlock {
			break
		}
		low, high := block(name[end-hashBlock:])
		h = hashStep(h, low, high)
	}
	lastLow, lastHigh := block(name[n-hashBlock:])
	for i := 0; i <= q.Labels; i++ {
		from := int(q.Offset[i])
		size := n - from
		if size >= hashBlock {
			low, high := block(name[from:])
			q.Hash[i] = hashHead(ends[(size-1)/hashBlock], low, high, size)
			continue
		}
		cut := uint(8 * (hashBlock - size)) // bits of the last block that are no more of the suffix
		low := lastLow>>cut | lastHigh<<(64-cut)
		if cut >= 64 {
			low = lastHigh >> (cut - 64)
		}
		q.Hash[i] = hashHead(seedEnd, low, lastHigh>>cut, size)
	}
}

// block reads and folds 16 octets.
func block(b []byte) (low, high uint64) {
	b = b[:hashBlock:hashBlock]
	return fold8(binary.LittleEndian.Uint64(b)), fold8(binary.LittleEndian.Uint64(b[8:]))
}
