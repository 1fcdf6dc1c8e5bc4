package zone

import (
	"bytes"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// Large master files are nearly all lines such as
//
//	host-17 300 IN A 10.0.0.17
//
// and the parser takes most of the time of loading them. So plain lines, as long
// as they are plain beyond doubt, are read here; all others, and all that is wrong
// with any, is the parser's, which does not see that lines between its own are
// missing: it is told the owner name where it would have inherited one of ours.
//
// Only files that say $TTL have plain lines: without it, the TTL of a record
// depends on the one before (RFC 1035 §5.1, RFC 2308 §4).
type plainLines struct {
	take func(at place, name []byte, typ uint16, ttl uint32, data []byte) error
	err  error // of take, which ends the reading

	off    bool // something was met that is better left to the parser for good
	known  bool // $TTL was seen
	ttl    uint32
	origin []byte // wire form, its case as written

	name  []byte // owner of the last record, folded
	ours  bool   // that record was read here: the parser does not know name
	spare []byte // owner of the one being read
	typ   uint16
	time  uint32
	data  []byte

	skipped int // lines the parser has not seen

	// Where the parser is, by the octets it was given. From where a record begins
	// until it is had the parser is busy: it may look at what is behind.
	start, busy, escape, quote, comment bool
	depth                               int
}

// see follows the parser through an octet, as far as to know where lines begin.
func (p *plainLines) see(b byte) {
	p.start = false
	switch {
	case b == '\n':
		p.escape = false
		if !p.quote {
			p.comment = false
			p.start = p.depth == 0
		}
	case p.comment:
	case p.escape:
		p.escape = false
	case b == '\\':
		p.escape = true
	case b == '"':
		p.quote = !p.quote
	case p.quote:
	case b == ';':
		p.comment = true
	case b == '(':
		p.depth++
	case b == ')':
		p.depth--
	}
}

// skip reads plain lines up to the next that is not, and returns what the parser
// is to be given in front of that. It is called where a line begins.
func (p *plainLines) skip(c *lineCounter) (before []byte, err error) {
	for !p.off || p.ours {
		line, whole := c.peekLine()
		if p.off || !whole || !p.record(line) {
			p.start = false
			ahead, _ := c.r.Peek(c.r.Buffered())
			return p.hand(ahead), nil
		}
		if p.err = p.give(c); p.err != nil {
			return nil, p.err
		}
		if _, err := c.r.Discard(len(line)); err != nil {
			return nil, err
		}
		p.skipped++
		c.line++
	}
	p.start = false
	return nil, nil
}

// peekLine gives the next line with its end. Where that is far, or the file ends
// without, it is not whole.
func (c *lineCounter) peekLine() (line []byte, whole bool) {
	b, _ := c.r.Peek(c.r.Buffered())
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		b, _ = c.r.Peek(c.r.Size()) // an error comes again when the octets are read
		i = bytes.IndexByte(b, '\n')
	}
	if i < 0 {
		return b, false
	}
	return b[:i+1], true
}

// hand looks at what the parser gets, and returns the owner name where that
// begins with a record which inherits one that the parser has not seen.
func (p *plainLines) hand(ahead []byte) (before []byte) {
	blank, depth := false, 0
	for i := 0; i < len(ahead); i++ {
		switch b := ahead[i]; b {
		case '\r':
		case ' ', '\t':
			blank = true
		case '(':
			depth++
		case ')':
			depth--
		case ';':
			end := bytes.IndexByte(ahead[i:], '\n')
			if end < 0 {
				return nil
			}
			i += end - 1
		case '\n':
			if depth == 0 {
				return nil // nothing on the line
			}
		case '$':
			if !blank {
				p.directive(ahead[i:])
				return nil
			}
			fallthrough
		default:
			return p.begin(blank)
		}
	}
	if len(ahead) < lineBuffer {
		return nil
	}
	return p.begin(blank) // who knows, behind so many blanks
}

// begin notes that the parser gets a record.
func (p *plainLines) begin(inherits bool) (before []byte) {
	if inherits && p.ours {
		before = append([]byte(wire.NameString(p.name)), ' ')
	}
	p.ours, p.busy = false, true
	return before
}

// directive keeps up with what the parser reads.
func (p *plainLines) directive(line []byte) {
	word, rest := field(line)
	arg, rest := field(rest)
	end, _ := field(rest)
	plainly := len(end) == 0 || end[0] == ';'
	switch string(word) {
	case "$TTL":
		p.ttl, p.known = seconds(arg)
		p.off = p.off || !plainly
	case "$ORIGIN":
		origin, ok := p.absolute(nil, arg)
		p.origin = origin
		p.off = p.off || !plainly || !ok
	case "$INCLUDE", "$GENERATE": // their origin, TTL and owners are their own
	default:
		p.off = true
	}
}

// record takes a line if it is plain. The owner is in spare then.
func (p *plainLines) record(line []byte) bool {
	if !p.known || line[0] == '\n' {
		return false
	}
	rest, ok := line, p.ours
	if line[0] != ' ' && line[0] != '\t' {
		var owner []byte
		owner, rest = field(line)
		p.spare, ok = p.absolute(p.spare[:0], owner)
		wire.Fold(p.spare)
	} else {
		p.spare = append(p.spare[:0], p.name...)
	}
	if !ok {
		return false
	}
	ttl, word, rest := p.classAndTTL(rest)
	text, rest := field(rest)
	if end, _ := field(rest); len(end) != 0 {
		return false
	}
	p.typ, p.time = plainType(word), ttl
	return p.typ != 0 && p.rdata(text)
}

// plainType is 0 for types the parser is asked for.
func plainType(word []byte) uint16 {
	switch string(word) {
	case "A":
		return dns.TypeA
	case "AAAA":
		return dns.TypeAAAA
	case "NS":
		return dns.TypeNS
	case "CNAME":
		return dns.TypeCNAME
	case "PTR":
		return dns.TypePTR
	}
	return 0
}

// classAndTTL reads what may stand between owner and type, in either order, and
// gives the word behind.
func (p *plainLines) classAndTTL(b []byte) (ttl uint32, word, rest []byte) {
	ttl = p.ttl
	timed, classed := false, false
	for {
		word, b = field(b)
		n, number := decimal(word)
		switch {
		case number && !timed:
			ttl, timed = n, true
		case string(word) == "IN" && !classed:
			classed = true
		default:
			return ttl, word, b
		}
	}
}

// give hands the record that was read to the loader.
func (p *plainLines) give(c *lineCounter) error {
	p.name, p.spare, p.ours = p.spare, p.name, true
	return p.take(place{c.path, c.line}, p.name, p.typ, p.time, p.data)
}
