package cache

import (
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// Aloft tells for how long a query's question has been in the air; negative where it
// is not.
func (c *Cache) Aloft(q *wire.Query, now Instant) time.Duration {
	asked := ask(q)
	key := keyOf(q.Hash[0], q.Type, q.Class, queryMarks(q), q.View)
	l := c.flights.lot(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.find(&asked, key)
	if f == nil {
		return -1
	}
	return time.Duration(max(now-f.opened, 0)) * time.Millisecond
}
