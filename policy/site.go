package policy

import "github.com/strata-dns/strata/core/wire"

// rcodeYXDomain says that a rewritten name got too long, as for a DNAME
// (RFC 6672 §2.2).
const rcodeYXDomain = 6

// site rewrites a name below the zone to this site's own. The zone's own name is
// not rewritten, as a DNAME's owner is not (RFC 6672 §2.3).
func (p *Policy) site(q *wire.Query, m *match, r *rule) Verdict {
	if m.zoneAt == 0 {
		return p.atApex(q, m.zone)
	}
	v := Verdict{Action: Rewrite, why: why{form: formAlias, apex: uint8(m.zoneAt), rule: m.zone}}
	switch {
	case int(q.Offset[m.zoneAt])+len(r.to) > wire.MaxName:
		v.Action, v.form, v.Rcode = Answer, formBare, rcodeYXDomain
	case q.Type == wire.TypeCNAME || q.Type == wire.TypeANY:
		v.Action = Answer
	}
	return v
}

// Target is the name that a Rewrite leads to, written into buf, folded. Ask the
// policy about it before resolving it: other rules may hold there.
func (p *Policy) Target(v Verdict, q *wire.Query, buf *[wire.MaxName]byte) []byte {
	if v.form != formAlias {
		return nil
	}
	if v.set != 0 {
		t := buf[:copy(buf[:], p.sets[v.set].rrs[0][rrFixed-2:])]
		wire.Fold(t)
		return t
	}
	n := copy(buf[:], q.Name()[:q.Offset[v.apex]])
	n += copy(buf[n:], p.rules[v.rule].to)
	return buf[:n]
}
