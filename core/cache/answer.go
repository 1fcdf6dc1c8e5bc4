package cache

import "github.com/strata-dns/strata/core/wire"

// Answer answers q from memory: the reply is written into data, the packet that
// brought q, at most limit octets long (q.Limit), truncated where that is too
// little. On Miss data is as it was. now is what Now said a moment ago. It takes
// no lock and allocates nothing.
//
// The entry's name is found without regard to q's RD bit; whoever does not serve
// RD=0 from memory sees to it before.
func (c *Cache) Answer(q *wire.Query, data []byte, limit int, now Instant) ([]byte, State) {
	e := c.index.query(q)
	if e == nil {
		c.count.lookup(Miss)
		return nil, Miss
	}
	s := c.state(e, now)
	c.count.lookup(s)
	if s == Miss {
		return nil, Miss
	}
	e.touch(c.judge.era.Load())
	if s == Hit && c.opts.Prefetch {
		c.ahead(e, now)
	}
	return e.reply(q, data, limit, now), s
}

// Stale answers q from memory with what has expired: for a query that missed and cannot
// wait for upstream. It reports false, and data is as it was, where there is nothing.
func (c *Cache) Stale(q *wire.Query, data []byte, limit int, now Instant) ([]byte, bool) {
	e := c.index.query(q)
	if e == nil || !e.usable(now, c.staleFor) {
		return nil, false
	}
	return e.reply(q, data, limit, now), true
}

// Rcode is the response code that memory holds for q's name with another type:
// what is known of A when AAAA is asked for. It reports false where nothing
// fresh is known. It takes no lock and allocates nothing.
func (c *Cache) Rcode(q *wire.Query, typ uint16, now Instant) (int, bool) {
	m := queryMarks(q)
	e := c.index.find(keyOf(q.Hash[0], typ, q.Class, m, q.View), q.Name(), typ, q.Class, m, q.View)
	if e == nil || !e.fresh(now) || e.marks&markFailure != 0 {
		return 0, false
	}
	return e.rcode(), true
}

// state tells what an entry is good for at this moment.
func (c *Cache) state(e *entry, now Instant) State {
	switch {
	case e.fresh(now) && e.marks&markFailure != 0:
		if e.stored < c.retried() {
			return Miss
		}
		return Failure
	case e.fresh(now):
		return Hit
	case now < e.held(c.retried()) && e.usable(now, c.staleFor):
		return Stale
	}
	return Miss
}

// ahead has a hit near an entry's expiry start its refresh. The refresh itself is
// left to the cache's goroutine.
func (c *Cache) ahead(e *entry, now Instant) {
	if e.expires()-now >= e.lead() {
		return
	}
	h := e.hold.Load()
	if now < Instant(max(h, -h)) || !e.hold.CompareAndSwap(h, -int64(now+refreshAgain)) {
		return
	}
	select {
	case c.refresh <- e:
	default: // tried again by a hit in 5 s, or by the miss behind the expiry
		c.count.refreshDropped.Add(1)
	}
}
