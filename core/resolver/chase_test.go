package resolver

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// TestAliasesOverServers follows chains that lead from our zones into the world
// and back, and believes nobody about others' names.
func TestAliasesOverServers(t *testing.T) {
	ours := serve(t, "ours. 300 IN SOA ns.ours. h.ours. 1 2 3 4 60",
		"www.ours. 300 IN CNAME cdn.world.", "gone.ours. 300 IN CNAME none.world.", "there.ours. 300 IN CNAME back.world.",
		"db.ours. 60 IN A 10.0.0.1", "chain.ours. 300 IN CNAME www.ours.", "lame.ours. 300 IN CNAME lame.world.",
		"two.ours. 300 IN CNAME x.second.")
	second := serve(t, "second. 300 IN SOA ns.second. h.second. 1 2 3 4 60", "x.second. 30 IN A 10.0.0.2")
	world := serve(t, "world. 300 IN SOA ns.world. h.world. 1 2 3 4 60", "cdn.world. 20 IN A 192.0.2.1", "cdn.world. 20 IN A 192.0.2.2",
		"back.world. 300 IN CNAME db.ours.", "in.world. 300 IN CNAME cdn.world.",
		// What the world thinks of our names.
		"ours. 300 IN SOA ns.ours. h.ours. 1 2 3 4 60", "db.ours. 60 IN A 203.0.113.66", "hid.world. 300 IN CNAME chain.ours.",
		"lame.world. 300 IN CNAME x.nowhere.")
	s := play(t, plot{rest: world, zones: map[string]*nameServer{"ours.": ours, "second.": second}})
	for _, tt := range []struct {
		name  string
		rcode int
		want  string
	}{
		{"www.ours.", 0, "CNAME cdn.world.|A|A"},
		{"chain.ours.", 0, "CNAME www.ours.|CNAME cdn.world.|A|A"},
		{"gone.ours.", dns.RcodeNameError, "CNAME none.world."},
		{"back.world.", 0, "CNAME db.ours.|A 10.0.0.1"},
		{"there.ours.", 0, "CNAME back.world.|CNAME db.ours.|A 10.0.0.1"},
		{"hid.world.", 0, "CNAME chain.ours.|CNAME www.ours.|CNAME cdn.world.|A|A"}, // which the world denies
		{"in.world.", 0, "CNAME cdn.world.|A|A"},
		{"two.ours.", 0, "CNAME x.second.|A 10.0.0.2"},
		{"lame.ours.", dns.RcodeServerFailure, ""},
	} {
		for _, how := range []string{"late", "from memory"} {
			m := s.ask(tt.name, dns.TypeA)
			got := strings.Join(data(m), "|")
			got = strings.NewReplacer("A 192.0.2.1", "A", "A 192.0.2.2", "A").Replace(got)
			if m.Rcode != tt.rcode || got != tt.want {
				t.Errorf("%s %s: %s %s, want %s %s", tt.name, how, dns.RcodeToString[m.Rcode], got, dns.RcodeToString[tt.rcode], tt.want)
			}
			if m.Rcode == dns.RcodeNameError && (len(m.Ns) != 1 || m.Ns[0].Header().Name != "world.") {
				t.Errorf("%s: denied by %v", tt.name, m.Ns)
			}
		}
	}
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	if len(s.chains.links) != 0 {
		t.Errorf("%d links are left", len(s.chains.links))
	}
}

