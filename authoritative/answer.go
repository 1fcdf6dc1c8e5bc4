package main

import (
	"sync/atomic"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// maxBatch is how many queries are looked up together.
const maxBatch = 64

// An answerer is the way of a query: parse, look up, reply, all in the packet.
// Nothing is waited for, so nothing is ever late, but where memory is bounded (bounded.go).
// It belongs to one goroutine.
type answerer struct {
	reader  *zone.Reader
	front   []*zone.Reader // of the views
	views   *viewer        // whose they are; nil: there are none
	maxUDP  int
	bounded *bounded // nil: all is in memory
	asked   []byte   // the query in hand, as it came
	counts  *counts
	query   wire.Query // the one in hand, where it has to be parsed
	tally   [kinds]uint32
}

// Answer implements plane.Handler.
func (a *answerer) Answer(batch []plane.Packet, late plane.Queue) {
	for len(batch) > maxBatch {
		a.answer(batch[:maxBatch], late)
		batch = batch[maxBatch:]
	}
	a.answer(batch, late)
}

func (a *answerer) answer(batch []plane.Packet, late plane.Queue) {
	for i := range batch {
		a.reader.See(i, batch[i].Data)
	}
	a.reader.Enter()
	for _, r := range a.front {
		r.Enter()
	}
	a.reader.Fetch(len(batch))
	for i := range batch {
		p := &batch[i]
		if a.views == nil {
			if reply, o := a.reader.Direct(i, p.Data); reply != nil {
				p.Data = reply
				a.tally[o]++
				continue
			}
		}
		a.parse(p, i, late)
	}
	a.reader.Leave()
	for _, r := range a.front {
		r.Leave()
	}
	a.counts.add(&a.tally)
}

// parse answers a query that is not answered directly. at is its place in the batch.
func (a *answerer) parse(p *plane.Packet, at int, late plane.Queue) {
	q := &a.query
	if o := q.Parse(p.Data); o != wire.Valid {
		p.Data = q.Error(p.Data, o)
		a.tally[invalid+int(o)]++
		return
	}
	r, view := a.reader, -1
	if a.views != nil {
		if v := a.views.now.Load().of.Find(p.Client.Addr()); v > 0 {
			view = int(v) - 1
			r = a.front[view]
		}
	}
	if a.bounded != nil {
		a.asked = append(a.asked[:0], p.Data...)
	}
	r.From(&p.Client)
	reply, outcome := r.Answer(q, p.Data, q.Limit(p.Stream, a.maxUDP), at)
	if outcome == zone.Unread {
		reply = a.later(p, view, late)
	}
	p.Data = reply
	a.tally[outcome]++
}

// later leaves a query to be answered when a name that it takes was read, or gives the
// reply where it cannot be.
func (a *answerer) later(p *plane.Packet, view int, late plane.Queue) []byte {
	name, z := a.reader.Unread()
	if a.bounded.take(p, a.asked, view, late, name, z.Apex) {
		return nil
	}
	return append(p.Data[:0], a.bounded.refuse(a.asked, p.Stream, crowdedText)...)
}

// What is counted: the outcomes of look-ups, behind them those of parsing.
const (
	invalid = int(zone.Unread) + 1
	kinds   = invalid + int(wire.BadVers) + 1
)

// counts are one worker's, on cache lines of their own.
type counts struct {
	_  [64]byte
	by [kinds]atomic.Uint64
	_  [64]byte
}

// add moves a batch's tally over.
func (c *counts) add(tally *[kinds]uint32) {
	for k, n := range tally {
		if n != 0 {
			c.by[k].Add(uint64(n))
			tally[k] = 0
		}
	}
}
