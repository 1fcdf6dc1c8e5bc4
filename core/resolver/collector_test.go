package resolver

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
)

func gcPercent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(int64(s[0].Value.Uint64()))
}

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
	defer debug.SetGCPercent(debug.SetGCPercent(goPercent))
	becomes := func(what string, holds func(percent int) bool) {
		t.Helper()
		until(t, what, func() bool {
			runtime.GC()
			return holds(gcPercent())
		})
	}
	more := func(percent int) bool { return percent > goPercent }
	usual := func(percent int) bool { return percent == goPercent }
	var waiting, others atomic.Int64
	c, other := newCollector(waiting.Load), newCollector(others.Load)
	defer other.close()
	for range 2 { // it goes on looking
		waiting.Store(crowd - 1)
		for range 10 {
			if runtime.GC(); !usual(gcPercent()) {
				t.Fatalf("%d waiting: %d %%", waiting.Load(), gcPercent())
			}
		}
		waiting.Store(1_000_000)
		becomes("many wait", more)
		waiting.Store(0)
		becomes("few wait", usual)
	}
	waiting.Store(1_000_000)
	others.Store(1_000_000)
	becomes("many wait", more)
	c.close()
	until(t, "the other's count", func() bool { return more(gcPercent()) })
	others.Store(0)
	becomes("none wait", usual)
}

// What the environment or somebody else says of collections is left alone.
func TestCollectorTold(t *testing.T) {
	many := func() int64 { return 1_000_000 }
	before := gcPercent()
	t.Setenv("GOGC", "77")
	c := newCollector(many)
	for range 10 {
		if runtime.GC(); gcPercent() != before {
			t.Fatalf("%d %%, was %d", gcPercent(), before)
		}
	}
	c.close()

	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	c = newCollector(many)
	until(t, "it looks", func() bool {
		runtime.GC()
		crowds.mu.Lock()
		defer crowds.mu.Unlock()
		return len(crowds.waiting) > 0
	})
	c.close()
	if got := gcPercent(); got != -1 {
		t.Errorf("turned off by somebody else, it is %d %%", got)
	}
}
