package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// drawName draws names that meet the rules of full often, and the limits of names.
func drawName() *rapid.Generator[[]byte] {
	labels := []string{"example", "com", "prd", "tst", "svc", "default", "cluster", "local", "dc", "ip", "net", "home", "arpa",
		"in-addr", "ip6", "10", "172", "16", "8", "0", "b", "www", "google", "10-1-2-3", "2001-db8--1", "test", "bad", "printer", "_tcp"}
	piece := rapid.OneOf(
		rapid.SampledFrom(labels),
		rapid.SampledFrom([]string{"prd.example.com", "ip.example.net", "16.172.in-addr.arpa", "svc.cluster.local", "8.b.d.0.1.0.0.2.ip6.arpa"}),
		rapid.StringMatching(`[a-zA-Z0-9_-]{1,63}`),
	)
	return rapid.Custom(func(t *rapid.T) []byte {
		s := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ".")
		name, err := wire.ParseName(s)
		for err != nil {
			_, s, _ = strings.Cut(s, ".")
			name, err = wire.ParseName(s)
		}
		return name
	})
}

// What stands under none of the rules' names passes, whatever its type.
func TestOutsideOfAllRules(t *testing.T) {
	p := compile(t, full, fullEnv)
	var names [][]byte
	for i := range p.table.nodes {
		n := &p.table.nodes[i]
		if n.zone|n.aaaa|n.junk|n.dataSet != 0 {
			names = append(names, p.table.name(n))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var q wire.Query
		q.SetName(drawName().Draw(t, "name"))
		q.Type = rapid.SampledFrom([]uint16{wire.TypeA, wire.TypeAAAA, wire.TypePTR, wire.TypeANY, wire.TypeDS}).Draw(t, "type")
		for _, name := range names {
			if wire.IsSubdomain(q.Name(), name) {
				return
			}
		}
		if v := p.Ask(&q, local); v != (Verdict{}) {
			t.Fatalf("%s: %+v", wire.NameString(q.Name()), v)
		}
	})
}

// The walk meets what a look at each rule would, in at most a lookup a suffix.
func TestWalk(t *testing.T) {
	p := compile(t, full, fullEnv)
	rapid.Check(t, func(t *rapid.T) {
		var q wire.Query
		q.SetName(drawName().Draw(t, "name"))
		var m, want match
		p.table.walk(&q, &m)
		if m.lookups > q.Labels+1 {
			t.Fatalf("%d lookups for %d labels", m.lookups, q.Labels)
		}
		for i := q.Labels; i >= 0; i-- {
			for k := range p.table.nodes {
				if n := &p.table.nodes[k]; string(p.table.name(n)) == string(q.Suffix(i)) {
					want.meet(n, i)
					if i == 0 {
						want.exact = n
					}
				}
			}
		}
		m.lookups = 0
		if m != want {
			t.Fatalf("%s: got %+v, want %+v", wire.NameString(q.Name()), m, want)
		}
	})
}

// A walk ends where no rule is left below.
func TestLookups(t *testing.T) {
	p := compile(t, suffixes(1000), Env{})
	for name, want := range map[string]int{
		".": 1, "org": 2, "a.b.c.d.e.org": 2, "com": 2, "a.b.c.other.com": 3, "a.b.c.example7.com": 4, "zone7.example7.com": 4, "a.b.c.zone7.example7.com": 4,
	} {
		var q wire.Query
		var m match
		q.SetName(wire.MustName(name))
		if p.table.walk(&q, &m); m.lookups != want {
			t.Errorf("%s: %d lookups, want %d", name, m.lookups, want)
		}
	}
}

// Names are compared on a hash hit: two may have the same hash.
func TestHashCollision(t *testing.T) {
	p := compile(t, Config{BlockAAAA: []string{"a.test"}}, Env{})
	name := wire.MustName("a.test")
	if p.table.find(wire.HashName(name), name) == 0 {
		t.Error("not found")
	}
	if p.table.find(wire.HashName(name), wire.MustName("b.test")) != 0 {
		t.Error("another name found by its hash")
	}
}

