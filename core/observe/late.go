package observe

import (
	"sync"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
)

// A Late is a query that is looked at and waits for its reply.
type Late struct {
	o     *Observer
	due   set
	began time.Time // of the query, by which clock it waited: the wall clock may be set meanwhile
	event Event
}

// Late keeps the query that is due, for its reply is late; nil where none is.
func (t *Tap) Late(q *wire.Query, p *plane.Packet) *Late {
	if t.due == 0 {
		return nil
	}
	l := &Late{o: t.o, due: t.due, began: t.began}
	t.describe(&l.event, q, p)
	l.event.Name = append([]byte(nil), l.event.Name...)
	l.event.Late = true
	return l
}

// Answer takes the reply, which was ready at a time, from any goroutine.
func (l *Late) Answer(reply []byte, ready time.Time, source int) {
	e := &l.event
	e.Source, e.Size = uint16(source), uint32(len(reply))
	e.Took = int64(ready.Sub(l.began))
	if len(reply) >= wire.HeaderLen {
		e.Rcode = uint8(wire.RcodeOf(reply))
	}
	for k := range kinds {
		if l.due.has(k) {
			if k == dnstapKind {
				e.Name, e.Reply = nil, reply
			}
			l.o.pipes[k].late.put(e)
		}
	}
}

// A lateRing takes late events, from any goroutine.
type lateRing struct {
	mu   sync.Mutex
	ring *ring // nil until the kind is first turned on
}

func (r *lateRing) put(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ring != nil {
		r.ring.put(e)
		r.ring.show()
	}
}
