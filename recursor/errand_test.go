package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// slowly has a recursor find failures by hints and exchanges, not by the clock.
func slowly(home, away *nameServer) *Config {
	c := settings(home, away)
	c.External.Check.Interval = 20 * time.Second
	return c
}

func (s *site) external() *external { return s.routes.Load().external }

// checked waits until both sites' resolvers were checked once, and the next check is
// far away.
func (s *site) checked() {
	s.until("first checks", func() bool {
		for _, site := range s.external().fleet.Status().Sites {
			for _, r := range site.Servers {
				if r.ChecksOK == 0 {
					return false
				}
			}
		}
		return true
	})
}

// A question in the air when home falls silent is answered by the other site, in
// less than the budget that it would have waited for home.
func TestQuestionInTheAirFollowsTheSwing(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := settings(home, away)
	c.Exchange.Budget = 5 * time.Second
	s := run(t, c)
	s.checked()
	home.silent.Store(true)
	began := time.Now()
	if got, took := s.ask("www.example"), time.Since(began); got != "192.0.2.2" || took > 4*time.Second {
		t.Errorf("%s after %s", got, took)
	}
	if n := counter(t, s.external(), "strata_failover_asked_again_total"); n < 1 {
		t.Errorf("%v questions were asked again", n)
	}
	if got := subnet(away.lastAsked()); got != "198.51.100.0/24" {
		t.Errorf("asked again with subnet %q, want home's", got)
	}
	s.until("nothing is left", func() bool { return s.external().errands.empty() })
}

func (l *errands) empty() bool {
	l.Lock()
	defer l.Unlock()
	return l.first == nil
}

// With queries enough to tell, silence is noticed without any check being due, and
// before an exchange has ended.
func TestSilenceIsNoticed(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := slowly(home, away)
	c.Exchange.Budget = 5 * time.Second
	s := run(t, c)
	s.checked()
	home.silent.Store(true)
	began := time.Now()
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			time.Sleep(time.Duration(i) * 20 * time.Millisecond) // as clients come
			if got := s.ask(fmt.Sprintf("www%d.example", i)); got != "192.0.2.2" {
				t.Errorf("question %d: %s", i, got)
			}
		})
	}
	asking.Wait()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("all answered after %s", took)
	}
}

// Who is refused by a resolver that turns out to be ill gets the other site's answer.
func TestRefusalWaitsForTheVerdict(t *testing.T) {
	t.Parallel()
	for _, rcode := range []int32{dns.RcodeRefused, dns.RcodeServerFailure} {
		home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
		s := run(t, slowly(home, away))
		s.checked()
		home.rcode.Store(rcode)
		if got := s.ask("www.example"); got != "192.0.2.2" || s.mode() != "swung" {
			t.Errorf("%s: %s, %s", dns.RcodeToString[int(rcode)], got, s.mode())
		}
	}
}

// A name that fails by itself is told so as soon as a check has found the resolver
// well, and no later than that where none is found.
func TestFailureOfANameIsTold(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, slowly(home, away))
	s.checked()
	for i := range 5 {
		began := time.Now()
		if got, took := s.ask(fmt.Sprintf("www%d.broken.example", i)), time.Since(began); got != "SERVFAIL" || took > parkMost*4/5 {
			t.Errorf("%s after %s", got, took)
		}
	}
	if s.mode() != "home" || away.asked.Load() > 0 {
		t.Errorf("%s, the other site was asked %d times", s.mode(), away.asked.Load())
	}
	// Nobody is left to check for a second site's sake.
	c := slowly(home, home)
	c.External.Sites, c.External.Check.Zone = c.External.Sites[:1], ""
	one := run(t, c)
	for range 3 {
		began := time.Now()
		if got, took := one.ask("www.broken.example"), time.Since(began); got != "SERVFAIL" || took > parkMost*4/5 {
			t.Errorf("without checks: %s after %s", got, took)
		}
	}
}

// Where those who serve fail, who was given up is looked at anew, and asked.
func TestGivenUpTooSoon(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, slowly(home, away))
	s.checked()
	for range 2 {
		s.external().fleet.Result(failover.Result{Server: home.addr.String(), At: time.Now(), How: failover.Active})
	}
	if got := s.ask("www.example"); got != "192.0.2.2" {
		t.Fatalf("%s, %s", got, s.mode())
	}
	away.rcode.Store(dns.RcodeRefused)
	if got := s.ask("www.example"); got != "192.0.2.1" {
		t.Errorf("with the last one ill: %s, %s", got, s.mode())
	}
}

