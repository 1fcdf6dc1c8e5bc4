package main

import (
	"context"
	"time"

	"github.com/strata-dns/strata/core/upstream"
)

// A listener finds out which resolvers have fallen silent, long before the exchanges
// with them end for want of an answer. It looks at their counters, ten times a second,
// so that questions pay nothing for it.
type listener map[string]*[hearing]sound

// A sound is what was counted of a resolver at one look.
type sound struct{ asked, answered uint64 }

const (
	lookEvery = 100 * time.Millisecond
	patient   = 2             // looks that an answer may take
	hearing   = 2*patient + 1 // looks remembered
	// silentLeast is how many queries tell of silence: one alone may be for a name
	// whose own servers are dead.
	silentLeast = 2
)

// silent tells whether of the queries that have had the time to be answered most
// have not been.
func silent(looks *[hearing]sound) bool {
	first, then, now := looks[0], looks[patient], looks[hearing-1]
	asked, answered := then.asked-first.asked, now.answered-first.answered
	return asked >= silentLeast && 2*answered < asked
}

// look takes in the counters of now, and gives who has fallen silent. Resolvers that
// are no longer asked are forgotten.
func (l listener) look(stats []upstream.ServerStats) (found []upstream.Server) {
	seen := make(map[string]bool, len(stats))
	for i := range stats {
		st := &stats[i]
		name := st.Server.String()
		seen[name] = true
		now := sound{st.Asked, st.Answered}
		looks := l[name]
		if looks == nil || now.asked < looks[hearing-1].asked { // new, or counted anew
			looks = new([hearing]sound)
			for j := range looks {
				looks[j] = now
			}
			l[name] = looks
			continue
		}
		copy(looks[:], looks[1:])
		looks[hearing-1] = now
		if silent(looks) {
			found = append(found, st.Server)
		}
	}
	for name := range l {
		if !seen[name] {
			delete(l, name)
		}
	}
	return found
}

// listen hints at silent resolvers until ctx ends.
func (k *checks) listen(ctx context.Context) {
	l := listener{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, s := range l.look(k.asked.Stats()) {
			k.hint(s)
		}
	}
}
