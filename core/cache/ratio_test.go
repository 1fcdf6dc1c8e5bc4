package cache

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// A trace is what a host's programs ask for: seven parts names that exist, by Zipf's
// law, and three parts junk that hardly ever comes again.
type trace struct {
	zipf    zipf
	random  *rand.Rand
	names   []int // by rank
	shift   int   // every so many queries a tenth of the names change places
	queries int
}

func newTrace(names int, exponent float64, shift int, seed uint64) *trace {
	tr := &trace{zipf: newZipf(names, exponent), random: rand.New(rand.NewPCG(seed, 2)), shift: shift}
	for i := range names {
		tr.names = append(tr.names, i)
	}
	return tr
}

// next is the next name.
func (tr *trace) next() int {
	tr.queries++
	if tr.shift > 0 && tr.queries%tr.shift == 0 {
		for range len(tr.names) / 20 {
			a, b := tr.random.IntN(len(tr.names)), tr.random.IntN(len(tr.names))
			tr.names[a], tr.names[b] = tr.names[b], tr.names[a]
		}
	}
	if tr.random.IntN(10) < 3 {
		return len(tr.names) + tr.random.IntN(5_000_000)
	}
	return tr.names[tr.zipf.draw(tr.random)]
}

// A zipf is the sums of the weights up to each rank.
type zipf []float64

func newZipf(n int, exponent float64) zipf {
	z := make(zipf, n)
	sum := 0.0
	for i := range z {
		sum += math.Pow(float64(i+1), -exponent)
		z[i] = sum
	}
	return z
}

func (z zipf) draw(random *rand.Rand) int {
	i, _ := slices.BinarySearch(z, random.Float64()*z[len(z)-1])
	return i
}

// TestHitRatio runs traces through caches with room for a hundredth to a fifth of
// the names, and through an exact LFU that holds as many bytes and remembers, at no
// cost, how often it was asked for any name there ever was. Where popularity
// shifts, such a memory only harms.
func TestHitRatio(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine, and twenty times slower with the race detector")
	}
	const names = 50_000
	for _, shift := range []int{0, 50_000} {
		for _, exponent := range []float64{0.8, 1.0, 1.2} {
			for _, percent := range []int{1, 5, 20} {
				for seed := range uint64(2) {
					if seed > 0 && shift > 0 || testing.Short() && (exponent != 1 || seed > 0) {
						continue
					}
					t.Run(fmt.Sprintf("shift %d/Zipf %.1f/room for %d percent/seed %d", shift, exponent, percent, seed), func(t *testing.T) {
						ours, exact := race(t, newTrace(names, exponent, shift, seed), names*percent/100, 1_000_000)
						t.Logf("hit ratio %.4f, of an exact LFU %.4f: %.4f of it", ours, exact, ours/exact)
						if ours < 0.98*exact {
							t.Errorf("hit ratio %.4f, of an exact LFU %.4f: %.4f of it", ours, exact, ours/exact)
						}
					})
				}
			}
		}
	}
}

// race runs a trace through a cache with room for so many entries and through an
// exact LFU. It returns their hit ratios in its second half.
func race(t *testing.T, tr *trace, room, queries int) (ours, exact float64) {
	synctest.Test(t, func(t *testing.T) {
		c := roomFor(t, room)
		defer c.Close()
		exactly := lfu{room: room, at: map[int]*use{}}
		var q wire.Query
		buf := make([]byte, 512)
		packet := wire.AppendQuery(nil, 0, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
		for i := range queries {
			if i%10_000 == 0 { // 10,000 queries a second
				time.Sleep(time.Second)
			}
			n := tr.next()
			p := append(buf[:0], packet...)
			digits(p, n)
			q.Parse(p)
			_, s := c.Answer(&q, p, 512, c.Now())
			if s == Miss {
				c.Wait(&q, p, 512, c.Now(), nobody{})
			}
			hit := exactly.ask(n)
			if i < queries/2 {
				continue
			}
			if s == Hit {
				ours++
			}
			if hit {
				exact++
			}
		}
		if f := c.Stats(); f.Rejected == 0 || f.Bytes > f.Limit {
			t.Errorf("%d rejected, %d bytes held of %d", f.Rejected, f.Bytes, f.Limit)
		}
	})
	return ours / float64(queries/2), exact / float64(queries/2)
}

// roomFor is a cache that has room for n entries of one address, beside its bookkeeping.
func roomFor(t *testing.T, n int) *Cache {
	t.Helper()
	o := Options{Fetch: func(q *Question, done func([]byte, error)) { done(addressReply(q, 604800, 1), nil) }}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	q := Question{Name: name(0), Type: wire.TypeA, Class: wire.ClassIN}
	e, err := c.understand(&q, 0, addressReply(&q, 60, 1), 1)
	if err != nil {
		t.Fatal(err)
	}
	need := int64(n) * int64(e.cost())
	for o.Size = need; ; o.Size += 256 {
		var x index
		x.init(o.Size)
		var j judge
		if j.init(o.Size, &x, nil); j.room >= need {
			break
		}
	}
	if c, err = New(o); err != nil {
		t.Fatal(err)
	}
	return c
}

// An lfu counts each name ever asked for and holds those with the highest
// counts, the longest unused going first among equals.
type lfu struct {
	room int
	at   map[int]*use
	held uses
	now  int
}

type use struct {
	name, count, last, place int
	held                     bool
}

func (l *lfu) ask(name int) (hit bool) {
	l.now++
	u := l.at[name]
	if u == nil {
		u = &use{name: name}
		l.at[name] = u
	}
	u.count++
	u.last = l.now
	if u.held {
		heap.Fix(&l.held, u.place)
		return true
	}
	if len(l.held) < l.room {
		u.held = true
		heap.Push(&l.held, u)
	} else if least := l.held[0]; u.count >= least.count {
		least.held, u.held = false, true
		u.place, l.held[0] = 0, u
		heap.Fix(&l.held, 0)
	}
	return false
}

type uses []*use

func (h uses) Len() int { return len(h) }
func (h uses) Less(i, j int) bool {
	return h[i].count < h[j].count || h[i].count == h[j].count && h[i].last < h[j].last
}
func (h uses) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }
func (h *uses) Push(x any)   { u := x.(*use); u.place = len(*h); *h = append(*h, u) }
func (h *uses) Pop() any     { u := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return u }
