package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

func TestExplain(t *testing.T) {
	c := full
	c.Deny = []string{"192.0.2.0/24"}
	env := fullEnv
	env.Zones = append([]string{"our.tst.example.com"}, env.Zones...)
	p := compile(t, c, env)
	for _, row := range []struct {
		name   string
		typ    uint16
		client string
		want   string
	}{
		{"WWW.example.com", wire.TypeAAAA, "", "www.example.com. AAAA: answer NOERROR by policy.block_aaaa[0] (example.com.): AAAA is blocked under this suffix"},
		{"www.example.com", wire.TypeA, "", "www.example.com. A: pass: only AAAA is blocked under example.com."},
		{"www.google.com.prd.example.com", wire.TypeA, "", "answer NXDOMAIN by policy.search[0] (prd.example.com.): a whole name stands in front of a search domain"},
		{"com.prd.example.com", wire.TypeA, "", "pass: at most one label stands in front of the search domain"},
		{"a.b.prd.example.com", wire.TypeA, "", "pass: what stands in front of the search domain is no whole name"},
		{"a.dev.prd.example.com", wire.TypeA, "", "pass: the name is kept by policy.junk.keep"},
		{"host.prd.example.com.tst.example.com", wire.TypeA, "", "answer NXDOMAIN by policy.search[1] (tst.example.com.): a whole name stands in front of a search domain"},
		{"api.github.com.default.svc.cluster.local", wire.TypeA, "", "answer NXDOMAIN by policy.search[2] (default.svc.cluster.local.): a whole name"},
		{"api.github.com.svc.cluster.local", wire.TypeA, "", "answer NXDOMAIN by policy.search[3] (svc.cluster.local.): a whole name"},
		{"github.com.svc.cluster.local", wire.TypeA, "", "pass: a service or a pod may have the name"},
		{"web-0.app.default.svc.cluster.local", wire.TypeA, "", "pass: a service or a pod may have the name"},
		{"_http._tcp.com.default.svc.cluster.local", wire.TypeSRV, "", "pass: a service or a pod may have the name"},
		{"my.default.svc.cluster.local", wire.TypeA, "", "pass: at most one label stands in front of the search domain"},
		{"my.default.svc.default.svc.cluster.local", wire.TypeA, "", "answer NXDOMAIN by policy.search[2] (default.svc.cluster.local.): a whole name"},
		{"google.com.tst.example.com", wire.TypeA, "", "pass: the rules mention the name, or one below it"},
		{"www.google.com.our.tst.example.com", wire.TypeA, "", "pass: the name lies in a zone of ours"},
		{"x.dc.prd.example.com", wire.TypeA, "", "rewrite to x.dc1.prd.example.com. by policy.synth[1] (dc.prd.example.com.): names below"},
		{"1.2.3.4.ip.example.net", wire.TypeA, "", "answer NOERROR by policy.synth[0] (ip.example.net.): the name says its address"},
		{"1.2.3.400.ip.example.net", wire.TypeA, "", "answer NXDOMAIN by policy.synth[0] (ip.example.net.): no address of this type"},
		{"1.2.16.172.in-addr.arpa", wire.TypePTR, "", "answer NOERROR by policy.synth[0].ptr[0] (16.172.in-addr.arpa.)"},
		{"x.10.in-addr.arpa", wire.TypePTR, "", "pass by policy.transparent[0] (10.in-addr.arpa.): the zone passes untouched"},
		{"x.bad.test", wire.TypeA, "", "refuse by policy.refused[0] (bad.test.)"},
		{"printer.home.arpa", wire.TypeMX, "", "answer NOERROR by policy.data[0] (printer.home.arpa. A): data is given for the name, of another type"},
		{"x.home.arpa", wire.TypeMX, "", "answer NXDOMAIN by policy.static[0] (home.arpa.)"},
		{"example.org", 65280, "", "example.org. TYPE65280: pass: no rule holds for it"},
		{"x.bad.test", wire.TypeA, "192.0.2.1", "refuse by policy.deny[0] (192.0.2.0/24): the client may not ask"},
	} {
		client := netip.Addr{}
		if row.client != "" {
			client = netip.MustParseAddr(row.client)
		}
		e, err := p.Explain(row.name, row.typ, client)
		if err != nil || !strings.Contains(e.String(), row.want) {
			t.Errorf("%v\ngot  %s\nwant %s", err, e, row.want)
		}
	}
	if _, err := p.Explain("a..b", wire.TypeA, netip.Addr{}); err == nil {
		t.Error("a bad name is explained")
	}
	for c := range p.Counts() {
		if c.N != 0 {
			t.Errorf("explaining counts: %+v", c)
		}
	}
}

func TestCounts(t *testing.T) {
	p := compile(t, full, fullEnv)
	for range 3 {
		ask(t, p, "x.example.com", "AAAA", local)
	}
	ask(t, p, "printer.home.arpa", "A", local)
	ask(t, p, "nothing.test", "A", local)
	check := func(p *Policy, want map[string]uint64) {
		t.Helper()
		for c := range p.Counts() {
			if c.N != want[c.Kind.String()+" "+c.Name] {
				t.Errorf("%+v", c)
			}
		}
	}
	check(p, map[string]uint64{"aaaa example.com.": 3, "data printer.home.arpa. A": 1})

	next := compile(t, Config{BlockAAAA: []string{"other.test", "example.com"}}, Env{})
	next.Inherit(p)
	ask(t, next, "x.example.com", "AAAA", local)
	check(next, map[string]uint64{"aaaa example.com.": 4})
	ask(t, p, "x.example.com", "AAAA", local) // by who has not heard of the next
	check(next, map[string]uint64{"aaaa example.com.": 5})
	if n := next.Gone(KindData); n != 1 {
		t.Errorf("%d decided by data that is gone", n)
	}

	last := compile(t, Config{BlockAAAA: []string{"example.com"}}, Env{})
	last.Inherit(next)
	check(last, map[string]uint64{"aaaa example.com.": 5})
	if n := last.Gone(KindData); n != 1 {
		t.Errorf("%d decided by data that is gone", n)
	}
}

// Prefixes that may ask decide nothing and are no rules to count.
func TestCountsOfClients(t *testing.T) {
	p := compile(t, Config{Deny: []string{"10.1.0.0/16"}}, Env{Allow: []string{"10.0.0.0/8", "127.0.0.0/8"}})
	for _, client := range []string{"10.0.0.1", "10.1.0.1", "192.0.2.1", "127.0.0.1"} {
		ask(t, p, "x.example.com", "A", netip.MustParseAddr(client))
	}
	var got []string
	for c := range p.Counts() {
		got = append(got, fmt.Sprint(c.Path, " ", c.Name, " ", c.N))
	}
	if want := "policy.deny[0] 10.1.0.0/16 1, allow not in allow 1"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
