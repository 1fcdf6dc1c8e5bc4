package upstream

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// TestBadReplyBesideSilence has one server that cannot help and one that is dead: who
// asks has what is known long before the budget is over.
func TestBadReplyBesideSilence(t *testing.T) {
	const budget = 20 * time.Second // far beyond what any machine makes of the pauses
	for name, c := range map[string]struct {
		answer answerUDP
		rcode  int
	}{
		"REFUSED":  {rcode(dns.RcodeRefused), dns.RcodeRefused},
		"SERVFAIL": {rcode(dns.RcodeServerFailure), dns.RcodeServerFailure},
		"lame":     {answersAfter("", 0, refers), dns.RcodeSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			bad, dead := serve(t, "127.0.0.1", c.answer, nil), serve(t, "127.0.0.1", nil, nil)
			s := newSet(t, newEngine(t, Options{Budget: budget}), bad.Server, dead.Server)
			q := question("www.example.com")
			q.RD = false
			for range 4 {
				began := time.Now()
				a, err := ask(t, s, q)
				if took := time.Since(began); err != nil || wire.RcodeOf(a.Msg) != c.rcode || took < silentLeast/2 || took > budget/4 {
					t.Fatalf("%v, %x after %s", err, a.Msg, took)
				}
			}
			if n := dead.udpCount(); n < 5 { // one question at least asked again, as a packet may have been lost
				t.Fatalf("the dead one was asked %d times", n)
			}
		})
	}
}

// Of two servers one refuses, and the first query to the other is lost: it is asked
// again. Its reply may be late on a busy machine, but not each time.
func TestBadReplyBesideLoss(t *testing.T) {
	for range 5 {
		bad := serve(t, "127.0.0.1", rcode(dns.RcodeRefused), nil)
		var queries atomic.Int32
		good := serve(t, "127.0.0.1", func(f *fake, query []byte, from netip.AddrPort) {
			if queries.Add(1) > 1 {
				f.send(reply(query, "192.0.2.1", nil), from)
			}
		}, nil)
		s := newSet(t, newEngine(t, Options{}), bad.Server, good.Server)
		q := question("www.example.com")
		q.RD = false
		if a, err := ask(t, s, q); err == nil && addressOf(t, a.Msg) == "192.0.2.1" {
			return
		}
	}
	t.Fatal("what is lost is not asked for again")
}

// A resolver may take long for a name that nobody has asked for: a fast failure of
// another one does not end that.
func TestSlowResolverIsWaitedFor(t *testing.T) {
	bad := serve(t, "127.0.0.1", rcode(dns.RcodeServerFailure), nil)
	slow := serve(t, "127.0.0.1", answersAfter("192.0.2.1", 5*silentLeast, nil), nil)
	s := newSet(t, newEngine(t, Options{Budget: 10 * time.Second}), bad.Server, slow.Server)
	q := question("www.example.com")
	q.RD = true
	a, err := ask(t, s, q)
	if err != nil || addressOf(t, a.Msg) != "192.0.2.1" {
		t.Fatalf("%v, %x", err, a.Msg)
	}
}
