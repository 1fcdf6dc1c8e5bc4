package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
	"github.com/strata-dns/strata/e2e/world"
)

// shipped is the config of the external resolvers.
const shipped = "../configs/external/unbound.conf"

// unbound takes the config that is shipped.
func TestExternalConfig(t *testing.T) {
	need(t, "unbound-checkconf")
	path, err := lookPath("unbound-checkconf")
	must(t, err)
	if out, err := exec.Command(path, shipped).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A layered is the whole way of a name of the world: a host's nodecache, a recursor, the
// external resolver as it is shipped, and a small internet behind it, each a host of its
// own. What one story asks no other one does, so that all see empty caches.
type layered struct {
	*town
	tree     *world.Tree
	internet *hosts.Site
	program  *hosts.Host // where nodecache runs, and who asks it
	recursor *resident
	external *resident
}

const layeredRecursor = `
listen: ["0.0.0.0:53"]
site: dc1
allow: [10.1.0.0/16]
zones: [{names: [own.example], servers: ["10.1.1.121:5300"]}]
external:
  sites: [{name: dc1, servers: ["10.1.1.120:5301"]}]
cache: {size: 16MiB, stale_for: 1h, prefetch: true}
policy:
  synth: [{kind: ip, zone: ip.example, ttl: 300}]
  data: ["cname.lan.example 300 CNAME www.nsec.test."]`

func newLayered(t *testing.T) *layered {
	t.Helper()
	need(t, append([]string{"unbound", "dig", "kdig", "delv"}, world.Tools...)...)
	l := &layered{town: newTown(t)}
	l.internet = l.world()
	dc := l.site("dc1", 1)
	_, err := l.Join(dc, l.internet)
	must(t, err)
	l.external = l.shippedUnbound(l.newHost(dc, "external", "10.1.1.120"))
	writeFile(t, l.dir+"/own.zone", "$TTL 300\n@ IN SOA ns hostmaster 1 7200 1800 1209600 60\n@ IN NS ns\nns A 10.1.1.121\nwww A 10.1.2.3\nout CNAME www.nsec.test.\n")
	own := l.settle(l.newHost(dc, "own", "10.1.1.121"), "authoritative",
		fmt.Sprintf("listen: [\"0.0.0.0:5300\"]\nzones: [{name: own.example, source: file, file: %q}]", l.dir+"/own.zone"))
	l.recursor = l.settle(l.newHost(dc, "recursor", "10.1.1.110"), "recursor", layeredRecursor)
	l.program = l.newHost(dc, "node", "10.1.1.100")
	node := l.settle(l.program, "nodecache", "listen: [\"127.0.0.1:53\"]\nupstreams: [\"10.1.1.110:53\"]\n"+nodecacheCache)
	l.ready(own, l.recursor, node)
	within(t, "names of the world are resolved", func() bool {
		m, err := l.ask(dnssec{name: "ns.test.", typ: dns.TypeA})
		return err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1
	})
	return l
}

// world puts the tree's servers on hosts of a site of their own, root and top-level domain
// on one of them. Their addresses are not private: the resolver would not believe in such.
func (l *layered) world() *hosts.Site {
	l.t.Helper()
	var err error
	l.tree, err = world.Plant(l.dir, world.Addresses{Root: "198.18.0.10", Top: "198.18.0.10", Leaves: "198.18.0.20", BelowLeaves: "198.18.0.30", Geo: "198.18.0.40"})
	must(l.t, err)
	site, err := l.Site("world", netip.MustParsePrefix("198.18.0.0/24"))
	must(l.t, err)
	var all []*resident
	for i, zones := range [][]world.Zone{{l.tree.Root, l.tree.Top}, l.tree.Leaves, l.tree.BelowLeaves} {
		h := l.newHost(site, fmt.Sprint("world-", i), fmt.Sprintf("198.18.0.%d", 10*(i+1)))
		all = append(all, l.settle(h, "authoritative", "listen: [\"0.0.0.0:53\"]\n"+zoneLines(zones)))
	}
	l.ready(all...)
	l.geo(l.newHost(site, "geo", "198.18.0.40"))
	return site
}

// geo is a fake authoritative server of geo.test: a TXT record says what client subnet it
// was asked for.
func (l *layered) geo(h *hosts.Host) {
	l.t.Helper()
	conn, err := h.ListenPacket("udp", "198.18.0.40:53")
	must(l.t, err)
	l.t.Cleanup(func() { conn.Close() })
	serve := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		text := "nobody"
		if opt := q.IsEdns0(); opt != nil {
			for _, o := range opt.Option {
				if subnet, is := o.(*dns.EDNS0_SUBNET); is {
					text = fmt.Sprintf("%s/%d", subnet.Address, subnet.SourceNetmask)
					subnet.SourceScope = subnet.SourceNetmask
					m.SetEdns0(1232, false)
					m.IsEdns0().Option = []dns.EDNS0{subnet}
				}
			}
		}
		if q.Question[0].Qtype == dns.TypeTXT {
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{text}}}
		}
		_ = w.WriteMsg(m) // whoever does not wait is no matter
	}
	go dns.ActivateAndServe(nil, conn, dns.HandlerFunc(serve))
}

