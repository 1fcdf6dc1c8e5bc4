package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

const address = "www.example. 60 IN A 192.0.2.1"

func check(t *testing.T, what string, m *dns.Msg, rcode, code int, ttl uint32) {
	t.Helper()
	if m.Rcode != rcode || ede(m) != code {
		t.Errorf("%s: response code %d, extended error %d; want %d, %d", what, m.Rcode, ede(m), rcode, code)
	}
	if len(m.Answer)+len(m.Ns) > 0 && ttlOf(m) != ttl {
		t.Errorf("%s: TTL %d, want %d", what, ttlOf(m), ttl)
	}
}

// TestStale goes through RFC 8767: the client timer, failures, the retry timer,
// and the end.
func TestStale(t *testing.T) {
	failures := map[string]func(call){"servfail": call.servfail, "error": call.fail}
	for what, fail := range failures {
		t.Run(what, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				s.fill("www.example.", dns.TypeA, address)
				time.Sleep(61 * time.Second)
				box := s.wait("www.example.", dns.TypeA, withEDNS)
				fail(s.next())
				check(t, "at once upon failure", s.reply(box), 0, int(dns.ExtendedErrorCodeStaleAnswer), 30)

				time.Sleep(29 * time.Second)
				m, state := s.ask("www.example.", dns.TypeA, withEDNS)
				if state != Stale {
					t.Fatalf("29 s behind the failure: %v", state)
				}
				check(t, "from memory", m, 0, int(dns.ExtendedErrorCodeStaleAnswer), 30)
				s.quiet()

				time.Sleep(2 * time.Second)
				box = s.wait("www.example.", dns.TypeA, withEDNS)
				s.next().answer("www.example. 60 IN A 192.0.2.2")
				check(t, "answered again", s.reply(box), 0, -1, 60)
				if _, state := s.ask("www.example.", dns.TypeA); state != Hit {
					t.Errorf("behind the answer: %v", state)
				}
			})
		})
	}
}

// untried is the error of a question that nobody was asked.
type untried struct{ error }

func (untried) EDE() uint16   { return 22 }
func (untried) Passing() bool { return true }

// TestUntried remembers nothing of a question that was not asked: the next one is
// tried at once.
func TestUntried(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		refuse := func() { s.next().done(nil, untried{errors.New("nobody was asked")}) }
		s.fill("www.example.", dns.TypeA, address)
		for range 2 {
			box := s.wait("new.example.", dns.TypeA, withEDNS)
			refuse()
			check(t, "not known", s.reply(box), dns.RcodeServerFailure, 22, 0)
		}
		time.Sleep(61 * time.Second)
		for range 2 {
			box := s.wait("www.example.", dns.TypeA, withEDNS)
			refuse()
			check(t, "expired", s.reply(box), 0, int(dns.ExtendedErrorCodeStaleAnswer), 30)
		}
		box := s.wait("www.example.", dns.TypeA, withEDNS)
		s.next().answer("www.example. 60 IN A 192.0.2.2")
		check(t, "answered again", s.reply(box), 0, -1, 60)
	})
}

func TestStaleAfterClientTimer(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		time.Sleep(61 * time.Second)
		box := s.wait("www.example.", dns.TypeA, withEDNS)
		call := s.next()
		time.Sleep(1790 * time.Millisecond)
		s.silent(box)
		time.Sleep(20 * time.Millisecond)
		check(t, "client timer", s.reply(box), 0, int(dns.ExtendedErrorCodeStaleAnswer), 30)
		if _, state := s.ask("www.example.", dns.TypeA); state != Stale {
			t.Errorf("while upstream is still asked: %v", state)
		}
		call.answer("www.example. 60 IN A 192.0.2.2")
		s.silent(box)
		if m, state := s.ask("www.example.", dns.TypeA); state != Hit || ttlOf(m) != 60 {
			t.Errorf("behind the late answer: %v", state)
		}
	})
}

