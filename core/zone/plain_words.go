package zone

import (
	"bytes"
	"math"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// rdata reads the data, which is one word.
func (p *plainLines) rdata(text []byte) (ok bool) {
	p.data = p.data[:0]
	switch p.typ {
	case dns.TypeA:
		return p.ipv4(text)
	case dns.TypeAAAA:
		if bytes.IndexByte(text, '.') >= 0 || bytes.IndexByte(text, '%') >= 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(text))
		if err != nil || !addr.Is6() || addr.Is4In6() {
			return false
		}
		b := addr.As16()
		p.data = append(p.data, b[:]...)
		return true
	}
	p.data, ok = p.absolute(p.data, text)
	return ok
}

// ipv4 reads four numbers without leading zeros.
func (p *plainLines) ipv4(text []byte) bool {
	for i := 0; ; i++ {
		part, rest, more := bytes.Cut(text, dot)
		n, ok := decimal(part)
		if !ok || n > 255 || len(part) > 1 && part[0] == '0' {
			return false
		}
		p.data = append(p.data, byte(n))
		if more != (i < 3) {
			return false
		}
		if !more {
			return true
		}
		text = rest
	}
}

var dot = []byte{'.'}

// absolute appends a name of plain characters, and the origin where it has no
// last dot.
func (p *plainLines) absolute(dst, text []byte) (_ []byte, ok bool) {
	from := len(dst)
	switch string(text) {
	case "":
		return dst, false
	case "@":
		return append(dst, p.origin...), true
	case ".":
		return append(dst, 0), true
	}
	at := len(dst) // of the length octet of the label being read
	dst = append(dst, 0)
	for _, b := range text {
		if b != '.' {
			if !plainOctet[b] {
				return dst, false
			}
			dst = append(dst, b)
			continue
		}
		if !closeLabel(dst, at) {
			return dst, false
		}
		at = len(dst)
		dst = append(dst, 0)
	}
	if text[len(text)-1] != '.' {
		if !closeLabel(dst, at) {
			return dst, false
		}
		dst = append(dst, p.origin...)
	}
	return dst, len(dst)-from <= wire.MaxName
}

// closeLabel writes a label's length.
func closeLabel(dst []byte, at int) bool {
	n := len(dst) - at - 1
	if n == 0 || n > 63 {
		return false
	}
	dst[at] = byte(n)
	return true
}

// plainOctet has the characters of names that mean themselves.
var plainOctet = func() (set [256]bool) {
	for _, b := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*") {
		set[b] = true
	}
	return set
}()

// field gives the next word of a line and what is behind it.
func field(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	j := i
	for j < len(b) && b[j] != ' ' && b[j] != '\t' && b[j] != '\n' {
		j++
	}
	return b[i:j], b[j:]
}

// decimal reads a number that a TTL can be.
func decimal(b []byte) (uint32, bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n <= math.MaxInt32
}

// seconds reads a number with or without one unit.
func seconds(b []byte) (uint32, bool) {
	if len(b) == 0 {
		return 0, false
	}
	factor := uint64(1)
	switch b[len(b)-1] | 0x20 {
	case 's':
	case 'm':
		factor = 60
	case 'h':
		factor = 3600
	case 'd':
		factor = 24 * 3600
	case 'w':
		factor = 7 * 24 * 3600
	default:
		return decimal(b)
	}
	n, ok := decimal(b[:len(b)-1])
	long := uint64(n) * factor
	return uint32(long), ok && long <= math.MaxInt32
}
