package upstream

import (
	"math/bits"
	"time"
)

// A quantile keeps the recent distribution of round-trip times in buckets that
// grow by a quarter of an octave or less, so that a percentile is right within 25 %. When
// it holds recentTimes samples, all counts are halved: old ones fade.
type quantile struct {
	buckets [quantileBuckets]uint16
	total   int
}

const (
	quantileBuckets = 80
	quantileUnit    = 16 * time.Microsecond // width of the first buckets
	recentTimes     = 512
)

func (q *quantile) add(d time.Duration) {
	q.buckets[bucketOf(d)]++
	if q.total++; q.total < recentTimes {
		return
	}
	q.total = 0
	for i := range q.buckets {
		q.buckets[i] /= 2
		q.total += int(q.buckets[i])
	}
}

// at returns an upper bound for the share's (0…1) percentile; 0 where nothing
// was added.
func (q *quantile) at(share float64) time.Duration {
	if q.total == 0 {
		return 0
	}
	left := int(share * float64(q.total))
	for i, n := range q.buckets {
		if left -= int(n); left < 0 {
			return bucketEnd(i)
		}
	}
	return bucketEnd(quantileBuckets - 1)
}

// bucketOf numbers buckets like a floating point number with two bits of
// mantissa: four to each power of two.
func bucketOf(d time.Duration) int {
	v := uint64(max(0, d) / quantileUnit)
	if v < 4 {
		return int(v)
	}
	exp := bits.Len64(v) - 3
	return min(quantileBuckets-1, exp*4+int(v>>exp))
}

func bucketEnd(i int) time.Duration {
	if i < 4 {
		return time.Duration(i+1) * quantileUnit
	}
	exp := (i - 4) / 4
	return time.Duration((i-4)%4+4+1) << exp * quantileUnit
}
