package cache

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/wire"
)

func TestOneFlightPerQuestion(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		var boxes []mailbox
		for _, name := range []string{"www.example.", "WWW.Example.", "www.EXAMPLE."} {
			boxes = append(boxes, s.wait(name, dns.TypeA))
		}
		call := s.next()
		other := s.wait("www.example.", dns.TypeAAAA)
		s.next()
		signed := s.wait("www.example.", dns.TypeA, withDO)
		s.next()
		call.answer(address)
		for i, want := range []string{"www.example.", "WWW.Example.", "www.EXAMPLE."} {
			m := s.reply(boxes[i])
			if m.Question[0].Name != want || len(m.Answer) != 1 {
				t.Errorf("asker %d got\n%v", i, m)
			}
		}
		s.silent(other)
		s.silent(signed)
		if f := s.Stats(); f.Fetches != 3 || f.Joined != 2 {
			t.Errorf("%d fetches, %d joined", f.Fetches, f.Joined)
		}
	})
}

// TestTimeToLiveZero reaches all who wait, and nobody later.
func TestTimeToLiveZero(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		a, b := s.wait("a.example.", dns.TypeA), s.wait("a.example.", dns.TypeA)
		s.next().answer("a.example. 0 IN A 192.0.2.1")
		for _, box := range []mailbox{a, b} {
			if m := s.reply(box); len(m.Answer) != 1 || ttlOf(m) != 0 {
				t.Errorf("got\n%v", m)
			}
		}
		s.wait("a.example.", dns.TypeA)
		s.next()
	})
}

// TestStoredMeanwhile has the answer be stored between an asker's look into
// memory and its wait: it is not asked for again.
func TestStoredMeanwhile(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		q := newQuery(t, "www.example.", dns.TypeA)
		if _, state := s.Answer(&q.Query, q.data, 512, s.Now()); state != Miss {
			t.Fatal(state)
		}
		s.fill("www.example.", dns.TypeA, address)
		box := make(mailbox, 1)
		s.Wait(&q.Query, q.data, 512, s.Now(), box)
		if m := s.reply(box); len(m.Answer) != 1 {
			t.Errorf("got\n%v", m)
		}
		s.quiet()
	})
}

// TestVisibleWhenAnswered asks again from within the reply, when the flight can no
// longer be joined: the answer is in memory by then, in a full cache, too.
func TestVisibleWhenAnswered(t *testing.T) {
	play(t, Options{Size: minSize}, func(s *scene) {
		for i := range 1000 {
			q := newQuery(t, fmt.Sprintf("n%d.example.", i), dns.TypeA)
			s.Wait(&q.Query, q.data, 512, s.Now(), again{t, s.Cache, q})
			s.next().answer(fmt.Sprintf("n%d.example. 60 IN A 192.0.2.1", i))
		}
		if s.Stats().Rejected == 0 {
			t.Error("the cache was never full")
		}
	})
}

// again is a Waiter who asks once more.
type again struct {
	t *testing.T
	c *Cache
	q *query
}

func (a again) Deliver([]byte, State) {
	if _, state := a.c.Answer(&a.q.Query, a.q.data, 512, a.c.Now()); state != Hit {
		a.t.Errorf("%s: %v", wire.NameString(a.q.Name()), state)
	}
}

func TestDoneTwice(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA)
		call := s.next()
		call.answer(address)
		call.fail()
		s.reply(box)
		s.silent(box)
		if _, state := s.ask("www.example.", dns.TypeA); state != Hit {
			t.Errorf("state %v", state)
		}
	})
}

