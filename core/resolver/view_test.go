package resolver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/wire"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// TestViewChoice has the longest prefix decide for each domain on its own.
func TestViewChoice(t *testing.T) {
	s := play(t, plot{})
	one := func(at string) Domains { return Domains{Servers: Plain(netip.MustParseAddrPort(at))} }
	with := func(d Domains, names string, clients ...string) Domains {
		d.Names, d.Clients = strings.Fields(names), prefixes(clients...)
		return d
	}
	list := []Domains{
		with(one("192.0.2.1:53"), "prd.example deep.prd.example"),
		with(one("192.0.2.2:53"), "Prd.Example.", "10.2.0.0/16", "10.4.0.0/16"),
		with(one("192.0.2.3:53"), "prd.example", "10.2.3.0/24", "2001:db8::/32"),
		with(one("192.0.2.4:53"), "own.example", "10.2.0.0/16"),
		with(one("192.0.2.5:53"), "example"),
	}
	r, err := OpenRoutes(s.engine, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	v := NewViews(list)
	for _, tt := range []struct{ client, name, server string }{
		{"10.1.0.1", "a.prd.example.", "192.0.2.1"}, {"10.2.0.1", "a.prd.example.", "192.0.2.2"}, {"10.4.0.1", "prd.example.", "192.0.2.2"},
		{"10.2.3.1", "a.prd.example.", "192.0.2.3"}, {"2001:db8::1", "a.prd.example.", "192.0.2.3"}, {"::ffff:10.2.3.1", "a.prd.example.", "192.0.2.3"},
		{"10.2.3.1", "a.deep.prd.example.", "192.0.2.1"}, {"10.2.0.1", "deep.prd.example.", "192.0.2.1"},
		{"10.2.3.1", "a.own.example.", "192.0.2.4"}, {"10.2.0.1", "a.own.example.", "192.0.2.4"}, {"10.4.0.1", "a.own.example.", "192.0.2.5"},
		{"10.1.0.1", "a.own.example.", "192.0.2.5"}, {"10.1.0.1", "xprd.example.", "192.0.2.5"}, {"10.2.0.1", "com.", ""},
	} {
		to, got := r.Find(v.Of(netip.MustParseAddr(tt.client)), wireName(t, tt.name)), ""
		if to != nil {
			got = to.Servers()[0].Addr.Addr().String()
		}
		if got != tt.server {
			t.Errorf("%s for %s: %q, want %q", tt.name, tt.client, got, tt.server)
		}
	}

	of := func(client string) uint32 { return v.Of(netip.MustParseAddr(client)) }
	if of("10.1.0.1") != 0 || of("10.2.0.1") == 0 || of("10.2.0.1") == of("10.4.0.1") || of("10.2.3.1") == of("2001:db8::1") {
		t.Errorf("numbers: %x %x %x %x", of("10.2.0.1"), of("10.4.0.1"), of("10.2.3.1"), of("2001:db8::1"))
	}
	if n := v.Name(of("10.4.0.1")); n != "10.4.0.0/16" || v.Name(0) != "" || !strings.Contains(v.Name(7), "earlier") {
		t.Errorf("names %q %q %q", n, v.Name(0), v.Name(7))
	}
	again := NewViews(append([]Domains{with(one("192.0.2.9:53"), "new.example")}, list...))
	if again.Of(netip.MustParseAddr("10.2.3.1")) != of("10.2.3.1") {
		t.Error("a domain of everybody's changed a view's number")
	}
	list[1].Servers = Plain(netip.MustParseAddrPort("192.0.2.9:53"))
	if NewViews(list).Of(netip.MustParseAddr("10.4.0.1")) == of("10.4.0.1") {
		t.Error("other servers, the same number")
	}
	if to := r.Find(NewViews(list).Of(netip.MustParseAddr("10.4.0.1")), wireName(t, "prd.example.")); to == nil || len(to.Servers()) != 0 {
		t.Error("a view that the routes do not know has servers")
	}
	before := NewViews(list).Of(netip.MustParseAddr("10.4.0.1"))
	list[1].manner = "recursive"
	if NewViews(list).Of(netip.MustParseAddr("10.4.0.1")) == before {
		t.Error("the same servers asked otherwise, the same number")
	}
	if NewViews(list[:1]) != nil {
		t.Error("one view is made a table")
	}
}

// Two clients in one entry share a view.
func TestViewShared(t *testing.T) {
	list := []Domains{{Names: []string{"a.example"}, Servers: Plain(netip.MustParseAddrPort("192.0.2.1:53")), Clients: prefixes("10.2.0.0/16", "10.1.0.0/16")}}
	v := NewViews(list)
	n := v.Of(netip.MustParseAddr("10.1.0.1"))
	if n == 0 || n != v.Of(netip.MustParseAddr("10.2.0.1")) || v.Name(n) != "10.1.0.0/16 10.2.0.0/16" {
		t.Errorf("%x %q", n, v.Name(n))
	}
}

// TestViewDeparted replaces routes: a view that the new ones do not have keeps its
// servers for a while, and all others are the new ones.
func TestViewDeparted(t *testing.T) {
	s := play(t, plot{})
	one := func(at, name string, clients ...string) Domains {
		return Domains{Names: []string{name}, Servers: Plain(netip.MustParseAddrPort(at)), Clients: prefixes(clients...)}
	}
	split, all, rest := one("192.0.2.2:53", "prd.example", "10.2.0.0/16").Asked("so"), one("192.0.2.1:53", "prd.example"), one("192.0.2.3:53", "example")
	n := NewViews([]Domains{split}).Of(netip.MustParseAddr("10.2.0.1"))
	routes := func(before *Routes, list ...Domains) *Routes {
		t.Helper()
		r, err := OpenRoutes(s.engine, list, before)
		if err != nil {
			t.Fatal(err)
		}
		before.Close()
		return r
	}
	see := func(r *Routes, view uint32, name, server, manner string) {
		t.Helper()
		to := r.Find(view, wireName(t, name))
		if got := to.Servers(); len(got) != 1 || got[0].Addr.Addr().String() != server || to.Manner != manner {
			t.Errorf("%s in view %x: %v, asked %q; want %s, %q", name, view, got, to.Manner, server, manner)
		}
	}
	r := routes(routes(nil, all, split, rest), all, one("192.0.2.4:53", "example"))
	see(r, 0, "a.prd.example.", "192.0.2.1", "")
	see(r, n, "a.prd.example.", "192.0.2.2", "so")
	see(r, n, "a.example.", "192.0.2.4", "")
	until := r.left[n].until
	if r = routes(r, rest); r.left[n].until != until {
		t.Error("a reload after that prolongs it")
	}
	see(r, n, "a.prd.example.", "192.0.2.2", "so")
	back := routes(r, all, split)
	if see(back, n, "a.prd.example.", "192.0.2.2", "so"); back.left[n] != nil {
		t.Error("a view that is back is to go")
	}
	r = routes(back, all)
	r.left[n].release()
	if to := r.Find(n, wireName(t, "prd.example.")); to == nil || len(to.Servers()) != 0 {
		t.Error("its time over, the view has servers")
	}
	r.left[n].until = time.Now()
	if r = routes(r, rest); r.left[n] != nil {
		t.Error("its time over, the view is taken over")
	}
	r.Close()
}

// TestViewDepartsMeanwhile has a reload take a view out while a client of it waits for an
// alias: it is followed in that view, and the next question is of the view that is.
func TestViewDepartsMeanwhile(t *testing.T) {
	split := func(address string) *nameServer {
		return serve(t, "split.example. 1 SOA . . 1 1 1 1 1", "www.split.example. 1 A "+address)
	}
	everybody, own := Domains{Names: []string{"split.example"}, Servers: Plain(split("192.0.2.1").addr)}, Domains{Names: []string{"split.example"}, Servers: Plain(split("192.0.2.2").addr), Clients: prefixes("10.2.0.0/16")}
	reloads := make(chan func(), 1)
	far := serveBy(t, func(*dns.Msg) *dns.Msg {
		select {
		case reload := <-reloads:
			reload()
		default:
		}
		return nil
	}, "far. 0 SOA . . 1 1 1 1 1", "in.far. 0 CNAME www.split.example.")
	s := play(t, plot{rest: far, split: []Domains{everybody, own}})
	reloads <- func() {
		r := s.route.(*testRoute)
		fresh, err := OpenRoutes(s.engine, []Domains{everybody}, r.zones.Load())
		if err != nil {
			t.Error(err)
			return
		}
		r.zones.Swap(fresh).Close()
		rules := *s.rules.Load()
		rules.Views = NewViews([]Domains{everybody})
		s.SetRules(rules)
	}
	for _, want := range []string{"A 192.0.2.2", "A 192.0.2.1"} {
		m := s.query(query{name: "in.far.", typ: dns.TypeA, client: "10.2.0.1"})
		if d := data(m); len(d) != 2 || d[1] != want {
			t.Errorf("%v, want %s", m, want)
		}
	}
	s.route.(*testRoute).zones.Load().Close()
}

// viewWorld is three views of two domains and a world without views whose aliases
// lead into these, and back out.
func viewWorld(t *testing.T) *scene {
	zone := func(address string) *nameServer {
		return serve(t, "split.example. 1 SOA . . 1 1 1 1 1", "www.split.example. 1 A "+address, "out.split.example. 1 CNAME back.far.",
			"back.split.example. 1 A "+address)
	}
	far := serve(t, "far. 1 SOA . . 1 1 1 1 1", "in.far. 1 CNAME www.split.example.", "back.far. 1 CNAME back.split.example.", "plain.far. 1 A 192.0.2.99")
	return play(t, plot{rest: far, split: []Domains{
		{Names: []string{"split.example"}, Servers: Plain(zone("192.0.2.1").addr)},
		{Names: []string{"split.example"}, Servers: Plain(zone("192.0.2.2").addr), Clients: prefixes("10.2.0.0/16")},
		{Names: []string{"split.example"}, Servers: Plain(zone("192.0.2.3").addr), Clients: prefixes("10.2.3.0/24", "2001:db8::/32")},
	}})
}

// No answer leaks from one view into another, also along aliases from outside, from
// memory, and in refreshes and expired answers.
func TestViewLeak(t *testing.T) {
	s := viewWorld(t)
	want := map[string]string{
		"127.0.0.1": "192.0.2.1", "10.1.0.1": "192.0.2.1", "10.2.0.1": "192.0.2.2", "10.2.255.1": "192.0.2.2", "10.2.3.1": "192.0.2.3", "2001:db8::1": "192.0.2.3",
	}
	clients := []string{"127.0.0.1", "10.1.0.1", "10.2.0.1", "10.2.255.1", "10.2.3.1", "2001:db8::1"}
	names := []string{"www.split.example.", "in.far.", "out.split.example.", "back.split.example.", "back.far."}
	rapid.Check(t, func(rt *rapid.T) {
		client, name := rapid.SampledFrom(clients).Draw(rt, "client"), rapid.SampledFrom(names).Draw(rt, "name")
		m := s.query(query{name: name, typ: dns.TypeA, client: client, do: rapid.Bool().Draw(rt, "DO")})
		d := data(m)
		if len(d) == 0 || d[len(d)-1] != "A "+want[client] {
			rt.Fatalf("%s for %s: %v", name, client, m)
		}
		if rapid.IntRange(0, 30).Draw(rt, "flush") == 0 {
			s.cache.Flush(cache.Match{Name: wireName(t, name)})
		}
	})
	for _, name := range names {
		for _, client := range clients {
			m := s.query(query{name: name, typ: dns.TypeA, client: client})
			if d := data(m); d[len(d)-1] != "A "+want[client] {
				t.Errorf("%s for %s: %v", name, client, d)
			}
		}
	}
}

// ctl shows what a client is told, and whose entries memory holds.
func TestViewCommands(t *testing.T) {
	s := viewWorld(t)
	ctl := s.ctl(t)
	for words, says := range map[string]string{
		"lookup in.far A":                      "A\t192.0.2.1",
		"lookup in.far A --client 10.2.0.9":    "A\t192.0.2.2",
		"lookup in.far A --client 2001:db8::9": "in the view of 10.2.3.0/24 2001:db8::/32",
	} {
		if out, err := ctl(false, strings.Fields(words)...); err != nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v\n%s", words, err, out)
		}
	}
	if _, err := ctl(false, "lookup", "in.far", "A", "--client", "here"); err == nil || !strings.Contains(err.Error(), "--client") {
		t.Errorf("a bad client: %v", err)
	}
	out, err := ctl(false, "dump", "--under", "split.example")
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool { return !strings.HasPrefix(l, "; www.split.example. A") })
	if len(lines) != 3 || strings.Count(out, "in the view of 10.2.0.0/16") != 1 || strings.Count(out, "in the view of 10.2.3.0/24 2001:db8::/32") != 1 {
		t.Errorf("dump:\n%s", out)
	}
}

// TestViewHit costs no allocation.
func TestViewHit(t *testing.T) {
	s := viewWorld(t)
	v := s.rules.Load().Views
	client := netip.MustParseAddr("10.2.3.1")
	var q wire.Query
	if n := testing.AllocsPerRun(100, func() { q.View = v.Of(client) }); n != 0 || q.View == 0 {
		t.Errorf("%v allocations", n)
	}
}
