package upstream

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/e2e/stack"
)

func rcode(code int) answerUDP {
	return answersAfter("192.0.2.66", 0, func(m *dns.Msg) { m.Rcode = code; m.Answer = nil })
}

func TestBetterServerAnswers(t *testing.T) {
	for _, code := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotImplemented} {
		t.Run(dns.RcodeToString[code], func(t *testing.T) {
			bad, good := serve(t, "127.0.0.1", rcode(code), nil), serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
			s := newSet(t, newEngine(t, Options{}), bad.Server, good.Server)
			for range 12 {
				wantAddress(t, s, "www.example.com", "192.0.2.1")
			}
			st := statsOf(t, s, 0)
			if st.Failed < failureCount || !st.Down {
				t.Fatalf("a server that only fails is still asked first: %+v", st)
			}
		})
	}
}

// What is not valid is another server's to try, and no fault of who found that out.
func TestBogusIsNoFault(t *testing.T) {
	says := answersAfter("192.0.2.66", 0, func(m *dns.Msg) {
		m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		if m.IsEdns0() == nil {
			m.SetEdns0(1232, false)
		}
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
	})
	bogus, good := serve(t, "127.0.0.1", says, nil), serve(t, "127.0.0.1", answersAfter("192.0.2.1", 20*time.Millisecond, nil), nil)
	var failed atomic.Int64
	e := newEngine(t, Options{OnExchange: func(_ netip.AddrPort, ok bool, _ time.Duration, _ error) {
		if !ok {
			failed.Add(1)
		}
	}})
	s := newSet(t, e, bogus.Server, good.Server)
	for range 2 * failureCount {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if st := statsOf(t, s, 0); st.Down || st.Failed > 0 || st.Answered == 0 || failed.Load() > 0 {
		t.Errorf("%+v; %d exchanges are told of as failed", st, failed.Load())
	}
	alone := newSet(t, e, bogus.Server)
	a, err := ask(t, alone, question("www.example.com"))
	if err != nil || wire.RcodeOf(a.Msg) != wire.RcodeServFail {
		t.Errorf("alone: %v, %x", err, a.Msg)
	}
}

func TestLastBadReplyIsHandedOver(t *testing.T) {
	first, second := serve(t, "127.0.0.1", rcode(dns.RcodeServerFailure), nil), serve(t, "127.0.0.1", rcode(dns.RcodeRefused), nil)
	s := newSet(t, newEngine(t, Options{}), first.Server, second.Server)
	began := time.Now()
	a, err := ask(t, s, question("www.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if code := wire.RcodeOf(a.Msg); code != dns.RcodeServerFailure && code != dns.RcodeRefused {
		t.Fatalf("rcode %d", code)
	}
	if took := time.Since(began); took > time.Second {
		t.Fatalf("took %s though all had answered", took)
	}
	if first.udpCount() != 1 || second.udpCount() != 1 {
		t.Fatalf("asked %d and %d times", first.udpCount(), second.udpCount())
	}
}

func TestNXDomainIsAnAnswer(t *testing.T) {
	f := serve(t, "127.0.0.1", rcode(dns.RcodeNameError), nil)
	s := newSet(t, newEngine(t, Options{}), f.Server, serve(t, "127.0.0.1", rcode(dns.RcodeNameError), nil).Server)
	a, err := ask(t, s, question("www.example.com"))
	if err != nil || wire.RcodeOf(a.Msg) != dns.RcodeNameError {
		t.Fatalf("%v, %v", a, err)
	}
}

// TestServerWithoutEDNS: RFC 6891 §7. The second question goes without at once.
func TestServerWithoutEDNS(t *testing.T) {
	for name, header := range map[string]bool{"question": false, "header only": true} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
				var q dns.Msg
				if err := q.Unpack(query); err != nil {
					panic(err)
				}
				if q.IsEdns0() == nil {
					f.send(reply(query, "192.0.2.1", nil), from)
					return
				}
				msg := reply(query, "", func(m *dns.Msg) { m.Rcode, m.Answer, m.Extra = dns.RcodeFormatError, nil, nil })
				if header {
					msg = []byte{msg[0], msg[1], msg[2], msg[3], 0, 0, 0, 0, 0, 0, 0, 0}
				}
				f.send(msg, from)
			}, nil)
			s := newSet(t, newEngine(t, Options{}), f.Server)
			wantAddress(t, s, "www.example.com", "192.0.2.1")
			wantAddress(t, s, "www.example.com", "192.0.2.1")
			if n := f.udpCount(); n != 3 {
				t.Fatalf("asked %d times, want 3", n)
			}
		})
	}
}

