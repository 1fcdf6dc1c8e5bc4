package policy

import (
	"iter"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// A Tally asks a policy for one goroutine and counts what its rules decide apart
// from all others, so that two workers who meet the same rule write no common
// cache line.
type Tally struct {
	p *Policy
	n []atomic.Uint64 // by rule; others only read it
}

// Tally makes one. It counts for as long as the policy is in use.
func (p *Policy) Tally() *Tally {
	t := newTally(p)
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	p.counts.tallies = append(p.counts.tallies, t)
	return t
}

func newTally(p *Policy) *Tally {
	const line = 64 / 8 // words of a cache line, which an allocator may share out
	n := make([]atomic.Uint64, line+len(p.rules)+line)
	return &Tally{p, n[line : line+len(p.rules)]}
}

// Ask is Policy.Ask, counted here.
func (t *Tally) Ask(q *wire.Query, client netip.Addr) Verdict {
	v := t.p.decide(q, client)
	if v.rule != 0 {
		t.n[v.rule].Add(1)
	}
	return v
}

// counts are a policy's: the sum of all tallies and of what was taken over.
type counts struct {
	mu      sync.Mutex
	tallies []*Tally
	base    []uint64 // by rule: of the policies before the last
	gone    [Kinds]uint64

	// The last policy before this one: who is still asking it counts there.
	last *counts
	from []int32 // by rule, its number there; 0: none
}

// sum is how often a rule decided.
func (c *counts) sum(rule int32) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.base[rule]
	for _, t := range c.tallies {
		n += t.n[rule].Load()
	}
	if c.last != nil && c.from[rule] != 0 {
		n += c.last.sum(c.from[rule])
	}
	return n
}

// settle takes over for good what the policy before counted.
func (c *counts) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return
	}
	for i, at := range c.from {
		if at != 0 {
			c.base[i] += c.last.sum(at)
		}
	}
	c.last, c.from = nil, nil
}

// A Count says how often one rule decided.
type Count struct {
	Kind Kind
	Path string // where the rule stands: "policy.block_aaaa[0]"
	Name string // what it says: "example.com.", unique within its kind
	N    uint64
}

// Counts gives one Count a rule, in an order that holds while the policy does.
// Prefixes that may ask are left out: they decide nothing, the query goes on.
func (p *Policy) Counts() iter.Seq[Count] {
	return func(yield func(Count) bool) {
		for i := 1; i < len(p.rules); i++ {
			r := &p.rules[i]
			if r.kind == KindClient && r.rcode == wire.RcodeSuccess {
				continue
			}
			if !yield(Count{r.kind, r.path, r.name, p.counts.sum(int32(i))}) {
				return
			}
		}
	}
}

// Gone is how often rules of a kind decided that stood in policies before this
// one and do not now: with it, sums by kind never go down.
func (p *Policy) Gone(k Kind) uint64 { return p.counts.gone[k] }

// Inherit takes over the counts of the policy that p replaces, for the rules that
// are in both, so that metrics go on counting over a reload. What is counted in
// old until the next reload counts here. Call it once, before p is asked.
func (p *Policy) Inherit(old *Policy) {
	type key struct {
		kind Kind
		name string
	}
	at := make(map[key]int32, len(old.rules))
	for i := 1; i < len(old.rules); i++ {
		at[key{old.rules[i].kind, old.rules[i].name}] = int32(i)
	}
	c := &p.counts
	old.counts.settle()
	c.last, c.from, c.gone = &old.counts, make([]int32, len(p.rules)), old.counts.gone
	for i := 1; i < len(p.rules); i++ {
		k := key{p.rules[i].kind, p.rules[i].name}
		c.from[i] = at[k]
		delete(at, k)
	}
	for k, i := range at {
		c.gone[k.kind] += old.counts.sum(i)
	}
}
