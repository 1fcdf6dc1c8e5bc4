package cache

import "time"

// A Sight is what memory holds about a question at a moment.
type Sight struct {
	Item
	// Refresh is how long it is until a use has the question asked anew ahead of
	// the expiry: 0 where the next use does, negative where none will.
	Refresh time.Duration
}

// Look gives what memory holds about a question, which is not counted as a use. It
// reports false where that is nothing.
func (c *Cache) Look(q *Question) (Sight, bool) {
	e := c.index.question(q, q.key())
	if e == nil {
		return Sight{}, false
	}
	now := c.Now()
	s := Sight{Item: e.item(now), Refresh: -1}
	if c.opts.Prefetch && e.fresh(now) && e.marks&markFailure == 0 {
		s.Refresh = max(s.TTL-time.Duration(e.lead())*time.Millisecond, 0)
	}
	return s, true
}
