package cache

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// fetch sends a flight upstream.
func (c *Cache) fetch(f *flight) {
	c.flights.wake(f)
	c.opts.Fetch(&f.question, f.answered)
}

// answered is what a flight calls back, once.
func (c *Cache) answered(f *flight, msg []byte, err error) {
	if atomic.CompareAndSwapUint32(&f.landed, 0, 1) {
		c.land(f, msg, err)
	}
}

// land ends a flight with what upstream said. The entry is visible before the
// flight can no longer be joined. An answer that comes behind the budget is
// stored all the same; a failure then tells nothing new.
func (c *Cache) land(f *flight, msg []byte, err error) {
	now := c.landing()
	var e *entry
	if err == nil {
		b := c.builder(c.opts.Off)
		defer builders.Put(b)
		e, err = c.build(b, &f.question, f.key, msg, now)
	}
	if err != nil {
		c.tally(err)
		if c.aloft(f) {
			c.close(f, c.failed(f, err, now), now)
		}
		return
	}
	if f.refresh {
		c.count.refreshed.Add(1)
	}
	if e.life > 0 && !c.opts.Off && f.flushed == c.flushed.Load() {
		c.keep(e, now)
	}
	if e.life == 0 {
		e.life = 1 // fresh for those who waited, in this very moment
	}
	c.close(f, e, now)
}

// close ends a flight that has landed: it can no longer be joined, who waited is answered.
func (c *Cache) close(f *flight, e *entry, now Instant) {
	w, over := c.flights.take(f)
	c.release(w, e, now)
	if over {
		c.flights.reuse(f)
	}
}

// aloft reports whether the flight is still waited for.
func (c *Cache) aloft(f *flight) bool {
	l := c.flights.lot(f.key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.in
}

func (c *Cache) tally(err error) {
	switch err {
	case errMalformed, errQuestion, errTruncated, errUnrelated: // understand's own
		c.count.refused.Add(1)
	default:
		c.count.failed.Add(1)
	}
}

// failed is what is answered when upstream gave no answer: what is known of the
// question, be it stale, or a failure that is remembered. A good entry is never
// replaced by one; it is not asked for anew within 30 s of this try (RFC 8767 §5).
// What was not even tried is neither remembered, nor a try.
func (c *Cache) failed(f *flight, err error, now Instant) *entry {
	untried, ok := find[interface{ Passing() bool }](err)
	passing := ok && untried.Passing()
	if e := c.index.question(&f.question, f.key); e != nil && e.usable(now, c.staleFor) {
		if !passing {
			e.hold.Store(int64(f.opened + retryAfter))
		}
		return e
	}
	rcode := uint8(wire.RcodeServFail)
	if !passing {
		if said, ok := find[errRcode](err); ok && said.rcode == wire.RcodeYXDomain { // RFC 6672 §2.2: a name too long
			rcode = wire.RcodeYXDomain
		}
	}
	e := failure(&f.question, f.key, now, max(milliseconds(c.opts.FailureTTL), 1), rcode, errorCode(err))
	if !passing && f.flushed == c.flushed.Load() {
		c.keep(e, now)
	}
	return e
}

// find is errors.As for a T that mostly is the error itself: in a storm of failures the
// search costs as much as the rest of them.
func find[T any](err error) (found T, ok bool) {
	if found, ok = err.(T); !ok {
		ok = errors.As(err, &found)
	}
	return found, ok
}

// errorCode is the extended error that tells of an error (RFC 8914 §4.23, §4.24).
func errorCode(err error) uint16 {
	var network net.Error
	if coded, ok := find[interface{ EDE() uint16 }](err); ok && coded.EDE() != wire.EDENone {
		return coded.EDE()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &network) && network.Timeout(), errors.As(err, new(errRcode)):
		return wire.EDENoReachableAuth
	}
	return wire.EDENetworkError
}

// failure is an entry that remembers a failure for life milliseconds.
func failure(q *Question, key uint64, now Instant, life uint32, rcode uint8, ede uint16) *entry {
	text := q.appendTo(make([]byte, 0, len(q.Name)+9))[:len(q.Name)+4]
	return &entry{
		key: key, data: text, stored: now, life: life, view: q.View,
		nameLen: uint8(len(q.Name)), ede: ede, marks: q.marks() | markFailure | marks(rcode)<<rcodeShift,
	}
}

// keep stores an entry.
func (c *Cache) keep(e *entry, now Instant) {
	if !c.closed.Load() {
		c.judge.admit(e, now)
	}
}
