package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
)

// zoneText is a zone of these records.
func zoneText(records ...string) string {
	return "$TTL 60\n@ IN SOA ns hostmaster 1 7200 1800 1209600 60\n@ IN NS ns\nns IN A 192.0.2.53\n" + strings.Join(records, "\n") + "\n"
}

// authoritative settles a server of zones, given by name, at port 5300.
func (w *town) authoritative(h *hosts.Host, port int, zones map[string]string) *resident {
	w.t.Helper()
	var list []string
	for name, text := range zones {
		file := filepath.Join(w.dir, h.Name+"-"+strings.ReplaceAll(name, ".", "-")+".zone")
		writeFile(w.t, file, text)
		list = append(list, fmt.Sprintf("{name: %q, source: file, file: %q}", name, file))
	}
	return w.settle(h, "authoritative", fmt.Sprintf("listen: [\"0.0.0.0:%d\"]\nzones: [%s]", port, strings.Join(list, ", ")))
}

// from asks a server once, over UDP, from a host.
func from(t *testing.T, h *hosts.Host, server, name string, typ uint16) (*dns.Msg, time.Duration) {
	t.Helper()
	reply, took, err := tryFrom(h, server, name, typ)
	if err != nil {
		t.Fatalf("ask %s for %s from %s: %v", server, name, h.Name, err)
	}
	return reply, took
}

func tryFrom(h *hosts.Host, server, name string, typ uint16) (*dns.Msg, time.Duration, error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	query.SetEdns0(1232, false)
	conn, err := h.Dial("udp", server, time.Second)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	client := dns.Client{Timeout: stubTimeout}
	return client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
}

// chain is a reply's whole answer: types and data.
func chain(m *dns.Msg) string {
	all := []string{dns.RcodeToString[m.Rcode]}
	if text := answers(m); text != "" {
		all = append(all, text)
	}
	if code := edeOf(m); code >= 0 {
		all = append(all, fmt.Sprint("EDE ", code))
	}
	return strings.Join(all, ", ")
}

