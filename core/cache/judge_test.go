package cache

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// settle waits until all that was set has been judged.
func (j *judge) settle() {
	j.induct.Wait()
	if keys := j.keys.Load(); keys != nil {
		keys.Wait()
	}
}

// TestSizeIsKept stores ten times what there is room for, and looks for anything
// that is held without being charged for.
func TestSizeIsKept(t *testing.T) {
	const size = 4 << 20
	c, err := New(Options{Size: size, Fetch: func(*Question, func([]byte, error)) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	total, most := int64(0), int64(0)
	for i := 0; total < 10*size; i++ {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		e, err := c.understand(&q, q.key(), addressReply(&q, 3600, uint32(i)), c.Now())
		if err != nil {
			t.Fatal(err)
		}
		total += int64(e.cost())
		c.keep(e)
		most = max(most, c.index.bytes.Load())
	}
	if slack := int64(size/16 + 8192); most > size+slack {
		t.Errorf("held up to %d bytes, %d allowed", most, size+slack)
	}
	c.judge.settle()
	entries, bytes := int64(0), int64(0)
	c.index.each(func(e *entry) bool {
		entries++
		bytes += int64(e.cost())
		if _, held := c.judge.keys.Load().GetTTL(e.key); !held {
			t.Errorf("%s is held without being charged for", wire.NameString(e.name()))
		}
		return true
	})
	f := c.Stats()
	if entries != f.Entries || bytes != f.Bytes || bytes > size {
		t.Errorf("%d entries of %d bytes held, counted %d of %d", entries, bytes, f.Entries, f.Bytes)
	}
	if used := size - c.judge.keys.Load().RemainingCost(); used != bytes {
		t.Errorf("charged for %d bytes, %d held", used, bytes)
	}
	if bytes < size*9/10 {
		t.Errorf("only %d of %d bytes are used", bytes, size)
	}
	if n := c.Flush(Match{}); int64(n) != entries {
		t.Errorf("%d of %d flushed", n, entries)
	}
	c.judge.settle()
	if c.judge.keys.Load().RemainingCost() != size || c.index.bytes.Load() != 0 {
		t.Errorf("behind a flush %d bytes are charged for, %d held", size-c.judge.keys.Load().RemainingCost(), c.index.bytes.Load())
	}
}

// TestNothingIsDroppedWhereThereIsRoom fills a large cache faster than ristretto
// takes it, to three quarters.
func TestNothingIsDroppedWhereThereIsRoom(t *testing.T) {
	const n = 450_000
	c, err := New(Options{Size: n * 350, Fetch: func(*Question, func([]byte, error)) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range n {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		e, err := c.understand(&q, q.key(), addressReply(&q, 3600, uint32(i)), c.Now())
		if err != nil {
			t.Fatal(err)
		}
		c.keep(e)
	}
	c.judge.settle()
	f := c.Stats()
	if f.Entries != n || f.Dropped != 0 || f.Bytes < f.Limit*2/3 {
		t.Errorf("%d of %d held, %d dropped: %+v", f.Entries, n, f.Dropped, f)
	}
	if used := f.Limit - c.judge.keys.Load().RemainingCost(); used != f.Bytes {
		t.Errorf("charged for %d bytes, %d held", used, f.Bytes)
	}
}

// TestCollision has two questions share a key: neither is answered by the other's
// entry, and the later one takes the place.
func TestCollision(t *testing.T) {
	var x index
	x.init(minSize)
	ask := Question{Name: name(0), Type: wire.TypeA, Class: wire.ClassIN}
	other := ask
	other.Type = wire.TypeAAAA
	third := ask
	third.Name = name(1)
	fourth := ask
	fourth.DO = true
	const key = 4711
	for _, q := range []Question{ask, other, third, fourth} {
		x.put(failure(&q, key, 1, 1, 0, 0))
		for _, asked := range []Question{ask, other, third, fourth} {
			e := x.question(&asked, key)
			if same := asked.Type == q.Type && asked.DO == q.DO && string(asked.Name) == string(q.Name); same != (e != nil) {
				t.Errorf("stored %+v, asked %+v: found %v", q, asked, e != nil)
			}
		}
	}
	if x.entries.Load() != 1 {
		t.Errorf("%d entries", x.entries.Load())
	}
}

// TestHitRatio runs a trace, seven parts Zipf over existing names and three parts
// junk that hardly ever comes again, through a cache that has room for a
// tenth of the names, and through an exact LFU of the same size.
func TestHitRatio(t *testing.T) {
	if raceDetector {
		t.Skip("ristretto counts hits through sync.Pool, which forgets at random under the race detector")
	}
	const names, queries, room = 50_000, 1_000_000, 5_000
	synctest.Test(t, func(t *testing.T) {
		asked := Question{Name: name(0), Type: wire.TypeA, Class: wire.ClassIN}
		c, err := New(Options{Size: 1 << 20, Fetch: func(q *Question, done func([]byte, error)) {
			done(addressReply(q, 604800, 1), nil)
		}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := c.understand(&asked, 0, addressReply(&asked, 60, 1), 1)
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		c, err = New(Options{Size: room * int64(e.cost()), Fetch: c.opts.Fetch})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		exact := lfu{room: room, at: map[int]*use{}}
		random := rand.New(rand.NewPCG(1, 2))
		zipf := rand.NewZipf(random, 1.1, 10, names-1)
		var q wire.Query
		buf := make([]byte, 512)
		packet := wire.AppendQuery(nil, 0, wire.FlagRD, name(0), wire.TypeA, wire.ClassIN, nil)
		ours, theirs := 0, 0
		for i := range queries {
			n := int(zipf.Uint64())
			if random.IntN(10) < 3 {
				n = names + random.IntN(5_000_000)
			}
			if i%10_000 == 0 { // 10,000 queries a second
				time.Sleep(time.Second)
			}
			p := append(buf[:0], packet...)
			p[0], p[1] = byte(random.IntN(256)), byte(random.IntN(256))
			digits(p, n)
			q.Parse(p)
			_, s := c.Answer(&q, p, 512, c.Now())
			if s == Miss {
				c.Wait(&q, p, 512, nobody{})
			}
			hit := exact.ask(n)
			if i >= queries/2 { // behind the warm-up
				ours += int(s)
				if hit {
					theirs++
				}
			}
		}
		t.Logf("hit ratio %.4f, of an exact LFU %.4f; %+v", float64(ours)/(queries/2), float64(theirs)/(queries/2), c.Stats())
		c.judge.settle()
		if f := c.Stats(); f.Rejected == 0 || f.Bytes > f.Limit {
			t.Errorf("%d rejected, %d bytes held of %d", f.Rejected, f.Bytes, f.Limit)
		}
		if float64(ours) < 0.88*float64(theirs) {
			t.Errorf("hit ratio %.4f, of an exact LFU %.4f", float64(ours)/(queries/2), float64(theirs)/(queries/2))
		}
	})
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

// TestIndexUnderWriters has readers find what is always there, while writers put
// and remove its neighbours in the same buckets.
func TestIndexUnderWriters(t *testing.T) {
	var x index
	x.init(minSize) // few buckets, long chains
	entryOf := func(i int) (*entry, Question) {
		q := Question{Name: name(i), Type: wire.TypeA, Class: wire.ClassIN}
		return failure(&q, q.key(), 1, 1, 0, 0), q
	}
	const stay, pass = 500, 500
	for i := range stay {
		e, _ := entryOf(i)
		x.put(e)
	}
	var stop atomic.Bool
	done := make(chan error, 4)
	for g := range 2 {
		go func() {
			for !stop.Load() {
				for i := range pass {
					e, _ := entryOf(stay + i + g*pass)
					x.put(e)
					x.put(func() *entry { e, _ := entryOf((i * 7) % stay); return e }())
				}
				for i := range pass {
					e, _ := entryOf(stay + i + g*pass)
					x.remove(e.key, nil)
				}
			}
			done <- nil
		}()
		go func() {
			defer stop.Store(true)
			for range 40 {
				for i := range stay {
					_, q := entryOf(i)
					if x.question(&q, q.key()) == nil {
						done <- fmt.Errorf("%s is gone", wire.NameString(q.Name))
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := x.entries.Load(); n != stay {
		t.Errorf("%d entries, want %d", n, stay)
	}
}
