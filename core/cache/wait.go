package cache

import (
	"sync"

	"github.com/strata-dns/strata/core/wire"
)

// A Waiter takes a late reply. Deliver is called once, from any goroutine, also
// from within Wait; reply is valid only during the call. how is Hit, Stale or
// Failure. It must not block.
type Waiter interface{ Deliver(reply []byte, how State) }

// Wait has a query that missed answered as soon as upstream answers: it joins
// the flight of the question, or opens it. What is needed of data is copied. now is
// what Now said a moment ago. w gets one reply: the answer; a stale one when upstream failed or the client
// timer has passed; or SERVFAIL with an extended error.
func (c *Cache) Wait(q *wire.Query, data []byte, limit int, now Instant, w Waiter) {
	key := keyOf(q.Hash[0], q.Type, q.Class, queryMarks(q), q.View)
	c.judge.missed(key)
	me := asker{q, data[:q.End], limit, w}
	asked := ask(q)
	opened, answer := c.join(&asked, key, &me, now)
	switch {
	case answer != nil:
		one := waitings.Get().(*waiting)
		one.fill(&me)
		c.deliver(one, answer, now)
	case opened != nil:
		c.fetch(opened)
	}
}

// An asker is somebody who is about to wait.
type asker struct {
	q     *wire.Query
	data  []byte // header and question
	limit int
	to    Waiter
}

// fill has w be the asker.
func (w *waiting) fill(a *asker) {
	w.to, w.packet = a.to, append(w.packet[:0], a.data...)
	w.limit, w.edns, w.do, w.extras = int32(a.limit), a.q.EDNS, a.q.DO, a.q.Extras
}

// join adds an asker to the flight of its question. It returns the flight where
// that was opened just now, or an entry where the asker need not wait: one that
// was stored meanwhile, a stale one where the client timer has passed, and a
// failure where there are too many. me may be nil: a refresh.
func (c *Cache) join(q *Question, key uint64, me *asker, now Instant) (*flight, *entry) {
	l := c.flights.lot(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.find(q, key)
	if f == nil {
		return c.depart(l, q, key, me, now)
	}
	if me == nil {
		return nil, nil
	}
	c.count.joined.Add(1)
	if f.late {
		if e := c.index.question(q, key); e != nil && e.usable(now, c.staleFor) {
			return nil, e
		}
	}
	if f.count >= c.opts.Waiters || c.flights.waiting() >= int64(c.opts.Flights)*2 {
		c.count.overWaiters.Add(1)
		return nil, c.turnAway(q, key, now)
	}
	f.enlist(waitings.Get().(*waiting), me)
	c.flights.aloft.Add(anAsker)
	return nil, nil
}

// depart opens the flight of a question. The lot is locked, and a flight leaves
// its lot only when its entry is visible: so what was missed before is looked for again.
func (c *Cache) depart(l *lot, q *Question, key uint64, me *asker, now Instant) (*flight, *entry) {
	if e := c.index.question(q, key); me != nil && e != nil && c.state(e, now) != Miss {
		return nil, e
	}
	if c.flights.open() >= int64(c.opts.Flights) {
		if me == nil {
			return nil, nil
		}
		c.count.overFlights.Add(1)
		return nil, c.turnAway(q, key, now)
	}
	f := c.flight(l)
	kept := f.question.Kept
	f.question, f.key, f.opened, f.flushed, f.refresh = *q, key, now, c.flushed.Load(), me == nil
	f.question.Kept = kept
	f.question.Name = append(f.name[:0], q.Name...)
	f.question.Trail = append([]byte(nil), q.Trail...)
	if me != nil {
		f.enlist(&f.first, me)
	}
	c.flights.add(l, f)
	return f, nil
}

// flight gives one that nobody has in hand, to a lot that is locked.
func (c *Cache) flight(l *lot) *flight {
	if f := l.used(); f != nil {
		f.landed = 0
		return f
	}
	f := new(flight)
	f.first.own = true
	f.answered = func(msg []byte, err error) { c.answered(f, msg, err) }
	return f
}

// enlist has an asker wait for a flight, as w.
func (f *flight) enlist(w *waiting, me *asker) {
	w.fill(me)
	w.next = f.waiters
	f.waiters = w
	f.count++
}

// turnAway is what is answered when nobody more can wait: something stale, or a failure.
func (c *Cache) turnAway(q *Question, key uint64, now Instant) *entry {
	if e := c.index.question(q, key); e != nil && e.usable(now, c.staleFor) {
		return e
	}
	return failure(q, key, now, 1000, wire.RcodeServFail, wire.EDEOther)
}

// desk is where a late reply is written.
type desk struct {
	query wire.Query
	buf   []byte
}

var desks = sync.Pool{New: func() any { return &desk{buf: make([]byte, 2048)} }}

// release answers all who waited.
func (c *Cache) release(w *waiting, e *entry, now Instant) {
	answered := int64(0)
	for w != nil {
		next := w.next
		c.deliver(w, e, now)
		answered++
		w = next
	}
	if answered > 0 {
		c.flights.aloft.Add(-anAsker * answered) // now nothing is owed: who drains may close the way back
	}
}

// waitings are those of askers who were answered.
var waitings = sync.Pool{New: func() any { return new(waiting) }}

// deliver answers one asker from an entry, which is fresh at now or else stale. He is
// gone then.
func (c *Cache) deliver(w *waiting, e *entry, now Instant) {
	how := Hit
	switch {
	case e.marks&markFailure != 0:
		how = Failure
		c.count.failedWaits.Add(1)
	case !e.fresh(now):
		how = Stale
		c.count.staleWaits.Add(1)
	}
	d := desks.Get().(*desk)
	defer desks.Put(d)
	const opt = 64 + wire.ExtrasRoom // more than an OPT record with an extended error takes
	if need := len(w.packet) + len(e.data) + opt; need > len(d.buf) {
		d.buf = make([]byte, need)
	}
	q := &d.query
	copy(d.buf, w.packet)
	q.ID, q.Flags = wire.ID(w.packet), wire.Flags(w.packet)
	q.End, q.EDNS, q.DO, q.Options = len(w.packet), w.edns, w.do, nil
	q.Extras = w.extras
	w.to.Deliver(e.reply(q, d.buf[:len(w.packet)], int(w.limit), now), how)
	w.to, w.next = nil, nil
	if !w.own {
		waitings.Put(w)
	}
}
