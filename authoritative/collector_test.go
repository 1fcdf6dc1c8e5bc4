package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func gcPercent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(int64(s[0].Value.Uint64()))
}

// A small heap may grow by leastGarbage, a large one by the share. Not parallel: the
// collector is one for the process.
func TestCollector(t *testing.T) {
	t.Setenv("GOGC", "")
	before := gcPercent()
	defer debug.SetGCPercent(before)
	c := &collector{percent: 25}
	for alive, want := range map[uint64]int{0: 800, 4 << 20: 800, 16 << 20: 200, 64 << 20: 50, 128 << 20: 25, 1 << 30: 25} {
		if got := c.share(alive); got != want {
			t.Errorf("with %d octets alive: %d %%, want %d", alive, got, want)
		}
	}

	spaceCollections(goShare) // a service of a test before this one, which does not end it
	end := spaceCollections(25)
	becomes := func(what string, holds func(percent int) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !holds(gcPercent()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d %%", what, gcPercent())
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
	if got := gcPercent(); got != -1 {
		t.Errorf("turned off by somebody else, it is %d %%", got)
	}
}

// What the environment says of collections is left alone.
func TestCollectorTold(t *testing.T) {
	t.Setenv("GOGC", "77")
	before := gcPercent()
	defer spaceCollections(25)()
	if got := gcPercent(); got != before {
		t.Errorf("%d %%, was %d", got, before)
	}
}
