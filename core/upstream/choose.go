package upstream

import "time"

const (
	hedgeLeast   = 10 * time.Millisecond
	hedgeMost    = 400 * time.Millisecond
	hedgeUnknown = 150 * time.Millisecond // before anything was measured
	resendLeast  = 200 * time.Millisecond // to a server that was asked already
	resendMost   = 800 * time.Millisecond
	maxServers   = 64 // of a set: they are bits of a marks
)

// marks is a set of servers of a set, by index.
type marks uint64

func (m marks) has(i int) bool { return m>>i&1 != 0 }
func (m *marks) add(i int)     { *m |= 1 << i }

// choose picks whom to ask next: of those not asked yet the one with the least
// round-trip time, by lot among those near to it, so that equals share the work;
// servers that are down only when nobody else is left. When all were asked, one
// that has not failed is asked again. It returns -1 where there is none.
func choose(servers []*server, asked, failed marks, lot uint32) int {
	for _, skip := range [...]marks{asked | failed, failed} {
		for _, down := range [...]bool{false, true} {
			if i := nearest(servers, skip, down, lot); i >= 0 {
				return i
			}
		}
	}
	return -1
}

// nearest picks by lot among the servers, up or down, that are nearly as fast as
// the fastest. One that was never measured counts as fastest: it will be then.
func nearest(servers []*server, skip marks, down bool, lot uint32) int {
	best := time.Duration(-1)
	for i, s := range servers {
		if rtt := s.smoothed(); !skip.has(i) && s.down() == down && (best < 0 || rtt < best) {
			best = rtt
		}
	}
	if best < 0 {
		return -1
	}
	near := best + best/4 + 500*time.Microsecond
	count, pick := uint32(0), -1
	for i, s := range servers {
		if skip.has(i) || s.down() != down || s.smoothed() > near {
			continue
		}
		// The n-th candidate replaces the pick with chance 1/n.
		if count++; pick < 0 || lot>>16%count == 0 {
			pick = i
		}
		lot = lot*1664525 + 1013904223
	}
	return pick
}

// extra picks a server to be asked beside the one that was chosen, for our own
// sake: one that is down and due for a probe, or one not asked for long. Most
// of the time there is none: -1.
func extra(servers []*server, asked marks, now int64) int {
	for i, s := range servers {
		if asked.has(i) {
			continue
		}
		if s.down() {
			if s.probe(now) {
				return i
			}
		} else if s.explore(now) {
			return i
		}
	}
	return -1
}

// hedge is how long a server may take before another one is asked as well.
func (h *health) hedge() time.Duration {
	p95 := h.p95()
	if p95 == 0 {
		return hedgeUnknown
	}
	return min(hedgeMost, max(hedgeLeast, p95))
}

// pause is how long to wait after the sent-th query of a flight (1 the first)
// went to a server, before the next is sent. fresh: the next one goes to a server
// not asked before. Pauses double, so that a storm ebbs away.
func pause(to *server, sent int, fresh bool) time.Duration {
	if fresh {
		return min(hedgeMost, to.hedge()<<min(sent-1, 6))
	}
	return min(resendMost, max(resendLeast, to.hedge()<<1)<<min(sent-1, 2))
}
