package policy

import (
	"net/netip"

	"github.com/strata-dns/strata/core/wire"
)

// A Policy is a compiled set of rules. It never changes but for its counters, and
// may be asked from any number of goroutines.
type Policy struct {
	table    table
	rules    []rule // [0] is no rule
	sets     []set  // [0] is no set
	clients  clients
	tops     map[string]topKind
	negative uint32 // TTL in seconds
	aaaa     uint8  // the response code to a blocked AAAA
	shared   *Tally // of all who have none of their own
	counts   counts
}

// A rule is one item of the configuration.
type rule struct {
	kind  Kind
	path  string // "policy.synth[1]"
	name  string // the item in presentation form
	ttl   uint32
	rcode uint8
	to    []byte // site: put in the zone's place; reverse: the zone of the targets
	drop  bool   // client
}

// Ask gives the verdict on a parsed query of class IN and counts it for the rule
// that decided, from any goroutine; one that asks often has a [Tally]. Rate limits
// are not asked here: see [Limiter].
func (p *Policy) Ask(q *wire.Query, client netip.Addr) Verdict {
	return p.shared.Ask(q, client)
}

// AskNames is Ask by the rules for names alone, and counts nothing: for questions
// that no client asked, such as an alias's target.
func (p *Policy) AskNames(q *wire.Query) Verdict {
	var m match
	p.table.walk(q, &m)
	return p.judge(q, &m)
}

func (p *Policy) decide(q *wire.Query, client netip.Addr) Verdict {
	if p.clients.listed {
		if v := p.client(client); v.Action != Pass {
			return v
		}
	}
	return p.AskNames(q)
}

// judge goes through the rules that a walk met, in the order of the package's
// documentation.
func (p *Policy) judge(q *wire.Query, m *match) Verdict {
	if m.exact != nil && m.exact.dataSet != 0 {
		return p.data(q, m)
	}
	above := q.Labels + 1 // rules must be for a longer suffix than this label's
	if m.zone != 0 {
		if p.rules[m.zone].kind != KindTransparent {
			return p.zone(q, m)
		}
		above = m.zoneAt
	}
	if m.junk != 0 && m.junkAt < above && p.isJunk(q, m) {
		return hidden(m.junk, m.junkAt, wire.RcodeNXDomain)
	}
	if m.aaaa != 0 && m.aaaaAt < above && q.Type == wire.TypeAAAA {
		v := hidden(m.aaaa, m.aaaaAt, p.aaaa)
		v.AskA = v.Rcode == wire.RcodeSuccess
		return v
	}
	return Verdict{why: why{rule: m.zone}}
}

// zone decides for the zones that keep their names to themselves.
func (p *Policy) zone(q *wire.Query, m *match) Verdict {
	switch r := &p.rules[m.zone]; r.kind {
	case KindRefused:
		return Verdict{Action: Refuse, why: why{rule: m.zone}}
	case KindStatic:
		return p.static(q, m)
	case KindReverse:
		return p.reverse(q, m)
	case KindIP:
		return p.address(q, m)
	default:
		return p.site(q, m, r)
	}
}

func (p *Policy) noData(rule int32, apex int) Verdict {
	return Verdict{Action: Answer, Rcode: wire.RcodeSuccess, why: why{form: formNegative, apex: uint8(apex), rule: rule}}
}

func (p *Policy) noName(rule int32, apex int) Verdict {
	v := p.noData(rule, apex)
	v.Rcode = wire.RcodeNXDomain
	return v
}

// hidden denies what may exist. Of the rules, which may be very many, nothing is read
// on the way to such a reply.
func hidden(rule int32, apex int, rcode uint8) Verdict {
	return Verdict{Action: Answer, Rcode: rcode, why: why{form: formHidden, apex: uint8(apex), rule: rule}}
}

// atApex is the answer at a made-up zone's own name: its SOA, and nothing else.
func (p *Policy) atApex(q *wire.Query, rule int32) Verdict {
	v := p.noData(rule, 0)
	if q.Type == wire.TypeSOA || q.Type == wire.TypeANY {
		v.form = formSOA
	}
	return v
}

// Kind says what sort of rule decided.
func (p *Policy) Kind(v Verdict) Kind { return p.rules[v.rule].kind }
