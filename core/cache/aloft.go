package cache

import (
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// Aloft tells for how long a query's question has been in the air; negative where it
// is not.
func (c *Cache) Aloft(q *wire.Query, now Instant) time.Duration {
	var buf [wire.MaxName + 9]byte
	asked := ask(q)
	text := asked.appendTo(buf[:0])
	l := c.flights.lot(asked.key())
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.found[string(text)]
	if f == nil {
		return -1
	}
	return time.Duration(max(now-f.opened, 0)) * time.Millisecond
}
