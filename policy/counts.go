package policy

import (
	"iter"
	"sync/atomic"
)

// A count has a cache line of its own: workers count different rules at once.
type count struct {
	n atomic.Uint64
	_ [56]byte
}

// A Count says how often one rule decided.
type Count struct {
	Kind Kind
	Path string // where the rule stands: "policy.block_aaaa[0]"
	Name string // what it says: "example.com."
	N    uint64
}

// Counts gives one Count a rule. For metrics sum them by Kind: there may be very
// many rules.
func (p *Policy) Counts() iter.Seq[Count] {
	return func(yield func(Count) bool) {
		for i := 1; i < len(p.rules); i++ {
			r := &p.rules[i]
			if !yield(Count{r.kind, r.path, r.name, p.counts[i].n.Load()}) {
				return
			}
		}
	}
}

// Inherit takes over the counts of the policy that p replaces, for the rules that
// are in both, so that metrics go on counting over a reload. What old still counts
// afterwards is lost.
func (p *Policy) Inherit(old *Policy) {
	type key struct {
		kind Kind
		name string
	}
	was := make(map[key]uint64, len(old.rules))
	for c := range old.Counts() {
		was[key{c.Kind, c.Name}] = c.N
	}
	for i := 1; i < len(p.rules); i++ {
		p.counts[i].n.Add(was[key{p.rules[i].kind, p.rules[i].name}])
	}
}
