package resolvconf

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// The keywords that matter here; sortlist and all the rest are kept as they are.
const (
	nameserver = "nameserver"
	domain     = "domain"
	search     = "search"
	options    = "options"
)

// A line is one line of the file, with its end.
type line []byte

// split cuts a file into its lines.
func split(file []byte) (lines []line) {
	for l := range bytes.Lines(file) {
		lines = append(lines, l)
	}
	return lines
}

// keyword is the line's first word, if it is one that a C library heeds, and what
// stands behind it up to the end of the line (or a NUL, which ends it in C).
func (l line) keyword() (word, rest string) {
	text := string(l)
	if end := strings.IndexAny(text, "\n\x00"); end >= 0 {
		text = text[:end]
	}
	for _, word := range []string{nameserver, domain, search, options} {
		if rest, ok := strings.CutPrefix(text, word); ok && rest != "" && isBlank(rune(rest[0])) {
			return word, rest
		}
	}
	return "", ""
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// words are what blanks part.
func words(text string) []string { return strings.FieldsFunc(text, isBlank) }

// server is the address of a nameserver line; what follows it is ignored.
func server(rest string) (netip.Addr, bool) {
	all := words(rest)
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	if a, ok := dotted(all[0]); ok {
		return a, true
	}
	text, zone, _ := strings.Cut(all[0], "%")
	a, err := netip.ParseAddr(text)
	return a.WithZone(zone), err == nil && a.Is6()
}

// dotted reads an IPv4 address as inet_aton(3) does: of one to four parts, the last
// of which fills what is left, each decimal, octal or hexadecimal as in C.
func dotted(text string) (a netip.Addr, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return a, false
	}
	var value uint64
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := cNumber(part, bits)
		if err != nil {
			return a, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// cNumber reads a number as strtoul(3) does with base 0, without sign or blanks.
func cNumber(text string, bits int) (uint64, error) {
	base := 10
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		text, base = text[2:], 16
	case len(text) > 1 && text[0] == '0':
		text, base = text[1:], 8
	}
	return strconv.ParseUint(text, base, bits)
}
