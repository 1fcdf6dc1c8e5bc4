package cache

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// Where nothing is to be kept those who ask at once have one answer, of any shape, and
// the next one asks again; a failure is remembered all the same.
func TestOff(t *testing.T) {
	play(t, Options{Off: true, Prefetch: true}, func(s *scene) {
		for round := range 3 {
			a, b := s.wait("www.example.com.", dns.TypeA), s.wait("www.example.com.", dns.TypeA)
			s.next().answer("www.example.com. 3600 A 192.0.2.1", fmt.Sprintf("www.example.com. 3600 A 192.0.2.%d", 2+round))
			for _, box := range []mailbox{a, b} {
				if m := s.reply(box); len(m.Answer) != 2 || m.Answer[0].Header().Ttl != 3600 {
					t.Fatalf("round %d: %v", round, m)
				}
			}
			alias := s.wait("alias.example.com.", dns.TypeA)
			s.next().answer("alias.example.com. 60 CNAME www.example.com.", "www.example.com. 60 A 192.0.2.9")
			if m := s.reply(alias); len(m.Answer) != 2 {
				t.Fatalf("round %d: %v", round, m)
			}
			none := s.wait("none.example.com.", dns.TypeA)
			s.next().nxdomain("AUTHORITY", "example.com. 60 SOA ns.example.com. who.example.com. 1 2 3 4 60")
			if m := s.reply(none); m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
				t.Fatalf("round %d: %v", round, m)
			}
			if n := s.Stats().Entries; n != 0 {
				t.Fatalf("round %d: %d entries", round, n)
			}
		}
		ill := s.wait("ill.example.com.", dns.TypeA)
		s.next().fail()
		if m := s.reply(ill); m.Rcode != dns.RcodeServerFailure {
			t.Fatal(m)
		}
		if m, state := s.ask("ill.example.com.", dns.TypeA); state != Failure || m.Rcode != dns.RcodeServerFailure {
			t.Fatalf("a failure is %v, %v", state, m)
		}
		time.Sleep(6 * time.Second)
		ill = s.wait("ill.example.com.", dns.TypeA)
		s.next().answer("ill.example.com. 60 A 192.0.2.1")
		if m := s.reply(ill); len(m.Answer) != 1 {
			t.Fatal(m)
		}
	})
}

// What passes is read by its askers before its memory is another's: many at once each have
// their own.
func TestOffTogether(t *testing.T) {
	c, err := New(Options{Off: true, Fetch: func(q *Question, done func([]byte, error)) {
		answer := message(*q, 0, wire.NameString(q.Name)+" 60 A 192.0.2."+string(q.Name[1:1+q.Name[0]]))
		go done(answer, nil)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for i := range 250 {
				q := newQuery(t, fmt.Sprintf("%d.example.com.", i), dns.TypeA)
				box := make(mailbox, 1)
				c.Wait(&q.Query, q.data, q.Limit(false, 1232), c.Now(), box)
				m := unpack(t, <-box)
				if want := fmt.Sprintf("192.0.2.%d", i); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != want {
					t.Errorf("%v, want %s", m, want)
				}
			}
		})
	}
	askers.Wait()
}