// Every question is answered once, whatever happens meanwhile.
func TestErrandsAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := settings(home, away)
	c.Exchange.Budget = 300 * time.Millisecond
	s := run(t, c)
	const questions = 2000
	var answers sync.WaitGroup
	answers.Add(questions) // Done once too often panics
	q := &cache.Question{Name: wire.MustName("www.example"), Type: wire.TypeA, Class: wire.ClassIN}
	for i := range questions {
		switch i % 100 {
		case 0:
			home.silent.Store(true)
		case 20:
			away.rcode.Store(dns.RcodeServerFailure)
		case 40:
			home.silent.Store(false)
		case 60:
			_ = s.external().fleet.Pin("dc2", time.Now())
		case 80:
			away.rcode.Store(0)
			s.external().fleet.Release(time.Now())
		}
		s.Ask(q, func(upstream.Answer) { answers.Done() })
		time.Sleep(500 * time.Microsecond)
	}
	answered := make(chan struct{})
	go func() {
		answers.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(patience):
		t.Fatal("questions are left without an answer")
	}
	if !s.external().errands.empty() {
		t.Error("errands are left behind")
	}
}

func TestWay(t *testing.T) {
	set := func(fit int, words string) *way {
		f := &failover.Set{Fit: fit}
		for i, address := range strings.Fields(words) {
			s := failover.Server{Address: address, Away: address[0] != 'a', State: failover.Suspect}
			if i >= fit {
				s.State = failover.Down
			}
			if plain := strings.TrimSuffix(address, "+"); plain != address {
				s.Address, s.State = plain, failover.Up
			}
			f.Servers = append(f.Servers, s)
		}
		return newWay(f, []byte("ecs"))
	}
	for _, tt := range []struct {
		before, now *way
		beyond      bool
	}{
		{set(2, "a1+ a2+"), set(2, "a1 a2"), false},         // the same
		{set(2, "a1+ a2+"), set(1, "a2+ a1"), false},        // one left: upstream asks it anyway
		{set(2, "a1+ a2+"), set(1, "b1+ a1 a2"), true},      // swung
		{set(2, "a1+ b1+"), set(1, "a1+ a2"), false},        // home again
		{set(1, "b1 a1 a2"), set(0, "a1 a2 b1"), true},      // all down: all are tried
		{set(0, "a1 b1"), set(1, "b1+ a1"), false},          // it was asked
		{set(0, "a1 b1"), set(0, "b1 a1"), false},           // nobody new
		{set(1, "a1"), set(2, "b1+ b2+"), true},             // pinned
		{set(2, "a1+ a2+"), set(3, "b1+ b2+ a2 a1"), false}, // a2 may still answer
	} {
		if got := tt.now.beyond(tt.before); got != tt.beyond {
			t.Errorf("from %v to %v: %v", tt.before.fleet.Servers, tt.now.fleet.Servers, got)
		}
	}
	for _, tt := range []struct {
		way     *way
		doubt   bool
		options string
	}{
		{set(2, "a1+ a2"), false, ""},
		{set(2, "a1 a2"), true, ""},
		{set(1, "a1 a2"), true, ""},
		{set(1, "b1 a1"), true, "ecs"},
		{set(0, "a1 b1"), false, "ecs"},
	} {
		if tt.way.doubt != tt.doubt || string(tt.way.options) != tt.options {
			t.Errorf("%v: doubt %v, options %q", tt.way.fleet.Servers, tt.way.doubt, tt.way.options)
		}
	}
}

func TestListener(t *testing.T) {
	server := resolver.Plain(netip.MustParseAddrPort("192.0.2.1:53"))[0]
	for what, tt := range map[string]struct {
		asked, answered []uint64 // at each look
		silent          int      // the look that finds it out, from 1; 0: none
	}{
		"all answered":           {[]uint64{9, 19, 29, 39, 49, 59, 69}, []uint64{9, 18, 28, 38, 48, 58, 68}, 0},
		"idle":                   {[]uint64{9, 9, 9, 9, 9, 9}, []uint64{9, 9, 9, 9, 9, 9}, 0},
		"answers late":           {[]uint64{0, 10, 20, 30, 40, 50, 60}, []uint64{0, 0, 0, 10, 20, 30, 40}, 0},
		"one without an answer":  {[]uint64{5, 5, 6, 6, 6, 6, 6, 6}, []uint64{5, 5, 5, 5, 5, 5, 5, 5}, 0},
		"silent from the second": {[]uint64{9, 19, 29, 39, 49, 59}, []uint64{9, 9, 9, 9, 9, 9}, 4},
		"most are not answered":  {[]uint64{0, 10, 20, 30, 40, 50, 60}, []uint64{0, 2, 4, 6, 8, 9, 9}, 5},
		"old losses say nothing": {[]uint64{99, 109, 119, 129, 139, 149}, []uint64{1, 11, 21, 31, 41, 51}, 0},
		"counted anew":           {[]uint64{99, 109, 119, 129, 1, 2, 3, 4}, []uint64{99, 109, 119, 129, 1, 2, 3, 4}, 0},
	} {
		l, found := listener{}, 0
		for i := range tt.asked {
			silent := l.look([]upstream.ServerStats{{Server: server, Asked: tt.asked[i], Answered: tt.answered[i]}})
			if len(silent) > 0 && found == 0 {
				found = i + 1
			}
		}
		if found != tt.silent {
			t.Errorf("%s: found out at look %d, want %d", what, found, tt.silent)
		}
		if l.look(nil); len(l) > 0 {
			t.Errorf("%s: remembers whom nobody asks", what)
		}
	}
}
