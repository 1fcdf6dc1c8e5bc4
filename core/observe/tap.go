package observe

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
)

// A kind of observer.
type kind int

const (
	topKind kind = iota
	logKind
	dnstapKind
	kinds
)

// A set of kinds.
type set uint8

func (k kind) set() set       { return 1 << k }
func (s set) has(k kind) bool { return s&k.set() != 0 }

// A line is what a tap is connected to. It is replaced as a whole.
type line struct {
	every [kinds]uint32 // one in so many queries; 0: none
	rings [kinds]*ring  // of those that are on
}

// A Tap is one worker's side. But for line it is for one goroutine.
type Tap struct {
	o     *Observer
	index uint16
	local netip.AddrPort // where its queries come in; may be the zero value
	line  atomic.Pointer[line]
	rings [kinds]*ring // those it has had, under Observer.mu

	on    *line // of this batch
	now   int64 // of this batch, Unix time in ns; 0: not read yet
	due   set   // of this query
	skip  uint32
	left  uint32 // queries until the next one that is due
	until [kinds]uint32
	seed  uint32
	query []byte
	event Event
}

// Begin begins a batch. It reports false where nobody looks: nothing else of the
// batch needs to be told.
func (t *Tap) Begin() bool {
	on := t.line.Load()
	if on == nil {
		return false
	}
	if on != t.on {
		t.connect(on)
	}
	t.now = 0
	return true
}

// connect begins to count by another line.
func (t *Tap) connect(on *line) {
	t.on = on
	for k, n := range on.every {
		t.until[k] = t.interval(n)
	}
	t.skip = min(t.until[topKind], t.until[logKind], t.until[dnstapKind])
	t.left = t.skip
}

// interval is how many queries there are until one is looked at: random, so that
// clients who ask in a pattern, as A before AAAA, are seen as they are.
func (t *Tap) interval(every uint32) uint32 {
	switch every {
	case 0:
		return 1 << 30
	case 1:
		return 1
	}
	t.seed ^= t.seed << 13 // xorshift32
	t.seed ^= t.seed >> 17
	t.seed ^= t.seed << 5
	return 1 + uint32(uint64(t.seed)*uint64(2*every-1)>>32)
}

// Due counts one query, and reports whether it is to be looked at: by Query before
// it is answered, and by Answer behind.
func (t *Tap) Due() bool {
	if t.left--; t.left > 0 {
		t.due = 0
		return false
	}
	return t.choose()
}

// choose finds who looks at this query, and when the next one is due.
func (t *Tap) choose() bool {
	t.due = 0
	for k := range t.until {
		if t.until[k] -= t.skip; t.until[k] == 0 {
			t.until[k] = t.interval(t.on.every[k])
			if t.on.rings[k] != nil {
				t.due |= kind(k).set()
			}
		}
	}
	t.skip = min(t.until[topKind], t.until[logKind], t.until[dnstapKind])
	t.left = t.skip
	if t.now == 0 {
		t.now = time.Now().UnixNano()
	}
	return t.due != 0
}

// Query keeps what the reply is going to be written over.
func (t *Tap) Query(p *plane.Packet) {
	if t.due.has(dnstapKind) {
		t.query = append(t.query[:0], p.Data...)
	}
}

// Answer takes the reply to a query, empty where there is none now. wait says that
// it comes late.
func (t *Tap) Answer(q *wire.Query, p *plane.Packet, reply []byte, source int, wait bool) {
	e := &t.event
	t.describe(e, q, p)
	e.Source, e.Size = uint16(source), uint32(len(reply))
	if len(reply) >= wire.HeaderLen {
		e.Rcode = uint8(wire.RcodeOf(reply))
	}
	if t.due.has(topKind) {
		t.on.rings[topKind].put(e)
	}
	if t.due.has(logKind) && !wait {
		t.on.rings[logKind].put(e)
	}
	if t.due.has(dnstapKind) {
		e.Name, e.Query, e.Reply = nil, t.query, reply
		if !wait {
			e.Took = time.Now().UnixNano() - e.Time
		}
		t.on.rings[dnstapKind].put(e)
	}
}

// describe says whose query it was. What could not be read of one is left empty.
func (t *Tap) describe(e *Event, q *wire.Query, p *plane.Packet) {
	*e = Event{Time: t.now, Client: p.Client, Tap: t.index, Stream: p.Stream, DO: q.DO}
	if len(q.Name()) > 0 {
		e.Name, e.Type, e.Flags = q.Name(), q.Type, q.Flags
	}
}

// End ends a batch.
func (t *Tap) End() {
	for _, r := range t.on.rings {
		if r != nil {
			r.show()
		}
	}
}
