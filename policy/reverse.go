package policy

import (
	"net/netip"
	"strconv"

	"github.com/strata-dns/strata/core/wire"
)

// Labels of a whole reverse name, in-addr.arpa and ip6.arpa among them.
const (
	reverseLabels4 = 4 + 2
	reverseLabels6 = 32 + 2
)

// reverse answers in a reverse zone (RFC 1035 §3.5, RFC 3596 §2.5) whose pointers
// are made up.
func (p *Policy) reverse(q *wire.Query, m *match) Verdict {
	_, whole, ok := reverseAddr(q)
	switch {
	case !ok:
		return p.noName(m.zone, m.zoneAt)
	case !whole && m.zoneAt == 0:
		return p.atApex(q, m.zone)
	case !whole || q.Type != wire.TypePTR && q.Type != wire.TypeANY:
		return p.noData(m.zone, m.zoneAt)
	}
	return Verdict{Action: Answer, why: why{form: formPointer, rule: m.zone}}
}

// reverseAddr reads a name under in-addr.arpa or ip6.arpa. whole is false for the
// names above a whole address's.
func reverseAddr(q *wire.Query) (addr netip.Addr, whole, ok bool) {
	if string(label(q.Suffix(q.Labels-2))) == "ip6" {
		return reverseAddr6(q)
	}
	var octets [4]byte
	n := q.Labels - 2
	if n > len(octets) {
		return addr, false, false
	}
	for i := range n {
		if octets[n-1-i], ok = decimal(label(q.Suffix(i))); !ok {
			return addr, false, false
		}
	}
	return netip.AddrFrom4(octets), q.Labels == reverseLabels4, true
}

func reverseAddr6(q *wire.Query) (addr netip.Addr, whole, ok bool) {
	var octets [16]byte
	n := q.Labels - 2
	if n > 2*len(octets) {
		return addr, false, false
	}
	for i := range n {
		l := label(q.Suffix(i))
		d, ok := hexDigit(l[0])
		if !ok || len(l) != 1 {
			return addr, false, false
		}
		at := n - 1 - i
		octets[at/2] |= d << (4 * (1 - at%2))
	}
	return netip.AddrFrom16(octets), q.Labels == reverseLabels6, true
}

// maxDashed is the longest label that appendDashed writes: eight groups of four.
const maxDashed = 8*5 - 1

// appendDashed appends the label of an address, without its length octet, in the
// form that RFC 5952 gives it with dashes. A label that would begin or end with a
// dash, which host names may not (RFC 1123 §2.1), gets a zero there.
func appendDashed(dst []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		for i, o := range addr.As4() {
			if i > 0 {
				dst = append(dst, '-')
			}
			dst = strconv.AppendUint(dst, uint64(o), 10)
		}
		return dst
	}
	b := addr.As16()
	var g [8]uint16
	for i := range g {
		g[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	from, to := zeroRun(&g)
	for i := 0; i < 8; {
		if i == from {
			if i == 0 {
				dst = append(dst, '0')
			}
			dst = append(dst, '-', '-')
			if i = to; i == 8 {
				dst = append(dst, '0')
			}
			continue
		}
		if i > 0 && i != to {
			dst = append(dst, '-')
		}
		dst = strconv.AppendUint(dst, uint64(g[i]), 16)
		i++
	}
	return dst
}

// zeroRun finds the first longest run of two or more zero groups (RFC 5952
// §4.2.2, §4.2.3); -1, -1 where there is none.
func zeroRun(g *[8]uint16) (from, to int) {
	from, to = -1, -1
	for i := 0; i < 8; i++ {
		j := i
		for j < 8 && g[j] == 0 {
			j++
		}
		if j-i >= 2 && j-i > to-from {
			from, to = i, j
		}
		i = j
	}
	return from, to
}
