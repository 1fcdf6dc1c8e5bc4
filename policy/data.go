package policy

import "github.com/strata-dns/strata/core/wire"

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
			return Verdict{Action: Answer, form: formData, rule: s.rule, set: i}
		case s.typ == wire.TypeCNAME:
			return Verdict{Action: Rewrite, form: formAlias, rule: s.rule, set: i}
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
	case m.exact != nil && m.exact.given: // an empty non-terminal (RFC 8020 §2)
		return p.noData(m.zone, m.zoneAt)
	}
	return p.noName(m.zone, m.zoneAt)
}