// TestTimersOverlap has one flight wait for the end of its budget when another
// waits for the client timer, which is earlier.
func TestTimersOverlap(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		time.Sleep(61 * time.Second)
		s.wait("other.example.", dns.TypeA)
		s.next()
		time.Sleep(1900 * time.Millisecond)
		box := s.wait("www.example.", dns.TypeA)
		time.Sleep(1810 * time.Millisecond)
		if m := s.reply(box); ttlOf(m) != 30 {
			t.Errorf("got\n%v", m)
		}
	})
}

func TestStaleNameError(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("no.example.", dns.TypeA)
		s.next().nxdomain("AUTHORITY", soa)
		s.reply(box)
		time.Sleep(301 * time.Second)
		box = s.wait("no.example.", dns.TypeA, withEDNS)
		s.next().fail()
		check(t, "stale", s.reply(box), dns.RcodeNameError, int(dns.ExtendedErrorCodeStaleNXDOMAINAnswer), 30)
	})
}

func TestStaleEnds(t *testing.T) {
	for _, tt := range []struct {
		staleFor time.Duration
		age      time.Duration
		rcode    int
	}{
		{0, 24*time.Hour + 59*time.Second, 0},
		{0, 24*time.Hour + 61*time.Second, dns.RcodeServerFailure},
		{time.Hour, time.Hour + 59*time.Second, 0},
		{time.Hour, time.Hour + 61*time.Second, dns.RcodeServerFailure},
		{-1, 61 * time.Second, dns.RcodeServerFailure},
	} {
		t.Run(fmt.Sprint(tt.staleFor, tt.age), func(t *testing.T) {
			play(t, Options{StaleFor: tt.staleFor}, func(s *scene) {
				s.fill("www.example.", dns.TypeA, address)
				time.Sleep(tt.age)
				box := s.wait("www.example.", dns.TypeA)
				s.next().fail()
				if m := s.reply(box); m.Rcode != tt.rcode {
					t.Errorf("response code %d, want %d", m.Rcode, tt.rcode)
				}
			})
		})
	}
}

// TestFailure checks what is told when there is nothing stale, and that it is
// remembered for 5 s.
func TestFailure(t *testing.T) {
	for _, tt := range []struct {
		what string
		fail func(call)
		code int
	}{
		{"timeout", func(c call) { c.done(nil, fmt.Errorf("ask: %w", context.DeadlineExceeded)) }, int(dns.ExtendedErrorCodeNoReachableAuthority)},
		{"network", call.fail, int(dns.ExtendedErrorCodeNetworkError)},
		{"servfail", call.servfail, int(dns.ExtendedErrorCodeNoReachableAuthority)},
		{"refused", func(c call) { c.done(message(c.Question, dns.RcodeRefused), nil) }, int(dns.ExtendedErrorCodeNoReachableAuthority)},
		{"with a reason", func(c call) {
			m := new(dns.Msg)
			if err := m.Unpack(message(c.Question, dns.RcodeServerFailure)); err != nil {
				panic(err)
			}
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
			b, _ := m.Pack()
			c.done(b, nil)
		}, int(dns.ExtendedErrorCodeDNSBogus)},
		{"garbage", func(c call) { c.done([]byte("garbage"), nil) }, int(dns.ExtendedErrorCodeNetworkError)},
	} {
		t.Run(tt.what, func(t *testing.T) {
			play(t, Options{}, func(s *scene) {
				box := s.wait("www.example.", dns.TypeA, withEDNS)
				tt.fail(s.next())
				check(t, "late", s.reply(box), dns.RcodeServerFailure, tt.code, 0)
				time.Sleep(4900 * time.Millisecond)
				m, state := s.ask("www.example.", dns.TypeA, withEDNS)
				if state != Failure {
					t.Fatalf("4.9 s later: %v", state)
				}
				check(t, "remembered", m, dns.RcodeServerFailure, tt.code, 0)
				time.Sleep(200 * time.Millisecond)
				if _, state := s.ask("www.example.", dns.TypeA); state != Miss {
					t.Errorf("5.1 s later: %v", state)
				}
				box = s.wait("www.example.", dns.TypeA)
				tt.fail(s.next())
				s.reply(box)
			})
		})
	}
}

