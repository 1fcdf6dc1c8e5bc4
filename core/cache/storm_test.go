package cache

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// TestColdStorm has 10,000 new names be asked for at once, each by several askers
// from several goroutines, over an upstream that takes 20 ms: it sees each question
// once, and everybody is answered.
func TestColdStorm(t *testing.T) {
	const names, askers, latency = 10_000, 3, 20 * time.Millisecond
	up := newUpstream(latency)
	c, err := New(Options{Size: 64 << 20, Fetch: up.fetch})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var waits stopwatch
	var done, group sync.WaitGroup
	done.Add(names * askers)
	for g := range askers {
		group.Go(func() {
			var q wire.Query
			var buf [512]byte
			for i := range names {
				p := rawQuery(&q, buf[:], uint16(i), name((i+g*100)%names), wire.TypeA)
				if _, s := c.Answer(&q, p, 512, c.Now()); s != Miss {
					done.Done()
					continue
				}
				c.Wait(&q, p, 512, c.Now(), &lap{&waits, time.Now(), &done})
			}
		})
	}
	group.Wait()
	done.Wait()
	up.end()
	f := c.Stats()
	if f.Fetches != names || f.FailedReplies+f.StaleReplies != 0 || f.Entries != names || f.Waiting != 0 || f.Flights != 0 {
		t.Errorf("%+v", f)
	}
	t.Logf("waits over an upstream of %v: median %v, p99 %v; %d joined", latency, waits.quantile(0.5), waits.quantile(0.99), f.Joined)
}

// An upstream answers each question after the same time, from one goroutine.
type upstream struct {
	latency time.Duration
	asked   chan due
	ended   chan struct{}
}

type due struct {
	at   time.Time
	q    *Question
	done func([]byte, error)
}

func newUpstream(latency time.Duration) *upstream {
	u := &upstream{latency, make(chan due, 100_000), make(chan struct{})}
	go func() {
		defer close(u.ended)
		for d := range u.asked {
			time.Sleep(time.Until(d.at))
			d.done(addressReply(d.q, 3600, 1), nil)
		}
	}()
	return u
}

func (u *upstream) fetch(q *Question, done func([]byte, error)) {
	u.asked <- due{time.Now().Add(u.latency), q, done}
}

func (u *upstream) end() {
	close(u.asked)
	<-u.ended
}

// A stopwatch collects how long was waited.
type stopwatch struct {
	mu   sync.Mutex
	laps []time.Duration
}

func (s *stopwatch) quantile(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.laps) == 0 {
		return 0
	}
	slices.Sort(s.laps)
	return s.laps[int(q*float64(len(s.laps)-1))]
}

// A lap is a Waiter.
type lap struct {
	to    *stopwatch
	since time.Time
	done  *sync.WaitGroup
}

func (l *lap) Deliver([]byte, State) {
	l.to.mu.Lock()
	l.to.laps = append(l.to.laps, time.Since(l.since))
	l.to.mu.Unlock()
	l.done.Done()
}

// BenchmarkStorm is new names from all cores: for each a miss that opens a flight, a
// second that joins it, and its landing. The cache has room for all, or is full.
func BenchmarkStorm(b *testing.B) {
	for what, size := range map[string]int64{"room": 1 << 30, "full": 1 << 20} {
		b.Run(what, func(b *testing.B) {
			air := make(chan due, 1024)
			c, err := New(Options{Size: size, Fetch: func(q *Question, done func([]byte, error)) { air <- due{q: q, done: done} }})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			var names atomic.Int64
			packet := wire.AppendQuery(nil, 4711, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var q wire.Query
				buf := make([]byte, 512)
				for pb.Next() {
					p := append(buf[:0], packet...)
					digits(p, int(names.Add(1)%10_000_000))
					q.Parse(p)
					if _, s := c.Answer(&q, p, 512, c.Now()); s != Miss {
						b.Error(s)
					}
					c.Wait(&q, p, 512, c.Now(), nobody{})
					c.Wait(&q, p, 512, c.Now(), nobody{})
					d := <-air
					d.done(addressReply(d.q, 3600, 1), nil)
				}
			})
		})
	}
}