// TestFormErrOfTheQuestion: EDNS is not to blame where FORMERR comes without it
// too.
func TestFormErrOfTheQuestion(t *testing.T) {
	f := serve(t, "127.0.0.1", answersAfter("", 0, func(m *dns.Msg) {
		m.Answer, m.Extra = nil, nil
		m.Rcode = dns.RcodeFormatError
	}), nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	for i := range 2 {
		a, err := ask(t, s, question("www.example.com"))
		if err != nil || wire.RcodeOf(a.Msg) != dns.RcodeFormatError {
			t.Fatalf("%v, %v", a, err)
		}
		var q dns.Msg
		if err := q.Unpack(f.query(2 * i)); err != nil || q.IsEdns0() == nil {
			t.Fatalf("question %d went without EDNS, %v", i, err)
		}
	}
}

func TestQueryAsksWhatWasAsked(t *testing.T) {
	f := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	q := question("www.example.com")
	q.DO, q.CD, q.RD = true, true, false
	q.Options = wire.AppendOption(nil, wire.OptionECS, []byte{0, 1, 24, 0, 198, 51, 100})
	if _, err := ask(t, s, q); err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if err := m.Unpack(f.query(0)); err != nil {
		t.Fatal(err)
	}
	opt := m.IsEdns0()
	if m.RecursionDesired || !m.CheckingDisabled || opt == nil || !opt.Do() || opt.UDPSize() != 1232 {
		t.Fatalf("asked %v", &m)
	}
	if subnet, ok := opt.Option[0].(*dns.EDNS0_SUBNET); !ok || subnet.SourceNetmask != 24 {
		t.Fatalf("options %v", opt.Option)
	}
}

// warm asks until every server of a set is measured.
func warm(t *testing.T, s *Set) {
	t.Helper()
	eventually(t, "all servers measured", func() bool {
		if _, err := ask(t, s, question("warm.example.com")); err != nil {
			t.Fatal(err)
		}
		for _, st := range s.Stats() {
			if st.RTT == 0 {
				return false
			}
		}
		return true
	})
}

// gate lets a server's answers through until it is shut.
type gate struct {
	mu   sync.Mutex
	shut bool
}

func (g *gate) set(shut bool) { g.mu.Lock(); g.shut = shut; g.mu.Unlock() }

func (g *gate) before(answer answerUDP) answerUDP {
	return func(f *fake, query []byte, from netip.AddrPort) {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if !shut {
			answer(f, query, from)
		}
	}
}

// TestDeadServerCostsOneHedge kills the fastest server without a word, wants each
// answer a hedge later at most, the server backed off, probed, and used again.
func TestDeadServerCostsOneHedge(t *testing.T) {
	var g gate
	fast := serve(t, "127.0.0.1", g.before(answers("192.0.2.1")), nil)
	slow := serve(t, "127.0.0.1", answersAfter("192.0.2.2", 5*time.Millisecond, nil), nil)
	s := newSet(t, newEngine(t, Options{}), fast.Server, slow.Server)
	warm(t, s)
	eventually(t, "p95 below the least hedge", func() bool {
		if _, err := ask(t, s, question("www.example.com")); err != nil { // by any: one that is held up is hedged
			t.Fatal(err)
		}
		return statsOf(t, s, 0).P95 < hedgeLeast/2
	})
	g.set(true)
	began := time.Now()
	for first := true; !statsOf(t, s, 0).Down; first = false {
		at := time.Now()
		wantAddress(t, s, "www.example.com", "192.0.2.2")
		took := time.Since(at)
		if first && took < hedgeLeast {
			t.Fatalf("hedged after %s, p95 %s", took, statsOf(t, s, 0).P95)
		}
		if took > hedgeLeast+5*time.Second { // the budget is three times that
			t.Fatalf("took %s", took)
		}
		if time.Since(began) > 10*time.Second { // hedges tell, before anything times out
			t.Fatalf("not backed off: %+v", statsOf(t, s, 0))
		}
	}
	asked := fast.udpCount()
	wantAddress(t, s, "www.example.com", "192.0.2.2")
	if n := fast.udpCount() - asked; n > 1 { // a probe, perhaps
		t.Fatalf("asked %d times though down", n)
	}
	g.set(false)
	eventually(t, "found to be back by itself", func() bool {
		if _, err := ask(t, s, question("www.example.com")); err != nil {
			t.Fatal(err)
		}
		return !statsOf(t, s, 0).Down
	})
	eventually(t, "used again", func() bool {
		a, err := ask(t, s, question("www.example.com"))
		return err == nil && a.Server == fast.Addr
	})
}

func TestRefusedGoesElsewhereAtOnce(t *testing.T) {
	nobody := Server{Addr: netip.MustParseAddrPort(stack.Loopback(stack.FreePort(t)))} // none that the kernel gives to clients
	good := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{})
	s := newSet(t, e, nobody, good.Server)
	began := time.Now()
	for range 20 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if took := time.Since(began); took > 20*hedgeUnknown/2 {
		t.Fatalf("20 questions took %s", took)
	}
	if !statsOf(t, s, 0).Down {
		t.Fatal("refused, and not backed off")
	}
	fastest := time.Hour
	for range 5 { // a busy machine may be slow at some of them
		alone := newSet(t, e, nobody)
		began = time.Now()
		if _, err := ask(t, alone, question("www.example.com")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v", err)
		}
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 250*time.Millisecond { // then it would be sent again
		t.Fatalf("refusal took %s", fastest)
	}
}

// TestUnusableAddress: the kernel will not even connect a socket to it.
func TestUnusableAddress(t *testing.T) {
	broadcast := Server{Addr: netip.MustParseAddrPort("255.255.255.255:53")}
	good := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	e := newEngine(t, Options{})
	if _, err := ask(t, newSet(t, e, broadcast), question("www.example.com")); !errors.Is(err, syscall.EACCES) {
		t.Fatalf("got %v", err)
	}
	s := newSet(t, e, broadcast, good.Server)
	for range 20 {
		wantAddress(t, s, "www.example.com", "192.0.2.1")
	}
	if st := statsOf(t, s, 0); st.Errors == 0 || st.Asked != 0 {
		t.Fatalf("stats %+v", st)
	}
}

// TestSlowServerStillAnswers: a lost packet is sent again, a slow one waited for.
func TestSlowServerStillAnswers(t *testing.T) {
	f := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 900*time.Millisecond, nil), nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	a := wantAddress(t, s, "www.example.com", "192.0.2.1")
	if a.RTT < 900*time.Millisecond {
		t.Fatalf("answered after %s", a.RTT)
	}
}

