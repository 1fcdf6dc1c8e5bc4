package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
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

// goShare is the percentage that Go begins with.
const goShare = 100

// spaceCollections lets the heap grow by percent between two collections, and by
// leastGarbage where that is more. GOGC in the environment is stronger, and so is
// whoever turns collections off. It returns what leaves it at percent.
func spaceCollections(percent int) (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	c := &collector{percent: percent}
	c.inForce = c.share(0)
	if debug.SetGCPercent(c.inForce) < 0 {
		debug.SetGCPercent(-1)
		return func() {}
	}
	spacing.Store(c)
	c.arm()
	return func() {
		if spacing.CompareAndSwap(c, nil) {
			debug.SetGCPercent(percent)
		}
	}
}

// share is the percentage at a number of octets alive. Go multiplies its least heap,
// 4 MiB, by it, so that there is no less to take a share of.
func (c *collector) share(alive uint64) int {
	return max(c.percent, int(leastGarbage*100/max(alive, 4<<20)))
}

// arm waits for the next collection, by something that it will find dead.
func (c *collector) arm() {
	dead := new([8]*collector) // has pointers: small things without are kept together
	runtime.AddCleanup(dead, (*collector).collected, c)
}

// collected looks at what is alive after a collection.
func (c *collector) collected() {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(alive)
	if spacing.Load() != c {
		return
	}
	want := c.share(alive[0].Value.Uint64())
	if off := want - c.inForce; off*8 > c.inForce || -off*8 > c.inForce || want == c.percent {
		if want != c.inForce && debug.SetGCPercent(want) < 0 { // the plane has turned it off
			debug.SetGCPercent(-1)
			return
		}
		c.inForce = want
	}
	c.arm()
}
