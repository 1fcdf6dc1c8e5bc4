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

	on    *line     // of this batch
	began time.Time // of this batch; zero: not read yet
	due   set       // who looks at this query
	left  uint32    // queries until one is looked at, of which there were skip
	skip  uint32
	until [kinds]uint32 // queries until each kind looks at one, as they were skip ago
	seed  uint32
	query []byte
	event Event
}

// Begin begins a batch. It gives how many queries there are until one is looked at:
// 1 for the first of the batch, 0 where nobody looks at any.
func (t *Tap) Begin() uint32 {
	on := t.line.Load()
	if on == nil {
		return 0
	}
	if on != t.on {
		t.connect(on)
	}
	t.began = time.Time{}
	return t.left
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

// Query says that the query that Begin or Query told of has come. It keeps what the
// reply is going to be written over, and gives how many queries there are until the
// next one.
func (t *Tap) Query(p *plane.Packet) uint32 {
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
	if t.began.IsZero() {
		t.began = time.Now()
	}
	if t.due.has(dnstapKind) {
		t.query = append(t.query[:0], p.Data...)
	}
	return t.skip
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
			e.Took = int64(time.Since(t.began))
		}
		t.on.rings[dnstapKind].put(e)
	}
}

// describe says whose query it was. What could not be read of one is left empty.
func (t *Tap) describe(e *Event, q *wire.Query, p *plane.Packet) {
	*e = Event{Time: t.began.UnixNano(), Client: p.Client, Tap: t.index, Stream: p.Stream, DO: q.DO}
	if len(q.Name()) > 0 {
		e.Name, e.Type, e.Flags = q.Name(), q.Type, q.Flags
	}
}

// End ends a batch behind which so many queries are left until one is looked at.
func (t *Tap) End(left uint32) {
	t.left = left
	for _, r := range t.on.rings {
		if r != nil {
			r.show()
		}
	}
}
