package cache

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Fetch asks upstream, and must not block: it starts the exchange and returns.
// done is called once, from any goroutine, also from within Fetch, with the
// whole reply message or an error; msg need only be valid during that call.
// q is valid until done was called.
//
// An error that has a method EDE() uint16 chooses the extended error the asker
// is told (RFC 8914); otherwise timeouts give 22 and all else 23. One that has a
// method Passing() bool that says true is not remembered: nobody was asked.
type Fetch func(q *Question, done func(msg []byte, err error))

// Options of a cache. The zero value of each field but Fetch means its default.
type Options struct {
	// Size bounds the bytes that entries take, their bookkeeping included;
	// 64 MiB by default, at least 64 KiB.
	Size int64

	// Off has no answer remembered: it goes to those who ask while upstream is asked.
	// Failures are remembered as ever (RFC 9520 §3.2), in as much as Size is at least.
	Off bool

	Fetch Fetch // asks upstream; required

	// Prefetch refreshes an entry that is asked for in the last tenth of its
	// TTL, so that a name in use is never a miss.
	Prefetch bool

	// StaleFor is how long behind its expiry an answer may still be given
	// while upstream does not answer; 24 h by default, negative for never.
	StaleFor time.Duration

	// ClientTimer is how long a question waits for upstream before a stale
	// answer is given (RFC 8767 §5); 1.8 s by default.
	ClientTimer time.Duration

	// Budget is how long a question waits when there is nothing stale: what
	// Fetch has not answered by then is SERVFAIL. 4 s by default, within the 5 s
	// that stub resolvers wait; at least ClientTimer.
	Budget time.Duration

	NegativeMax time.Duration // longest negative TTL; 1 h by default (RFC 2308 §5)
	Negative    []Cap         // caps under suffixes, the longest suffix decides
	FailureTTL  time.Duration // how long a failure is remembered; 5 s by default, at most that (RFC 9520)

	Flights int // questions in the air at once; 100,000 by default
	Waiters int // askers who wait for one question; 4,096 by default
}

// A Cap limits the negative TTL under a suffix.
type Cap struct {
	Under []byte // folded wire form
	Max   time.Duration
}

const (
	minSize      = 64 << 10
	maxTTL       = 7 * 24 * 60 * 60 // seconds; RFC 8767 §4
	staleTTL     = 30               // seconds, of each record of a stale answer (RFC 8767 §4)
	retryAfter   = Instant(30_000)  // ms between tries for a stale entry (RFC 8767 §5)
	refreshAgain = Instant(5_000)   // ms between refreshes of one fresh entry
	refreshLead  = Instant(500)     // ms before its expiry that an entry is refreshed at the latest
	maxFailure   = 5 * time.Second
)

// withDefaults fills what was left zero and says what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Fetch == nil {
		return o, errors.New("new cache: no Fetch given")
	}
	if o.Size = orDefault(o.Size, 64<<20); o.Off {
		o.Size = minSize
	}
	o.StaleFor = orDefault(o.StaleFor, 24*time.Hour)
	o.ClientTimer = orDefault(o.ClientTimer, 1800*time.Millisecond)
	o.Budget = orDefault(o.Budget, max(4*time.Second, o.ClientTimer))
	o.NegativeMax = orDefault(o.NegativeMax, time.Hour)
	o.FailureTTL = min(orDefault(o.FailureTTL, maxFailure), maxFailure)
	o.Flights = orDefault(o.Flights, 100_000)
	o.Waiters = orDefault(o.Waiters, 4096)
	switch {
	case o.Size < minSize:
		return o, fmt.Errorf("new cache: size %d is below %d", o.Size, minSize)
	case o.ClientTimer < 0, o.Budget < o.ClientTimer:
		return o, fmt.Errorf("new cache: budget %v is shorter than the client timer %v", o.Budget, o.ClientTimer)
	case o.NegativeMax < 0, o.FailureTTL < 0, o.Flights < 0, o.Waiters < 0:
		return o, errors.New("new cache: negative limit")
	}
	o.Negative = slices.Clone(o.Negative)
	slices.SortStableFunc(o.Negative, func(a, b Cap) int { return len(b.Under) - len(a.Under) })
	return o, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
