package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
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
	c.Exchange.Budget, c.External.Check.Timeout = 5*time.Second, 300*time.Millisecond
	s := run(t, c)
	s.checked()
	home.quiet.Store(true)
	began, answers := time.Now(), make(chan string, 1)
	go func() { answers <- s.ask("www.quiet.example") }()
	s.until("home is asked", func() bool { return home.asked.Load() > 0 })
	home.silent.Store(true)
	if got, took := <-answers, time.Since(began); got != "192.0.2.2" || took > 4*time.Second {
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
	// The loss of home has the other site looked at: a good check on its way would refute what comes.
	s.until("the other site's check", func() bool { return s.external().fleet.Status().Sites[1].Servers[0].ChecksOK > 1 })
	if got := s.mode(); got != "swung" {
		t.Fatalf("before: %s", got)
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

// wayOf is the way to so many servers that are fit, of some that are each up where
// their name has a plus, and else suspect or down; those of home are called a.
func wayOf(fit int, words string) *way {
	f := &failover.Set{Fit: fit}
	for i, word := range strings.Fields(words) {
		address, up := strings.CutSuffix(word, "+")
		s := failover.Server{Address: address, Away: address[0] != 'a', State: failover.Suspect}
		switch {
		case up:
			s.State = failover.Up
		case i >= fit:
			s.State = failover.Down
		}
		f.Servers = append(f.Servers, s)
	}
	return newWay(f, []byte("ecs"))
}

func TestWay(t *testing.T) {
	for _, tt := range []struct {
		before, now *way
		beyond      bool
	}{
		{wayOf(2, "a1+ a2+"), wayOf(2, "a1 a2"), false},         // the same
		{wayOf(2, "a1+ a2+"), wayOf(1, "a2+ a1"), false},        // one left: upstream asks it anyway
		{wayOf(2, "a1+ a2+"), wayOf(1, "b1+ a1 a2"), true},      // swung
		{wayOf(2, "a1+ b1+"), wayOf(1, "a1+ a2"), false},        // home again
		{wayOf(1, "b1 a1 a2"), wayOf(0, "a1 a2 b1"), true},      // all down: all are tried
		{wayOf(0, "a1 b1"), wayOf(1, "b1+ a1"), false},          // it was asked
		{wayOf(0, "a1 b1"), wayOf(0, "b1 a1"), false},           // nobody new
		{wayOf(1, "a1"), wayOf(2, "b1+ b2+"), true},             // pinned
		{wayOf(2, "a1+ a2+"), wayOf(3, "b1+ b2+ a2 a1"), false}, // a2 may still answer
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
		{wayOf(2, "a1+ a2"), false, ""},
		{wayOf(2, "a1 a2"), true, ""},
		{wayOf(1, "a1 a2"), true, ""},
		{wayOf(1, "b1 a1"), true, "ecs"},
		{wayOf(0, "a1 b1"), false, "ecs"},
	} {
		if tt.way.doubt != tt.doubt || string(tt.way.options) != tt.options {
			t.Errorf("%v: doubt %v, options %q", tt.way.fleet.Servers, tt.way.doubt, tt.way.options)
		}
	}
}

// TestJudgeErrand goes through what may come of a question, one answer after the other.
func TestJudgeErrand(t *testing.T) {
	failed := func(rcode byte) upstream.Answer { return upstream.Answer{Msg: []byte{0, 0, 0x80, rcode, 11: 0}} }
	good, servfail, refused := failed(0), failed(wire.RcodeServFail), failed(wire.RcodeRefused)
	late := upstream.Answer{Err: upstream.ErrTimeout}
	unreachable := upstream.Answer{Err: syscall.ECONNREFUSED}
	home := wayOf(2, "a1+ a2+")
	doubt, swung := wayOf(2, "a1 a2"), wayOf(1, "b1+ a1 a2")
	type event struct {
		answer upstream.Answer
		way    *way
		next   next
	}
	for what, tt := range map[string]struct {
		open   int // exchanges
		events []event
		best   upstream.Answer
	}{
		"answered":                     {1, []event{{good, home, toTell}}, good},
		"answered, then again":         {2, []event{{good, home, toTell}, {servfail, swung, nothing}}, good},
		"failed":                       {1, []event{{servfail, home, toTell}}, servfail},
		"failed, another is awaited":   {2, []event{{servfail, home, nothing}, {good, home, toTell}}, good},
		"both failed":                  {2, []event{{refused, home, nothing}, {late, home, toTell}}, refused},
		"failed, others serve":         {1, []event{{servfail, swung, toSend}, {good, swung, toTell}}, good},
		"nobody helps":                 {1, []event{{unreachable, swung, toSend}, {late, swung, toTell}}, late},
		"two swings, and no third":     {1, []event{{late, swung, toSend}, {late, home, toSend}, {late, swung, toTell}}, late},
		"failed in doubt":              {1, []event{{refused, doubt, toWait}}, refused},
		"in doubt for the second time": {2, []event{{refused, doubt, nothing}, {refused, doubt, toWait}}, refused},
		"in doubt, with no time left":  {1, []event{{late, doubt, toTell}}, late},
		"in doubt, nothing was sent":   {1, []event{{upstream.Answer{Err: upstream.ErrOverload}, doubt, toTell}}, upstream.Answer{Err: upstream.ErrOverload}},
	} {
		x := &external{again: newAgain()}
		e := &errand{x: x, way: home, open: tt.open}
		x.errands.add(e)
		for i, event := range tt.events {
			a := event.answer
			a.Msg = slices.Clone(a.Msg)
			got := e.judge(a, event.way)
			if got != event.next {
				t.Errorf("%s: next is %d behind answer %d, want %d", what, got, i+1, event.next)
			}
			if got != toTell {
				clear(a.Msg) // as upstream may, once it was taken in
			}
		}
		if !bytes.Equal(e.best.Msg, tt.best.Msg) || !errors.Is(e.best.Err, tt.best.Err) {
			t.Errorf("%s: the best is %v", what, e.best)
		}
		if waits := tt.events[len(tt.events)-1].next == toWait; x.errands.empty() == waits {
			t.Errorf("%s: listed: %v", what, waits)
		}
	}
}

// Who waits for a verdict is told with it, unless somebody else is being asked by then.
func TestVerdict(t *testing.T) {
	x, told := &external{}, 0
	e := &errand{x: x, way: wayOf(2, "a1+ a2+"), parked: true, open: 1, done: func(upstream.Answer) { told++ }}
	x.errands.add(e)
	x.attend(wayOf(2, "a1+ a2"))
	e.open = 0
	x.attend(wayOf(2, "a1 a2"))
	if told != 0 {
		t.Error("told before the verdict")
	}
	x.attend(wayOf(2, "a1+ a2"))
	x.attend(wayOf(2, "a1+ a2"))
	if told != 1 || !x.errands.empty() {
		t.Errorf("told %d times", told)
	}
}

// Without a verdict the failure is told after a second, unless somebody else is being
// asked by then, who tells.
func TestNoVerdict(t *testing.T) {
	for _, open := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			x := &external{}
			var told atomic.Int32
			doubt := wayOf(2, "a1 a2")
			x.way.Store(doubt)
			e := &errand{x: x, way: doubt, parked: true, open: open, done: func(upstream.Answer) { told.Add(1) }}
			x.errands.add(e)
			e.wait(doubt)
			time.Sleep(parkMost - time.Millisecond)
			if told.Load() > 0 {
				t.Error("told too soon")
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if told.Load() != int32(1-open) {
				t.Errorf("with %d asked, told %d times", open, told.Load())
			}
		})
	}
	// The verdict came before it was waited for.
	x := &external{}
	var told atomic.Int32
	doubt := wayOf(2, "a1 a2")
	x.way.Store(wayOf(2, "a1+ a2"))
	e := &errand{x: x, way: doubt, parked: true, done: func(upstream.Answer) { told.Add(1) }}
	x.errands.add(e)
	if e.wait(doubt); told.Load() != 1 {
		t.Errorf("told %d times, though the verdict is known", told.Load())
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
