package resolver

import (
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// An answerer is the way of a query: parse, rules, memory; all in the packet. What
// memory does not have goes the long way and comes back late. It belongs to one
// goroutine.
type answerer struct {
	r           *Resolver
	counts      *counts
	tally       [kinds]uint32
	cookies     [wire.CookieStates]uint32
	rules       *Rules        // of this batch
	policy      *policy.Tally // asks and counts by rules.Policy
	now         cache.Instant // of this batch
	wall        time.Time     // of this batch, where a rate is to be kept or cookies have an age
	tap         *observe.Tap
	secured     bool           // the queries come over TLS
	seen        bool           // somebody looks at this query
	held        bool           // questions wait for the end of the batch
	accompanied bool           // which somebody else tells
	began       time.Time      // the first of these
	ruling      policy.Verdict // of the last query that rules decided
	queue       plane.Queue    // of this batch, where a query of it waits
	batcher     plane.Batcher  // the same, where it is one
	lates       []*lateReply   // that nobody uses
	room        room
	q           wire.Query
}

// Answer implements plane.Handler.
func (a *answerer) Answer(batch []plane.Packet, late plane.Queue) {
	a.now = a.r.cache.Now()
	if rules := a.r.rules.Load(); rules != a.rules {
		a.rules, a.policy = rules, rules.Policy.Tally()
	}
	if a.rules.Limiter != nil || a.rules.Cookies != nil {
		a.wall = time.Now()
	}
	if until := a.tap.Begin(); until > 0 {
		a.answerSeen(batch, late, until)
	} else {
		for i := range batch {
			p := &batch[i]
			reply, kind := a.answer(p, late)
			p.Data = reply
			a.tally[kind]++
		}
	}
	a.leaveRoom()
	a.counts.add(&a.tally, &a.cookies)
	if !a.accompanied {
		a.release()
	}
}

// answer gives the reply to a packet, empty where there is none now, and what is
// counted.
func (a *answerer) answer(p *plane.Packet, late plane.Queue) ([]byte, int) {
	q := &a.q
	o, proven := q.Parse(p.Data), p.Stream
	if len(q.Options) > 0 {
		o, proven = a.options(p, o)
	}
	if a.rules.Limiter != nil && !proven && o != wire.Silence {
		if reply, kind := a.limit(p, o); kind != 0 {
			return reply, kind
		}
	}
	switch {
	case o == wire.FormErr && q.OnlyCookie(p.Data):
		return a.bare(p, wire.RcodeSuccess, wire.MinUDP, wire.EDENone, ""), invalid + int(wire.Valid)
	case o != wire.Valid:
		return q.Error(p.Data, o), invalid + int(o)
	}
	limit := q.Limit(p.Stream, a.r.maxUDP)
	if a.rules.Views != nil {
		q.View = a.rules.Views.Of(p.Client.Addr())
	}
	v := a.policy.Ask(q, p.Client.Addr())
	switch v.Action {
	case policy.Refuse, policy.Drop:
		a.ruling = v
		return a.rules.Policy.Reply(v, q, p.Data, limit), policed + int(v.Action)
	}
	if o := askable(q.Type); o != wire.Valid {
		return q.Error(p.Data, o), invalid + int(o)
	}
	switch v.Action {
	case policy.Answer, policy.Truncate:
		a.ruling = v
		return a.ruled(v, p, limit), policed + int(v.Action)
	}
	reply, state := a.r.cache.Answer(q, p.Data, limit, a.now)
	switch {
	case state != cache.Miss:
		return reply, int(state)
	case q.Flags&wire.FlagRD == 0:
		return a.unasked(p, limit), unaskedKind
	case a.r.loops.closed(q), q.Trail() == nil && a.circled(p.Client.Addr()):
		return a.looped(p, limit), loopKind
	case a.vain():
		return a.unheard(p, limit)
	}
	share, ok := a.share(p.Client.Addr())
	if !ok {
		return a.crowded(p, limit)
	}
	p.Late = true
	a.hold(late)
	way := a.late(p, share)
	waiter, ask := a.meet(p, limit, way)
	a.r.cache.Wait(q, p.Data, limit, a.now, waiter)
	if ask != nil {
		ask()
	}
	return p.Data[:0], int(cache.Miss)
}

// askable is Valid for what data can be asked by, and else how it is answered: a
// resolver has no zones to transfer, and the other meta types are no questions
// (RFC 6895 §3.1; NXNAME: RFC 9824 §3.5).
func askable(typ uint16) wire.Outcome {
	if typ-1 < 127 && typ != wire.TypeOPT || typ >= wire.TypeANY {
		return wire.Valid
	}
	if typ == wire.TypeAXFR || typ == wire.TypeIXFR {
		return wire.Refused
	}
	return wire.FormErr
}

// ruled writes what the rules say.
func (a *answerer) ruled(v policy.Verdict, p *plane.Packet, limit int) []byte {
	if v.AskA {
		// RFC 8020: of a name that is known not to exist no type exists.
		if rcode, ok := a.r.cache.Rcode(&a.q, wire.TypeA, a.now); ok && rcode == wire.RcodeNXDomain {
			v.Rcode = wire.RcodeNXDomain
		}
	}
	return a.rules.Policy.Reply(v, &a.q, p.Data, limit)
}

// unasked refuses to ask upstream for a client who did not ask for that by RD
// (RFC 8914 §4.21).
func (a *answerer) unasked(p *plane.Packet, limit int) []byte {
	return a.refuse(p, limit, wire.EDENotAuthoritative, "")
}

// refuse says REFUSED, and why.
func (a *answerer) refuse(p *plane.Packet, limit int, ede uint16, why string) []byte {
	return a.bare(p, wire.RcodeRefused, limit, ede, why)
}
