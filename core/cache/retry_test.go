package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// explained is an answer that upstream says something about (RFC 8914).
func (c call) explained(code uint16, rcode int, records ...string) {
	m := new(dns.Msg)
	if err := m.Unpack(message(c.Question, rcode, records...)); err != nil {
		panic(err)
	}
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code}}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	c.done(b, nil)
}

// TestUpstreamsStaleAnswer hands on that upstream's answer is an old one, and does not
// keep it for long: who answers from memory has tried in vain, and will try again.
func TestUpstreamsStaleAnswer(t *testing.T) {
	for _, tt := range []struct {
		code  uint16
		rcode int
	}{{dns.ExtendedErrorCodeStaleAnswer, 0}, {dns.ExtendedErrorCodeStaleNXDOMAINAnswer, dns.RcodeNameError}} {
		records := []string{"www.example. 30 IN A 192.0.2.1"}
		if tt.rcode != 0 {
			records = []string{"AUTHORITY", soa}
		}
		play(t, Options{}, func(s *scene) {
			box := s.wait("www.example.", dns.TypeA, withEDNS)
			s.next().explained(tt.code, tt.rcode, records...)
			m := s.reply(box)
			check(t, "late", m, tt.rcode, int(tt.code), ttlOf(m))
			time.Sleep(4900 * time.Millisecond)
			m, state := s.ask("www.example.", dns.TypeA, withEDNS)
			if state != Hit {
				t.Fatalf("4.9 s later: %v", state)
			}
			check(t, "from memory", m, tt.rcode, int(tt.code), ttlOf(m))
			time.Sleep(200 * time.Millisecond)
			if _, state := s.ask("www.example.", dns.TypeA); state != Miss {
				t.Fatalf("5.1 s later: %v", state)
			}
			box = s.wait("www.example.", dns.TypeA, withEDNS)
			s.next().answer("www.example. 60 IN A 192.0.2.2")
			check(t, "fresh again", s.reply(box), 0, -1, 60)
		})
	}
	// Other codes are about the question, not about how old the answer is.
	play(t, Options{}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA, withEDNS)
		s.next().explained(dns.ExtendedErrorCodeForgedAnswer, 0, "www.example. 30 IN A 192.0.2.1")
		s.reply(box)
		time.Sleep(10 * time.Second)
		if _, state := s.ask("www.example.", dns.TypeA); state != Hit {
			t.Errorf("10 s later: %v", state)
		}
	})
}

// TestRetry forgets failures, and tries for stale answers, of before; not those behind.
func TestRetry(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		s.fill("old.example.", dns.TypeA, "old.example. 1 IN A 192.0.2.1")
		time.Sleep(2 * time.Second)
		expect := func(when, name string, want State) {
			t.Helper()
			if _, state := s.ask(name, dns.TypeA); state != want {
				t.Errorf("%s: %s is %v, want %v", when, name, state, want)
			}
		}
		failing := func(name string) {
			t.Helper()
			box := s.wait(name, dns.TypeA)
			s.next().fail()
			s.reply(box)
		}
		failing("old.example.")
		failing("new.example.")
		time.Sleep(time.Second)
		expect("before", "old.example.", Stale)
		expect("before", "new.example.", Failure)
		s.Retry()
		expect("retried", "old.example.", Miss)
		expect("retried", "new.example.", Miss)
		time.Sleep(time.Second)
		failing("old.example.")
		failing("new.example.")
		expect("failed again", "old.example.", Stale)
		expect("failed again", "new.example.", Failure)
		// A try that began before says nothing about behind.
		box := s.wait("third.example.", dns.TypeA)
		call := s.next()
		time.Sleep(100 * time.Millisecond)
		s.Retry()
		call.answer("third.example. 60 IN A 192.0.2.3")
		s.reply(box)
		expect("answered meanwhile", "third.example.", Hit)
	})
}