// answers is a reply's answer section: types and data.
func answers(m *dns.Msg) string {
	var all []string
	for _, rr := range m.Answer {
		all = append(all, dns.Type(rr.Header().Rrtype).String()+" "+strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(all, ", ")
}

func edeOf(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}

// Where questions go: the longest zone at label boundaries, to servers that answer
// for it or resolve; aliases between ours and the world; one server dead.
func TestRouting(t *testing.T) {
	need(t, "unbound")
	s := &twoSites{town: newTown(t)}
	world, dc := s.site("world", 9), s.site("dc", 1)
	_, err := s.Join(dc, world)
	must(t, err)
	all := []*resident{
		s.authoritative(s.newHost(world, "world", "10.9.0.53"), 53, map[string]string{
			".": rootZone,
			"example.net": zoneText("www A 198.18.0.1", "b1 CNAME c1.prd.example.com.", "d1 A 198.18.0.4", "l2 CNAME l1.prd.example.com.",
				"back CNAME www.prd.example.com.", "a.lab A 198.18.0.5", "a.norec A 198.18.0.6"),
			"example.com": zoneText("xprd A 198.18.1.1", "www.prd A 198.18.9.9", "c1.prd A 198.18.9.9"),
		}),
		s.authoritative(s.newHost(dc, "prd", "10.1.0.21"), 5300, map[string]string{
			"prd.example.com": zoneText("www A 10.66.0.1", "deep A 10.66.0.9", "a1 CNAME b1.example.net.", "c1 CNAME d1.example.net.", "l1 CNAME l2.example.net.",
				"self CNAME self", "*.any A 10.66.0.2"),
			"10.in-addr.arpa": zoneText("1.0.66 PTR www.prd.example.com."),
		}),
		s.authoritative(s.newHost(dc, "deep", "10.1.0.22"), 5300, map[string]string{"deep.prd.example.com": zoneText("www A 10.66.0.3", "@ A 10.66.0.4", "cut NS ns.cut", "ns.cut A 10.1.0.99")}),
	}
	dead := s.newHost(dc, "dead", "10.1.0.23")
	must(t, dead.Link.Lose(100))
	s.unbound(s.newHost(dc, "external", "10.1.0.31"))
	r := s.settle(s.newHost(dc, "recursor", "10.1.0.11"), "recursor", `
listen: ["0.0.0.0:53"]
site: dc1
zones:
  - {names: [prd.example.com, 10.in-addr.arpa], servers: ["10.1.0.23:5300", "10.1.0.21:5300"]}
  - {names: [Deep.PRD.example.com.], servers: ["tcp://10.1.0.22:5300"]}
  - {names: [lab.example.net], servers: ["10.1.0.31:5301"], recursive: true}
  - {names: [norec.example.net], servers: ["10.1.0.31:5301"]}
  - {names: [half.example.com], servers: ["10.1.0.23:5300", "10.1.0.22:5300"]}
  - {names: [other.cut.deep.prd.example.com], servers: ["10.1.0.23:5300", "10.1.0.22:5300"]}
external:
  sites: [{name: dc1, servers: ["10.1.0.31:5301"]}]
cache: {size: 16MiB}`)
	s.ready(append(all, r)...)
	host := s.newHost(dc, "host", "10.1.0.100")
	const server = "10.1.0.11:53"
	comesAbout(t, "the world's answers", func() bool {
		m, _ := from(t, host, server, fmt.Sprintf("x%d.example.net", time.Now().UnixNano()), dns.TypeA)
		return m.Rcode == dns.RcodeNameError
	})

	for _, tt := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"www.prd.example.com", dns.TypeA, "NOERROR, A 10.66.0.1"},
		{"WWW.Deep.prd.example.com", dns.TypeA, "NOERROR, A 10.66.0.3"}, // the longest match
		{"deep.prd.example.com", dns.TypeA, "NOERROR, A 10.66.0.4"},
		{"xprd.example.com", dns.TypeA, "NOERROR, A 198.18.1.1"}, // no label boundary
		{"1.0.66.10.in-addr.arpa", dns.TypePTR, "NOERROR, PTR www.prd.example.com."},
		{"1.0.66.110.in-addr.arpa", dns.TypePTR, "NXDOMAIN"}, // the world's
		{"none.prd.example.com", dns.TypeA, "NXDOMAIN"},
		{"a.lab.example.net", dns.TypeA, "NOERROR, A 198.18.0.5"},                           // RD: unbound resolves
		{"a.norec.example.net", dns.TypeA, "SERVFAIL, EDE 22"},                              // no RD: unbound refuses
		{"x.cut.deep.prd.example.com", dns.TypeA, "SERVFAIL, EDE 22"},                       // a referral is no answer
		{"www.half.example.com", dns.TypeA, "SERVFAIL, EDE 20"},                             // one server is dead, and the other refuses, as it has not the zone
		{"www.other.cut.deep.prd.example.com", dns.TypeA, "SERVFAIL, EDE 22"},               // or refers
		{"back.example.net", dns.TypeA, "NOERROR, CNAME www.prd.example.com., A 10.66.0.1"}, // not what the world says of ours
		{"a1.prd.example.com", dns.TypeA, "NOERROR, CNAME b1.example.net., CNAME c1.prd.example.com., CNAME d1.example.net., A 198.18.0.4"},
		{"l1.prd.example.com", dns.TypeA, "SERVFAIL, EDE 0"}, // ours and the world in a circle
		{"l2.example.net", dns.TypeA, "SERVFAIL, EDE 0"},
		{"self.prd.example.com", dns.TypeA, "SERVFAIL, EDE 0"},
	} {
		m, took := from(t, host, server, tt.name, tt.typ)
		if got := chain(m); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if took > time.Second {
			fail(t, "%s took %s", tt.name, took)
		}
	}

	var slow, slowest = 0, time.Duration(0)
	for i := range 100 {
		m, took := from(t, host, server, fmt.Sprintf("n%d.any.prd.example.com", i), dns.TypeA)
		if got := chain(m); got != "NOERROR, A 10.66.0.2" {
			t.Errorf("with a server dead: %s", got)
		}
		if slowest = max(slowest, took); took > 100*time.Millisecond {
			slow++
		}
	}
	t.Logf("one of two authoritatives dead: %d of 100 new names took more than 100 ms, the slowest %s", slow, slowest.Round(100*time.Microsecond))
	if slow > 10 || slowest > 900*time.Millisecond {
		fail(t, "one dead server costs more than a hedge now and then")
	}
}

