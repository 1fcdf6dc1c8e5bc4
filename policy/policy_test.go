package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

var local = netip.MustParseAddr("127.0.0.1")

// full has one of every rule.
var full = Config{
	BlockAAAA:   []string{"example.com", "V6.test"},
	Search:      []string{"prd.example.com", "tst.example.com", "default.svc.cluster.local", "svc.cluster.local", "cluster.local"},
	Junk:        Junk{Extra: []string{"corp"}, Keep: []string{"dev.prd.example.com", "shop"}},
	Transparent: []string{"10.in-addr.arpa", "open.example.com", "io.prd.example.com", "deep.v6.test"},
	Static:      []string{"home.arpa", "static.open.example.com"},
	Refused:     []string{"bad.test"},
	Data: []string{
		"printer.home.arpa. 300 A 10.0.0.9", "printer.home.arpa. 300 A 10.0.0.10",
		"a.b.home.arpa 60 TXT \"x y\" \"z\"", "www.home.arpa CNAME Printer.Home.arpa.",
		"9.0.0.10.in-addr.arpa 300 PTR printer.home.arpa.", "lone.test 30 AAAA 2001:db8::9",
		"www.google.com.tst.example.com 30 A 10.9.9.9",
	},
	Synth: []Synth{
		{Kind: "ip", Zone: "ip.example.net", TTL: 120, PTR: []string{"172.16.0.0/12", "192.0.2.128/25", "2001:db8::/33", "198.51.100.7/32"}},
		{Kind: "site", Zone: "dc.prd.example.com", To: "{site}.prd.example.com"},
	},
}

var fullEnv = Env{Site: "dc1", Zones: []string{"prd.example.com", "10.in-addr.arpa", "intern"}}

