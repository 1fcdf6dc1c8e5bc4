package resolver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/plane/planetest"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

const soa = "example. 300 IN SOA ns.example. hostmaster.example. 1 2 3 4 60"

// see checks a reply's response code and data.
func see(t *testing.T, m *dns.Msg, rcode int, want ...string) {
	t.Helper()
	if m == nil {
		t.Fatal("no reply")
	}
	if got := data(m); m.Rcode != rcode || !slices.Equal(got, want) {
		t.Errorf("%s: got %s %q, want %s %q", m.Question[0].Name, dns.RcodeToString[m.Rcode], got, dns.RcodeToString[rcode], want)
	}
	if !m.RecursionAvailable {
		t.Errorf("%s: recursion is not said to be available", m.Question[0].Name)
	}
}

func TestMissThenHit(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1")
	s := play(t, plot{rest: up})
	for i, name := range []string{"www.example.", "WWW.eXample.", "www.example."} {
		m := s.ask(name, dns.TypeA)
		see(t, m, dns.RcodeSuccess, "A 192.0.2.1")
		if m.Answer[0].Header().Ttl > 300 {
			t.Errorf("ask %d: TTL %d", i, m.Answer[0].Header().Ttl)
		}
	}
	see(t, s.ask("none.example.", dns.TypeA), dns.RcodeNameError)
	see(t, s.ask("none.example.", dns.TypeA), dns.RcodeNameError)
	see(t, s.ask("www.example.", dns.TypeTXT), dns.RcodeSuccess)
	if n := up.asked.Load(); n != 3 {
		t.Errorf("upstream was asked %d times, want 3", n)
	}
	if hits, misses := s.count("hit"), s.count("miss"); hits != 3 || misses != 3 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
}

func TestOneFlight(t *testing.T) {
	asked, goOn := make(chan bool, 64), make(chan bool)
	up := serveBy(t, func(*dns.Msg) *dns.Msg {
		asked <- true
		<-goOn
		return nil
	}, "www.example. 60 IN A 192.0.2.1")
	s := play(t, plot{rest: up})
	var waiting []*planetest.Client
	for range 20 {
		c, sent := s.send(pack(t, new(dns.Msg).SetQuestion("www.example.", dns.TypeA)), "", false)
		if sent {
			t.Fatal("answered before upstream did")
		}
		waiting = append(waiting, c)
	}
	<-asked
	close(goOn)
	for _, c := range waiting {
		if r := s.reply(c); wire.RcodeOf(r) != 0 {
			t.Errorf("got %x", r)
		}
	}
	if n := up.asked.Load(); n != 1 {
		t.Errorf("upstream was asked %d times", n)
	}
}

// TestStale has the only server die: what was known is still given, marked as stale.
func TestStale(t *testing.T) {
	t.Parallel()
	up := serve(t, soa, "www.example. 1 IN A 192.0.2.1")
	s := play(t, plot{rest: up})
	see(t, s.ask("www.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.1")
	up.stop()
	deadline := time.Now().Add(patience)
	for {
		m := s.ask("www.example.", dns.TypeA)
		see(t, m, dns.RcodeSuccess, "A 192.0.2.1")
		if ede(m) == int(wire.EDEStaleAnswer) {
			if ttl := m.Answer[0].Header().Ttl; ttl != 30 {
				t.Errorf("stale TTL %d", ttl)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never stale")
		}
	}
}

func TestServfailSaysWhy(t *testing.T) {
	t.Parallel()
	silent, dead := serve(t), serve(t)
	silent.silent.Store(true)
	dead.stop()
	broken := serveBy(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) })
	s := play(t, plot{zones: map[string]*nameServer{"silent.": silent, "dead.": dead, "broken.": broken}})
	for name, want := range map[string]uint16{
		"www.silent.": wire.EDENoReachableAuth, "www.dead.": wire.EDENetworkError,
		"www.broken.": wire.EDENoReachableAuth, "nobody.example.": wire.EDENoReachableAuth,
	} {
		start := time.Now()
		m := s.ask(name, dns.TypeA)
		see(t, m, dns.RcodeServerFailure)
		if ede(m) != int(want) {
			t.Errorf("%s: extended error %d, want %d", name, ede(m), want)
		}
		if took := time.Since(start); took > DefaultBudget+time.Second {
			t.Errorf("%s took %s", name, took)
		}
		if again := s.ask(name, dns.TypeA); again.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: then %v", name, again)
		}
	}
	if s.count("failure") != 4 {
		t.Errorf("%d failures from memory, want 4", s.count("failure"))
	}
}

