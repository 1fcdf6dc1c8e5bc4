package upstream

import (
	"fmt"
	"net/netip"
	"strings"
)

// Ports that are meant where a scheme is given without one (RFC 1035 §4.2, RFC 7858 §3.1).
const (
	portDNS = 53
	portTLS = 853
)

// ParseServer reads a server as configs write it: "10.1.1.120:53" for UDP,
// "tcp://10.1.1.120", "tls://10.1.1.120#dns.example.net" with the name that the
// certificate must have; behind a scheme the port may be left out.
func ParseServer(text string) (Server, error) {
	scheme, rest, schemed := strings.Cut(text, "://")
	if !schemed {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return Server{}, fmt.Errorf("found %q, expected an address with port, such as 10.0.0.1:53 or [2001:db8::1]:53, or tcp://10.0.0.1 or tls://10.0.0.1#dns.example.net", text)
		}
		return Server{Addr: addr}, nil
	}
	host, name, named := strings.Cut(rest, "#")
	s := Server{TLSName: name}
	port := uint16(portDNS)
	switch scheme {
	case "udp":
	case "tcp":
		s.Transport = TCP
	case "tls":
		s.Transport, port = TLS, portTLS
	default:
		return Server{}, fmt.Errorf("found %q, expected udp://, tcp:// or tls:// in front of the address", text)
	}
	var err error
	switch s.Addr, err = parseHost(host, port); {
	case err != nil:
		return Server{}, fmt.Errorf("found %q, expected an address behind %s://, such as 10.0.0.1 or [2001:db8::1]:%d", text, scheme, port)
	case s.Transport == TLS && name == "":
		return Server{}, fmt.Errorf("found %q, expected the name of the server's certificate behind it, as in tls://%s#dns.example.net", text, host)
	case s.Transport != TLS && named:
		return Server{}, fmt.Errorf("found %q: only tls:// has a name to verify", text)
	}
	return s, nil
}

// parseHost reads an address with or without a port.
func parseHost(host string, port uint16) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddrPort(host); err == nil {
		return addr, nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return netip.AddrPortFrom(addr, port), err
}

// UnmarshalText implements encoding.TextUnmarshaler, by [ParseServer].
func (s *Server) UnmarshalText(text []byte) error {
	server, err := ParseServer(string(text))
	if err == nil {
		*s = server
	}
	return err
}

// MarshalText writes what [ParseServer] reads.
func (s Server) MarshalText() ([]byte, error) { return []byte(s.Text()), nil }

// Text is the shortest of what [ParseServer] reads as the same server.
func (s Server) Text() string {
	if s.Transport == UDP {
		return s.Addr.String()
	}
	return s.String()
}
