package cache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestRefreshAhead checks when a hit asks upstream anew, and that it is answered
// from memory all the same.
func TestRefreshAhead(t *testing.T) {
	for _, tt := range []struct {
		what    string
		ttl     string
		off     bool
		at      float64
		refresh bool
	}{
		{"early", "100", false, 89.9, false},
		{"last tenth", "100", false, 90.1, true},
		{"short-lived", "5", false, 4.6, true},
		{"short-lived, early", "5", false, 4.4, false},
		{"a second", "1", false, 0.6, true},
		{"a second, early", "1", false, 0.4, false},
		{"off", "100", true, 95, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			play(t, Options{Prefetch: !tt.off}, func(s *scene) {
				s.fill("www.example.", dns.TypeA, "www.example. "+tt.ttl+" IN A 192.0.2.1")
				time.Sleep(seconds(tt.at))
				if _, state := s.ask("www.example.", dns.TypeA); state != Hit {
					t.Fatalf("state %v, want a hit", state)
				}
				if !tt.refresh {
					s.quiet()
					return
				}
				call := s.next()
				s.ask("www.example.", dns.TypeA)
				s.quiet() // one refresh is enough
				call.answer("www.example. 100 IN A 192.0.2.2")
				time.Sleep(50 * time.Second)
				m, state := s.ask("www.example.", dns.TypeA)
				if state != Hit || m.Answer[0].(*dns.A).A.String() != "192.0.2.2" {
					t.Errorf("behind the refresh: %v\n%v", state, m)
				}
				if f := s.Stats(); f.Refreshes != 1 || f.Fetches != 2 {
					t.Errorf("%d refreshes, %d fetches", f.Refreshes, f.Fetches)
				}
			})
		})
	}
}

// TestHotNameNeverMisses asks for a name 100 times a second over several of its
// lives: only the first asker ever waits.
func TestHotNameNeverMisses(t *testing.T) {
	for _, ttl := range []int{1, 2, 5, 10, 60} {
		t.Run(fmt.Sprintf("TTL %d", ttl), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := slow(t, ttl, 40*time.Millisecond)
				defer c.Close()
				for range 100 * ttl * 5 {
					askFor(c, "\x03hot\x07example\x00")
					time.Sleep(10 * time.Millisecond)
				}
				if f := c.Stats(); f.Misses != 1 || f.Joined != 0 || f.Refreshes < 4 || f.Refreshes > 10 {
					t.Errorf("%d misses, %d joined, %d refreshes: %+v", f.Misses, f.Joined, f.Refreshes, f)
				}
			})
		})
	}
}

// TestHotNameInRealTime is the same by the clock on the wall. Where the machine let
// the asker stand still for long, it may find that the name has expired.
func TestHotNameInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 7 s")
	}
	c := slow(t, 2, 10*time.Millisecond)
	defer c.Close()
	excused := uint64(1) // the first
	last := time.Now()
	for end := last.Add(7 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if now := time.Now(); now.Sub(last) > 80*time.Millisecond {
			excused += uint64(now.Sub(last)/(10*time.Millisecond)) + 10
		}
		last = time.Now()
		askFor(c, "\x03hot\x07example\x00")
	}
	f := c.Stats()
	t.Logf("%d hits, %d misses, %d refreshes", f.Hits, f.Misses, f.Refreshes)
	if f.Misses > excused || f.Refreshes == 0 {
		t.Errorf("%d misses of %d, %d of them excused; %d refreshes", f.Misses, f.Misses+f.Hits, excused, f.Refreshes)
	}
}

// slow is a cache over an upstream that takes so long for each answer.
func slow(t *testing.T, ttl int, latency time.Duration) *Cache {
	t.Helper()
	c, err := New(Options{Prefetch: true, Fetch: func(q *Question, done func([]byte, error)) {
		time.AfterFunc(latency, func() { done(addressReply(q, uint32(ttl), 1), nil) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// askFor asks memory, and waits where it does not know.
func askFor(c *Cache, name string) (State, []byte) {
	var q wire.Query
	var buf [512]byte
	b := rawQuery(&q, buf[:], 1, []byte(name), wire.TypeA)
	reply, s := c.Answer(&q, b, 512, c.Now())
	if s != Miss {
		return s, reply
	}
	box := make(mailbox, 1)
	c.Wait(&q, b, 512, c.Now(), box)
	return s, <-box
}

// TestRefreshIsJoined has an entry expire while its refresh is in the air.
func TestRefreshIsJoined(t *testing.T) {
	play(t, Options{Prefetch: true}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, "www.example. 10 IN A 192.0.2.1")
		time.Sleep(9500 * time.Millisecond)
		s.ask("www.example.", dns.TypeA)
		call := s.next()
		time.Sleep(600 * time.Millisecond)
		box := s.wait("www.example.", dns.TypeA)
		s.silent(box)
		s.quiet()
		call.answer("www.example. 10 IN A 192.0.2.2")
		if m := s.reply(box); m.Answer[0].(*dns.A).A.String() != "192.0.2.2" {
			t.Errorf("joined the refresh:\n%v", m)
		}
	})
}

// TestRefreshAsksAsTheEntryWasAsked checks that DO and CD are those of the entry.
func TestRefreshAsksAsTheEntryWasAsked(t *testing.T) {
	play(t, Options{Prefetch: true}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA, withDO, withCD)
		s.next().answer(address)
		s.reply(box)
		time.Sleep(58 * time.Second)
		s.ask("www.example.", dns.TypeA, withDO, withCD)
		if q := s.next().Question; !q.DO || !q.CD || q.Type != dns.TypeA {
			t.Errorf("refreshed as %+v", q)
		}
	})
}
