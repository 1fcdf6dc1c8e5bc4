package upstream

import (
	"math/bits"
	"time"
)

// impatient reports whether a flight waits for something better than the bad reply
// that it has, from servers that were all asked.
func (s *shard) impatient(f *flight) bool {
	return f.last != nil && f.done != nil && f.open > 0 && !s.fresh(f)
}

// patience is until when an impatient flight waits: without it a server that refuses
// and one that is dead would cost their askers the whole budget.
//
// Who is asked to resolve may well take the budget for a name that nobody has asked for
// yet. But who has all answers in memory, as an authoritative server, is late only where
// a packet was lost: then it is asked once more. Of those that are known to be silent a
// sign of life is awaited.
func (f *flight) patience() (until int64) {
	down, streams := true, true
	var servers marks
	for i := range f.attempts[:f.sent] {
		a := &f.attempts[i]
		if !a.open {
			continue
		}
		to := f.to(a)
		servers.add(int(a.index))
		down, streams = down && to.down(), streams && a.stream()
		until = max(until, a.sent+int64(to.telling()))
	}
	again := int(f.open) > bits.OnesCount64(uint64(servers))
	if !down && (f.rd || !again && !streams) {
		return f.deadline
	}
	return until
}

// telling is how long a server's silence must last to say something.
func (h *health) telling() time.Duration { return max(silentLeast, 4*h.p95()) }
