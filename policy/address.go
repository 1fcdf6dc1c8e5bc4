package policy

import (
	"net/netip"

	"github.com/strata-dns/strata/core/wire"
)

// address answers in a zone of names that say their address: 10.1.2.3.ZONE,
// 10-1-2-3.ZONE, 2001-db8--1.ZONE.
func (p *Policy) address(q *wire.Query, m *match) Verdict {
	if m.zoneAt == 0 {
		return p.atApex(q, m.zone)
	}
	addr, ok := nameAddr(q, m.zoneAt)
	if !ok {
		return p.noName(m.zone, m.zoneAt)
	}
	typ := wire.TypeAAAA
	if addr.Is4() {
		typ = wire.TypeA
	}
	if !addr.IsValid() || q.Type != typ && q.Type != wire.TypeANY {
		return p.noData(m.zone, m.zoneAt)
	}
	return Verdict{Action: Answer, why: why{form: formAddress, apex: uint8(m.zoneAt), rule: m.zone}}
}

// nameAddr reads the address that the first n labels say. The names above a whole
// address exist too, as empty non-terminals: they give the zero Addr.
func nameAddr(q *wire.Query, n int) (addr netip.Addr, ok bool) {
	if n == 1 {
		if addr, ok = parseDashed(label(q.Name())); ok {
			return addr, true
		}
	}
	octets, ok := decimalLabels(q, n)
	if !ok || n < 4 {
		return netip.Addr{}, ok
	}
	return netip.AddrFrom4(octets), true
}

// decimalLabels reads the first n labels, at most four, as decimal octets.
func decimalLabels(q *wire.Query, n int) (octets [4]byte, ok bool) {
	if n > 4 {
		return octets, false
	}
	for i := range n {
		if octets[i], ok = decimal(label(q.Suffix(i))); !ok {
			return octets, false
		}
	}
	return octets, true
}

// decimal reads 0 to 255 without leading zeros, which some read as octal.
func decimal(b []byte) (byte, bool) {
	if len(b) == 0 || len(b) > 3 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return byte(v), v <= 255
}

// parseDashed reads an address with dashes for dots or colons.
func parseDashed(b []byte) (netip.Addr, bool) {
	if octets, ok := parseDashed4(b); ok {
		return netip.AddrFrom4(octets), true
	}
	if groups, ok := parseDashed6(b); ok {
		return netip.AddrFrom16(groups), true
	}
	return netip.Addr{}, false
}

func parseDashed4(b []byte) (octets [4]byte, ok bool) {
	for i := range octets {
		end := 0
		for end < len(b) && b[end] != '-' {
			end++
		}
		if octets[i], ok = decimal(b[:end]); !ok {
			return octets, false
		}
		if i == 3 {
			return octets, end == len(b)
		}
		if end == len(b) {
			return octets, false
		}
		b = b[end+1:]
	}
	return octets, false
}

// parseDashed6 reads RFC 4291 §2.2 with dashes: eight groups of one to four hex
// digits, or fewer with one "--" in place of the zero groups, at least one.
func parseDashed6(b []byte) (out [16]byte, ok bool) {
	var groups [8]uint16
	n, gap := 0, -1
	if len(b) >= 2 && b[0] == '-' && b[1] == '-' {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		g, used := hexGroup(b)
		if used == 0 || n == len(groups) {
			return out, false
		}
		groups[n] = g
		n++
		b = b[used:]
		switch {
		case len(b) == 0:
		case len(b) >= 2 && b[0] == '-' && b[1] == '-':
			if gap >= 0 {
				return out, false
			}
			gap, b = n, b[2:]
		case b[0] == '-' && len(b) > 1:
			b = b[1:]
		default:
			return out, false
		}
	}
	if gap < 0 && n != 8 || gap >= 0 && n > 7 {
		return out, false
	}
	if gap < 0 {
		gap = n
	}
	for i := range n {
		at := i
		if i >= gap {
			at = 8 - n + i
		}
		out[2*at], out[2*at+1] = byte(groups[i]>>8), byte(groups[i])
	}
	return out, true
}

// hexGroup reads up to four hex digits and says how many it found, 0 where there
// are none or more than four.
func hexGroup(b []byte) (v uint16, used int) {
	for used < len(b) {
		d, ok := hexDigit(b[used])
		if !ok {
			break
		}
		if used == 4 {
			return 0, 0
		}
		v = v<<4 | uint16(d)
		used++
	}
	return v, used
}

// hexDigit reads a folded hex digit.
func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