// TestFetchAnswersAtOnce has done called from within Fetch.
func TestFetchAnswersAtOnce(t *testing.T) {
	c, err := New(Options{Fetch: func(q *Question, done func([]byte, error)) { done(addressReply(q, 60, 1), nil) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := newQuery(t, "www.example.", dns.TypeA)
	box := make(mailbox, 1)
	c.Wait(&q.Query, q.data, 512, c.Now(), box)
	if m := unpack(t, <-box); len(m.Answer) != 1 {
		t.Errorf("got\n%v", m)
	}
}

func TestTooManyFlights(t *testing.T) {
	play(t, Options{Flights: 2}, func(s *scene) {
		for i := range 2 {
			s.wait(fmt.Sprintf("n%d.example.", i), dns.TypeA)
			s.next()
		}
		m := s.reply(s.wait("n2.example.", dns.TypeA, withEDNS))
		check(t, "one too many", m, dns.RcodeServerFailure, int(dns.ExtendedErrorCodeOther), 0)
		s.quiet()
		if f := s.Stats(); f.OverFlights != 1 || f.Flights != 2 {
			t.Errorf("%d turned away, %d flights", f.OverFlights, f.Flights)
		}
	})
}

func TestTooManyWaiters(t *testing.T) {
	play(t, Options{Waiters: 2}, func(s *scene) {
		a, b := s.wait("www.example.", dns.TypeA), s.wait("www.example.", dns.TypeA)
		if m := s.reply(s.wait("www.example.", dns.TypeA)); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("the third asker got\n%v", m)
		}
		s.next().answer(address)
		s.reply(a)
		s.reply(b)
		if f := s.Stats(); f.OverWaiters != 1 || f.Waiting != 0 {
			t.Errorf("%d turned away, %d waiting", f.OverWaiters, f.Waiting)
		}
	})
}

// TestCloseAnswersEverybody also checks that no goroutine is left.
func TestCloseAnswersEverybody(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := open(t, Options{})
	box := s.wait("www.example.", dns.TypeA)
	s.Close()
	if m := unpack(t, <-box); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got\n%v", m)
	}
	s.calls[0].answer(address) // may still come, and changes nothing
	if f := s.Stats(); f.Stored != 0 || f.Waiting != 0 {
		t.Errorf("stored %d, waiting %d", f.Stored, f.Waiting)
	}
}

type nowhere struct{ n *atomic.Int64 }

func (w nowhere) Deliver([]byte, State) { w.n.Add(1) }

// TestHundredThousandFlights holds memory, goroutines and the end of all to account.
func TestHundredThousandFlights(t *testing.T) {
	const n = 100_000
	synctest.Test(t, func(t *testing.T) {
		var asked, replied atomic.Int64
		c, err := New(Options{Size: 1 << 20, Fetch: func(*Question, func([]byte, error)) { asked.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		before, goroutines := heapBytes(), runtime.NumGoroutine()
		var q wire.Query
		var buf [512]byte
		for i := range n {
			name := wire.MustName(fmt.Sprintf("a-name-of-common-length-%06d.prd.example.com", i))
			b := rawQuery(&q, buf[:], uint16(i), name, wire.TypeA)
			c.Wait(&q, b, 1232, c.Now(), nowhere{&replied})
		}
		if asked.Load() != n || c.Stats().Flights != n {
			t.Fatalf("%d asked, %d in the air", asked.Load(), c.Stats().Flights)
		}
		if grown := (heapBytes() - before) >> 20; grown > 150 {
			t.Errorf("%d flights take %d MiB", n, grown)
		} else {
			t.Logf("%d flights take %d MiB", n, grown)
		}
		if g := runtime.NumGoroutine() - goroutines; g > 0 {
			t.Errorf("%d goroutines more", g)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if replied.Load() != n || c.Stats().Flights != 0 {
			t.Errorf("%d replies, %d still in the air", replied.Load(), c.Stats().Flights)
		}
	})
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyAtOnce has goroutines ask for more names, of short life, than there is
// room for, while entries
// are flushed, dumped and saved, and upstream fails now and then. Everybody gets
// one reply, to the question asked.
func TestManyAtOnce(t *testing.T) {
	var n atomic.Uint64
	c, err := New(Options{Size: minSize, Prefetch: true, Fetch: func(q *Question, done func([]byte, error)) {
		asked := *q
		go func() {
			switch i := n.Add(1); i % 8 {
			case 0:
				done(nil, fmt.Errorf("no luck"))
			case 1:
				done([]byte{1, 2, 3}, nil)
			default:
				done(addressReply(&asked, uint32(i%3), uint32(i)), nil)
			}
		}()
	}})
	if err != nil {
		t.Fatal(err)
	}
	var askers, tenders sync.WaitGroup
	stop := make(chan struct{})
	tenders.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			c.Flush(Match{Under: wire.MustName(fmt.Sprintf("n%d.example", i%50))})
			for range c.Dump() {
			}
			if i%100 == 0 {
				if _, err := c.Save(t.TempDir() + "/cache"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var wanted, replied atomic.Int64
	for g := range 8 {
		askers.Go(func() {
			var q wire.Query
			var buf [1500]byte
			for i := range 3000 {
				name := wire.MustName(fmt.Sprintf("n%d.example", (i*7+g)%700))
				b := rawQuery(&q, buf[:512], uint16(i), name, wire.TypeA)
				if reply, s := c.Answer(&q, b, 1232, c.Now()); s != Miss {
					verify(t, reply, uint16(i), name)
					continue
				}
				wanted.Add(1)
				c.Wait(&q, b, 1232, c.Now(), verifier{t, uint16(i), name, &replied})
			}
		})
	}
	askers.Wait()
	close(stop)
	tenders.Wait()
	for end := time.Now().Add(10 * time.Second); replied.Load() < wanted.Load() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if replied.Load() != wanted.Load() {
		t.Errorf("%d waited, %d replies", wanted.Load(), replied.Load())
	}
}

type verifier struct {
	t       *testing.T
	id      uint16
	name    []byte
	replied *atomic.Int64
}

func (v verifier) Deliver(reply []byte, _ State) {
	verify(v.t, reply, v.id, v.name)
	v.replied.Add(1)
}

func verify(t *testing.T, reply []byte, id uint16, name []byte) {
	if wire.ID(reply) != id || wire.QuestionEnd(reply) < 0 || !wire.EqualFold(reply[12:wire.QuestionEnd(reply)-4], name) {
		t.Errorf("asked for %s, got %x", wire.NameString(name), reply)
	}
}
