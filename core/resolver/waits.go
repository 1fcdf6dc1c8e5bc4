package resolver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/cache"
)

var waitsDesc = prometheus.NewDesc("strata_resolver_answer_seconds",
	"Seconds that askers waited whom memory could not answer, by what they got: upstream, stale, failure.", []string{"outcome"}, nil)

// waitBounds are the upper bounds of what waits are counted by.
var waitBounds = [...]time.Duration{
	200 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 1500 * time.Millisecond, 2 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// waits are a histogram of how long askers waited, by outcome. They are plain numbers,
// under the lock that each late reply takes anyway.
type waits [cache.Failure + 1]struct {
	by  [len(waitBounds) + 1]uint64
	sum time.Duration
}

func (w *waits) add(how cache.State, waited time.Duration) {
	i := 0
	for i < len(waitBounds) && waited > waitBounds[i] {
		i++
	}
	w[how].by[i]++
	w[how].sum += waited
}

// Describe implements prometheus.Collector.
func (p *post) Describe(ch chan<- *prometheus.Desc) { ch <- waitsDesc }

// Collect implements prometheus.Collector.
func (p *post) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	all := p.waits
	p.mu.Unlock()
	for _, how := range []cache.State{cache.Hit, cache.Stale, cache.Failure} {
		count, buckets := uint64(0), make(map[float64]uint64, len(waitBounds))
		for i, bound := range waitBounds {
			count += all[how].by[i]
			buckets[bound.Seconds()] = count
		}
		count += all[how].by[len(waitBounds)]
		ch <- prometheus.MustNewConstHistogram(waitsDesc, count, all[how].sum.Seconds(), buckets, lateName(how))
	}
}
