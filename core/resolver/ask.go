package resolver

import (
	"sync"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// A source is where an answer came from.
type source uint8

const (
	fromRules source = iota
	fromMemory
	fromUpstream
	fromExpired // upstream gave no answer
)

func (s source) String() string {
	return [...]string{"policy", "memory", "upstream", "memory, as upstream gave no answer"}[s]
}

// A desk is where questions of our own are written and answered.
type desk struct {
	packet []byte // of the question, with room for the largest message behind it
	q      wire.Query
}

var desks = sync.Pool{New: func() any { return &desk{packet: make([]byte, 0, wire.MaxMessage)} }}

func takeDesk() *desk     { return desks.Get().(*desk) }
func (d *desk) giveBack() { desks.Put(d) }

// ask writes a question about name and has the rules say what they make of it. ok
// is false where it cannot be asked.
func (d *desk) ask(rules *Rules, name []byte, like *cache.Question, edns *wire.EDNS) (v policy.Verdict, ok bool) {
	flags := wire.FlagRD | wire.FlagAD
	if like.CD {
		flags |= wire.FlagCD
	}
	d.packet = wire.AppendQuery(d.packet[:0], 0, flags, name, like.Type, like.Class, edns)
	if d.q.Parse(d.packet) != wire.Valid {
		return v, false
	}
	d.q.View = like.View
	return rules.Policy.AskNames(&d.q), true
}

// trailOption is the trail of a question, which goes with those asked for its sake.
func trailOption(q *cache.Question) []byte {
	if len(q.Trail) == 0 {
		return nil
	}
	return wire.AppendOption(nil, wire.OptionTrail, q.Trail)
}

// ask answers a question of our own, which is like another but for its name, by the
// rules for names, memory, and upstream. done gets one reply, valid only during
// the call, and may be called before ask returns.
func (r *Resolver) ask(name []byte, like *cache.Question, done func(reply []byte, from source)) {
	d := takeDesk()
	defer d.giveBack()
	rules := r.rules.Load()
	v, ok := d.ask(rules, name, like, &wire.EDNS{UDPSize: wire.DefaultUDP, DO: like.DO, Options: trailOption(like)})
	switch {
	case !ok || askable(like.Type) != wire.Valid:
		done(d.q.Error(d.packet, wire.FormErr), fromRules)
		return
	case v.Action != policy.Pass && v.Action != policy.Rewrite:
		done(rules.Policy.Reply(v, &d.q, d.packet, wire.MaxMessage), fromRules)
		return
	}
	now := r.cache.Now()
	reply, state := r.cache.Answer(&d.q, d.packet, wire.MaxMessage, now)
	if state != cache.Miss {
		done(reply, fromMemory)
		return
	}
	r.cache.Wait(&d.q, d.packet, wire.MaxMessage, now, waiterFunc(done))
}

// A waiterFunc takes a reply that came late.
type waiterFunc func(reply []byte, from source)

// Deliver implements cache.Waiter.
func (f waiterFunc) Deliver(reply []byte, how cache.State) {
	if how == cache.Stale {
		f(reply, fromExpired)
		return
	}
	f(reply, fromUpstream)
}
