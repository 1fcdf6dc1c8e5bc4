package resolver

import (
	"sync/atomic"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// What is counted: how the cache answered, then the outcomes of parsing, then what
// the rules did.
const (
	invalid       = int(cache.Failure) + 1
	policed       = invalid + int(wire.BadVers) + 1
	limitedKind   = policed + int(policy.Truncate) + 1
	unaskedKind   = limitedKind + 1
	loopKind      = unaskedKind + 1
	badCookieKind = loopKind + 1
	crowdedKind   = badCookieKind + 1
	kinds         = crowdedKind + 1
)

// counts are one worker's, on cache lines of their own.
type counts struct {
	_       [64]byte
	by      [kinds]atomic.Uint64
	cookies [wire.CookieStates]atomic.Uint64 // queries that had options, by their cookie
	_       [64]byte
}

// add takes up a batch's tally and clears it: one atomic write for each kind that
// the batch had, not one a query.
func (c *counts) add(tally *[kinds]uint32, cookies *[wire.CookieStates]uint32) {
	move(c.by[:], tally[:])
	move(c.cookies[:], cookies[:])
}

func move(to []atomic.Uint64, tally []uint32) {
	for k, n := range tally {
		if n != 0 {
			to[k].Add(uint64(n))
			tally[k] = 0
		}
	}
}

// kindName names what counts.by holds at k.
func kindName(k int) string {
	switch {
	case k < invalid:
		return cache.State(k).String()
	case k < policed:
		return [...]string{"cookie", "silence", "formerr", "notimp", "refused", "badvers"}[k-invalid]
	case k < limitedKind:
		return "policy-" + policy.Action(k-policed).String()
	case k == limitedKind:
		return "rate-limited"
	case k == loopKind:
		return "loop"
	case k == badCookieKind:
		return "badcookie"
	case k == crowdedKind:
		return "crowded"
	}
	return "no-recursion"
}
