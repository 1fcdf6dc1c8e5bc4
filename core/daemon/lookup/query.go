package lookup

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Query is what to ask, and whom.
type Query struct {
	Name    string // fully qualified
	Type    uint16
	Server  string // address, with port or without: then 53
	TCP     bool
	DNSSEC  bool          // set DO
	Timeout time.Duration // for all tries together
}

// Parse takes the words of a command line: a name, with or without its last
// dot, and a type, by name or as TYPEnnn (RFC 3597 section 5), A if missing.
// With reverse the name is an address, and its PTR is asked for.
func (q *Query) Parse(args []string, reverse bool) error {
	q.Name, q.Type = dns.Fqdn(args[0]), dns.TypeA
	if reverse {
		name, err := reverseName(args[0])
		if err != nil {
			return err
		}
		q.Name, q.Type = name, dns.TypePTR
	}
	if len(args) > 1 {
		var err error
		if q.Type, err = parseType(args[1]); err != nil {
			return err
		}
	}
	// A name that ends in a lone backslash escapes the dot that was added to it.
	if _, ok := dns.IsDomainName(q.Name); !ok || !dns.IsFqdn(q.Name) {
		return fmt.Errorf("lookup: %q is no domain name", args[0])
	}
	return nil
}

func reverseName(address string) (string, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", fmt.Errorf("lookup: %q is no IP address", address)
	}
	return dns.ReverseAddr(ip.WithZone("").String())
}

func parseType(text string) (uint16, error) {
	upper := strings.ToUpper(text)
	if t, ok := dns.StringToType[upper]; ok {
		return t, nil
	}
	if number, ok := strings.CutPrefix(upper, "TYPE"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("lookup: %q is no record type; such as A, AAAA, TXT or TYPE65", text)
}

// address is the server with its port.
func (q *Query) address() string {
	if _, _, err := net.SplitHostPort(q.Server); err == nil {
		return q.Server
	}
	return net.JoinHostPort(strings.Trim(q.Server, "[]"), "53")
}
