package resolver

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// loopText is what a query that came back is told beside REFUSED, so that processes of
// ours know it of each other.
const loopText = "forwarding loop"

// A meeting is a query with a trail that came from a server which is asked the same at
// that moment. Two that are in a circle and begin at once would each have the other's
// query join its own, and wait for itself: neither of the two trails has a stamp twice.
// So while the query waits as any, it is also asked on with its own trail: if it is
// refused as one that came back, it is here as well.
type meeting struct {
	r      *Resolver
	way    cache.Waiter
	client plane.Packet // whose query it was; no data
	packet []byte       // the query
	limit  int
	over   atomic.Bool
}

// meetingsMost bounds the queries that are asked on beside their question's flight, so
// that few copies of a question are in the air (RFC 5452 §5).
const meetingsMost = 8

// meet gives the waiter of a query that misses, and asks it on where it meets its
// question in the air. ask is to be called once it waits; nil where there is nothing to ask.
func (a *answerer) meet(p *plane.Packet, limit int, way cache.Waiter) (_ cache.Waiter, ask func()) {
	r, q := a.r, &a.q
	if r.engine == nil || q.Trail() == nil || !r.circles.among(p.Client.Addr(), r.engine, a.now) || r.cache.Aloft(q, a.now) < 0 {
		return way, nil
	}
	if r.circles.meetings.Add(1) > meetingsMost {
		r.circles.meetings.Add(-1)
		return way, nil
	}
	m := &meeting{r: r, way: way, packet: slices.Clone(p.Data), limit: limit}
	m.client.Client = p.Client
	question := cache.Question{
		Name: slices.Clone(q.Name()), Type: q.Type, Class: q.Class, DO: q.DO, CD: q.Flags&wire.FlagCD != 0, View: q.View, Trail: slices.Clone(q.Trail()),
	}
	return m, func() { r.route.Ask(&question, m.answered) }
}

// Deliver implements cache.Waiter. The first reply is the query's.
func (m *meeting) Deliver(reply []byte, how cache.State) {
	if m.over.CompareAndSwap(false, true) {
		m.way.Deliver(reply, how)
	}
}

// answered refuses the query where it has been here before.
func (m *meeting) answered(answer upstream.Answer) {
	m.r.circles.meetings.Add(-1)
	if answer.Err != nil || !saysLoop(answer.Msg) || m.over.Load() {
		return
	}
	a := answerer{r: m.r}
	if a.q.Parse(m.packet) != wire.Valid {
		return
	}
	p := m.client
	p.Data = m.packet
	m.Deliver(a.looped(&p, m.limit), cache.Failure)
}

// saysLoop reports whether a process of ours refuses a query as one that came back.
func saysLoop(msg []byte) bool {
	var reply dns.Msg
	if wire.RcodeOf(msg) != wire.RcodeRefused || reply.Unpack(msg) != nil || reply.IsEdns0() == nil {
		return false
	}
	return slices.ContainsFunc(reply.IsEdns0().Option, func(o dns.EDNS0) bool {
		ede, ok := o.(*dns.EDNS0_EDE)
		return ok && ede.InfoCode == wire.EDEOther && strings.HasPrefix(ede.ExtraText, loopText)
	})
}
