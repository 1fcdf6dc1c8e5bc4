package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// Times are nanoseconds since the engine began, always given from outside, so
// that all of this runs on any clock. 0 stands for never.

const (
	silentLeast  = 200 * time.Millisecond // silence below this says nothing
	silentCount  = 3                      // nor does silence to fewer queries
	failureCount = 8                      // failures in a row that back a server off
	backoffLeast = 500 * time.Millisecond
	backoffMost  = 15 * time.Second
	exploreAfter = 3 * time.Second // a server not asked for so long is asked beside another
)

// health is what replies and their absence tell about one server. A server that
// is down is asked when nobody else is left, and by a probe at the end of each
// back-off: a copy of somebody's query, whose asker does not wait for it.
type health struct {
	srtt      atomic.Int64 // smoothed round-trip time, ns
	late      atomic.Int64 // 95th percentile, ns
	lastAsked atomic.Int64
	silent    atomic.Int64 // since when there was no reply to queries; 0: nothing open
	open      atomic.Int32 // queries since the last reply, silentCount or a few more at most
	failures  atomic.Int32 // bad response codes in a row
	downUntil atomic.Int64 // when to probe; 0: up

	mu      sync.Mutex
	recent  quantile
	samples int
	backoff time.Duration
}

func (h *health) smoothed() time.Duration { return time.Duration(h.srtt.Load()) }
func (h *health) p95() time.Duration      { return time.Duration(h.late.Load()) }
func (h *health) down() bool              { return h.downUntil.Load() != 0 }

// ask notes that a query was sent.
func (h *health) ask(now int64) {
	if h.lastAsked.Load() != now { // a batch has one time: a store is dear, a look is not
		h.lastAsked.Store(now)
	}
	if h.open.Load() < silentCount { // more say no more
		h.open.Add(1)
	}
	if h.silent.Load() == 0 {
		h.silent.CompareAndSwap(0, now)
	}
}

// reply notes a reply of any kind: the server lives.
func (h *health) reply() {
	if h.silent.Load() != 0 {
		h.silent.Store(0)
	}
	if h.open.Load() != 0 {
		h.open.Store(0)
	}
}

// measure adds round-trip times (RFC 6298 §2: SRTT with a gain of 1/8).
func (h *health) measure(rtts ...time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	smoothed, before := h.smoothed(), h.samples/16
	for _, rtt := range rtts {
		if rtt = max(rtt, 1); smoothed != 0 {
			smoothed = max(1, smoothed+(rtt-smoothed)/8)
		} else {
			smoothed = rtt
		}
		h.recent.add(rtt)
		h.samples++
	}
	h.srtt.Store(int64(smoothed))
	if h.samples < 32 || h.samples/16 != before {
		h.late.Store(int64(h.recent.at(0.95)))
	}
}

// anew forgets what was measured before: a server that was not asked for a while
// answers much faster than it did then.
func (h *health) anew(rtt time.Duration) {
	h.mu.Lock()
	h.recent, h.samples = quantile{}, 0
	h.srtt.Store(0)
	h.mu.Unlock()
	h.measure(rtt)
}

// good notes a useful reply, which ends a back-off.
func (h *health) good() {
	if h.failures.Load() != 0 {
		h.failures.Store(0)
	}
	if h.downUntil.Load() == 0 {
		return
	}
	h.mu.Lock()
	h.downUntil.Store(0)
	h.backoff = 0
	h.mu.Unlock()
}

// bad notes a reply that only says that the server cannot help. One may be the
// question's fault; many in a row are the server's.
func (h *health) bad(now int64) {
	if h.failures.Add(1) >= failureCount {
		h.fail(now)
	}
}

// overdue notes that a reply is late or missing, and backs the server off when
// it has been silent for long enough, to enough queries.
func (h *health) overdue(now int64) {
	if h.quiet(now) {
		h.fail(now)
	}
}

// quiet reports whether there was no reply for so long, to so many queries, that it
// says something.
func (h *health) quiet(now int64) bool {
	since := h.silent.Load()
	return since != 0 && h.open.Load() >= silentCount && time.Duration(now-since) >= h.telling()
}

// fail backs the server off, unless it is already.
func (h *health) fail(now int64) {
	if h.downUntil.Load() != 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.downUntil.Load() == 0 {
		h.backoff = backoffLeast
		h.downUntil.Store(now + int64(h.backoff))
	}
}

// probe reports whether a server that is down should be probed now, to one
// caller only; until the next time passes twice as long, at most backoffMost.
func (h *health) probe(now int64) bool {
	until := h.downUntil.Load()
	if until == 0 || until > now {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if until = h.downUntil.Load(); until == 0 || until > now {
		return false
	}
	h.backoff = min(backoffMost, max(backoffLeast, 2*h.backoff))
	h.downUntil.Store(now + int64(h.backoff))
	return true
}

// explore reports whether a server that is up was not asked for so long that its
// round-trip time says little, to one caller only.
func (h *health) explore(now int64) bool {
	last := h.lastAsked.Load()
	if last != 0 && now-last < int64(exploreAfter) {
		return false
	}
	return h.lastAsked.CompareAndSwap(last, now)
}