// TestCircles asks for names that lead to themselves, in one zone, over several, by
// rules, and over ever new names: SERVFAIL, long before the budget is over.
func TestCircles(t *testing.T) {
	one := serve(t, "one. 300 IN SOA ns.one. h.one. 1 2 3 4 60", "self.one. 60 IN CNAME self.one.",
		"a.one. 60 IN CNAME b.one.", "b.one. 60 IN CNAME a.one.", "there.one. 60 IN CNAME back.two.", "x.in.one. 60 IN CNAME x.rule.one.")
	two := serve(t, "two. 300 IN SOA ns.two. h.two. 1 2 3 4 60", "back.two. 60 IN CNAME there.one.")
	longer := serveBy(t, func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		to := "x." + name
		if len(name) > 200 {
			to = name
		}
		m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: to}}
		return m
	})
	s := play(t, plot{
		rest: longer, zones: map[string]*nameServer{"one.": one, "two.": two}, env: policy.Env{Site: "dc1"},
		policy: policy.Config{Synth: []policy.Synth{
			{Kind: "site", Zone: "rule.one", To: "in.one"}, // x.in.one leads back by its data
			{Kind: "site", Zone: "p.test", To: "q.test"}, {Kind: "site", Zone: "q.test", To: "p.test"},
		}},
	})
	for _, name := range []string{"self.one.", "a.one.", "there.one.", "back.two.", "x.rule.one.", "x.p.test.", "x.q.test.", "deep.world."} {
		start := time.Now()
		m := s.ask(name, dns.TypeA)
		see(t, m, dns.RcodeServerFailure)
		if ede(m) != int(wire.EDEOther) {
			t.Errorf("%s: extended error %d", name, ede(m))
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// TestRulesBehindAliases has aliases lead to names that only our rules know.
func TestRulesBehindAliases(t *testing.T) {
	up := serve(t, soa, "db.dc1.example. 60 IN A 10.1.1.10", "db.example. 60 IN CNAME db.dc.example.", "ip.example. 60 IN CNAME 10-1-2-3.at.example.",
		"six.example. 60 IN CNAME host.blocked.example.", "host.blocked.example. 60 IN AAAA 2001:db8::1")
	s := play(t, plot{rest: up, env: policy.Env{Site: "dc1"}, policy: policy.Config{BlockAAAA: []string{"blocked.example"}, Synth: []policy.Synth{
		{Kind: "site", Zone: "dc.example", To: "{site}.example"}, {Kind: "ip", Zone: "at.example"},
	}}})
	see(t, s.ask("db.example.", dns.TypeA), dns.RcodeSuccess, "CNAME db.dc.example.", "CNAME db.dc1.example.", "A 10.1.1.10")
	see(t, s.ask("ip.example.", dns.TypeA), dns.RcodeSuccess, "CNAME 10-1-2-3.at.example.", "A 10.1.2.3")
	see(t, s.ask("six.example.", dns.TypeAAAA), dns.RcodeSuccess, "CNAME host.blocked.example.")
}

// TestReferral has a server name others for a name below a cut: no answer, least of
// all "there is nothing".
func TestReferral(t *testing.T) {
	up := serveBy(t, func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		ns, _ := dns.NewRR("child.example. 300 IN NS ns.child.example.")
		m.Ns = []dns.RR{ns}
		return m
	})
	m := play(t, plot{rest: up}).ask("www.child.example.", dns.TypeA)
	see(t, m, dns.RcodeServerFailure)
	if ede(m) != int(wire.EDENoReachableAuth) {
		t.Errorf("extended error %d", ede(m))
	}
}

// TestLargeTarget follows an alias to an answer of more than 16 KiB.
func TestLargeTarget(t *testing.T) {
	records := []string{"world. 300 IN SOA ns.world. h.world. 1 2 3 4 60"}
	for i := range 120 {
		records = append(records, "big.world. 300 IN TXT "+strings.Repeat(string(rune('a'+i%26)), 200)+string(rune('0'+i/26)))
	}
	ours := serve(t, "ours. 300 IN SOA ns.ours. h.ours. 1 2 3 4 60", "big.ours. 300 IN CNAME big.world.")
	s := play(t, plot{rest: serve(t, records...), zones: map[string]*nameServer{"ours.": ours}, stream: true})
	m := s.query(query{name: "big.ours.", typ: dns.TypeTXT, stream: true})
	if m.Rcode != 0 || len(m.Answer) != 121 {
		t.Errorf("%s, %d records", dns.RcodeToString[m.Rcode], len(m.Answer))
	}
}

func TestChains(t *testing.T) {
	var c chains
	for _, step := range []struct {
		from, to string
		ok       bool
	}{
		{"a", "a", false}, {"a", "b", true}, {"b", "c", true}, {"c", "a", false}, {"c", "d", true}, {"x", "c", true},
		{"d", "b", false}, {"a", "b", true}, // asked anew beside its old self
	} {
		if ok := c.begin(step.from, step.to); ok != step.ok {
			t.Errorf("%s waits for %s: %v", step.from, step.to, ok)
		}
	}
	c.end("a", "b")
	if c.begin("d", "a") {
		t.Error("a waits for b no more")
	}
	for _, e := range []string{"ab", "bc", "cd", "xc"} {
		c.end(e[:1], e[1:])
	}
	if len(c.links) != 0 {
		t.Errorf("left: %v", c.links)
	}
	names := "abcdefghijklmnopqrstuvwxyz"
	n := 0
	for c.begin(names[n:n+1], names[n+1:n+2]) {
		n++
	}
	if n != maxAliases {
		t.Errorf("a chain of %d", n)
	}
}

// FuzzScan has any message read as an answer to www.example. A.
func FuzzScan(f *testing.F) {
	name := wire.MustName("www.example")
	reply := func(records ...string) []byte {
		m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("www.example.", dns.TypeA))
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return pack(f, m)
	}
	f.Add(reply())
	f.Add(reply("www.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1"))
	f.Add(reply("b.example. 60 IN CNAME www.example.", "www.example. 60 IN CNAME b.example."))
	f.Add(reply("example. 60 IN DNAME other.", "www.example. 60 IN CNAME www.other."))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < wire.HeaderLen {
			return
		}
		s := scan{msg: msg, typ: wire.TypeA, apart: func(n []byte) bool { return len(n) > 20 }}
		if s.read(name) != open {
			return
		}
		if wire.NameLen(s.target) != len(s.target) {
			t.Fatalf("target %x", s.target)
		}
		s.keeps()
		if _, err := s.head(); err != nil {
			return
		}
	})
}

