package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"
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