func compile(t testing.TB, c Config, env Env) *Policy {
	t.Helper()
	p, err := Compile(c, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// query packs a question with miekg/dns into an array with room for a reply.
func query(t testing.TB, name, typ string, edns bool) []byte {
	t.Helper()
	var m dns.Msg
	m.SetQuestion(dns.Fqdn(name), dns.StringToType[typ])
	if edns {
		m.SetEdns0(1232, true)
	}
	b, err := m.PackBuffer(make([]byte, 4096))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask runs a question through Ask and Reply and reads the reply with miekg/dns;
// the reply is nil where there is none.
func ask(t testing.TB, p *Policy, name, typ string, client netip.Addr) (Verdict, *dns.Msg) {
	t.Helper()
	data := query(t, name, typ, true)
	var q wire.Query
	if o := q.Parse(data); o != wire.Valid {
		t.Fatalf("%s %s: outcome %d", name, typ, o)
	}
	v := p.Ask(&q, client)
	reply := p.Reply(v, &q, data, q.Limit(false, 1232))
	if len(reply) == 0 {
		return v, nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("%s %s: reply: %v", name, typ, err)
	}
	if len(m.Question) != 1 || m.Question[0].Name != dns.Fqdn(name) || !m.Response || !m.RecursionAvailable || m.IsEdns0() == nil {
		t.Fatalf("%s %s: reply is not one to the question:\n%v", name, typ, m)
	}
	return v, m
}

// outcome is a reply in a line: the rcode, the answers' data, SOA and its owner.
func outcome(v Verdict, m *dns.Msg) string {
	if m == nil {
		return v.Action.String()
	}
	s := []string{dns.RcodeToString[m.Rcode]}
	if v.Action != Answer {
		s = []string{v.Action.String()}
	}
	for _, rr := range m.Answer {
		s = append(s, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	for _, rr := range m.Ns {
		s = append(s, "soa="+rr.(*dns.SOA).Hdr.Name)
	}
	return strings.Join(s, " ")
}

func TestRules(t *testing.T) {
	p := compile(t, full, fullEnv)
	long := strings.Repeat(strings.Repeat("l", 63)+".", 3)
	for _, c := range []struct{ name, typ, want string }{
		// AAAA under suffixes
		{"www.example.com", "AAAA", "NOERROR soa=example.com."},
		{"WwW.eXample.COM", "AAAA", "NOERROR soa=eXample.COM."},
		{"example.com", "AAAA", "NOERROR soa=example.com."},
		{"www.example.com", "A", "pass"},
		{"notexample.com", "AAAA", "pass"},
		{"com", "AAAA", "pass"},
		{".", "AAAA", "pass"},
		{"example.com.test", "AAAA", "pass"},
		{"deep.v6.test", "AAAA", "pass"},
		{"x.deep.v6.test", "AAAA", "pass"},
		{"x.v6.test", "AAAA", "NOERROR soa=v6.test."},
		{long + "example.com", "AAAA", "NOERROR soa=example.com."},
		// junk
		{"www.google.com.prd.example.com", "A", "NXDOMAIN soa=prd.example.com."},
		{"www.google.com.prd.example.com", "AAAA", "NXDOMAIN soa=prd.example.com."},
		{"WWW.Google.COM.prd.Example.com", "MX", "NXDOMAIN soa=prd.Example.com."},
		{"google.com.prd.example.com", "A", "NXDOMAIN soa=prd.example.com."},
		{"com.prd.example.com", "A", "pass"},
		{"prd.example.com", "A", "pass"},
		{"db.prd.example.com", "A", "pass"},
		{"a.db.prd.example.com", "A", "pass"},
		{"a.notcom.prd.example.com", "A", "pass"},
		{"a.com.notprd.example.com", "A", "pass"},
		{"host.prd.example.com.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"prd.example.com.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"host.intern.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"host.corp.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"10.in-addr.arpa.tst.example.com", "PTR", "NXDOMAIN soa=tst.example.com."},
		{"spiegel.de.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"host.dev.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		{"host.dev.prd.example.com", "A", "pass"},
		{"dev.prd.example.com", "A", "pass"},
		{"a.shop.prd.example.com", "A", "pass"},
		{"x.io.prd.example.com", "A", "pass"}, // transparent
		{"x.io.prd.example.com", "AAAA", "pass"},
		{"www.google.com.tst.example.com", "A", "NOERROR 10.9.9.9"},
		{"google.com.tst.example.com", "A", "pass"}, // above given data
		{"x.google.com.tst.example.com", "A", "NXDOMAIN soa=tst.example.com."},
		// Kubernetes
		{"api.github.com.default.svc.cluster.local", "A", "NXDOMAIN soa=default.svc.cluster.local."},
		{"github.com.default.svc.cluster.local", "A", "NXDOMAIN soa=default.svc.cluster.local."},
		{"api.github.com.svc.cluster.local", "A", "NXDOMAIN soa=svc.cluster.local."},
		{"api.github.com.cluster.local", "AAAA", "NXDOMAIN soa=cluster.local."},
		{"api.github.com.other.svc.cluster.local", "A", "NXDOMAIN soa=svc.cluster.local."},
		{"api.github.io.other.svc.cluster.local", "A", "NXDOMAIN soa=svc.cluster.local."},
		{"my.default.svc.cluster.local.default.svc.cluster.local", "A", "NXDOMAIN soa=default.svc.cluster.local."},
		{"my.default.svc.cluster.local.svc.cluster.local", "A", "NXDOMAIN soa=svc.cluster.local."},
		{"my.default.svc.cluster.local", "A", "pass"},
		{"my.dev.svc.cluster.local", "A", "pass"},
		{"web-0.app.default.svc.cluster.local", "A", "pass"},
		{"web-0.app.dev.svc.cluster.local", "A", "pass"},
		{"_https._tcp.app.dev.svc.cluster.local", "SRV", "pass"},
		{"_https._tcp.app.default.svc.cluster.local", "SRV", "pass"},
		{"svc.cluster.local", "A", "pass"},
		{"cluster.local", "A", "pass"},
		{"cluster.default.svc.cluster.local", "A", "pass"},
		{"com.default.svc.cluster.local", "A", "pass"},
		{"web.com.svc.cluster.local", "A", "pass"}, // the namespace com
		{"web.dev.svc.cluster.local", "A", "pass"},
		{"web.int.svc.cluster.local", "A", "pass"},
		{"web.local.svc.cluster.local", "A", "pass"},  // as the zone's last label
		{"web.intern.svc.cluster.local", "A", "pass"}, // as a zone's of ours
		{"web-0.web.intern.svc.cluster.local", "A", "pass"},
		{"web-0.intern.default.svc.cluster.local", "A", "pass"},
		{"host.eu-1.shop.int.svc.cluster.local", "A", "pass"}, // of several clusters
		{"_dns._udp.kube-dns.kube-system.svc.cluster.local", "SRV", "pass"},
		{"_http._tcp.com.default.svc.cluster.local", "SRV", "pass"},
		{"_http._tcp.web.com.svc.cluster.local", "SRV", "pass"},
		{"_xmpp._tcp.example.com.default.svc.cluster.local", "SRV", "NXDOMAIN soa=default.svc.cluster.local."},
		{"_xmpp._tcp.example.com.cluster.local", "SRV", "NXDOMAIN soa=cluster.local."},
		{"10-1-2-3.app.default.svc.cluster.local", "A", "pass"},
		{"10-1-2-3.default.pod.cluster.local", "A", "pass"},
		{"web.corp.svc.cluster.local", "A", "NXDOMAIN soa=svc.cluster.local."}, // junk.extra
		{"web.com.cluster.local", "A", "NXDOMAIN soa=cluster.local."},
		// zones
		{"4.3.2.10.in-addr.arpa", "PTR", "pass"},
		{"10.in-addr.arpa", "SOA", "pass"},
		{"9.0.0.10.in-addr.arpa", "PTR", "NOERROR printer.home.arpa."},
		{"x.open.example.com", "AAAA", "pass"},
		{"x.notopen.example.com", "AAAA", "NOERROR soa=example.com."},
		{"x.static.open.example.com", "A", "NXDOMAIN soa=static.open.example.com."},
		{"x.bad.test", "A", "refuse"},
		{"bad.test", "A", "refuse"},
		{"notbad.test", "A", "pass"},
		{"x.home.arpa", "A", "NXDOMAIN soa=home.arpa."},
		{"home.arpa", "A", "NOERROR soa=home.arpa."},
		{"home.arpa", "SOA", "NOERROR home.arpa. nobody.invalid. 1 3600 1200 604800 60"},
		// data
		{"printer.home.arpa", "A", "NOERROR 10.0.0.9 10.0.0.10"},
		{"printer.home.arpa", "ANY", "NOERROR 10.0.0.9 10.0.0.10"},
		{"PRINTER.home.arpa", "AAAA", "NOERROR soa=home.arpa."},
		{"a.b.home.arpa", "TXT", `NOERROR "x y" "z"`},
		{"b.home.arpa", "TXT", "NOERROR soa=home.arpa."},
		{"x.b.home.arpa", "TXT", "NXDOMAIN soa=home.arpa."},
		{"x.printer.home.arpa", "A", "NXDOMAIN soa=home.arpa."},
		{"www.home.arpa", "A", "rewrite Printer.Home.arpa."},
		{"www.home.arpa", "CNAME", "NOERROR Printer.Home.arpa."},
		{"lone.test", "AAAA", "NOERROR 2001:db8::9"},
		{"lone.test", "A", "NOERROR soa=lone.test."},
		{"x.lone.test", "A", "pass"},
		// site
		{"x.dc.prd.example.com", "A", "rewrite x.dc1.prd.example.com."},
		{"X.y.dc.prd.example.com", "AAAA", "rewrite x.y.dc1.prd.example.com."},
		{"x.dc.prd.example.com", "CNAME", "NOERROR x.dc1.prd.example.com."},
		{"x.dc.prd.example.com", "ANY", "NOERROR x.dc1.prd.example.com."},
		{"dc.prd.example.com", "A", "NOERROR soa=dc.prd.example.com."},
		{"dc.prd.example.com", "SOA", "NOERROR dc.prd.example.com. nobody.invalid. 1 3600 1200 604800 60"},
		{"x.adc.prd.example.com", "A", "pass"},
		{long + strings.Repeat("m", 41) + ".dc.prd.example.com", "A", "rewrite " + long + strings.Repeat("m", 41) + ".dc1.prd.example.com."},
		{long + strings.Repeat("m", 42) + ".dc.prd.example.com", "A", "YXDOMAIN"},
	} {
		t.Run(c.name+" "+c.typ, func(t *testing.T) {
			v, m := ask(t, p, c.name, c.typ, local)
			if got := outcome(v, m); got != c.want {
				t.Errorf("got  %s\nwant %s\nby %+v", got, c.want, p.rules[v.rule])
			}
		})
	}
}

func TestSynthesised(t *testing.T) {
	p := compile(t, full, fullEnv)
	const soa = " soa=ip.example.net."
	for _, c := range []struct{ name, typ, want string }{
		{"10.1.2.3.ip.example.net", "A", "NOERROR 10.1.2.3"},
		{"10.1.2.3.ip.example.net", "ANY", "NOERROR 10.1.2.3"},
		{"10.1.2.3.IP.example.net", "AAAA", "NOERROR soa=IP.example.net."},
		{"10.1.2.3.ip.example.net", "TXT", "NOERROR" + soa},
		{"10-1-2-3.ip.example.net", "A", "NOERROR 10.1.2.3"},
		{"0.0.0.0.ip.example.net", "A", "NOERROR 0.0.0.0"},
		{"255.255.255.255.ip.example.net", "A", "NOERROR 255.255.255.255"},
		{"256.1.1.1.ip.example.net", "A", "NXDOMAIN" + soa},
		{"1.1.1.256.ip.example.net", "A", "NXDOMAIN" + soa},
		{"01.2.3.4.ip.example.net", "A", "NXDOMAIN" + soa},
		{"1.2.3.00.ip.example.net", "A", "NXDOMAIN" + soa},
		{"a.b.c.d.ip.example.net", "A", "NXDOMAIN" + soa},
		{"x.10.1.2.3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"1.10.1.2.3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"x.10-1-2-3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"10-1-2.ip.example.net", "A", "NXDOMAIN" + soa},
		{"10-1-2-3-4.ip.example.net", "A", "NXDOMAIN" + soa},
		{"10-1-2-.ip.example.net", "A", "NXDOMAIN" + soa},
		{"-10-1-2-3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"010-1-2-3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"3.ip.example.net", "A", "NOERROR" + soa}, // empty non-terminals
		{"2.3.ip.example.net", "A", "NOERROR" + soa},
		{"1.2.3.ip.example.net", "A", "NOERROR" + soa},
		{"1.x.3.ip.example.net", "A", "NXDOMAIN" + soa},
		{"ip.example.net", "A", "NOERROR" + soa},
		{"10.1.2.3.notip.example.net", "A", "pass"},

		{"2001-db8--1.ip.example.net", "AAAA", "NOERROR 2001:db8::1"},
		{"2001-DB8--1.ip.example.net", "AAAA", "NOERROR 2001:db8::1"},
		{"2001-db8--1.ip.example.net", "A", "NOERROR" + soa},
		{"2001-0db8-0-0-0-0-0-1.ip.example.net", "AAAA", "NOERROR 2001:db8::1"},
		{"0--1.ip.example.net", "AAAA", "NOERROR ::1"},
		{"--1.ip.example.net", "AAAA", "NOERROR ::1"},
		{"--.ip.example.net", "AAAA", "NOERROR ::"},
		{"fe80--.ip.example.net", "AAAA", "NOERROR fe80::"},
		{"1-2-3-4-5-6-7--.ip.example.net", "AAAA", "NOERROR 1:2:3:4:5:6:7:0"},
		{"1-2-3-4-5-6-7-8--.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1-2-3-4--5-6-7-8.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1-2-3-4-5-6-7-8-9.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1-2-3-4-5-6-7.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1--2--3.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1---2.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"---2.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"12345--.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"g--1.ip.example.net", "AAAA", "NXDOMAIN" + soa},
		{"1-2-3-4-5-6-7-8-.ip.example.net", "AAAA", "NXDOMAIN" + soa},

		{"3.2.16.172.in-addr.arpa", "PTR", "NOERROR 172-16-2-3.ip.example.net."},
		{"3.2.31.172.in-addr.arpa", "PTR", "NOERROR 172-31-2-3.ip.example.net."},
		{"3.2.32.172.in-addr.arpa", "PTR", "pass"},
		{"172.in-addr.arpa", "PTR", "pass"},
		{"16.172.in-addr.arpa", "PTR", "NOERROR soa=16.172.in-addr.arpa."},
		{"16.172.in-addr.arpa", "SOA", "NOERROR 16.172.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 60"},
		{"2.16.172.in-addr.arpa", "PTR", "NOERROR soa=16.172.in-addr.arpa."},
		{"3.2.16.172.in-addr.arpa", "A", "NOERROR soa=16.172.in-addr.arpa."},
		{"03.2.16.172.in-addr.arpa", "PTR", "NXDOMAIN soa=16.172.in-addr.arpa."},
		{"4.3.2.16.172.in-addr.arpa", "PTR", "NXDOMAIN soa=16.172.in-addr.arpa."},
		{"128.2.0.192.in-addr.arpa", "PTR", "NOERROR 192-0-2-128.ip.example.net."},
		{"255.2.0.192.in-addr.arpa", "PTR", "NOERROR 192-0-2-255.ip.example.net."},
		{"127.2.0.192.in-addr.arpa", "PTR", "pass"},
		{"7.100.51.198.in-addr.arpa", "PTR", "NOERROR 198-51-100-7.ip.example.net."},
		{"x.7.100.51.198.in-addr.arpa", "PTR", "NXDOMAIN soa=7.100.51.198.in-addr.arpa."},
		{dnsReverse("2001:db8::1"), "PTR", "NOERROR 2001-db8--1.ip.example.net."},
		{dnsReverse("2001:db8:7fff:1:2:3:4:5"), "PTR", "NOERROR 2001-db8-7fff-1-2-3-4-5.ip.example.net."},
		{dnsReverse("2001:db8:8000::1"), "PTR", "pass"},
		{"0.8.b.d.0.1.0.0.2.ip6.arpa", "TXT", "NOERROR soa=0.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"g.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "NXDOMAIN soa=0.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"11.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "NXDOMAIN soa=0.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"1." + dnsReverse("2001:db8::1"), "PTR", "NXDOMAIN soa=0.8.b.d.0.1.0.0.2.ip6.arpa."},
	} {
		t.Run(c.name+" "+c.typ, func(t *testing.T) {
			v, m := ask(t, p, c.name, c.typ, local)
			if got := outcome(v, m); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func dnsReverse(addr string) string {
	s, err := dns.ReverseAddr(addr)
	if err != nil {
		panic(err)
	}
	return s
}

// The longest suffix decides; of the same length, what passes.
func TestNestedRules(t *testing.T) {
	p := compile(t, Config{
		BlockAAAA:   []string{"a.test", "under.open.test"},
		Search:      []string{"b.test", "s.kept.test", "under.open.test"},
		Junk:        Junk{Keep: []string{"kept.test"}},
		Transparent: []string{"a.test", "b.test", "open.test", "part.static.test"},
		Static:      []string{"static.test"},
	}, Env{})
	for _, c := range []struct{ name, typ, want string }{
		{"x.a.test", "AAAA", "pass"},
		{"www.google.com.b.test", "A", "pass"},
		{"www.google.com.s.kept.test", "A", "pass"},
		{"www.google.com.open.test", "A", "pass"},
		{"www.google.com.under.open.test", "A", "NXDOMAIN soa=under.open.test."},
		{"x.under.open.test", "AAAA", "NOERROR soa=under.open.test."},
		{"x.static.test", "A", "NXDOMAIN soa=static.test."},
		{"x.part.static.test", "A", "pass"},
		{"part.static.test", "A", "pass"},
	} {
		v, m := ask(t, p, c.name, c.typ, local)
		if got := outcome(v, m); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.name, c.typ, got, c.want)
		}
	}
}

func TestTTLs(t *testing.T) {
	c := full
	c.NegativeTTL = 7
	p := compile(t, c, fullEnv)
	_, m := ask(t, p, "x.example.com", "AAAA", local)
	if soa := m.Ns[0].(*dns.SOA); soa.Hdr.Ttl != 7 || soa.Minttl != 7 {
		t.Errorf("negative TTL: %v", soa)
	}
	for name, want := range map[string]uint32{"1.2.3.4.ip.example.net": 120, "x.dc.prd.example.com": 300, "printer.home.arpa": 300} {
		if _, m := ask(t, p, name, "A", local); m.Answer[0].Header().Ttl != want {
			t.Errorf("%s: TTL %d, want %d", name, m.Answer[0].Header().Ttl, want)
		}
	}
}

// The message of a blocked name says so to those who can read it (RFC 8914); a
// zone of made-up names hides nothing.
func TestExtendedErrors(t *testing.T) {
	p := compile(t, full, fullEnv)
	for _, c := range []struct {
		name, typ string
		want      int
	}{
		{"x.example.com", "AAAA", int(wire.EDEBlocked)},
		{"a.com.prd.example.com", "A", int(wire.EDEBlocked)},
		{"x.bad.test", "A", int(wire.EDEProhibited)},
		{"x.ip.example.net", "A", -1},
	} {
		_, m := ask(t, p, c.name, c.typ, local)
		got := -1
		for _, o := range m.IsEdns0().Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				got = int(ede.InfoCode)
			}
		}
		if got != c.want {
			t.Errorf("%s %s: extended error %d, want %d", c.name, c.typ, got, c.want)
		}
	}
}

func TestBlockedAsNoName(t *testing.T) {
	p := compile(t, Config{BlockAAAA: []string{"."}, BlockAAAAAnswer: "nxdomain"}, Env{})
	v, m := ask(t, p, "x.example.com", "AAAA", local)
	if got := outcome(v, m); got != "NXDOMAIN soa=." || v.AskA {
		t.Errorf("got %s, AskA %v", got, v.AskA)
	}
	p = compile(t, Config{BlockAAAA: []string{"."}}, Env{})
	data := query(t, "x.example.com", "AAAA", false)
	var q wire.Query
	q.Parse(data)
	v = p.Ask(&q, local)
	if !v.AskA {
		t.Fatal("the caller is not told to look for the A")
	}
	v.Rcode = wire.RcodeNXDomain // what the caller does where A is known not to be
	if reply := p.Reply(v, &q, data, 512); wire.RcodeOf(reply) != wire.RcodeNXDomain {
		t.Errorf("rcode %d", wire.RcodeOf(reply))
	}
}

// A rewritten name's records go behind the alias, owned by its target.
func TestAliasThenRecords(t *testing.T) {
	p := compile(t, full, fullEnv)
	for name, target := range map[string]string{"x.DC.prd.example.com": "x.dc1.prd.example.com.", "www.home.arpa": "printer.home.arpa."} {
		data := query(t, name, "A", true)
		var q wire.Query
		q.Parse(data)
		v := p.Ask(&q, local)
		var buf [wire.MaxName]byte
		if got := wire.NameString(p.Target(v, &q, &buf)); got != target || v.Action != Rewrite {
			t.Errorf("%s: %v to %s, want %s", name, v.Action, got, target)
		}
		var r wire.Reply
		r.Begin(data, &q, 512)
		at, ok := p.Alias(&r, v, &q)
		if !ok || !r.PutRR(wire.Answer, at, wire.TypeA, wire.ClassIN, 30, []byte{10, 0, 0, 1}) {
			t.Fatal("no room")
		}
		m := new(dns.Msg)
		if err := m.Unpack(r.Finish()); err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) != 2 || !strings.EqualFold(m.Answer[1].Header().Name, target) {
			t.Errorf("%s:\n%v", name, m)
		}
	}
}

func TestTooBigIsTruncated(t *testing.T) {
	var c Config
	for i := range 40 {
		c.Data = append(c.Data, fmt.Sprintf("many.test 60 TXT %q", fmt.Sprintf("%02d the quick brown fox", i)))
	}
	p := compile(t, c, Env{})
	data := query(t, "many.test", "TXT", false)
	var q wire.Query
	q.Parse(data)
	m := new(dns.Msg)
	if err := m.Unpack(p.Reply(p.Ask(&q, local), &q, data, 512)); err != nil || !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("%v\n%v", err, m)
	}
	q.Parse(query(t, "many.test", "TXT", false))
	if err := m.Unpack(p.Reply(p.Ask(&q, local), &q, data, wire.MaxMessage)); err != nil || m.Truncated || len(m.Answer) != 40 {
		t.Errorf("over a stream: %v\n%v", err, m)
	}
}
