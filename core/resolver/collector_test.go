package resolver

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"github.com/strata-dns/strata/core/garbage"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		waiting int64
		alive   uint64
		want    int
	}{{0, 0, 100}, {crowd, 4 << 20, 200}, {100_000, 30 << 20, 651}, {100_000, 160 << 20, 122}, {100_000, 1 << 30, 100}} {
		if got := percent(c.waiting, c.alive); got != c.want {
			t.Errorf("%d waiting, %d octets alive: %d %%, want %d", c.waiting, c.alive, got, c.want)
		}
	}
}

// Not parallel: the collector is one for the process.
func TestCollector(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(garbage.Percent))
	becomes := func(what string, holds func(percent int) bool) {
		t.Helper()
		until(t, what, func() bool {
			runtime.GC()
			return holds(garbage.InForce())
		})
	}
	more := func(percent int) bool { return percent > garbage.Percent }
	usual := func(percent int) bool { return percent == garbage.Percent }
	var waiting atomic.Int64
	c := newCollector(waiting.Load)
	for range 2 { // it goes on looking
		waiting.Store(crowd - 1)
		for range 10 {
			if runtime.GC(); !usual(garbage.InForce()) {
				t.Fatalf("%d waiting: %d %%", waiting.Load(), garbage.InForce())
			}
		}
		waiting.Store(1_000_000)
		becomes("many wait", more)
		waiting.Store(0)
		becomes("few wait", usual)
	}
	waiting.Store(1_000_000)
	becomes("many wait", more)
	c.close()
	if !usual(garbage.InForce()) {
		t.Errorf("closed: %d %%", garbage.InForce())
	}
}

// What the environment or somebody else says of collections is left alone.
func TestCollectorTold(t *testing.T) {
	var looks atomic.Int64
	many := func() int64 { looks.Add(1); return 1_000_000 }
	before := garbage.InForce()
	t.Setenv("GOGC", "77")
	c := newCollector(many)
	for range 10 {
		if runtime.GC(); garbage.InForce() != before {
			t.Fatalf("%d %%, was %d", garbage.InForce(), before)
		}
	}
	c.close()

	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	c = newCollector(many)
	until(t, "it looks on", func() bool {
		runtime.GC()
		return looks.Load() > 3
	})
	c.close()
	if got := garbage.InForce(); got != -1 {
		t.Errorf("turned off by somebody else, it is %d %%", got)
	}
}
