package resolver

import (
	"net/netip"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// options heeds what a query's OPT record asks of the reply, and tells whether the
// client's address is proven: by a connection, or by a cookie (RFC 7873 §5.2).
func (a *answerer) options(p *plane.Packet, o wire.Outcome) (_ wire.Outcome, proven bool) {
	if a.secured && a.q.Option(wire.OptionPadding) != nil {
		a.q.Extras.Pad()
	}
	if a.rules.Cookies == nil {
		return o, p.Stream
	}
	state := a.rules.Cookies.Check(&a.q, p.Client.Addr(), uint32(a.wall.Unix()))
	a.cookies[state]++
	switch state {
	case wire.ProvenCookie:
		return o, true
	case wire.BadCookie:
		return wire.FormErr, p.Stream
	}
	return o, p.Stream
}

// limit holds a datagram against its client's rate. What is said to those over it is
// of about the query's size, so that forging is not worth it: a client that knows cookies is
// given one to come again with (RFC 7873 §5.2.3), others now and then come over TCP.
// What is no valid question is not asked to come again. The kind is 0 where the
// query is to be answered.
func (a *answerer) limit(p *plane.Packet, o wire.Outcome) (reply []byte, kind int) {
	action := a.rules.Limiter.Ask(p.Client.Addr(), a.wall)
	switch {
	case action == policy.Pass:
		return nil, 0
	case o == wire.Valid && a.q.Extras.HasCookie():
		return a.bare(p, wire.RcodeBadCookie, wire.MinUDP, wire.EDENone, ""), badCookieKind
	case o == wire.Valid && action == policy.Truncate:
		var reply wire.Reply
		reply.Begin(p.Data, &a.q, wire.MinUDP)
		reply.Truncate(&a.q)
		return reply.Finish(), limitedKind
	}
	return p.Data[:0], limitedKind
}

// crowded answers a query whose client has too many waiting already: with what has
// expired, or else with a failure, upon which the client turns to another server, or
// gives up, sooner than if it heard nothing.
func (a *answerer) crowded(p *plane.Packet, limit int) ([]byte, int) {
	if reply, ok := a.r.cache.Stale(&a.q, p.Data, limit, a.now); ok {
		return reply, int(cache.Stale)
	}
	return a.bare(p, wire.RcodeServFail, limit, wire.EDEOther, "too many queries of this client wait for upstream"), crowdedKind
}

// A share is what a waiting query has of its client's limit.
type share struct {
	of    *policy.InFlight
	place policy.Place
}

// giveBack gives n of them back.
func (s share) giveBack(n int) { s.of.LeaveAll(s.place, n) }

// shares are n of one client.
type shares struct {
	share
	n int
}

// room is what a worker has taken of a client's limit ahead of queries of the same batch: who
// asks for much asks for several things at once.
type room struct {
	client netip.Addr
	share
	n int
}

const takenAhead = 16

// share gives what a query that is about to wait has of its client's limit; false where
// there is nothing left.
func (a *answerer) share(client netip.Addr) (share, bool) {
	limit := a.rules.InFlight
	if limit == nil {
		return share{}, true
	}
	ahead := 0
	if client == a.room.client {
		if a.room.n > 0 && a.room.of == limit {
			a.room.n--
			return a.room.share, true
		}
		ahead = takenAhead
	}
	a.leaveRoom()
	place, n := limit.TakeSome(client, 1+ahead)
	if n == 0 {
		return share{}, false
	}
	a.room = room{client, share{limit, place}, n - 1}
	return a.room.share, true
}

// leaveRoom gives back what was taken ahead.
func (a *answerer) leaveRoom() {
	if a.room.n > 0 {
		a.room.giveBack(a.room.n)
		a.room.n = 0
	}
}

// bare is a reply without records.
func (a *answerer) bare(p *plane.Packet, rcode, limit int, ede uint16, text string) []byte {
	var reply wire.Reply
	reply.Begin(p.Data, &a.q, limit)
	reply.SetFlags(wire.FlagRA)
	reply.SetRcode(rcode)
	if ede != wire.EDENone {
		reply.SetEDE(ede, text)
	}
	return reply.Finish()
}