// The name made up for an address leads to that address again.
func TestNamesAndAddressesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 1, 0x10, 0xff}), 16, 16).Draw(t, "octets")
		addr, _ := netip.AddrFromSlice(words)
		if rapid.Bool().Draw(t, "four") {
			addr, _ = netip.AddrFromSlice(words[:4])
		}
		made := appendDashed(nil, addr)
		if got, ok := parseDashed(made); !ok || got != addr {
			t.Fatalf("%v is %s is %v", addr, made, got)
		}
		if len(made) > maxDashed || made[0] == '-' || made[len(made)-1] == '-' {
			t.Fatalf("%v: no host name: %s", addr, made)
		}
		var q wire.Query
		q.SetName(wire.MustName(dnsReverse(addr.String())))
		if got, whole, ok := reverseAddr(&q); !ok || !whole || got != addr {
			t.Fatalf("%v from its reverse name is %v", addr, got)
		}
	})
}

// Dashed addresses are those that net/netip reads with colons.
func TestDashedLikeNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`-{0,2}([0-9a-f]{1,5}-{1,3}){0,8}[0-9a-f]{0,4}`).Draw(t, "label")
		want, err := netip.ParseAddr(strings.ReplaceAll(s, "-", ":"))
		got, ok := parseDashed6([]byte(s))
		if ok != (err == nil) || ok && netip.AddrFrom16(got) != want {
			t.Fatalf("%q: %v %v, netip: %v %v", s, got, ok, want, err)
		}
	})
}

func TestAskAllocatesNothing(t *testing.T) {
	p := compile(t, full, Env{Site: "dc1", Private: true})
	for _, c := range []struct{ name, typ string }{
		{"www.example.org", "A"}, {"www.example.com", "AAAA"}, {"www.google.com.prd.example.com", "A"}, {"10.1.2.3.ip.example.net", "A"},
		{"2001-db8--1.ip.example.net", "AAAA"}, {"3.2.16.172.in-addr.arpa", "PTR"}, {dnsReverse("2001:db8::1"), "PTR"},
		{"x.dc.prd.example.com", "A"}, {"printer.home.arpa", "A"}, {"www.home.arpa", "A"}, {"x.bad.test", "A"}, {"home.arpa", "SOA"},
	} {
		packet := query(t, c.name, c.typ, true)
		data := make([]byte, 1232)
		var q wire.Query
		if n := testing.AllocsPerRun(100, func() {
			n := copy(data, packet)
			q.Parse(data[:n])
			v := p.Ask(&q, local)
			p.Reply(v, &q, data[:n], 1232)
			var buf [wire.MaxName]byte
			p.Target(v, &q, &buf)
		}); n != 0 {
			t.Errorf("%s %s: %v allocations", c.name, c.typ, n)
		}
	}
}

// suffixes are n rules, of which every second query meets one.
func suffixes(n int) Config {
	var c Config
	for i := range n {
		c.BlockAAAA = append(c.BlockAAAA, fmt.Sprintf("zone%d.example%d.com", i, i%100))
	}
	return c
}

func BenchmarkAsk(b *testing.B) {
	for _, n := range []int{0, 10, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := compile(b, suffixes(n), Env{Private: true})
			queries := make([]wire.Query, 128) // which stay in the cache, as a query just parsed does
			for i := range queries {
				name := fmt.Sprintf("www.host%d.example.org", i)
				if i%2 == 0 && n > 0 {
					k := i * 7919 % n
					name = fmt.Sprintf("www.zone%d.example%d.com", k, k%100)
				}
				queries[i].SetName(wire.MustName(name))
				queries[i].Type = wire.TypeAAAA
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Ask(&queries[i&127], local)
			}
		})
	}
}

func BenchmarkReply(b *testing.B) {
	p := compile(b, full, fullEnv)
	for _, c := range []struct{ name, typ string }{
		{"www.example.com", "AAAA"}, {"www.google.com.prd.example.com", "A"}, {"10-1-2-3.ip.example.net", "A"}, {"x.dc.prd.example.com", "A"},
	} {
		b.Run(c.name, func(b *testing.B) {
			data := query(b, c.name, c.typ, true)
			var q wire.Query
			q.Parse(data)
			data = make([]byte, 1232)
			b.ReportAllocs()
			for b.Loop() {
				p.Reply(p.Ask(&q, local), &q, data, 1232)
			}
		})
	}
}
