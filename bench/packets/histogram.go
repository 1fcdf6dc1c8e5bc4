package packets

import (
	"math/bits"
	"time"
)

// Each octave of a Histogram has so many buckets: a bucket's bounds are within 1/32
// (3 %) of each other.
const (
	fineBits = 5
	fine     = 1 << fineBits
	buckets  = (64 - fineBits + 1) * fine
)

// A Histogram counts spans by logarithmic buckets that are divided linearly (as
// HdrHistogram does). Recording takes no allocation and no lock.
type Histogram struct {
	counts [buckets]uint64
	n      uint64
	sum    float64
	max    uint64
}

// bucket is where a value is counted: exactly below 2·fine, from there on by its
// fineBits+1 leading bits.
func bucket(v uint64) int {
	if v < 2*fine {
		return int(v)
	}
	shift := bits.Len64(v) - fineBits - 1
	return shift<<fineBits + int(v>>shift)
}

// lowest is the smallest value of a bucket.
func lowest(b int) uint64 {
	if b < 2*fine {
		return uint64(b)
	}
	shift := b>>fineBits - 1
	return uint64(b-shift<<fineBits) << shift
}

// Record counts one span, in any unit.
func (h *Histogram) Record(v uint64) {
	h.counts[bucket(v)]++
	h.n++
	h.sum += float64(v)
	h.max = max(h.max, v)
}

// Count is how many were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Mean is that of all recorded, exactly.
func (h *Histogram) Mean() float64 {
	if h.n == 0 {
		return 0
	}
	return h.sum / float64(h.n)
}

// Max is the largest recorded, exactly.
func (h *Histogram) Max() uint64 { return h.max }

// Quantile is the middle of the bucket in which the q-th value (nearest rank) is.
func (h *Histogram) Quantile(q float64) uint64 {
	if h.n == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.n)), h.n-1)
	for b, count := range h.counts {
		if rank < count {
			low := lowest(b)
			high := h.max
			if b+1 < buckets {
				high = min(high, lowest(b+1)-1)
			}
			return low + (high-low)/2
		}
		rank -= count
	}
	return h.max
}

// Latency is what a Report says of a Histogram.
type Latency struct {
	Mean time.Duration `json:"mean"`
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

// Latency reads the histogram of spans in cycles, hz to a second.
func (h *Histogram) Latency(hz float64) Latency {
	span := func(cycles float64) time.Duration { return time.Duration(cycles / hz * float64(time.Second)) }
	at := func(q float64) time.Duration { return span(float64(h.Quantile(q))) }
	return Latency{Mean: span(h.Mean()), P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: span(float64(h.max))}
}