func TestRules(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1", "www.example. 300 IN AAAA 2001:db8::1")
	s := play(t, plot{rest: up, env: policy.Env{Site: "dc1"}, policy: policy.Config{
		BlockAAAA: []string{"example"}, Search: []string{"prd.example"},
		Refused: []string{"refused.example"}, Static: []string{"static.example"},
		Data: []string{"db.static.example 60 A 192.0.2.7", "alias.static.example 60 CNAME www.example", "lost.static.example 60 CNAME x.refused.example"},
		Deny: []string{"192.0.2.128/25"},
	}})
	m := s.ask("www.example.", dns.TypeAAAA)
	see(t, m, dns.RcodeSuccess)
	if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("NODATA without SOA: %v", m)
	}
	if up.asked.Load() != 0 {
		t.Error("a blocked AAAA went upstream")
	}
	see(t, s.ask("gone.example.", dns.TypeA), dns.RcodeNameError)
	see(t, s.ask("gone.example.", dns.TypeAAAA), dns.RcodeNameError) // as A is known not to be
	see(t, s.ask("www.google.com.prd.example.", dns.TypeA), dns.RcodeNameError)
	see(t, s.ask("x.refused.example.", dns.TypeA), dns.RcodeRefused)
	see(t, s.ask("db.static.example.", dns.TypeA), dns.RcodeSuccess, "A 192.0.2.7")
	see(t, s.ask("no.static.example.", dns.TypeA), dns.RcodeNameError)
	see(t, s.ask("alias.static.example.", dns.TypeA), dns.RcodeSuccess, "CNAME www.example.", "A 192.0.2.1")
	see(t, s.ask("alias.static.example.", dns.TypeAAAA), dns.RcodeSuccess, "CNAME www.example.") // blocked behind the alias, too
	see(t, s.ask("lost.static.example.", dns.TypeA), dns.RcodeServerFailure)
	denied := s.query(query{name: "www.example.", typ: dns.TypeA, client: "192.0.2.200"})
	see(t, denied, dns.RcodeRefused)
	if ede(denied) != int(wire.EDEProhibited) {
		t.Errorf("denied with %d", ede(denied))
	}
}

// TestSiteNames has names of this site's chased, also where loopback may not ask.
func TestSiteNames(t *testing.T) {
	up := serve(t, soa, "db.dc1.example. 300 IN A 10.1.1.10")
	s := play(t, plot{rest: up, env: policy.Env{Site: "dc1", Allow: []string{"10.0.0.0/8"}}, policy: policy.Config{
		Synth: []policy.Synth{{Kind: "site", Zone: "dc.example", To: "{site}.example"}},
	}})
	q := query{name: "db.dc.example.", typ: dns.TypeA, client: "10.0.0.1"}
	see(t, s.query(q), dns.RcodeSuccess, "CNAME db.dc1.example.", "A 10.1.1.10")
	see(t, s.query(q), dns.RcodeSuccess, "CNAME db.dc1.example.", "A 10.1.1.10")
	if up.asked.Load() != 1 || s.count("hit") != 1 {
		t.Errorf("upstream was asked %d times, %d hits", up.asked.Load(), s.count("hit"))
	}
	q.name = "no.dc.example."
	see(t, s.query(q), dns.RcodeNameError, "CNAME no.dc1.example.")
	q.client = "127.0.0.1"
	see(t, s.query(q), dns.RcodeRefused)

	// At another site the name is another one, at once.
	rules, err := NewRules(policy.Config{Synth: []policy.Synth{{Kind: "site", Zone: "dc.example", To: "{site}.example"}}}, policy.Env{Site: "dc2"})
	if err != nil {
		t.Fatal(err)
	}
	s.SetRules(rules)
	s.Forget([]string{"dc.example"})
	see(t, s.ask("db.dc.example.", dns.TypeA), dns.RcodeNameError, "CNAME db.dc2.example.")
}

