package policy

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// An Explanation says what the rules make of one question, and why.
type Explanation struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Client string `json:"client,omitempty"`
	Action string `json:"action"`           // pass, answer, rewrite, refuse, drop
	Rcode  string `json:"rcode,omitempty"`  // of an answer
	Target string `json:"target,omitempty"` // of a rewrite
	Kind   string `json:"kind,omitempty"`   // sort of the rule that decided
	Rule   string `json:"rule,omitempty"`   // what the rule says
	Path   string `json:"path,omitempty"`   // where it stands
	Why    string `json:"why"`
	AskA   bool   `json:"-"` // as Verdict.AskA
}

// String is one line for people.
func (e Explanation) String() string {
	s := fmt.Sprintf("%s %s: %s", e.Name, e.Type, e.Action)
	if e.Rcode != "" {
		s += " " + e.Rcode
	}
	if e.Target != "" {
		s += " to " + e.Target
	}
	if e.Path != "" {
		s += fmt.Sprintf(" by %s (%s)", e.Path, e.Rule)
	}
	return s + ": " + e.Why
}

// Explain is Ask without counting, in words. An invalid client (the zero Addr)
// leaves the rules for clients out.
func (p *Policy) Explain(name string, typ uint16, client netip.Addr) (Explanation, error) {
	folded, err := wire.ParseName(name)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	var q wire.Query
	q.SetName(folded)
	q.Type, q.Class = typ, wire.ClassIN
	e := Explanation{Name: wire.NameString(folded), Type: dns.Type(typ).String()}
	var v Verdict
	var m match
	if client.IsValid() {
		e.Client = client.String()
		v = p.client(client)
	}
	if v.Action == Pass {
		p.table.walkFor(&q, &m, belowAAAA|belowOther) // also what came near
		v = p.judge(&q, &m)
	}
	p.describe(&e, v, &q, &m)
	return e, nil
}

func (p *Policy) describe(e *Explanation, v Verdict, q *wire.Query, m *match) {
	e.Action, e.AskA = v.Action.String(), v.AskA
	if v.rule != 0 {
		r := &p.rules[v.rule]
		e.Kind, e.Rule, e.Path = r.kind.String(), r.name, r.path
	}
	if v.Action == Answer {
		e.Rcode = dns.RcodeToString[int(v.Rcode)]
	}
	var buf [wire.MaxName]byte
	if t := p.Target(v, q, &buf); t != nil {
		e.Target = wire.NameString(t)
	}
	e.Why = p.because(v, q, m)
}

func (p *Policy) because(v Verdict, q *wire.Query, m *match) string {
	switch p.Kind(v) {
	case KindClient:
		return "the client may not ask"
	case KindData:
		if v.form == formNegative {
			return "data is given for the name, of another type"
		}
		return "data is given for the name"
	case KindTransparent:
		return "the zone passes untouched"
	case KindStatic:
		return "the zone has given data and nothing else"
	case KindRefused:
		return "the zone is refused"
	case KindIP:
		if v.form == formNegative {
			return "no address of this type stands in front of the zone"
		}
		return "the name says its address"
	case KindReverse:
		return "names of this reverse zone are made up from their address"
	case KindSite:
		if v.Rcode == rcodeYXDomain {
			return "the rewritten name would be longer than 255 octets"
		}
		return "names below the zone lead to this site's own"
	case KindJunk:
		return "a whole name stands in front of a search domain"
	case KindAAAA:
		return "AAAA is blocked under this suffix"
	}
	return p.whyPassed(q, m)
}

// whyPassed says which rule came near.
func (p *Policy) whyPassed(q *wire.Query, m *match) string {
	switch {
	case m.junk != 0 && m.kept:
		return "the name is kept by policy.junk.keep"
	case m.junk != 0 && m.ours:
		return "the name lies in a zone of ours"
	case m.junk != 0 && m.junkAt < 2:
		return "at most one label stands in front of the search domain"
	case m.junk != 0 && m.exact != nil:
		return "the rules mention the name, or one below it"
	case m.junk != 0 && m.search != searchPlain && p.top(q, m.junkAt) != topNone:
		return "a service or a pod may have the name"
	case m.junk != 0:
		return "what stands in front of the search domain is no whole name"
	case m.aaaa != 0:
		return "only AAAA is blocked under " + p.rules[m.aaaa].name
	}
	return "no rule holds for it"
}
