package zone

import (
	"bytes"

	"github.com/miekg/dns"
)

// A Generating follows a master file through the octets that its parser reads, as far
// as to know the TTL of what $GENERATE makes: the parser gives those records 3600 s where
// the directive has no TTL of its own, whatever $TTL says.
type Generating struct {
	TTL   uint32 // what records without one have: seconds, of $TTL
	Known bool   // there is such

	line []byte // the directive being read, nil: none is
	bare bool   // what is read was made by a $GENERATE without a TTL
}

// Begin is called with the first octet of each record and directive.
func (g *Generating) Begin(b byte) {
	g.bare, g.line = false, nil
	if b == '$' {
		g.line = []byte{b}
	}
}

// See is called with each further octet, and with '\n' where the file ends.
func (g *Generating) See(b byte) {
	switch {
	case g.line == nil:
	case b != '\n':
		g.line = append(g.line, b)
	default:
		g.directive()
		g.line = nil
	}
}

func (g *Generating) directive() {
	word, rest := field(bytes.TrimRight(g.line, "\r"))
	switch arg, rest := field(rest); {
	case bytes.EqualFold(word, []byte("$TTL")):
		g.TTL, g.Known = span(arg)
	case bytes.EqualFold(word, []byte("$GENERATE")): // range, owner, then [TTL] [class] type
		_, rest = field(rest)
		for arg, rest = field(rest); bytes.EqualFold(arg, []byte("IN")); {
			arg, rest = field(rest)
		}
		g.bare = len(arg) > 0 && (arg[0] < '0' || arg[0] > '9')
	}
}

// Settle gives a record its TTL if it was made so.
func (g *Generating) Settle(h *dns.RR_Header) {
	if g.bare && g.Known {
		h.Ttl = g.TTL
	}
}

// span reads numbers each with or without a unit, such as 1h30m.
func span(b []byte) (ttl uint32, ok bool) {
	for ok = len(b) > 0; ok && len(b) > 0; {
		end := bytes.IndexFunc(b, func(r rune) bool { return r < '0' || r > '9' }) + 1
		if end == 0 {
			end = len(b)
		}
		var part uint32
		part, ok = seconds(b[:end])
		ttl, b = ttl+part, b[end:]
	}
	return ttl, ok
}
