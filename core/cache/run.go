package cache

import (
	"context"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// run is the cache's own goroutine: timers of flights, refreshes, the judge's
// eras, and dead entries swept out.
func (c *Cache) run() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	defer timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case e := <-c.refresh:
			c.renew(e)
		case <-c.judge.ripe:
			c.judge.turn()
		case <-sweep.C:
			c.judge.turn()
			c.sweep()
		case <-c.flights.opened:
			c.arm(timer)
		case <-timer.C:
			c.expire(c.Now())
			c.arm(timer)
		}
	}
}

// arm sets the timer to the first flight that is due, no finer than timerGrain.
// Whoever opens a flight meanwhile sees no timer, and has it set again.
func (c *Cache) arm(timer *time.Timer) {
	c.flights.armed.Store(never)
	next := c.flights.next()
	if next == never {
		timer.Stop()
		return
	}
	c.flights.armed.Store(int64(next))
	timer.Reset(max(time.Duration(next-c.Now())*time.Millisecond, timerGrain))
}

const (
	timerGrain = 2 * time.Millisecond
	sweepEvery = time.Minute
)

// expire serves all whose timers have passed.
func (c *Cache) expire(now Instant) {
	for i := range c.flights.lots {
		l := &c.flights.lots[i]
		for f := c.flights.late(l, now); f != nil; f = c.flights.late(l, now) {
			c.giveStale(f, now)
		}
		for f, w := c.flights.overdue(l, now); f != nil; f, w = c.flights.overdue(l, now) {
			c.count.failed.Add(1)
			c.release(w, c.failed(f, context.DeadlineExceeded, now), now)
		}
	}
}

// giveStale answers who waited for longer than the client timer, if there is
// something stale (RFC 8767 §5). The flight goes on.
func (c *Cache) giveStale(f *flight, now Instant) {
	e := c.index.question(&f.question, f.key)
	if e == nil || !e.usable(now, c.staleFor) {
		return
	}
	if !e.fresh(now) {
		e.hold.Store(int64(f.opened + retryAfter))
	}
	c.release(c.flights.waiters(f), e, now)
}

// renew asks for a fresh entry anew, before it expires.
func (c *Cache) renew(e *entry) {
	q := e.asked()
	if c.index.question(&q, e.key) != e { // replaced or dropped meanwhile
		return
	}
	if f, _ := c.join(&q, e.key, nil, c.Now()); f != nil {
		c.count.refreshes.Add(1)
		c.fetch(f)
	}
}

// abandon answers all who still wait when the cache is closed.
func (c *Cache) abandon() {
	now := c.Now()
	for i := range c.flights.lots {
		l := &c.flights.lots[i]
		l.mu.Lock()
		var left []*flight
		for _, f := range l.found {
			for ; f != nil; f = f.same {
				left = append(left, f)
			}
		}
		for _, f := range left {
			l.lines[f.stage()].drop(f)
			f.late = true
			l.lines[1].push(f)
		}
		l.mu.Unlock()
		for _, f := range left {
			w, _ := c.flights.take(f)
			c.release(w, failure(&f.question, f.key, now, 1, wire.RcodeServFail, wire.EDENotReady), now)
		}
	}
}
