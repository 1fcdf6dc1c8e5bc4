package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
		p.table.walkFor(&q, &m, belowAAAA|belowOther)
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
	c := suffixes(1000)
	c.Search = nil
	p := compile(t, c, Env{})
	for name, want := range map[string]int{
		".": 1, "org": 2, "a.b.c.d.e.org": 2, "com": 2, "a.b.c.other.com": 3, "a.b.c.example7.com": 4, "zone7.example7.com": 4, "a.b.c.zone7.example7.com": 4,
	} {
		var q wire.Query
		var m match
		q.SetName(wire.MustName(name))
		q.Type = wire.TypeAAAA
		if p.table.walk(&q, &m); m.lookups != want {
			t.Errorf("%s: %d lookups, want %d", name, m.lookups, want)
		}
		q.Type = wire.TypeA
		if p.table.walk(&q, &m); m.lookups != 1 {
			t.Errorf("%s: %d lookups for a type that no rule is for", name, m.lookups)
		}
	}
}

// Names are compared on a hash hit: two may have the same hash.
func TestHashCollision(t *testing.T) {
	long := strings.Repeat("l", inlineLabel+1)
	p := compile(t, Config{BlockAAAA: []string{"a.test", long + ".test"}}, Env{})
	test := wire.MustName("test")
	top := p.table.find(wire.HashName(test), 0, []byte("test"))
	for _, label := range []string{"a", long} {
		hash := wire.HashName(wire.MustName(label + ".test"))
		if p.table.find(hash, top, []byte(label)) == 0 {
			t.Error("not found")
		}
		if p.table.find(hash, top, []byte("b"+label[1:])) != 0 || p.table.find(hash, top, []byte(label+"x")) != 0 {
			t.Error("another name found by its hash")
		}
		if p.table.find(hash, 0, []byte(label)) != 0 {
			t.Error("a name with another parent found by its hash")
		}
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
	tally := p.Tally()
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
			v := tally.Ask(&q, local)
			p.Reply(v, &q, data[:n], 1232)
			p.Ask(&q, local)
			p.AskNames(&q)
			var buf [wire.MaxName]byte
			p.Target(v, &q, &buf)
		}); n != 0 {
			t.Errorf("%s %s: %v allocations", c.name, c.typ, n)
		}
	}
}

// suffixes are n rules for AAAA, and search domains.
func suffixes(n int) Config {
	c := Config{Search: []string{"prd.example.org", "default.svc.cluster.local", "svc.cluster.local", "cluster.local"}}
	for i := range n {
		c.BlockAAAA = append(c.BlockAAAA, fmt.Sprintf("zone%d.example%d.com", i, i%100))
	}
	return c
}

// mixes are the kinds of queries that workers get, by a number below 2^13, and what
// becomes of them under any of the suffixes.
var mixes = []struct {
	what string
	typ  uint16
	want Action
	name func(i, rules int) string
}{
	{"pass A", wire.TypeA, Pass, func(i, _ int) string { return fmt.Sprintf("www.host%d.example%d.com", i, i%100) }},
	{"pass AAAA", wire.TypeAAAA, Pass, func(i, _ int) string { return fmt.Sprintf("www.host%d.example%d.com", i, i%100) }},
	{"blocked", wire.TypeAAAA, Answer, func(i, rules int) string {
		k := i * 7919 % rules
		return fmt.Sprintf("www.zone%d.example%d.com", k, k%100)
	}},
	{"junk", wire.TypeA, Answer, func(i, _ int) string { return fmt.Sprintf("www.host%d.com.default.svc.cluster.local", i) }},
}

// BenchmarkAsk has each query parsed, as it is on its way; "parsed only" is the part
// of it that is not the rules'.
func BenchmarkAsk(b *testing.B) {
	for _, rules := range []int{10, 1_000, 100_000} {
		p := compile(b, suffixes(rules), Env{})
		for _, mix := range mixes {
			queries := make([][]byte, 1<<13)
			for i := range queries {
				queries[i] = wire.AppendQuery(nil, 1, wire.FlagRD, wire.MustName(mix.name(i, rules)), mix.typ, wire.ClassIN, nil)
			}
			run := func(what string, ask func(q *wire.Query)) {
				b.Run(fmt.Sprintf("%d/%s/%s", rules, mix.what, what), func(b *testing.B) {
					var q wire.Query
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						q.Parse(queries[i&(len(queries)-1)])
						ask(&q)
					}
				})
			}
			tally := p.Tally()
			run("asked", func(q *wire.Query) {
				if tally.Ask(q, local).Action != mix.want {
					b.Fatal(wire.NameString(q.Name()))
				}
			})
			run("parsed only", func(*wire.Query) {})
		}
	}
}

// processor is the time that this process has used so far: on a busy machine it says
// more than a clock.
func processor() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkWorkers has two workers meet one rule at once: together they do twice
// the work in the time, where each counts for itself.
func BenchmarkWorkers(b *testing.B) {
	p := compile(b, suffixes(1000), Env{})
	for _, own := range []bool{true, false} {
		for _, workers := range []int{1, 2} {
			what := map[bool]string{true: "own tally", false: "one for all"}[own]
			b.Run(fmt.Sprintf("%s/%d", what, workers), func(b *testing.B) {
				var working sync.WaitGroup
				before := processor()
				for range workers {
					ask := p.Ask
					if own {
						ask = p.Tally().Ask
					}
					working.Go(func() {
						var q wire.Query
						q.SetName(wire.MustName("www.zone1.example1.com"))
						q.Type = wire.TypeAAAA
						for range b.N {
							ask(&q, local)
						}
					})
				}
				working.Wait()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*workers), "ns/query")
				b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(b.N*workers), "cpu-ns/query")
			})
		}
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
