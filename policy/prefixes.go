package policy

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// A key128 is an address as a number; an IPv4 address stands in lo alone.
type key128 struct{ hi, lo uint64 }

func (a key128) compare(b key128) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

func (a key128) next() key128 {
	a.lo++
	if a.lo == 0 {
		a.hi++
	}
	return a
}

func keyOf(addr netip.Addr) key128 {
	if addr.Is4() {
		b := addr.As4()
		return key128{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := addr.As16()
	return key128{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// A prefixMap gives the value of the longest prefix that holds an address. The
// prefixes are cut into ranges that don't overlap, found by bisection.
type prefixMap struct{ v4, v6 ranges }

type ranges struct {
	starts []key128
	values []int32 // of the range that begins at starts[i]; 0: no prefix
}

type prefixValue struct {
	prefix netip.Prefix // masked
	value  int32        // above 0
}

func newPrefixMap(all []prefixValue) prefixMap {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b prefixValue) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), a.prefix.Bits()-b.prefix.Bits())
	})
	split, _ := slices.BinarySearchFunc(all, true, func(p prefixValue, _ bool) int {
		if p.prefix.Addr().Is4() { // Addr.Compare puts IPv4 before IPv6
			return -1
		}
		return 1
	})
	return prefixMap{newRanges(all[:split]), newRanges(all[split:])}
}

// newRanges sweeps over the sorted prefixes; those that hold the place the sweep
// is at lie on a stack, the longest on top.
func newRanges(sorted []prefixValue) ranges {
	type open struct {
		last  key128
		value int32
	}
	var r ranges
	stack := []open{{key128{^uint64(0), ^uint64(0)}, 0}}
	pop := func() {
		ended := stack[len(stack)-1].last
		stack = stack[:len(stack)-1]
		r.begin(ended.next(), stack[len(stack)-1].value)
	}
	for _, p := range sorted {
		first, last := bounds(p.prefix)
		for stack[len(stack)-1].last.compare(first) < 0 {
			pop()
		}
		r.begin(first, p.value)
		stack = append(stack, open{last, p.value})
	}
	for len(stack) > 1 && stack[len(stack)-1].last != stack[0].last {
		pop()
	}
	return r
}

// begin starts a range; one that began at the same place was empty.
func (r *ranges) begin(at key128, value int32) {
	if n := len(r.starts); n > 0 && r.starts[n-1] == at {
		r.values[n-1] = value
		return
	}
	r.starts = append(r.starts, at)
	r.values = append(r.values, value)
}

// bounds are a prefix's first and last address.
func bounds(p netip.Prefix) (first, last key128) {
	first = keyOf(p.Addr())
	host := p.Addr().BitLen() - p.Bits()
	last = first
	if host >= 64 {
		last.lo = ^uint64(0)
		last.hi |= 1<<(host-64) - 1
	} else {
		last.lo |= 1<<host - 1
	}
	return first, last
}

func (m *prefixMap) find(addr netip.Addr) int32 {
	if addr = addr.Unmap(); addr.Is4() {
		return m.v4.find(keyOf(addr))
	}
	return m.v6.find(keyOf(addr))
}

func (r *ranges) find(k key128) int32 {
	low, high := 0, len(r.starts) // the first start above k
	for low < high {
		mid := int(uint(low+high) / 2)
		if s := &r.starts[mid]; s.hi < k.hi || s.hi == k.hi && s.lo <= k.lo {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0
	}
	return r.values[low-1]
}

// Prefixes give the value of the longest prefix that holds an address.
type Prefixes struct{ m prefixMap }

// NewPrefixes makes them from masked prefixes with values above 0.
func NewPrefixes(values map[netip.Prefix]int32) Prefixes {
	all := make([]prefixValue, 0, len(values))
	for p, v := range values {
		all = append(all, prefixValue{p, v})
	}
	return Prefixes{newPrefixMap(all)}
}

// Find gives the value for an address, 0 where no prefix holds it.
func (p *Prefixes) Find(addr netip.Addr) int32 { return p.m.find(addr) }
