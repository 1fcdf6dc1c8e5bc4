package resolver

import (
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
)

// A lateReply is the way back of a query that waits.
type lateReply struct {
	queue   plane.Queue
	batcher plane.Batcher // the same, where it is one
	to      plane.Return
	r       *Resolver
	began   time.Time
	seen    *observe.Late // nil where nobody looks
	share   share
}

const (
	latesKept  = 1024 // those that were delivered, for reuse
	latesTaken = 32   // by a worker at once
)

// late makes the way back of the query that is being answered.
func (a *answerer) late(p *plane.Packet, share share) *lateReply {
	if len(a.lates) == 0 {
		a.lates = a.r.post.spare(a.lates)
	}
	l := a.lates[len(a.lates)-1]
	a.lates = a.lates[:len(a.lates)-1]
	l.queue, l.batcher, l.to, l.r, l.began, l.share = a.queue, a.batcher, p.Return, a.r, a.began, share
	if a.seen {
		l.seen = a.tap.Late(&a.q, p)
	}
	return l
}

// Deliver implements cache.Waiter.
func (l *lateReply) Deliver(reply []byte, how cache.State) {
	waited := l.r.post.since(l.began)
	if l.seen != nil {
		l.seen.Answer(reply, l.began.Add(waited), lateSource+int(how))
	}
	l.r.post.deliver(l, reply, how, waited)
}

// lateName says where a late reply came from.
func lateName(how cache.State) string {
	if how == cache.Hit {
		return "upstream"
	}
	return how.String()
}
