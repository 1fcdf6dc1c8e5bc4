package resolver

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// loops find questions of ours that come back to us: a circle of forwarders would
// wait for itself until the budget is over, as each of them asks a question once.
//
// What is asked upstream carries a stamp of this process behind those that the
// question came with, so circles over any number of nodecaches and recursors are
// seen by the first of them. Source addresses would not do: a host's recursor,
// nodecache and external resolver have the same one. Where a server of another make
// drops the trail, circles look closer.
//
// A question that joins one in the air leaves its trail there; where two in a circle
// are asked at the same moment, a meeting finds that.
type loops struct {
	log   *slog.Logger
	stamp wire.Stamp
	begun []byte // the EDNS option of questions that begin here

	mu     sync.Mutex
	silent time.Time // until when nothing more is logged
	unsaid int       // since
}

// loopPause is the time between two lines about loops.
const loopPause = 10 * time.Second

func newLoops(log *slog.Logger) *loops {
	l := &loops{log: log, stamp: wire.NewStamp()}
	l.begun = l.stamp.AppendTrail(nil, nil)
	return l
}

// closed reports whether a query that goes upstream was here before.
func (l *loops) closed(q *wire.Query) bool {
	trail := q.Trail()
	return trail != nil && (len(trail) >= wire.LongestTrail || l.stamp.In(trail))
}

// say logs a loop, if the last line about one is long enough ago.
func (l *loops) say(client netip.AddrPort, q *wire.Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.silent) {
		l.unsaid++
		return
	}
	l.log.Warn("forwarding loop: a query that was sent from here has come back; see whom the servers that are asked ask in turn",
		"from", client, "name", wire.NameString(q.Name()), "type", dns.Type(q.Type).String(), "unsaid", l.unsaid)
	l.silent, l.unsaid = now.Add(loopPause), 0
}

// option is the trail of a question as it goes upstream.
func (l *loops) option(q *cache.Question) []byte {
	if len(q.Trail) == 0 {
		return l.begun
	}
	return l.stamp.AppendTrail(nil, q.Trail)
}

// Question is what a route asks upstream for a question. Its Options may be appended
// to.
func (r *Resolver) Question(q *cache.Question, rd bool) upstream.Question {
	options := r.loops.option(q)
	return upstream.Question{
		Name: q.Name, Type: q.Type, Class: q.Class, DO: q.DO, CD: q.CD, RD: rd,
		Options: options[:len(options):len(options)],
	}
}

// looped refuses a query that has come back.
func (a *answerer) looped(p *plane.Packet, limit int) []byte {
	a.r.loops.say(p.Client, &a.q)
	return a.refuse(p, limit, wire.EDEOther, loopText)
}
