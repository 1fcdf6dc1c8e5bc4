package store

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// shortText is rdataText for what a cluster has a million of beside addresses: a name,
// alone or behind SRV's three numbers, whose octets stand for themselves. It is a
// twentieth of the time, and a monitor writes each such text between an event and its
// answer.
func shortText(typ uint16, rdata []byte) (string, bool) {
	name := rdata
	text := make([]byte, 0, len(rdata)+16)
	switch typ {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
	case dns.TypeSRV:
		if len(rdata) < 6 {
			return "", false
		}
		for ; len(rdata)-len(name) < 6; name = name[2:] {
			text = strconv.AppendUint(text, uint64(binary.BigEndian.Uint16(name)), 10)
			text = append(text, ' ')
		}
	default:
		return "", false
	}
	if len(name) < 2 || wire.NameLen(name) != len(name) { // the root goes the long way
		return "", false
	}
	for label := name; label[0] != 0; label = label[1+label[0]:] {
		for _, c := range label[1 : 1+label[0]] {
			if !labelPlain[c] {
				return "", false
			}
		}
		text = append(append(text, label[1:1+label[0]]...), '.')
	}
	return string(text), true
}

// appendShortSRV is appendRdata for SRV as shortText writes it.
func appendShortSRV(b []byte, text string) ([]byte, bool) {
	at := len(b)
	for range 3 {
		digits, rest, _ := strings.Cut(text, " ")
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return b[:at], false
		}
		b, text = binary.BigEndian.AppendUint16(b, uint16(n)), rest
	}
	if !plainName(text) {
		return b[:at], false
	}
	name, err := wire.ParseName(text)
	if err != nil {
		return b[:at], false
	}
	return append(b, name...), true
}
