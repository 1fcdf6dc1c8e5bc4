package cache

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// counters of a cache. Those of look-ups are in lanes, as all cores write them.
type counters struct {
	lookups [lanes]struct {
		states [4]atomic.Uint64
		_      [96]byte // no lane shares a cache line with the next one's counters
	}
	joined, refreshes, refreshDropped atomic.Uint64
	refreshed                         atomic.Uint64
	failed, refused, trimmed          atomic.Uint64
	staleWaits, failedWaits           atomic.Uint64
	overFlights, overWaiters          atomic.Int64
	stored, rejected, evicted         atomic.Uint64
}

const lanes = 64 // a power of two

// lookup counts in a lane chosen by where the goroutine's stack is: workers mostly
// have one each, whatever names they are asked for.
func (n *counters) lookup(s State) {
	var here byte
	stack := uint64(uintptr(unsafe.Pointer(&here))) >> 11
	n.lookups[stack*0x9e3779b97f4a7c15>>(64-bits.Len(lanes-1))].states[s].Add(1)
}

// total is how many look-ups there were.
func (n *counters) total() uint64 {
	sum := uint64(0)
	for i := range n.lookups {
		for s := range n.lookups[i].states {
			sum += n.lookups[i].states[s].Load()
		}
	}
	return sum
}

// Figures are what a cache counted since it was made, and what it holds now.
type Figures struct {
	// Look-ups by state.
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Stale    uint64 `json:"stale"`
	Failures uint64 `json:"failures"`

	Fetches   uint64 `json:"fetches"`   // questions sent upstream, refreshes among them
	Joined    uint64 `json:"joined"`    // askers who joined a question already in the air
	Refreshes uint64 `json:"refreshes"` // fetches ahead of expiry
	Refreshed uint64 `json:"refreshed"` // of them those that brought an answer
	// RefreshesDropped are refreshes that were due when too many were waiting.
	RefreshesDropped uint64 `json:"refreshes_dropped"`

	UpstreamFailed  uint64 `json:"upstream_failed"`  // fetches that ended in an error, or a response code that is one
	UpstreamRefused uint64 `json:"upstream_refused"` // upstream messages that were malformed, truncated, or answered another question
	Trimmed         uint64 `json:"trimmed"`          // records not stored, as they had nothing to do with the question

	StaleReplies  uint64 `json:"stale_replies"`  // late replies that were stale
	FailedReplies uint64 `json:"failed_replies"` // late replies that were SERVFAIL
	OverFlights   uint64 `json:"over_flights"`   // askers turned away because too many questions were in the air
	OverWaiters   uint64 `json:"over_waiters"`   // askers turned away because too many waited for the same

	Stored   uint64 `json:"stored"`   // entries written
	Rejected uint64 `json:"rejected"` // entries not worth their bytes
	Evicted  uint64 `json:"evicted"`  // entries given up for others

	Entries int64 `json:"entries"` // entries held
	Bytes   int64 `json:"bytes"`   // bytes they take, with index and counters
	Limit   int64 `json:"limit"`   // Options.Size
	Flights int64 `json:"flights"` // questions in the air
	Waiting int64 `json:"waiting"` // askers waiting
}

// Stats reads the counters. They are read one after the other, not at one moment.
func (c *Cache) Stats() Figures {
	n := &c.count
	f := Figures{
		Fetches: c.flights.begun(), Joined: n.joined.Load(),
		Refreshes: n.refreshes.Load(), Refreshed: n.refreshed.Load(), RefreshesDropped: n.refreshDropped.Load(),
		UpstreamFailed: n.failed.Load(), UpstreamRefused: n.refused.Load(), Trimmed: n.trimmed.Load(),
		StaleReplies: n.staleWaits.Load(), FailedReplies: n.failedWaits.Load(),
		OverFlights: uint64(n.overFlights.Load()), OverWaiters: uint64(n.overWaiters.Load()),
		Stored: n.stored.Load(), Rejected: n.rejected.Load(), Evicted: n.evicted.Load(),
		Entries: c.index.entries.Load(), Bytes: c.index.bytes.Load() + c.judge.fixed(), Limit: c.opts.Size,
		Flights: c.flights.open(), Waiting: c.flights.waiting(),
	}
	for i := range n.lookups {
		f.Misses += n.lookups[i].states[Miss].Load()
		f.Hits += n.lookups[i].states[Hit].Load()
		f.Stale += n.lookups[i].states[Stale].Load()
		f.Failures += n.lookups[i].states[Failure].Load()
	}
	return f
}
