package resolver

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
)

// A lateReply is the way back of a query that waits.
type lateReply struct {
	queue plane.Queue
	to    plane.Return
	r     *Resolver
	began time.Time
	seen  *observe.Late // nil where nobody looks
	share share
}

// lateReplies are those that were delivered.
var lateReplies = sync.Pool{New: func() any { return new(lateReply) }}

// late makes the way back of the query that is being answered.
func (a *answerer) late(p *plane.Packet, queue plane.Queue) *lateReply {
	l := lateReplies.Get().(*lateReply)
	*l = lateReply{queue: queue, to: p.Return, r: a.r, began: a.began}
	if a.seen {
		l.seen = a.tap.Late(&a.q, p)
	}
	return l
}

// Deliver implements cache.Waiter.
func (l *lateReply) Deliver(reply []byte, how cache.State) {
	l.share.giveBack()
	waited := l.r.post.since(l.began)
	l.r.waited[how].Observe(waited.Seconds())
	if l.seen != nil {
		l.seen.Answer(reply, l.began.Add(waited), lateSource+int(how))
	}
	l.r.post.deliver(l.queue, &l.to, reply)
	l.queue, l.seen = nil, nil
	lateReplies.Put(l)
}

// lateName says where a late reply came from.
func lateName(how cache.State) string {
	if how == cache.Hit {
		return "upstream"
	}
	return how.String()
}

// newWaits makes the histogram of how long askers waited for what memory had not, and
// its parts by outcome.
func newWaits() (h *prometheus.HistogramVec, by [cache.Failure + 1]prometheus.Observer) {
	h = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "strata_resolver_answer_seconds",
		Help:    "Seconds that askers waited whom memory could not answer, by what they got: upstream, stale, failure.",
		Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 1.5, 2, 2.5, 5},
	}, []string{"outcome"})
	for _, how := range []cache.State{cache.Hit, cache.Stale, cache.Failure} {
		by[how] = h.WithLabelValues(lateName(how))
	}
	return h, by
}
