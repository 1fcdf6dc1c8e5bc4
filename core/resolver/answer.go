package resolver

import (
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// An answerer is the way of a query: parse, rules, memory; all in the packet. What
// memory does not have goes the long way and comes back late. It belongs to one
// goroutine.
type answerer struct {
	r      *Resolver
	counts *counts
	tally  [kinds]uint32
	q      wire.Query
}

// Answer implements plane.Handler.
func (a *answerer) Answer(batch []plane.Packet, late plane.Queue) {
	now, rules := a.r.cache.Now(), a.r.rules.Load()
	for i := range batch {
		p := &batch[i]
		reply, kind := a.answer(p, late, rules, now)
		p.Data = reply
		a.tally[kind]++
	}
	a.counts.add(&a.tally)
}

// answer gives the reply to a packet, empty where there is none now, and what is
// counted.
func (a *answerer) answer(p *plane.Packet, late plane.Queue, rules *Rules, now cache.Instant) ([]byte, int) {
	q := &a.q
	if o := q.Parse(p.Data); o != wire.Valid {
		return q.Error(p.Data, o), invalid + int(o)
	}
	if !p.Stream && rules.Limiter != nil {
		if reply, limited := a.limit(p, rules); limited {
			return reply, limitedKind
		}
	}
	limit := q.Limit(p.Stream, a.r.maxUDP)
	v := rules.Policy.Ask(q, p.Client.Addr())
	if v.Action != policy.Pass && v.Action != policy.Rewrite {
		if v.AskA {
			// RFC 8020: of a name that is known not to exist no type exists.
			if rcode, ok := a.r.cache.Rcode(q, wire.TypeA, now); ok && rcode == wire.RcodeNXDomain {
				v.Rcode = wire.RcodeNXDomain
			}
		}
		return rules.Policy.Reply(v, q, p.Data, limit), policed + int(v.Action)
	}
	if q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR {
		return q.Error(p.Data, wire.Refused), invalid + int(wire.Refused)
	}
	reply, state := a.r.cache.Answer(q, p.Data, limit, now)
	if state == cache.Miss {
		a.r.cache.Wait(q, p.Data, limit, &lateReply{late, p.Return})
		return p.Data[:0], int(cache.Miss)
	}
	return reply, int(state)
}

// limit holds a datagram against its client's rate.
func (a *answerer) limit(p *plane.Packet, rules *Rules) ([]byte, bool) {
	switch rules.Limiter.Ask(p.Client.Addr(), time.Now()) {
	case policy.Drop:
		return p.Data[:0], true
	case policy.Truncate:
		var reply wire.Reply
		reply.Begin(p.Data, &a.q, wire.MinUDP)
		reply.Truncate(&a.q)
		return reply.Finish(), true
	}
	return nil, false
}

// A lateReply is the way back of a query that waits.
type lateReply struct {
	queue plane.Queue
	to    plane.Return
}

// Deliver implements cache.Waiter. A client that is gone is not an error.
func (l *lateReply) Deliver(reply []byte) { _ = l.queue.Deliver(l.to, reply) }

// What is counted: how the cache answered, then the outcomes of parsing, then what
// the rules did.
const (
	invalid     = int(cache.Failure) + 1
	policed     = invalid + int(wire.BadVers) + 1
	limitedKind = policed + int(policy.Truncate) + 1
	kinds       = limitedKind + 1
)

// counts are one worker's, on cache lines of their own.
type counts struct {
	_  [64]byte
	by [kinds]atomic.Uint64
	_  [64]byte
}

func (c *counts) add(tally *[kinds]uint32) {
	for k, n := range tally {
		if n != 0 {
			c.by[k].Add(uint64(n))
			tally[k] = 0
		}
	}
}

// kindName names what counts.by holds at k.
func kindName(k int) string {
	switch {
	case k < invalid:
		return cache.State(k).String()
	case k < policed:
		return [...]string{"valid", "silence", "formerr", "notimp", "refused", "badvers"}[k-invalid]
	case k < limitedKind:
		return "policy-" + policy.Action(k-policed).String()
	}
	return "rate-limited"
}
