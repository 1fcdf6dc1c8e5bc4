package resolver

import (
	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/policy"
)

// Where an answer came from, as observers number it: first what is counted, then
// the kinds of rules, then what late replies are.
const (
	ruleSource = kinds
	lateSource = ruleSource + int(policy.Kinds)
)

// sources names what observers see.
func sources() (all []observe.Source) {
	for k := range kinds {
		all = append(all, observe.Source{Name: kindName(k)})
	}
	for k := range policy.Kind(policy.Kinds) {
		all = append(all, observe.Source{Name: k.String(), Rules: true, Junk: k == policy.KindJunk})
	}
	for how := range cache.Failure + 1 {
		all = append(all, observe.Source{Name: lateName(how)})
	}
	return all
}

// answerSeen is Answer's loop for when somebody looks at some of the queries: next
// at the until-th.
func (a *answerer) answerSeen(batch []plane.Packet, late plane.Queue, until uint32) {
	for i := range batch {
		p := &batch[i]
		if until--; until == 0 {
			a.seen, until = true, a.tap.Query(p)
		}
		reply, kind := a.answer(p, late)
		if a.seen {
			a.tap.Answer(&a.q, p, reply, a.source(kind), kind == int(cache.Miss))
			a.seen = false
		}
		p.Data = reply
		a.tally[kind]++
	}
	a.tap.End(until)
}

// source is where an answer came from that is counted as a kind.
func (a *answerer) source(kind int) int {
	if kind >= policed && kind < limitedKind {
		return ruleSource + int(a.rules.Policy.Kind(a.ruling))
	}
	return kind
}