func TestLostQueryIsSentAgain(t *testing.T) {
	var mu sync.Mutex
	lost := false
	f := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
		mu.Lock()
		defer mu.Unlock()
		if lost {
			f.send(reply(query, "192.0.2.1", nil), from)
		}
		lost = true
	}, nil)
	s := newSet(t, newEngine(t, Options{}), f.Server)
	wantAddress(t, s, "www.example.com", "192.0.2.1")
}

func TestBudgetIsKept(t *testing.T) {
	dead := []Server{serve(t, "127.0.0.1", nil, nil).Server, serve(t, "127.0.0.1", nil, nil).Server, serve(t, "127.0.0.1", nil, nil).Server}
	var mu sync.Mutex
	timeouts := 0
	e := newEngine(t, Options{Budget: 700 * time.Millisecond, OnExchange: func(_ netip.AddrPort, ok bool, _ time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		if ok || !errors.Is(err, ErrTimeout) {
			panic(err)
		}
		timeouts++
	}})
	s := newSet(t, e, dead...)
	began := time.Now()
	_, err := ask(t, s, question("www.example.com"))
	took := time.Since(began)
	if !errors.Is(err, ErrTimeout) || took < 700*time.Millisecond || took > 3*time.Second {
		t.Fatalf("%v after %s", err, took)
	}
	mu.Lock()
	defer mu.Unlock()
	if timeouts == 0 {
		t.Fatal("nobody was told of the timeout")
	}
}

func TestContextBoundsExchange(t *testing.T) {
	dead := serve(t, "127.0.0.1", nil, nil)
	e := newEngine(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := e.Exchange(ctx, dead.Server, question("www.example.com"))
	if err == nil || time.Since(began) > time.Second {
		t.Fatalf("%v after %s", err, time.Since(began))
	}
	canceled, stop := context.WithCancel(context.Background())
	stop()
	if _, err := e.Exchange(canceled, dead.Server, question("www.example.com")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestOutcomesAreTold(t *testing.T) {
	good := serve(t, "127.0.0.1", answers("192.0.2.1"), nil)
	type told struct {
		server netip.AddrPort
		ok     bool
	}
	outcomes := make(chan told, 10)
	e := newEngine(t, Options{OnExchange: func(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
		if ok != (rtt > 0) || err != nil {
			panic(err)
		}
		outcomes <- told{server, ok}
	}})
	wantAddress(t, newSet(t, e, good.Server), "www.example.com", "192.0.2.1")
	if got := <-outcomes; got != (told{good.Addr, true}) {
		t.Fatalf("told %v", got)
	}
}
