//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"sync/atomic"
	"time"
)

// read sums what was counted here and in C.
func (q *queue) read() Counts {
	c := q.c
	counts := Counts{
		Lcore: q.lcore, Bursts: load(&c.bursts), Polls: load(&c.polls), Sent: load(&c.sent),
		Unsent: load(&c.unsent) + q.big.Load() + q.late.dropped.Load(),
		Late:   load(&c.late), Oversize: load(&c.oversize), Busy: cycles(load(&c.busy)),
		Longest: cycles(load(&c.longest)), Naps: load(&c.naps),
	}
	if began := load(&c.began); began != 0 {
		counts.Up = cycles(load(&c.entered) - began)
	}
	for v := range q.counts {
		counts.Frames[v] = q.counts[v].Load()
	}
	for i := range counts.Gaps {
		counts.Gaps[i] = load(&c.gaps[i])
	}
	for i := range counts.Sizes {
		counts.Sizes[i] = load(&c.size[i])
	}
	counts.Recent = q.recent(uint64(C.strata_now()))
	return counts
}

// Both sides tell as many lengths of gaps apart.
var _ [GapLengths]struct{} = [C.STRATA_GAPS]struct{}{}

// recentSeconds is what Recent goes back, with the second that has just begun.
const recentSeconds = 60

// recent sums the last minute up.
func (q *queue) recent(now uint64) (r Recent) {
	hz, busy := uint64(C.strata_hz()), uint64(0)
	this := now / hz
	for i := range q.c.second {
		s := &q.c.second[i]
		number := load(&s.number)
		if number == 0 || number > this || this-number >= recentSeconds {
			continue
		}
		busy += load(&s.busy)
		r.Longest = max(r.Longest, cycles(load(&s.longest)))
	}
	if began := load(&q.c.began); began != 0 {
		since := now - min(now, began)
		r.Span = cycles(min(since, (recentSeconds-1)*hz+now%hz))
	}
	r.Busy = min(cycles(busy), r.Span)
	return r
}

// load reads a counter that the lcore writes.
func load(counter *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(counter)) }

// cycles is how long so many are.
func cycles(n uint64) time.Duration {
	return time.Duration(float64(n) / float64(C.strata_hz()) * float64(time.Second))
}
