package cache

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// findRotation notes where the addresses of an answer are, if there are two or
// more and they stand together: all but the first under a pointer to the same owner.
func (e *entry) findRotation() {
	size := 0
	switch e.qtype() {
	case wire.TypeA:
		size = 4
	case wire.TypeAAAA:
		size = 16
	default:
		return
	}
	body, offsets := e.records(), e.offsets()
	first, n := 0, 0
	for i := range int(e.answers) {
		ttl := int(binary.BigEndian.Uint16(offsets[2*i:]))
		data := ttl + 6
		isAddress := binary.BigEndian.Uint16(body[ttl-4:]) == e.qtype()
		switch {
		case isAddress && n == 0:
			first, n = data, 1
		case isAddress && data == first+n*(size+12) && sameOwner(body, ttl, ttl-size-12):
			n++
		case isAddress:
			return // two sets, or one interrupted: left as it is
		}
	}
	if n > 1 {
		e.rotate, e.rotary = uint16(first), uint16(n)
	}
}

// sameOwner compares the pointers that two records have as owners, given where
// their TTLs are.
func sameOwner(body []byte, a, b int) bool {
	return min(a, b) >= 6 && body[a-6] >= 0xc0 && body[a-6] == body[b-6] && body[a-5] == body[b-5]
}
