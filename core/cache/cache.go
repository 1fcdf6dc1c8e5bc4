package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// An Instant is a moment of the cache's own clock, in milliseconds. The clock is
// monotonic: setting the host's time does not age entries.
type Instant int64

// State is how a query fared in memory.
type State uint8

const (
	Miss    State = iota // not known: Wait is next
	Hit                  // answered with what upstream said, positive or negative
	Stale                // answered with what has expired, as upstream failed a moment ago
	Failure              // answered with a failure that is remembered for a few seconds
)

// String names the state as metrics do.
func (s State) String() string {
	return [...]string{"miss", "hit", "stale", "failure"}[s]
}

// A Cache answers from memory and asks upstream for the rest. It is safe for use
// by any number of goroutines.
type Cache struct {
	opts     Options
	staleFor Instant
	base     time.Time

	index   index
	judge   judge
	flights flights
	count   counters

	refresh chan *entry   // entries to ask for anew, none waits for
	stop    chan struct{} // closed by Close
	done    sync.WaitGroup
	retry   atomic.Int64  // Instant of the last Retry
	flushed atomic.Uint32 // generation: what was asked before a flush is not stored after it
	closed  atomic.Bool   // nothing is stored any more
	still   atomic.Int64  // Instant that landings take for now; 0: they look at the clock
}

// New makes a cache. Close ends it.
func New(o Options) (*Cache, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cache{
		opts:     o,
		staleFor: Instant(o.StaleFor / time.Millisecond),
		base:     time.Now().Add(-time.Millisecond), // so that Now is never 0
		refresh:  make(chan *entry, 1024),
		stop:     make(chan struct{}),
	}
	c.index.init(o.Size)
	c.flights.init(o.ClientTimer, o.Budget)
	c.judge.init(o.Size, &c.index, &c.count)
	c.done.Go(c.run)
	return c, nil
}

// Now is the cache's clock. A batch of queries needs to read it but once.
func (c *Cache) Now() Instant { return Instant(time.Since(c.base) / time.Millisecond) }

// Still has answers that come until Move land at one Instant: for who brings several
// together, and does not wait in between. It is a hint: whoever else brings answers
// meanwhile may end it.
func (c *Cache) Still() { c.still.Store(int64(c.Now())) }

// Move ends Still.
func (c *Cache) Move() { c.still.Store(0) }

// landing is the time at which an answer lands.
func (c *Cache) landing() Instant {
	if now := c.still.Load(); now != 0 {
		return Instant(now)
	}
	return c.Now()
}

// Close ends the cache's goroutines. Whoever still waits is told SERVFAIL. A
// Fetch that is under way may still call its done. Close may be called once;
// nothing but Stats and Now may be called behind it.
func (c *Cache) Close() {
	c.closed.Store(true)
	close(c.stop)
	c.done.Wait()
	c.abandon()
}