// shippedUnbound is the external resolver with the config that is shipped: other are only
// the root and its key, and what has to do with the process.
func (l *layered) shippedUnbound(h *hosts.Host) *resident {
	l.t.Helper()
	b, err := os.ReadFile(shipped)
	must(l.t, err)
	conf := string(b)
	for _, change := range [][2]string{
		{"/usr/share/dns/root.hints", l.tree.Hints}, {"/usr/share/dns/root.key", l.tree.Anchor},
		{"/etc/unbound", l.dir}, {"/run/unbound.ctl", l.dir + "/unbound.ctl"}, {"/run/unbound.pid", l.dir + "/unbound.pid"},
		{`username: "unbound"`, "username: \"\"\n\tlocal-zone: \"test.\" nodefault"}, // by default there is no test. (RFC 6761 §6.2)
		{"use-syslog: yes", "use-syslog: no"}, {"num-threads: 4", "num-threads: 1"},
	} {
		if !strings.Contains(conf, change[0]) {
			l.t.Fatalf("%s has no %s", shipped, change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	path, err := lookPath("unbound")
	must(l.t, err)
	s := &stack.Server{Kind: stack.External, Config: filepath.Join(l.dir, "unbound.conf")}
	s.Name, s.LogFile, s.Launch = h.Name, filepath.Join(l.dir, h.Name+".log"), h.Start
	s.Path, s.Args = path, []string{"-d", "-p", "-c", s.Config}
	writeFile(l.t, s.Config, conf)
	return l.add(h, s)
}

// A dnssec is a question of the program, with the bits that have to do with DNSSEC.
type dnssec struct {
	name       string
	typ        uint16
	do, ad, cd bool
}

func (q dnssec) String() string {
	s := q.name + " " + dns.Type(q.typ).String()
	for _, bit := range []struct {
		set  bool
		name string
	}{{q.do, "DO"}, {q.ad, "AD"}, {q.cd, "CD"}} {
		if bit.set {
			s += " " + bit.name
		}
	}
	return s
}

// ask asks nodecache over TCP, as the program would: what does not fit comes as well.
func (l *layered) ask(q dnssec) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(q.name, q.typ)
	m.SetEdns0(1232, q.do)
	m.AuthenticatedData, m.CheckingDisabled = q.ad, q.cd
	conn, err := l.program.Dial("tcp", "127.0.0.1:53", 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := dns.Client{Timeout: 8 * time.Second}
	reply, _, err := c.ExchangeWithConn(m, &dns.Conn{Conn: conn})
	return reply, err
}

// An outcome is what matters of a reply.
type outcome struct {
	rcode  int
	ad     bool
	signed bool // has signatures
	data   string
}

func (o outcome) String() string {
	return fmt.Sprintf("%s AD %v, signatures %v, data %q", dns.RcodeToString[o.rcode], o.ad, o.signed, o.data)
}

func outcomeOf(m *dns.Msg) outcome {
	o := outcome{rcode: m.Rcode, ad: m.AuthenticatedData}
	for _, rr := range append(slices.Clone(m.Answer), m.Ns...) {
		o.signed = o.signed || rr.Header().Rrtype == dns.TypeRRSIG
	}
	for _, rr := range m.Answer {
		switch rr.Header().Rrtype {
		case m.Question[0].Qtype:
			o.data = strings.TrimPrefix(rr.String(), rr.Header().String())
		}
	}
	return o
}

// asks has the program ask twice: the second answer comes from memory, and is the same.
func (l *layered) asks(q dnssec, want outcome, ede ...uint16) {
	l.t.Helper()
	for _, how := range []string{"asked", "from memory"} {
		m, err := l.ask(q)
		if err != nil {
			l.t.Errorf("%v, %s: %v", q, how, err)
			return
		}
		if got := outcomeOf(m); got != want {
			l.t.Errorf("%v, %s: %v; want %v\n%v", q, how, got, want, m)
		}
		if got := extended(m); len(ede) > 0 && !slices.ContainsFunc(ede, func(c uint16) bool { return slices.Contains(got, c) }) {
			l.t.Errorf("%v, %s: extended errors %d; want one of %v", q, how, got, ede)
		}
	}
}

// What a program sees of signed, unsigned and broken zones through nodecache, recursor
// and the external resolver.
func TestExternal(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLayered(t)
	t.Run("authentic", func(t *testing.T) { l.at(t).authentic() })
	t.Run("denied", func(t *testing.T) { l.at(t).denied() })
	t.Run("unsigned", func(t *testing.T) { l.at(t).unsigned() })
	t.Run("bogus", func(t *testing.T) { l.at(t).bogus() })
	t.Run("of our own", func(t *testing.T) { l.at(t).own() })
	t.Run("hardened", func(t *testing.T) { l.at(t).hardened() })
	t.Run("client subnet", func(t *testing.T) { l.at(t).subnet() })
	t.Run("clients", func(t *testing.T) { l.at(t).clients() })
}

// at has a subtest's failures be its own.
func (l *layered) at(t *testing.T) *layered {
	w, m := *l.town, *l
	w.t, m.town = t, &w
	return &m
}

// AD is set for who asks for it, by AD or DO (RFC 6840 §5.7); signatures come with DO.
// With opt-out there may be an unsigned delegation in a wildcard's place (RFC 5155 §9.2).
func (l *layered) authentic() {
	for _, zone := range []string{"nsec.test.", "nsec3.test.", "optout.test."} {
		for _, name := range []string{"www.", "alias.", "q.wild.", "q.many.", "a.b.into."} {
			data, ad := "192.0.2.1", zone != "optout.test." || !strings.HasPrefix(name, "q.")
			switch name {
			case "q.wild.":
				data = "192.0.2.5"
			case "a.b.into.":
				data = "192.0.2.4"
			}
			q := dnssec{name: name + zone, typ: dns.TypeA}
			l.asks(q, outcome{data: data})
			q.ad = true
			l.asks(q, outcome{ad: ad, data: data})
			q.do = true
			l.asks(q, outcome{ad: ad, signed: true, data: data})
			q.ad = false
			l.asks(q, outcome{ad: ad, signed: true, data: data})
		}
	}
}

// What is not there is authentic too.
func (l *layered) denied() {
	for _, zone := range []string{"nsec.test.", "nsec3.test."} {
		for name, rcode := range map[string]int{"nothing.": dns.RcodeNameError, "q.away.": dns.RcodeNameError, "www.": 0, "b.ent.": 0, "q.wild.": 0} {
			q := dnssec{name: name + zone, typ: dns.TypeMX}
			l.asks(q, outcome{rcode: rcode})
			q.ad = true
			l.asks(q, outcome{rcode: rcode, ad: true})
			q.do = true
			l.asks(q, outcome{rcode: rcode, ad: true, signed: true})
		}
	}
	l.asks(dnssec{name: "nothing.optout.test.", typ: dns.TypeMX, do: true, ad: true}, outcome{rcode: dns.RcodeNameError, signed: true})
}

// Unsigned zones are answered, below every kind of signed one, and never as authentic.
func (l *layered) unsigned() {
	for _, zone := range []string{"plain.test.", "insecure.nsec.test.", "insecure.nsec3.test.", "insecure.optout.test."} {
		l.asks(dnssec{name: "www." + zone, typ: dns.TypeA, do: true, ad: true}, outcome{data: "192.0.2.1"})
		l.asks(dnssec{name: "nothing." + zone, typ: dns.TypeA, do: true, ad: true}, outcome{rcode: dns.RcodeNameError})
	}
	// Of a signed alias that leads there the signature comes along.
	l.asks(dnssec{name: "q.down.nsec.test.", typ: dns.TypeA, do: true, ad: true}, outcome{signed: true, data: "192.0.2.1"})
}

// Data that signatures do not bear out is refused, and the reason told (RFC 8914 §4.7,
// §4.8); who validates himself gets it (CD), and nobody else gets it from him.
func (l *layered) bogus() {
	const bogus, expired = dns.ExtendedErrorCodeDNSBogus, dns.ExtendedErrorCodeSignatureExpired
	for _, tt := range []struct {
		name, data string
		signed     bool
	}{{"bad.bogus.test.", "192.0.2.99", true}, {"www.expired.test.", "192.0.2.1", true}} {
		q := dnssec{name: tt.name, typ: dns.TypeA}
		unchecked := q
		unchecked.cd = true
		l.asks(unchecked, outcome{data: tt.data})
		l.asks(q, outcome{rcode: dns.RcodeServerFailure}, bogus, expired)
		q.do, q.ad = true, true
		l.asks(q, outcome{rcode: dns.RcodeServerFailure}, bogus, expired)
		unchecked.do, unchecked.ad = true, true
		l.asks(unchecked, outcome{signed: true, data: tt.data})
		q.do = false
		l.asks(q, outcome{rcode: dns.RcodeServerFailure}, bogus, expired)
	}
	l.asks(dnssec{name: "www.bogus.test.", typ: dns.TypeA, ad: true}, outcome{ad: true, data: "192.0.2.1"}) // the rest of the zone is in order
	if n := l.recursor.counted(l.t, "strata_failover_checks_total", "exchange", "false"); n > 0 {
		l.t.Errorf("%v refusals are taken for the resolver's failures", n)
	}
}

// What we make up, and what our servers say unsigned, is not authentic, nor an alias of
// ours that leads to what is.
func (l *layered) own() {
	for name, data := range map[string]string{
		"10.1.2.3.ip.example.": "10.1.2.3", "www.own.example.": "10.1.2.3",
		"out.own.example.": "192.0.2.1", "cname.lan.example.": "192.0.2.1",
	} {
		for _, do := range []bool{true, false} {
			m, err := l.ask(dnssec{name: name, typ: dns.TypeA, do: do, ad: true})
			must(l.t, err)
			if got := outcomeOf(m); got.rcode != 0 || got.ad || got.data != data {
				l.t.Errorf("%s, DO %v: %v; want %s without AD", name, do, got, data)
			}
		}
	}
}

// The world cannot give names of its own our addresses, and gets no answer at all.
func (l *layered) hardened() {
	l.asks(dnssec{name: "inside.plain.test.", typ: dns.TypeA, ad: true}, outcome{})
	stranger := l.newHost(l.internet, "stranger", "198.18.0.99")
	if out, err := stranger.Run("dig", "+tries=1", "+time=2", "@10.1.1.120", "-p", "5301", "www.plain.test"); err == nil {
		l.t.Errorf("a stranger is answered:\n%s", out)
	}
	for _, name := range []string{"version.bind", "id.server"} {
		out, err := l.recursor.host.Run("dig", "+tries=1", "+time=5", "@10.1.1.120", "-p", "5301", name, "CH", "TXT")
		if err != nil || !strings.Contains(out, "status: REFUSED") {
			l.t.Errorf("%s is told: %v\n%s", name, err, out)
		}
	}
}

// The prefix that another site's recursors give goes to the world, and back no other
// answer than for that one; of whoever gives none, nothing is told.
func (l *layered) subnet() {
	for _, tt := range []struct{ option, says string }{
		{"+subnet=203.0.113.0/24", "203.0.113.0/24"}, {"+nosubnet", "nobody"}, {"+subnet=198.51.100.0/24", "198.51.100.0/24"}, {"+subnet=203.0.113.0/24", "203.0.113.0/24"},
	} {
		out, err := l.recursor.host.Run("dig", "+tries=1", "+time=6", "+short", "@10.1.1.120", "-p", "5301", tt.option, "where.geo.test", "TXT")
		if err != nil || strings.TrimSpace(out) != fmt.Sprintf("%q", tt.says) {
			l.t.Errorf("dig %s: %v, %s; want %q", tt.option, err, out, tt.says)
		}
	}
}

// dig and kdig see AD as they ask, and delv, which validates by itself with the root's
// key, believes what comes out of our two caches.
func (l *layered) clients() {
	for _, tt := range []struct {
		run   string
		words []string
		not   string
	}{
		{"dig +dnssec @127.0.0.1 two.nsec.test", []string{"status: NOERROR", " ad;", "RRSIG"}, ""},
		{"dig @127.0.0.1 two.nsec.test", []string{"status: NOERROR", " ad;"}, "RRSIG"},
		{"dig +noadflag @127.0.0.1 two.nsec.test", []string{"status: NOERROR"}, " ad;"},
		{"dig +dnssec @127.0.0.1 bad.bogus.test", []string{"status: SERVFAIL", "EDE: 6"}, "192.0.2"},
		{"dig +dnssec +cd @127.0.0.1 bad.bogus.test", []string{"status: NOERROR", "192.0.2.99", "RRSIG"}, " ad;"},
		{"kdig +dnssec @127.0.0.1 two.nsec3.test", []string{"status: NOERROR", " ad;", "RRSIG"}, ""},
		{"kdig +adflag @127.0.0.1 two.nsec3.test", []string{"status: NOERROR", " ad;"}, "RRSIG"},
		{"kdig +noadflag @127.0.0.1 two.nsec3.test", []string{"status: NOERROR"}, " ad;"},
	} {
		l.says(tt.run, tt.words, tt.not)
	}
	const valid, denied, unsigned = "; fully validated", "; negative response, fully validated", "; unsigned answer"
	for run, says := range map[string]string{
		"www.nsec.test A": valid, "www.nsec3.test AAAA": valid, "two.optout.test A": valid, "q.wild.nsec.test A": valid, "q.wild.nsec3.test A": valid,
		"alias.nsec3.test A": valid, "q.many.nsec.test A": valid, "q.many.nsec3.test A": valid, "a.b.into.nsec.test A": valid, "a.b.into.nsec3.test A": valid, "nsec3.test DNSKEY": valid, "nsec3.test DS": valid, "test SOA": valid,
		"nothing.nsec.test A": denied, "nothing.nsec3.test A": denied, "www.nsec.test MX": denied, "b.ent.nsec3.test A": denied, "q.wild.nsec3.test MX": denied,
		"insecure.nsec.test DS": denied, "insecure.nsec3.test DS": denied,
		"www.plain.test A": unsigned, "www.insecure.nsec.test A": unsigned, "www.insecure.nsec3.test A": unsigned, "www.insecure.optout.test A": unsigned,
	} {
		l.says("delv @127.0.0.1 -a "+l.tree.BindAnchor+" +root=. "+run, []string{says}, "")
	}
	for _, run := range []string{"bad.bogus.test A", "www.expired.test A"} {
		l.says("delv @127.0.0.1 -a "+l.tree.BindAnchor+" +root=. "+run, []string{"resolution failed"}, valid)
	}
}

// says runs a program on the node, which must write some words, and not another.
func (l *layered) says(run string, words []string, not string) {
	l.t.Helper()
	out, err := l.program.Run("sh", "-c", run+" 2>&1") // delv complains elsewhere
	if err != nil {
		out += err.Error()
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			l.t.Errorf("%s does not say %q:\n%s", run, w, out)
		}
	}
	if not != "" && strings.Contains(out, not) {
		l.t.Errorf("%s says %q:\n%s", run, not, out)
	}
}
