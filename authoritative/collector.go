package main

import (
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/strata-dns/strata/core/garbage"
)

// A collector spaces Go's collections. By a share of the heap alone they are many where
// the heap is small: with 5 MB alive one comes every few dozen changes, and the change
// that meets it waits for milliseconds on a machine of few CPUs.
type collector struct {
	percent int // by which the heap may grow, where that is more than leastGarbage
	inForce int // Go's percentage
}

// spacing is who spaces the collections: the last who was asked to.
var spacing atomic.Pointer[collector]

// leastGarbage is by how many octets the heap may grow between two collections at least.
const leastGarbage = 32 << 20

// spaceCollections lets the heap grow by percent between two collections, and by
// leastGarbage where that is more. GOGC in the environment is stronger, and so is
// whoever turns collections off. It returns what leaves it at percent.
func spaceCollections(percent int) (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	c := &collector{percent: percent}
	c.inForce = c.share(0)
	if was := garbage.InForce(); was < 0 || !garbage.Replace(was, c.inForce) {
		return func() {}
	}
	spacing.Store(c)
	garbage.Behind(c.collected)
	return func() {
		if spacing.CompareAndSwap(c, nil) {
			debug.SetGCPercent(percent)
		}
	}
}

// share is the percentage at a number of octets alive.
func (c *collector) share(alive uint64) int {
	return max(c.percent, int(leastGarbage*100/max(alive, garbage.Least)))
}

// collected looks at what is alive after a collection.
func (c *collector) collected() {
	if spacing.Load() != c {
		return
	}
	want := c.share(garbage.Alive())
	if !garbage.Near(c.inForce, want) || want == c.percent {
		if want != c.inForce && !garbage.Replace(c.inForce, want) { // the plane has turned it off
			return
		}
		c.inForce = want
	}
	garbage.Behind(c.collected)
}
