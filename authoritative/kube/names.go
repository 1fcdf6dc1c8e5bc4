package kube

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

var errLabel = errors.New("not a label of 1 to 63 letters, digits and '-', which neither begins nor ends with '-' (RFC 1123 §2.1)")

// hostLabel checks a label that names a host or a part above one. Kubernetes
// checks it too; files come unchecked.
func hostLabel(s string) error {
	ok := len(s) > 0 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i] | 0x20
		ok = 'a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-'
	}
	if !ok {
		return fmt.Errorf("%q: %w", s, errLabel)
	}
	return nil
}

// below puts labels in front of a name, the first one leftmost, in lower case.
func below(base []byte, labels ...string) ([]byte, error) {
	size := len(base)
	for _, label := range labels {
		if len(label) == 0 || len(label) > 63 {
			return nil, fmt.Errorf("%q: %w", label, errLabel)
		}
		size += 1 + len(label)
	}
	if size > wire.MaxName {
		return nil, fmt.Errorf("%s.%s %w", strings.Join(labels, "."), wire.NameString(base), wire.ErrNameLong)
	}
	name := make([]byte, 0, size)
	for _, label := range labels {
		name = append(append(name, byte(len(label))), label...)
	}
	name = append(name, base...)
	wire.Fold(name)
	return name, nil
}

// hostName reads the name of a host that is somewhere else, such as an
// externalName. An address is not one, however much it looks like it.
func hostName(s string) ([]byte, error) {
	if _, err := netip.ParseAddr(strings.TrimSuffix(s, ".")); err == nil {
		return nil, fmt.Errorf("%q is an address, and an alias is to a name", s)
	}
	if strings.Trim(s, ".") == "" {
		return nil, fmt.Errorf("%q is not the name of a host", s)
	}
	return wire.ParseName(s)
}

var (
	inAddrArpa = wire.MustName("in-addr.arpa")
	ip6Arpa    = wire.MustName("ip6.arpa")
)

// reverse gives the name at which an address has its PTR (RFC 1035 §3.5, RFC 3596 §2.5).
func reverse(addr netip.Addr) []byte {
	octets := addr.AsSlice()
	var name []byte
	for i := len(octets) - 1; i >= 0; i-- {
		if addr.Is4() {
			digits := fmt.Append(nil, octets[i])
			name = append(append(name, byte(len(digits))), digits...)
			continue
		}
		const hex = "0123456789abcdef"
		name = append(name, 1, hex[octets[i]&15], 1, hex[octets[i]>>4])
	}
	if addr.Is4() {
		return append(name, inAddrArpa...)
	}
	return append(name, ip6Arpa...)
}

// dashed gives the label that an address has where nothing else names it: the
// form that CoreDNS has too.
func dashed(addr netip.Addr) string {
	return strings.NewReplacer(".", "-", ":", "-").Replace(addr.String())
}

// address reads one, without a zone and not an IPv4 one in IPv6's clothes.
func address(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is not an IPv4 or IPv6 address", s)
	}
	return addr, nil
}
