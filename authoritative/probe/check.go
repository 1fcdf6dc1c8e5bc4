package probe

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// A Kind is how an address is probed.
type Kind uint8

// The kinds.
const (
	TCP  Kind = iota + 1 // a connection is taken
	UDP                  // what is sent is answered, or at least not refused
	ICMP                 // an echo comes back
	HTTP                 // GET is answered by a status from 200 to 399
)

func (k Kind) String() string {
	if k < TCP || k > HTTP {
		return "none"
	}
	return [...]string{"tcp", "udp", "icmp", "http"}[k-1]
}

// A Check is one way to probe an address. Checks can be compared.
type Check struct {
	Kind Kind
	Port uint16 // not ICMP
	Path string // HTTP: path and query, from "/" on
}

// ErrCheck is a text that says nothing about how to probe.
var ErrCheck = errors.New("not a way to probe: tcp:PORT, udp:PORT, http:PORT/PATH or icmp")

// MaxCheck is the greatest length of a check's text, in octets.
const MaxCheck = 255

// Parse reads a check: "tcp:8080", "udp:53", "http:8080/healthz", "icmp".
func Parse(text string) (Check, error) {
	bad := func(why string) (Check, error) {
		return Check{}, fmt.Errorf("%q: %w%s", text, ErrCheck, why)
	}
	if text == "icmp" {
		return Check{Kind: ICMP}, nil
	}
	if len(text) > MaxCheck {
		return Check{}, fmt.Errorf("%w: %d octets", ErrCheck, len(text))
	}
	scheme, rest, found := strings.Cut(text, ":")
	c := Check{}
	switch scheme {
	case "tcp":
		c.Kind = TCP
	case "udp":
		c.Kind = UDP
	case "http":
		c.Kind, c.Path = HTTP, "/"
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			rest, c.Path = rest[:at], rest[at:]
		}
		if err := checkPath(c.Path); err != nil {
			return bad("; " + err.Error())
		}
	default:
		return bad("")
	}
	if !found || rest == "" {
		return bad("; the port is missing")
	}
	port, err := strconv.ParseUint(rest, 10, 16)
	if err != nil || port == 0 || rest[0] == '0' || rest[0] == '+' {
		return bad(fmt.Sprintf("; %q is no port from 1 to 65535", rest))
	}
	c.Port = uint16(port)
	return c, nil
}

// checkPath takes what can stand in a request line as it is.
func checkPath(path string) error {
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f {
			return errors.New("blanks and what is not ASCII are written %xx in a path")
		}
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" || strings.Contains(path, "#") {
		return errors.New("the path is not one of a URL")
	}
	return nil
}

// compare orders checks.
func (c Check) compare(other Check) int {
	return cmp.Or(cmp.Compare(c.Kind, other.Kind), cmp.Compare(c.Port, other.Port), cmp.Compare(c.Path, other.Path))
}

// String gives what Parse reads.
func (c Check) String() string {
	switch c.Kind {
	case TCP, UDP:
		return c.Kind.String() + ":" + strconv.Itoa(int(c.Port))
	case HTTP:
		return "http:" + strconv.Itoa(int(c.Port)) + c.Path
	}
	return c.Kind.String()
}

// A Target is an address and one way to probe it.
type Target struct {
	Address netip.Addr
	Check   Check
}

// String gives both, for logs.
func (t Target) String() string { return t.Address.String() + " " + t.Check.String() }