// TestAuthenticChains: an answer over several servers is authentic where all of it is, to
// who asks whether it is (RFC 6840 §5.7).
func TestAuthenticChains(t *testing.T) {
	vouched := func(records ...string) *nameServer {
		data := &nameServer{}
		data.add(t, records...)
		return serveBy(t, func(q *dns.Msg) *dns.Msg {
			m := data.look(q)
			m.AuthenticatedData = q.AuthenticatedData
			return m
		})
	}
	first := vouched("first. 300 IN SOA ns.first. h.first. 1 2 3 4 60", "good.first. 60 IN CNAME end.second.", "half.first. 60 IN CNAME end.third.")
	second := vouched("second. 300 IN SOA ns.second. h.second. 1 2 3 4 60", "end.second. 60 IN A 192.0.2.1")
	third := serve(t, "third. 300 IN SOA ns.third. h.third. 1 2 3 4 60", "end.third. 60 IN A 192.0.2.1", "half.third. 60 IN CNAME end.second.")
	s := play(t, plot{zones: map[string]*nameServer{"first.": first, "second.": second, "third.": third}})
	for name, want := range map[string]bool{"good.first.": true, "half.first.": false, "half.third.": false, "end.second.": true, "end.third.": false} {
		for _, asked := range []bool{true, false} {
			q := new(dns.Msg).SetQuestion(name, dns.TypeA)
			q.AuthenticatedData = asked
			m := new(dns.Msg)
			if err := m.Unpack(s.packet(pack(t, q), "", false)); err != nil {
				t.Fatal(err)
			}
			if len(data(m)) == 0 || m.AuthenticatedData != (want && asked) {
				t.Errorf("%s, AD %v:\n%v", name, asked, m)
			}
		}
	}
}

// TestAliasOfExpired has an alias lead to what only memory knows any more: the whole answer
// is marked as expired, when it is made and when memory gives it.
func TestAliasOfExpired(t *testing.T) {
	t.Parallel()
	ours := serve(t, "ours. 1 SOA . . 1 1 1 1 1", "www.ours. 1 A 192.0.2.1")
	s := play(t, plot{
		rest:  serve(t, "far. 60 SOA . . 1 1 1 1 60", "in.far. 60 CNAME www.ours.", "none.far. 60 CNAME none.ours."),
		zones: map[string]*nameServer{"ours": ours},
	})
	codes := map[string]uint16{"www.ours.": wire.EDEStaleAnswer, "none.ours.": wire.EDEStaleNXDomain}
	for name := range codes {
		if m := s.ask(name, dns.TypeA); ede(m) != -1 {
			t.Fatal(m)
		}
	}
	ours.stop()
	for name, code := range codes {
		for deadline := time.Now().Add(patience); ede(s.ask(name, dns.TypeA)) != int(code); {
			if time.Now().After(deadline) {
				t.Fatalf("%s never expires", name)
			}
		}
	}
	for range 2 {
		m := s.ask("in.far.", dns.TypeA)
		see(t, m, dns.RcodeSuccess, "CNAME www.ours.", "A 192.0.2.1")
		if ede(m) != int(wire.EDEStaleAnswer) {
			t.Errorf("extended error %d", ede(m))
		}
		m = s.ask("none.far.", dns.TypeA)
		see(t, m, dns.RcodeNameError, "CNAME none.ours.")
		if ede(m) != int(wire.EDEStaleNXDomain) {
			t.Errorf("what there is not: extended error %d", ede(m))
		}
	}
}