// Forwarders in a circle: a question that comes back is refused at once, said in the
// log and counted, whatever the makers of the circle.
func TestForwardingLoops(t *testing.T) {
	need(t, "unbound")
	w := newTown(t)
	dc := w.site("dc", 1)
	recursor := func(name, address, asks string) *resident {
		return w.settle(w.newHost(dc, name, address), "recursor", fmt.Sprintf(
			"listen: [\"0.0.0.0:53\"]\nsite: dc1\nexternal: {sites: [{name: dc1, servers: [%q]}]}\ncache: {size: 16MiB}", asks))
	}
	// Two recursors that have each other for the world; one and a nodecache; three in
	// a row; and one that has itself, by an address of its host.
	a, b := recursor("a", "10.1.0.11", "10.1.0.12:53"), recursor("b", "10.1.0.12", "10.1.0.11:53")
	c := recursor("c", "10.1.0.13", "10.1.0.14:53")
	d := w.settle(w.newHost(dc, "d", "10.1.0.14"), "nodecache", "listen: [\"0.0.0.0:53\"]\nupstreams: [\"10.1.0.13:53\"]\ncache: {size: 16MiB}")
	e, f, g := recursor("e", "10.1.0.15", "10.1.0.16:53"), recursor("f", "10.1.0.16", "tcp://10.1.0.17:53"), recursor("g", "10.1.0.17", "10.1.0.15:53")
	h := recursor("h", "10.1.0.18", "10.1.0.18:53")
	u := recursor("u", "10.1.0.19", "10.1.0.20:5301") // and by an unbound
	w.unboundOf(w.newHost(dc, "external", "10.1.0.20"), strings.NewReplacer("stub-zone:", "forward-zone:", "stub-addr: 10.9.0.53", "forward-addr: 10.1.0.19",
		"stub-prime: no", "").Replace(externalConf))
	w.ready(a, b, c, d, e, f, g, h, u)
	host := w.newHost(dc, "host", "10.1.0.100")
	for i, first := range []*resident{a, b, c, d, e, f, g, h} {
		name := fmt.Sprintf("n%d.example.net", i)
		m, took := from(t, host, first.host.Address.String()+":53", name, dns.TypeA)
		if got := chain(m); got != "SERVFAIL, EDE 0" {
			t.Errorf("%s: %s", first.Name, got)
		}
		if took > time.Second {
			fail(t, "%s answered after %s", first.Name, took)
		}
		t.Logf("%s: %s after %s", first.Name, chain(m), took.Round(time.Millisecond))
		loops := func() float64 { return first.counted(t, "strata_answers_total", `outcome="loop"`) }
		within(t, first.Name+" counts a loop", func() bool { return loops() > 0 }) // a batch is counted when it is answered
		if n := loops(); n != 1 {
			t.Errorf("%s counted %v loops", first.Name, n)
		}
		if n := strings.Count(first.Log(), "forwarding loop"); n != 1 || !strings.Contains(first.Log(), "name="+name) {
			t.Errorf("%s said so %d times", first.Name, n)
		}
	}
	// Both ends of a circle are asked at the same moment: the two find that, mostly at once.
	for i := range 20 {
		name := fmt.Sprintf("both%d.example.net", i)
		var took [2]time.Duration
		var ends sync.WaitGroup
		for j, address := range []string{"10.1.0.11:53", "10.1.0.12:53"} {
			ends.Go(func() {
				m, t0, err := tryFrom(host, address, name, dns.TypeA)
				if took[j] = t0; err != nil || m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
					t.Errorf("both ends asked, %s: %v %v", address, m, err)
				}
			})
		}
		ends.Wait()
		if slowest := max(took[0], took[1]); slowest > time.Second {
			fail(t, "both ends asked: %s", slowest)
		}
	}
	// An unbound asks in its own words: the circle is found out by the first question.
	for i := range 5 {
		m, took := from(t, host, "10.1.0.19:53", fmt.Sprintf("hidden%d.example.net", i), dns.TypeA)
		t.Logf("through unbound: %s after %s", chain(m), took.Round(time.Millisecond))
		if m.Rcode != dns.RcodeServerFailure || took > 2500*time.Millisecond || i > 0 && took > time.Second {
			fail(t, "through unbound: %s after %s", chain(m), took)
		}
	}
	within(t, "the circle through unbound is said, and counted", func() bool {
		return strings.Contains(u.Log(), "forwarding loop") && u.counted(t, "strata_answers_total", `outcome="loop"`) >= 5
	})
	for i := range 20 { // more of them are no more lines
		from(t, host, "10.1.0.18:53", fmt.Sprintf("more%d.example.net", i), dns.TypeA)
	}
	if n := strings.Count(h.Log(), "forwarding loop"); n > 2 {
		t.Errorf("said %d times in a moment", n)
	}
}
