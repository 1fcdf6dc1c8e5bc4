package policy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// A set is one given RRset. The sets of a name are neighbours in Policy.sets and
// end at the first with more unset.
type set struct {
	typ  uint16
	rule int32
	more bool     // the next set is of the same name
	rrs  [][]byte // type, class, TTL, length, data: what wire.Reply puts
}

// data answers for a name that has data given.
func (p *Policy) data(q *wire.Query, m *match) Verdict {
	first := m.exact.dataSet
	for i := first; ; i++ {
		s := &p.sets[i]
		switch {
		case s.typ == q.Type || q.Type == wire.TypeANY: // ANY: one set will do (RFC 8482 §4.1)
			return Verdict{Action: Answer, why: why{form: formData, rule: s.rule, set: i}}
		case s.typ == wire.TypeCNAME:
			return Verdict{Action: Rewrite, why: why{form: formAlias, rule: s.rule, set: i}}
		case !s.more && p.rules[m.zone].kind == KindRefused:
			return p.zone(q, m)
		case !s.more:
			return p.noData(p.sets[first].rule, p.dataApex(m))
		}
	}
}

// dataApex is the owner of the SOA for given data: the static zone around it, or
// the name itself.
func (p *Policy) dataApex(m *match) int {
	if m.zone != 0 && p.rules[m.zone].kind == KindStatic {
		return m.zoneAt
	}
	return 0
}

// static answers in a zone that has nothing but given data.
func (p *Policy) static(q *wire.Query, m *match) Verdict {
	switch {
	case m.zoneAt == 0:
		return p.atApex(q, m.zone)
	case m.exact != nil && m.exact.below&belowNames != 0: // an empty non-terminal (RFC 8020 §2)
		return p.noData(m.zone, m.zoneAt)
	}
	return p.noName(m.zone, m.zoneAt)
}

// data compiles the given records.
func (b *builder) data(c Config) {
	given := map[string][]set{}
	var names []string // in the order of the configuration
	for i, s := range c.Data {
		path := fmt.Sprintf("policy.data[%d]", i)
		name, typ, rr, err := parseRecord(s)
		if err != nil {
			b.wrong(path, "%w", err)
			continue
		}
		if given[string(name)] == nil {
			names = append(names, string(name))
		}
		given[string(name)] = b.give(path, name, given[string(name)], typ, rr)
	}
	for _, name := range names {
		b.place([]byte(name), given[name])
	}
}

// give adds a record to the sets of its name.
func (b *builder) give(path string, name []byte, sets []set, typ uint16, rr []byte) []set {
	for i := range sets {
		s := &sets[i]
		if s.typ != typ && (s.typ == wire.TypeCNAME || typ == wire.TypeCNAME) || s.typ == typ && typ == wire.TypeCNAME {
			b.wrong(path, "%s has other data: a CNAME stands alone (RFC 1034 §3.6.2)", wire.NameString(name))
			return sets
		}
		if s.typ == typ {
			if !slices.ContainsFunc(s.rrs, func(is []byte) bool { return bytes.Equal(is, rr) }) {
				s.rrs = append(s.rrs, rr)
			}
			return sets
		}
	}
	r := b.rule(rule{kind: KindData, path: path, name: wire.NameString(name) + " " + dns.Type(typ).String()})
	return append(sets, set{typ: typ, rule: r, rrs: [][]byte{rr}})
}

// place hangs the sets of a name on its node.
func (b *builder) place(name []byte, sets []set) {
	b.node(name).dataSet = int32(len(b.sets))
	for i := range sets {
		sets[i].more = i+1 < len(sets)
	}
	b.sets = append(b.sets, sets...)
}

// parseRecord reads one record in master-file form and gives its owner and what
// follows the owner on the wire.
func parseRecord(s string) (name []byte, typ uint16, rr []byte, err error) {
	if strings.ContainsAny(s, "\n\r") || strings.HasPrefix(s, "$") {
		return nil, 0, nil, fmt.Errorf("%q is not one record", s)
	}
	r, err := dns.NewRR(s)
	if err != nil {
		return nil, 0, nil, err
	}
	if r == nil {
		return nil, 0, nil, errors.New("no record given")
	}
	h := r.Header()
	if h.Name == "" {
		return nil, 0, nil, fmt.Errorf("%q has no name", s)
	}
	if h.Class != wire.ClassIN || h.Ttl > maxTTL {
		return nil, 0, nil, fmt.Errorf("%q: class is not IN or TTL is more than %d seconds", s, maxTTL)
	}
	if name, err = wire.ParseName(h.Name); err != nil {
		return nil, 0, nil, err
	}
	if wire.IsWildcard(name) {
		return nil, 0, nil, fmt.Errorf("%q: wildcards are for authoritative servers: give each name, or an address zone (policy.synth)", s)
	}
	buf := make([]byte, wire.MaxMessage)
	n, err := dns.PackRR(r, buf, 0, nil, false)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("pack %q: %w", s, err)
	}
	rr = slices.Clone(buf[wire.NameLen(buf):n])
	if len(rr) == rrFixed-2 { // read without an error, as an update would need it (RFC 2136 §2.5.2)
		return nil, 0, nil, fmt.Errorf("%q has no data", s)
	}
	return name, h.Rrtype, rr, nil
}
