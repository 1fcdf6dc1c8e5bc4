package store

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// Data errors.
var (
	ErrType = errors.New("not a type that records have")
	ErrData = errors.New("bad data")
)

// ParseType reads a type's name: "A", "AAAA", "TYPE65280" (RFC 3597 §5).
func ParseType(s string) (uint16, error) { return parseType([]byte(strings.ToUpper(s))) }

// TypeString gives a type's name as it stands in keys.
func TypeString(typ uint16) string {
	if typ == dns.TypeA {
		return "A"
	}
	return dns.Type(typ).String()
}

// parseType takes each type by one name only: TYPE1 is not A.
func parseType(s []byte) (uint16, error) {
	typ, known := dns.StringToType[string(s)]
	if !known {
		digits, _ := strings.CutPrefix(string(s), "TYPE")
		n, err := strconv.ParseUint(digits, 10, 16)
		if typ = uint16(n); err != nil || TypeString(typ) != string(s) {
			return 0, fmt.Errorf("%w: %q", ErrType, s)
		}
	}
	if !storable(typ) {
		return 0, fmt.Errorf("%w: %q", ErrType, s)
	}
	return typ, nil
}

// storable leaves out what only questions and messages have (RFC 6895 §3.1).
func storable(typ uint16) bool {
	return typ != dns.TypeNone && typ != dns.TypeOPT && (typ < 128 || typ > 255) && typ != dns.TypeReserved
}

// rrHead is the root's octet, type, class, TTL and RDLENGTH in front of rdata.
const rrHead = 1 + 10

// appendRdata appends the wire form of data in presentation form. What there are
// millions of, addresses and names, goes a short way.
func appendRdata(b []byte, typ uint16, text string) ([]byte, error) {
	switch typ {
	case dns.TypeA:
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
			return append(b, a.AsSlice()...), nil
		}
	case dns.TypeAAAA:
		if a, err := netip.ParseAddr(text); err == nil && a.Is6() && a.Zone() == "" {
			return append(b, a.AsSlice()...), nil
		}
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		if plainName(text) {
			name, err := wire.ParseName(text)
			if err != nil {
				return b, fmt.Errorf("%w: %w", ErrData, err)
			}
			return append(b, name...), nil
		}
	case dns.TypeSRV:
		if b, ok := appendShortSRV(b, text); ok {
			return b, nil
		}
	}
	rdata, err := parseText(typ, text)
	if err != nil {
		return b, err
	}
	if _, err := rdataText(typ, rdata); err != nil { // or it could not be written back
		return b, fmt.Errorf("%w: %q", err, text)
	}
	return append(b, rdata...), nil
}

// plainName says of a text that a name is spelt in it as it stands on the wire.
func plainName(text string) bool {
	for i := range len(text) {
		if text[i] != '.' && !labelPlain[text[i]] {
			return false
		}
	}
	return text != ""
}

// parseText leaves it to miekg/dns to know all types.
func parseText(typ uint16, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\n\r\x00") || strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%w: %q", ErrData, text) // a second record, or none at all
	}
	rr, err := dns.NewRR(". 0 IN " + TypeString(typ) + " " + text)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrData, text, err)
	}
	if rr == nil || rr.Header().Rrtype != typ {
		return nil, fmt.Errorf("%w: %q", ErrData, text)
	}
	buf := make([]byte, rrHead+dns.Len(rr))
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrData, text, err)
	}
	rdata := buf[rrHead:end]
	if len(rdata) == 0 && !mayBeEmpty(typ) {
		return nil, fmt.Errorf("%w: %q", ErrData, text)
	}
	return rdata, nil
}

// rdataText gives the presentation form of rdata: a text that reads back as the
// same octets, which is all the proof there is that they are a type's rdata.
func rdataText(typ uint16, rdata []byte) (string, error) {
	if typ == dns.TypeA && len(rdata) == 4 || typ == dns.TypeAAAA && len(rdata) == 16 {
		a, _ := netip.AddrFromSlice(rdata)
		return a.String(), nil
	}
	if text, ok := shortText(typ, rdata); ok {
		return text, nil
	}
	if text, ok := ownText(typ, rdata); ok && readsAs(typ, text, rdata) {
		return text, nil
	}
	// The form for what the type's own cannot say (RFC 3597 §5).
	if text := strings.TrimSpace(fmt.Sprintf(`\# %d %x`, len(rdata), rdata)); readsAs(typ, text, rdata) {
		return text, nil
	}
	return "", fmt.Errorf("%w: %d octets are no %s", ErrData, len(rdata), TypeString(typ))
}

func readsAs(typ uint16, text string, rdata []byte) bool {
	back, err := parseText(typ, text)
	return err == nil && bytes.Equal(back, rdata)
}

// ownText gives the form that the type's own specification has.
func ownText(typ uint16, rdata []byte) (string, bool) {
	if len(rdata) == 0 || len(rdata) > 65535 {
		return "", false
	}
	head := dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(rdata))}
	rr, _, err := dns.UnpackRRWithHeader(head, rdata, 0)
	if err != nil {
		return "", false
	}
	part := strings.SplitN(rr.String(), "\t", 5) // name, TTL, class, type, data
	if len(part) < 5 {
		return "", false
	}
	return part[4], true
}

// mayBeEmpty says which types may have rdata of no octets: APL (RFC 3123 §4),
// NULL (RFC 1035 §3.3.10), and all we know nothing of.
func mayBeEmpty(typ uint16) bool {
	_, known := dns.TypeToRR[typ]
	return !known || typ == dns.TypeAPL || typ == dns.TypeNULL
}
