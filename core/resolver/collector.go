package resolver

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
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
	goPercent    = 100                   // that Go begins with
)

// newCollector begins. GOGC in the environment is stronger.
func newCollector(waiting func() int64) *collector {
	c := &collector{waiting: waiting, ended: make(chan struct{})}
	if os.Getenv("GOGC") == "" {
		c.arm()
	}
	return c
}

func (c *collector) close() {
	c.mu.Lock()
	close(c.ended)
	c.mu.Unlock()
	c.spacing.Wait()
}

// arm waits for the next collection, by something that it will find dead.
func (c *collector) arm() {
	dead := new([8]*collector) // has pointers: small things without are kept together
	runtime.AddCleanup(dead, (*collector).collected, c)
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
		c.arm()
		return
	}
	c.spacing.Go(c.space)
}

// space counts what waits until it is little.
func (c *collector) space() {
	look := time.NewTicker(crowdedEvery)
	defer look.Stop()
	defer c.arm()
	defer crowds.leave(c)
	for {
		n := c.waiting()
		if n < crowd/2 {
			return
		}
		crowds.count(c, n)
		select {
		case <-c.ended:
			return
		case <-look.C:
		}
	}
}

// crowds are those of all resolvers of the process, which has one collector.
var crowds = crowded{waiting: map[*collector]int64{}}

type crowded struct {
	mu      sync.Mutex
	waiting map[*collector]int64
	inForce int
}

func (c *crowded) count(of *collector, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.inForce = goPercent
	}
	c.waiting[of] = n
	var all int64
	for _, n := range c.waiting {
		all += n
	}
	c.set(percent(all, alive()))
}

func (c *crowded) leave(of *collector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, of)
	if len(c.waiting) == 0 {
		c.set(goPercent)
	}
}

// set has a percentage in force, but for small steps: each stops the world for a moment. Whoever
// else has set one goes on with theirs.
func (c *crowded) set(want int) {
	if off := want - c.inForce; off*8 > -c.inForce && off*8 < c.inForce && want != goPercent {
		return
	}
	if was := debug.SetGCPercent(want); was != c.inForce {
		debug.SetGCPercent(was)
		return
	}
	c.inForce = want
}

// percent is by how much a heap may grow when that much of it was alive behind the last
// collection, and so many wait: as much as ever, or by what these take, whichever is more.
func percent(waiting int64, alive uint64) int {
	return max(goPercent, int(100*uint64(waiting)*perWaiting/max(alive, 4<<20))) // Go's least heap is 4 MiB
}

func alive() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
