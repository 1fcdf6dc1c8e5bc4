package garbage_test

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/garbage"
)

func TestBehind(t *testing.T) {
	var called atomic.Int32
	garbage.Behind(func() { called.Add(1) })
	for until := time.Now().Add(20 * time.Second); called.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("never called")
		}
		runtime.GC()
	}
	large := make([]byte, 64<<20)
	runtime.GC()
	if alive := garbage.Alive(); alive < 64<<20 {
		t.Errorf("%d octets alive", alive)
	}
	runtime.KeepAlive(large)
	if n := called.Load(); n != 1 {
		t.Errorf("called %d times", n)
	}
}

func TestReplace(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	if !garbage.Replace(70, 80) || garbage.InForce() != 80 {
		t.Errorf("%d %%", garbage.InForce())
	}
	if garbage.Replace(70, 90) || garbage.InForce() != 80 {
		t.Errorf("somebody else's 80 %% is %d", garbage.InForce())
	}
	debug.SetGCPercent(-1)
	if garbage.Replace(80, 90) || garbage.InForce() != -1 {
		t.Errorf("collections that were off are at %d %%", garbage.InForce())
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		inForce, want int
		near          bool
	}{{100, 100, true}, {100, 112, true}, {100, 113, false}, {100, 88, true}, {100, 87, false}} {
		if garbage.Near(c.inForce, c.want) != c.near {
			t.Errorf("%d and %d", c.inForce, c.want)
		}
	}
}
