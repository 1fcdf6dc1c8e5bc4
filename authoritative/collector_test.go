package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/garbage"
)

// A small heap may grow by leastGarbage, a large one by the share. Not parallel: the
// collector is one for the process.
func TestCollector(t *testing.T) {
	t.Setenv("GOGC", "")
	before := garbage.InForce()
	defer debug.SetGCPercent(before)
	c := &collector{percent: 25}
	for alive, want := range map[uint64]int{0: 800, 4 << 20: 800, 16 << 20: 200, 64 << 20: 50, 128 << 20: 25, 1 << 30: 25} {
		if got := c.share(alive); got != want {
			t.Errorf("with %d octets alive: %d %%, want %d", alive, got, want)
		}
	}

	spaceCollections(garbage.Percent) // a service of a test before this one, which does not end it
	end := spaceCollections(25)
	becomes := func(what string, holds func(percent int) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !holds(garbage.InForce()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d %%", what, garbage.InForce())
			}
			runtime.GC()
		}
	}
	large := make([]byte, 256<<20)
	becomes("much alive", func(percent int) bool { return percent == 25 })
	runtime.KeepAlive(large)
	large = nil
	becomes("little alive", func(percent int) bool { return percent > 25 })
	end()
	debug.SetGCPercent(-1)
	large = make([]byte, 256<<20)
	runtime.GC()
	c.inForce = c.share(0)
	spacing.Store(c)
	c.collected()
	spacing.Store(nil)
	runtime.KeepAlive(large)
	if got := garbage.InForce(); got != -1 {
		t.Errorf("turned off by somebody else, it is %d %%", got)
	}
}

// What the environment says of collections is left alone.
func TestCollectorTold(t *testing.T) {
	t.Setenv("GOGC", "77")
	before := garbage.InForce()
	defer spaceCollections(25)()
	if got := garbage.InForce(); got != before {
		t.Errorf("%d %%, was %d", got, before)
	}
}