// TestBudget has upstream never answer: the asker hears of it before it gives up.
func TestBudget(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("www.example.", dns.TypeA, withEDNS)
		call := s.next()
		time.Sleep(3990 * time.Millisecond)
		s.silent(box)
		time.Sleep(20 * time.Millisecond)
		check(t, "end of the budget", s.reply(box), dns.RcodeServerFailure, int(dns.ExtendedErrorCodeNoReachableAuthority), 0)
		if f := s.Stats(); f.Flights != 0 || f.Waiting != 0 {
			t.Errorf("%d flights, %d waiting", f.Flights, f.Waiting)
		}
		call.answer(address)
		s.silent(box)
		if _, state := s.ask("www.example.", dns.TypeA); state != Hit {
			t.Errorf("behind an answer that came too late: %v", state)
		}
	})
}

// TestFailureNeverReplaces checks that a good entry outlives failures, those of
// its refreshes and those that come late.
func TestFailureNeverReplaces(t *testing.T) {
	play(t, Options{Prefetch: true}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		time.Sleep(55 * time.Second)
		s.ask("www.example.", dns.TypeA)
		s.next().servfail()
		if m, state := s.ask("www.example.", dns.TypeA); state != Hit || ttlOf(m) != 5 {
			t.Fatalf("behind a refresh that failed: %v", state)
		}
		time.Sleep(6 * time.Second)
		if _, state := s.ask("www.example.", dns.TypeA); state != Stale {
			t.Errorf("expired 6 s behind a failure: %v, want stale", state)
		}
		s.quiet()
	})
}

// TestUpstreamRestarts has the only upstream be away for 5 s, refusing or silent,
// while warm names with short TTLs are asked for: all are answered, and no later than
// 30 s after the end of it all are fresh.
func TestUpstreamRestarts(t *testing.T) {
	for what, away := range map[string]func(func([]byte, error)){
		"refuses":   func(done func([]byte, error)) { done(nil, errors.New("connection refused")) },
		"is silent": func(func([]byte, error)) {},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				c, err := New(Options{Prefetch: true, Budget: 2 * time.Second, Fetch: func(q *Question, done func([]byte, error)) {
					if down.Load() {
						away(done)
						return
					}
					time.AfterFunc(20*time.Millisecond, func() { done(addressReply(q, uint32(1+q.Name[1]-'a'), 1), nil) })
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				var failed, stale atomic.Int64
				round := func() {
					for n := range 20 { // with TTLs of 1 to 20 s
						go func() {
							_, reply := askFor(c, "\x01"+string(rune('a'+n))+"\x07example\x00")
							switch m := unpack(t, reply); {
							case m.Rcode != 0 || len(m.Answer) != 1:
								failed.Add(1)
							case ttlOf(m) == 30:
								stale.Add(1)
							}
						}()
					}
					time.Sleep(100 * time.Millisecond)
				}
				for range 20 {
					round()
				}
				down.Store(true)
				for range 50 {
					round()
				}
				down.Store(false)
				back := time.Now()
				if stale.Load() == 0 {
					t.Error("nothing was stale: nothing is tested")
				}
				for time.Since(back) < 30*time.Second {
					round()
				}
				stale.Store(0)
				for range 100 {
					round()
				}
				time.Sleep(5 * time.Second)
				if stale.Load() > 0 {
					t.Errorf("%d stale answers later than 30 s behind its return", stale.Load())
				}
				if failed.Load() > 0 {
					t.Errorf("%d failed answers", failed.Load())
				}
			})
		})
	}
}

// TestStaleIsNotAuthentic: signatures may have expired with the TTLs (RFC 4035 §5.3.3).
func TestStaleIsNotAuthentic(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, "AD", address)
		if m, _ := s.ask("www.example.", dns.TypeA, withAD); !m.AuthenticatedData {
			t.Error("fresh: no AD")
		}
		time.Sleep(61 * time.Second)
		box := s.wait("www.example.", dns.TypeA, withAD)
		s.next().servfail()
		if m := s.reply(box); m.AuthenticatedData || len(m.Answer) != 1 {
			t.Errorf("stale:\n%v", m)
		}
	})
}
