package policy

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// FuzzCompile: whatever stands in a configuration, it compiles or it is said what
// is wrong; and a record that compiled is answered as it was given.
func FuzzCompile(f *testing.F) {
	f.Add("db.example.com 300 A 10.0.0.1", "example.com", "10.0.0.0/8", "{site}.example.com")
	f.Add(`a\.b.test TXT "x" "y"`, ".", "2001:db8::/33", "x")
	f.Add("a.test CNAME b.test.", "a.test", "::ffff:10.0.0.1", "{site}")
	f.Fuzz(func(t *testing.T, record, name, prefix, to string) {
		c := Config{
			Data: []string{record}, BlockAAAA: []string{name}, Search: []string{name}, Junk: Junk{Extra: []string{name}, Keep: []string{to}},
			Synth: []Synth{{Kind: "ip", Zone: name, PTR: []string{prefix}}, {Kind: "site", Zone: "dc." + name, To: to}}, Deny: []string{prefix},
		}
		if _, err := Compile(c, Env{Site: "dc1"}); err != nil && err.Error() == "" {
			t.Fatal("a problem without words")
		}
		p, err := Compile(Config{Data: []string{record}}, Env{})
		if err != nil {
			return
		}
		rr, err := dns.NewRR(record)
		if err != nil {
			t.Fatalf("compiled, but is no record: %v", err)
		}
		owner, err := wire.ParseName(rr.Header().Name)
		if err != nil {
			t.Fatal(err)
		}
		msg := wire.AppendQuery(make([]byte, 0, wire.MaxMessage), 1, 0, owner, rr.Header().Rrtype, wire.ClassIN, nil)
		var q wire.Query
		if q.Parse(msg) != wire.Valid {
			t.Fatal("no query can be made of its name")
		}
		var m dns.Msg
		if err := m.Unpack(p.Reply(p.Ask(&q, local), &q, msg, wire.MaxMessage)); err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) == 0 {
			if m.Truncated { // 65,535 octets are no place for it
				return
			}
			t.Fatalf("no answer:\n%v", &m)
		}
		if got, want := packed(t, m.Answer[0]), packed(t, rr); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// packed is a record on the wire.
func packed(t *testing.T, rr dns.RR) string {
	buf := make([]byte, wire.MaxMessage)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	wire.Fold(buf[:wire.NameLen(buf)])
	return string(buf[:n])
}

// FuzzAskReply: whatever name is asked, there is a verdict, and its reply is one
// to the question, can be read, and is no longer than it may be.
func FuzzAskReply(f *testing.F) {
	p := compile(f, full, fullEnv)
	for _, s := range []string{".", "www.example.com", "www.google.com.prd.example.com", "10.1.2.3.ip.example.net", "2001-db8--1.ip.example.net",
		"3.2.16.172.in-addr.arpa", dnsReverse("2001:db8::1"), "x.dc.prd.example.com", "printer.home.arpa", "a.com.ns.svc.cluster.local"} {
		f.Add(wire.MustName(s), wire.TypeAAAA, true, false)
		f.Add(wire.MustName(s), wire.TypeA, false, true)
	}
	f.Fuzz(func(t *testing.T, name []byte, typ uint16, edns, stream bool) {
		if n := wire.NameLen(name); n == 0 || n != len(name) {
			return
		}
		var opt *wire.EDNS
		if edns {
			opt = &wire.EDNS{UDPSize: 600, DO: stream}
		}
		msg := wire.AppendQuery(make([]byte, 0, 2048), 7, wire.FlagRD, name, typ, wire.ClassIN, opt)
		var q wire.Query
		if o := q.Parse(msg); o != wire.Valid {
			return
		}
		v := p.Ask(&q, local)
		limit := q.Limit(stream, 1232)
		reply := p.Reply(v, &q, msg, limit)
		if v.Action == Pass {
			if len(reply) != 0 {
				t.Fatalf("a reply to what passes")
			}
			return
		}
		if len(reply) > limit {
			t.Fatalf("%d octets of %d", len(reply), limit)
		}
		if string(reply[wire.HeaderLen:wire.HeaderLen+len(name)]) != string(name) {
			t.Fatal("the question changed")
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		if m.Id != 7 || !m.RecursionDesired || len(m.Question) != 1 || m.Question[0].Qtype != typ || (m.IsEdns0() != nil) != edns {
			t.Fatalf("not a reply to the question:\n%v", &m)
		}
	})
}