func TestWhatIsNotAsked(t *testing.T) {
	up := serve(t, soa, "www.example. 300 IN A 192.0.2.1")
	s := play(t, plot{rest: up})
	m := s.query(query{name: "www.example.", typ: dns.TypeA, noRD: true})
	see(t, m, dns.RcodeRefused)
	if ede(m) != int(wire.EDENotAuthoritative) || s.count("no-recursion") != 1 {
		t.Errorf("RD=0: %v", m)
	}
	s.ask("www.example.", dns.TypeA)
	see(t, s.query(query{name: "www.example.", typ: dns.TypeA, noRD: true}), dns.RcodeSuccess, "A 192.0.2.1") // memory is no recursion
	before := up.asked.Load()
	for typ, want := range map[uint16]int{
		dns.TypeAXFR: dns.RcodeRefused, dns.TypeIXFR: dns.RcodeRefused, dns.TypeMAILB: dns.RcodeFormatError,
		dns.TypeTKEY: dns.RcodeFormatError, dns.TypeOPT: dns.RcodeFormatError, 128: dns.RcodeFormatError, 0: dns.RcodeFormatError,
	} {
		if m := s.ask("www.example.", typ); m.Rcode != want {
			t.Errorf("type %d: %s, want %s", typ, dns.RcodeToString[m.Rcode], dns.RcodeToString[want])
		}
	}
	if up.asked.Load() != before {
		t.Error("one of them went upstream")
	}
	for _, typ := range []uint16{dns.TypeHTTPS, dns.TypeCAA, dns.TypeURI, dns.TypeRRSIG, 65280} {
		if m := s.ask("www.example.", typ); m.Rcode != dns.RcodeSuccess {
			t.Errorf("type %d: %v", typ, m)
		}
	}
}

func TestLimits(t *testing.T) {
	var records []string
	for i := range 60 {
		records = append(records, fmt.Sprintf("big.example. 300 IN TXT %q", strings.Repeat(fmt.Sprint(i%10), 50)))
	}
	s := play(t, plot{rest: serve(t, append(records, soa)...)})
	for _, q := range []query{{size: 1}, {size: 512}, {size: 1232}, {size: 4096}} {
		q.name, q.typ = "big.example.", dns.TypeTXT
		m := s.query(q)
		if !m.Truncated || len(m.Answer) != 0 {
			t.Errorf("size %d: %d records, truncated %v", q.size, len(m.Answer), m.Truncated)
		}
	}
	stream := play(t, plot{rest: serve(t, append(records, soa)...), stream: true})
	for _, what := range []string{"late", "from memory"} {
		m := stream.query(query{name: "big.example.", typ: dns.TypeTXT, stream: true})
		if m.Truncated || len(m.Answer) != 60 {
			t.Errorf("stream, %s: %d records, truncated %v", what, len(m.Answer), m.Truncated)
		}
	}
}

func TestRateLimit(t *testing.T) {
	s := play(t, plot{rest: serve(t, soa, "www.example. 300 IN A 192.0.2.1"), policy: policy.Config{
		Rate: policy.Rate{PerSecond: 1, Burst: 3, Slip: 1},
	}})
	q := query{name: "www.example.", typ: dns.TypeA, client: "192.0.2.10"}
	for range 3 {
		see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.1")
	}
	if m := s.query(q); m == nil || !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("over the limit: %v", m)
	}
	junk := pack(t, new(dns.Msg).SetQuestion("www.example.", dns.TypeA))
	if r := s.packet(append(junk, 1), q.client, false); r != nil {
		t.Errorf("an invalid query over the limit is answered: %x", r)
	}
	q.stream = true
	see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.1") // proven by its connection
	q.stream, q.client = false, "192.0.2.11"
	see(t, s.query(q), dns.RcodeSuccess, "A 192.0.2.1")
	if s.count("rate-limited") != 2 {
		t.Errorf("%d counted", s.count("rate-limited"))
	}
	// A reload that leaves the rate alone forgets no client.
	same, err := NewRules(policy.Config{Rate: policy.Rate{PerSecond: 1, Burst: 3, Slip: 1}}, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	s.SetRules(same)
	q.client = "192.0.2.10"
	if m := s.query(q); m == nil || !m.Truncated {
		t.Errorf("after a reload: %v", m)
	}
}

// TestCloseInTheAir ends a resolver that upstream still owes answers.
func TestCloseInTheAir(t *testing.T) {
	up := serve(t)
	up.silent.Store(true)
	s := play(t, plot{rest: up})
	c, _ := s.send(pack(t, new(dns.Msg).SetQuestion("www.example.", dns.TypeA)), "", false)
	s.close()
	if r := s.reply(c); wire.RcodeOf(r) != wire.RcodeServFail {
		t.Errorf("got %x", r)
	}
	if n := s.Waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}
