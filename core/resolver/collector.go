package resolver

import (
	"os"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/garbage"
)

// A collector keeps Go's collector from looking through questions that wait. They are most
// of the heap where they are many, as when a server has died under load, and none of them
// is garbage: a collection finds nothing, takes its time of the CPU for a tenth of a
// second with 100,000 of them, and answers from memory wait for it by milliseconds. So a heap may
// grow by what they take before there is one.
type collector struct {
	waiting func() int64
	mu      sync.Mutex
	ended   chan struct{}
	spacing sync.WaitGroup
}

const (
	crowd        = 4096                  // questions that wait, from which on they are much of a heap
	perWaiting   = 2 << 10               // octets of one, and some more
	crowdedEvery = 20 * time.Millisecond // between looks at how many they are
)

// newCollector begins. GOGC in the environment is stronger.
func newCollector(waiting func() int64) *collector {
	c := &collector{waiting: waiting, ended: make(chan struct{})}
	if os.Getenv("GOGC") == "" {
		garbage.Behind(c.collected)
	}
	return c
}

func (c *collector) close() {
	c.mu.Lock()
	close(c.ended)
	c.mu.Unlock()
	c.spacing.Wait()
}

// collected is called behind a collection: who needs none is not looked after between them.
func (c *collector) collected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ended:
		return
	default:
	}
	if c.waiting() < crowd {
		garbage.Behind(c.collected)
		return
	}
	c.spacing.Go(c.space)
}

// space counts what waits until it is little.
func (c *collector) space() {
	look := time.NewTicker(crowdedEvery)
	defer look.Stop()
	defer garbage.Behind(c.collected)
	inForce, ours := garbage.Percent, true // until somebody else has set another
	set := func(percent int) {
		if ours = ours && garbage.Replace(inForce, percent); ours {
			inForce = percent
		}
	}
	defer func() { set(garbage.Percent) }()
	for n := c.waiting(); n >= crowd/2; n = c.waiting() {
		if want := percent(n, garbage.Alive()); !garbage.Near(inForce, want) {
			set(want)
		}
		select {
		case <-c.ended:
			return
		case <-look.C:
		}
	}
}

// percent is by how much a heap may grow when that much of it was alive behind the last
// collection, and so many wait: as much as ever, or by what these take, whichever is more.
func percent(waiting int64, alive uint64) int {
	return max(garbage.Percent, int(100*uint64(waiting)*perWaiting/max(alive, garbage.Least)))
}
