package cache

// Retry ends the memory of failures: what upstream gave no answer to, or only
// something stale is known of, is asked anew by the next asker, and not 5 s or 30 s
// behind the failure. It is for who knows that upstream has changed for the better.
func (c *Cache) Retry() { c.retry.Store(int64(c.Now())) }

// retried is when Retry was last called.
func (c *Cache) retried() Instant { return Instant(c.retry.Load()) }

// held is until when a stale entry is given without asking upstream: 30 s from a try
// that failed, unless that was before everything was to be tried again.
func (e *entry) held(retried Instant) Instant {
	until := Instant(e.hold.Load())
	if until-retryAfter < retried {
		return 0
	}
	return until
}
