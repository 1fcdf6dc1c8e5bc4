package policy

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Limiter bounds the queries a second of each client. It is one table of fixed
// size without locks, for all workers: clients that have been quiet long enough to
// have their whole burst again leave nothing to remember, so their places are free.
// Where a client finds no place it counts as limited: the table fails closed.
//
// Each place holds a virtual arrival time (the generic cell rate algorithm of ITU-T
// I.371): a query is good when its client's time lies less than a burst ahead, and
// moves it on by a query's share of a second.
type Limiter struct {
	slots    []atomic.Uint64 // buckets of 8, a cache line each: tag<<48 | µs since start
	seed     maphash.Seed
	start    time.Time
	interval uint64 // µs a query
	burst    uint64 // µs ahead that are still good
	slip     int
	bits     prefixBits
	exempt   prefixMap
	limited  count
	full     count
}

// A count has a cache line of its own.
type count struct {
	n atomic.Uint64
	_ [56]byte
}

const (
	bucketSlots   = 8
	timeBits      = 48 // of microseconds: nine years
	timeMask      = 1<<timeBits - 1
	defaultTable  = 65536
	maxTable      = 1 << 26
	maxPerSecond  = 1_000_000
	maxSlip       = 1000
	defaultClient = 56 // what one site gets of IPv6 (RFC 6177)
)

// filled gives the configuration with its defaults.
func (c Rate) filled() Rate {
	c.Burst = cmp.Or(c.Burst, max(c.PerSecond, 1))
	c.Clients = cmp.Or(c.Clients, defaultTable)
	c.IPv4, c.IPv6 = cmp.Or(c.IPv4, 32), cmp.Or(c.IPv6, defaultClient)
	return c
}

func (c Rate) problems() (all Problems) {
	c = c.filled()
	for _, n := range []struct {
		key          string
		v, low, high int
	}{
		{"per_second", c.PerSecond, 0, maxPerSecond},
		{"burst", c.Burst, 1, maxPerSecond},
		{"slip", c.Slip, 0, maxSlip},
		{"clients", c.Clients, 1, maxTable},
		{"ipv4", c.IPv4, 1, 32},
		{"ipv6", c.IPv6, 1, 128},
		{"in_flight", c.InFlight, 0, maxInFlight},
	} {
		if n.v < n.low || n.v > n.high {
			all = append(all, Problem{"policy.rate." + n.key, fmt.Errorf("%d is not within %d and %d", n.v, n.low, n.high)})
		}
	}
	for i, s := range c.Exempt {
		if _, err := parsePrefix(s); err != nil {
			all = append(all, Problem{fmt.Sprintf("policy.rate.exempt[%d]", i), err})
		}
	}
	return all
}

// NewLimiter makes the limiter of a configuration, nil where there is none to be.
// Its error is of type [Problems]; Compile reports the same.
func NewLimiter(c Rate) (*Limiter, error) {
	if problems := c.problems(); len(problems) > 0 {
		return nil, problems
	}
	if c.PerSecond == 0 {
		return nil, nil
	}
	c = c.filled()
	l := &Limiter{seed: maphash.MakeSeed(), start: time.Now(), slip: c.Slip, bits: prefixBits{c.IPv4, c.IPv6}, exempt: c.exempt()}
	size := bucketSlots
	for size < c.Clients {
		size *= 2
	}
	l.slots = make([]atomic.Uint64, size)
	l.interval = uint64(time.Second/time.Microsecond) / uint64(c.PerSecond)
	l.burst = l.interval * uint64(c.Burst)
	return l, nil
}

// exempt are the prefixes without limit. They were found to be such.
func (c Rate) exempt() prefixMap {
	var exempt []prefixValue
	for _, s := range c.Exempt {
		prefix, _ := parsePrefix(s)
		exempt = append(exempt, prefixValue{prefix, 1})
	}
	return newPrefixMap(exempt)
}

// prefixBits are the lengths of the prefixes that count as one client.
type prefixBits struct{ v4, v6 int }

// key is a client's prefix.
func (b prefixBits) key(client netip.Addr) key128 {
	bits := b.v6
	if client.Is4() {
		bits = b.v4
	}
	prefix, _ := client.Prefix(bits)
	return keyOf(prefix.Addr())
}

// Ask counts a query and gives Pass, Drop or Truncate. Ask it for datagrams only:
// over a stream the client's address is proven. A nil Limiter passes everything.
// Reply writes what a Verdict with the Action says.
func (l *Limiter) Ask(client netip.Addr, now time.Time) Action {
	if l == nil {
		return Pass
	}
	client = client.Unmap().WithZone("")
	if l.exempt.find(client) != 0 || l.take(client, now) {
		return Pass
	}
	l.limited.n.Add(1)
	// Which queries slip is drawn, so that it needs no counter; with a slip of 1
	// all do.
	if l.slip > 0 && rand.IntN(l.slip) == 0 {
		return Truncate
	}
	return Drop
}

// take moves the client's time on, or reports that it lies too far ahead.
func (l *Limiter) take(client netip.Addr, now time.Time) bool {
	t := uint64(max(0, now.Sub(l.start)/time.Microsecond)) & timeMask
	tag, bucket := l.place(client)
	for {
		slot, at := find(bucket, tag, t)
		if slot == nil {
			l.full.n.Add(1)
			return false
		}
		was := at & timeMask
		if was < t { // a free place, or quiet for long
			was = t
		}
		next := was + l.interval
		if next > t+l.burst {
			return false
		}
		if slot.CompareAndSwap(at, tag<<timeBits|next) {
			return true
		}
	}
}

// find gives the client's slot, or else a free one, with what stands in it.
func find(bucket []atomic.Uint64, tag, t uint64) (slot *atomic.Uint64, at uint64) {
	for i := range bucket {
		v := bucket[i].Load()
		if v>>timeBits == tag {
			return &bucket[i], v
		}
		if slot == nil && v&timeMask <= t {
			slot, at = &bucket[i], v
		}
	}
	return slot, at
}

// place hashes the client's prefix, with a seed of this process's, to a bucket and
// a tag within it.
func (l *Limiter) place(client netip.Addr) (tag uint64, bucket []atomic.Uint64) {
	h := maphash.Comparable(l.seed, l.bits.key(client))
	at := h % uint64(len(l.slots)/bucketSlots) * bucketSlots
	return h >> timeBits, l.slots[at : at+bucketSlots]
}

// Limited is how many queries were over their limit, Full how many of them only
// because the table had no place.
func (l *Limiter) Limited() (limited, full uint64) {
	if l == nil {
		return 0, 0
	}
	return l.limited.n.Load(), l.full.n.Load()
}
