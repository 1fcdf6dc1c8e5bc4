package resolver

import (
	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
)

// vain tells whether asking upstream for a query that missed would come to nothing: its
// servers are silent, enough others tell whether one is back, and nobody has asked the
// same before, whose wait it could share. It costs little more than a hit, and takes no
// memory, so that a flood of such queries leaves the processor to what can be answered.
func (a *answerer) vain() bool {
	r := a.r
	return r.decliner != nil && r.engine.Refusing() && r.cache.Aloft(&a.q, a.now) < 0 && r.decliner.Declines(a.q.View, a.q.Name())
}

// unheard answers a query that is in vain: with what has expired, or else with a failure
// that is not remembered, for nobody was asked (RFC 8914 §4.23).
func (a *answerer) unheard(p *plane.Packet, limit int) ([]byte, int) {
	if reply, ok := a.r.cache.Stale(&a.q, p.Data, limit, a.now); ok {
		return reply, int(cache.Stale)
	}
	return a.bare(p, wire.RcodeServFail, limit, wire.EDENoReachableAuth, ""), int(cache.Failure)
}
