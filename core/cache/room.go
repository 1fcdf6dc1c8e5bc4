package cache

// A held is an entry and its octets in one piece of memory: one object for the allocator
// to give, and for the collector to find, where there would be two. Both together have a
// size class of the allocator's, as an entry has alone.
type held[T any] struct {
	entry
	text T
}

// room gives an empty entry, with data that has room for n octets.
func room(n int) *entry {
	switch {
	case n <= 32:
		h := new(held[[32]byte])
		return h.entry.write(h.text[:])
	case n <= 48:
		h := new(held[[48]byte])
		return h.entry.write(h.text[:])
	case n <= 64:
		h := new(held[[64]byte])
		return h.entry.write(h.text[:])
	case n <= 80:
		h := new(held[[80]byte])
		return h.entry.write(h.text[:])
	case n <= 96:
		h := new(held[[96]byte])
		return h.entry.write(h.text[:])
	case n <= 112:
		h := new(held[[112]byte])
		return h.entry.write(h.text[:])
	case n <= 128:
		h := new(held[[128]byte])
		return h.entry.write(h.text[:])
	}
	return new(entry).write(make([]byte, n))
}

// room gives an empty entry: one of its own, or the builder's.
func (b *builder) room(n int) *entry {
	if !b.passing {
		return room(n)
	}
	b.passed = entry{}
	return b.passed.write(b.text)
}

// write has data be in a piece of memory.
func (e *entry) write(at []byte) *entry {
	e.data = at[:0]
	return e
}
