package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
)

// A geo is a fake: an authoritative server of geo.example which answers every name
// by where the asker is, as content networks do: by its client subnet (RFC 7871), or
// else by its address. Names under probe do not exist.
type geo struct {
	mu   sync.Mutex
	seen []geoQuery
}

// A geoQuery is a question for an address that came.
type geoQuery struct {
	name   string
	from   netip.Addr
	subnet netip.Prefix // the zero value for none
}

// places are where answers are near, by the prefixes that stand for them.
var places = map[string]string{
	"198.51.100.0/24": "192.0.2.1", "10.1.0.0/16": "192.0.2.1",
	"203.0.113.0/24": "192.0.2.2", "10.2.0.0/16": "192.0.2.2",
}

func newGeo(t *testing.T, h *hosts.Host) *geo {
	t.Helper()
	g := &geo{}
	packets, err := h.ListenPacket("udp", "0.0.0.0:53")
	must(t, err)
	listener, err := h.Listen("tcp", "0.0.0.0:53")
	must(t, err)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: g}, {Listener: listener, Handler: g}} {
		go func() { _ = server.ActivateAndServe() }()
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return g
}

// ServeDNS implements dns.Handler.
func (g *geo) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	host, _, _ := net.SplitHostPort(w.RemoteAddr().String())
	asked := geoQuery{name: q.Question[0].Name, from: netip.MustParseAddr(host)}
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(1232, false)
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_SUBNET); ok {
				address, _ := netip.AddrFromSlice(e.Address)
				asked.subnet = netip.PrefixFrom(address.Unmap(), int(e.SourceNetmask))
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{
					Code: dns.EDNS0SUBNET, Family: e.Family, SourceNetmask: e.SourceNetmask, SourceScope: 24, Address: e.Address,
				}}
			}
		}
	}
	soa, _ := dns.NewRR("geo.example. 60 SOA ns.geo.example. hostmaster.geo.example. 1 7200 1800 1209600 1")
	switch name := asked.name; {
	case dns.IsSubDomain("probe.geo.example.", dns.CanonicalName(name)) && dns.CountLabel(name) > 3:
		m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
	case q.Question[0].Qtype != dns.TypeA || dns.CountLabel(name) < 3:
		m.Ns = []dns.RR{soa}
	default:
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(asked.near())}}
		g.mu.Lock()
		g.seen = append(g.seen, asked)
		g.mu.Unlock()
	}
	_ = w.WriteMsg(m)
}

// near is the answer for an asker's place.
func (q geoQuery) near() string {
	address := q.from
	if q.subnet.IsValid() {
		address = q.subnet.Addr()
	}
	for prefix, answer := range places {
		if netip.MustParsePrefix(prefix).Contains(address) {
			return answer
		}
	}
	return "192.0.2.99"
}

// saw are the questions that came for a name.
func (g *geo) saw(name string) (all []geoQuery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.seen {
		if dns.CanonicalName(q.name) == dns.Fqdn(name) {
			all = append(all, q)
		}
	}
	return all
}

// askedVia asserts that a name was asked for by one server, with that subnet.
func (g *geo) askedVia(t *testing.T, name, from string, subnet netip.Prefix) {
	t.Helper()
	all := g.saw(name)
	for _, q := range all {
		if q.from.String() != from || q.subnet != subnet {
			t.Errorf("%s was asked for by %s with subnet %s, want %s with %s", name, q.from, q.subnet, from, subnet)
		}
	}
	if len(all) == 0 {
		t.Errorf("%s was not asked for", name)
	}
}

// subnetConf is externalConf for an unbound that hands client subnets on, to
// whoever answers.
const subnetConf = `
server:
	verbosity: 0
	interface: 0.0.0.0@5301
	do-ip6: no
	access-control: 10.0.0.0/8 allow
	num-threads: 1
	do-daemonize: no
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	module-config: "subnetcache iterator"
	client-subnet-always-forward: yes
	root-hints: ""
	infra-keep-probing: yes
remote-control:
	control-enable: no
stub-zone:
	name: "geo.example"
	stub-addr: 10.9.0.54
	stub-prime: no
`

// unboundOf runs an unbound on a host, with a config in which the directory is left out.
func (w *town) unboundOf(h *hosts.Host, conf string) *resident {
	w.t.Helper()
	path, err := lookPath("unbound")
	must(w.t, err)
	server := &stack.Server{Kind: stack.External, Config: filepath.Join(w.dir, h.Name+".conf")}
	server.Name, server.LogFile, server.Launch = h.Name, filepath.Join(w.dir, h.Name+".log"), h.Start
	server.Path, server.Args = path, []string{"-d", "-p", "-c", server.Config}
	writeFile(w.t, server.Config, fmt.Sprintf(conf, w.dir))
	return w.add(h, server)
}

// withSubnet asks with a client subnet of the client's own.
func withSubnet(t *testing.T, h *hosts.Host, server, name, address string) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	query.SetEdns0(1232, false)
	query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.ParseIP(address)}}
	conn, err := h.Dial("udp", server, time.Second)
	must(t, err)
	defer conn.Close()
	client := dns.Client{Timeout: stubTimeout}
	reply, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
	must(t, err)
	return reply
}

// dc1 loses its outbound and lives off dc2's resolvers: answers that depend on the
// asker's place stay those near dc1, while dc2's own clients go on getting those near
// dc2, from the same resolver. What clients say of their subnets goes nowhere.
func TestNearWhileSwung(t *testing.T) {
	need(t, "unbound")
	w := newTown(t)
	world := w.site("world", 9)
	g := newGeo(t, w.newHost(world, "geo", "10.9.0.54"))
	var sites [2]*hosts.Site
	var outbound *hosts.Link
	var recursors, clients [2]*hosts.Host
	for i := range sites {
		sites[i] = w.site(fmt.Sprint("dc", i+1), i+1)
		link, err := w.Join(sites[i], world)
		must(t, err)
		if i == 0 {
			outbound = link
		}
		w.unboundOf(w.newHost(sites[i], fmt.Sprint("external-", i+1), fmt.Sprintf("10.%d.0.31", i+1)), subnetConf)
		recursors[i] = w.newHost(sites[i], fmt.Sprint("recursor-", i+1), fmt.Sprintf("10.%d.0.11", i+1))
		clients[i] = w.newHost(sites[i], fmt.Sprint("client-", i+1), fmt.Sprintf("10.%d.0.100", i+1))
	}
	_, err := w.Join(sites[0], sites[1])
	must(t, err)
	var r [2]*resident
	for i := range r {
		r[i] = w.settle(recursors[i], "recursor", fmt.Sprintf(`
listen: ["0.0.0.0:53"]
site: dc%d
external:
  sites:
    - {name: dc1, ecs: 198.51.100.0/24, servers: ["10.1.0.31:5301"]}
    - {name: dc2, ecs: 203.0.113.0/24, servers: ["10.2.0.31:5301"]}
  check: {interval: 500ms, timeout: 500ms, fall: 2, rise: 2, hold_down: 1s, zone: probe.geo.example}
cache: {size: 16MiB}`, i+1))
	}
	w.ready(r[:]...)
	const dc1, dc2 = "10.1.0.11:53", "10.2.0.11:53"
	n := 0
	fresh := func() string { n++; return fmt.Sprintf("n%d.geo.example", n) }
	near := func(what string, h *hosts.Host, server, name, want string) {
		t.Helper()
		if m, _ := from(t, h, server, name, dns.TypeA); answers(m) != "A "+want {
			t.Errorf("%s: %s from %s: %v, want %s", what, name, server, m, want)
		}
	}
	none, home := netip.Prefix{}, netip.MustParsePrefix("198.51.100.0/24")

	comesAbout(t, "first answers", func() bool {
		a, _ := from(t, clients[0], dc1, fresh(), dns.TypeA)
		b, _ := from(t, clients[1], dc2, fresh(), dns.TypeA)
		return answers(a) == "A 192.0.2.1" && answers(b) == "A 192.0.2.2"
	})
	atHome := fresh()
	near("at home", clients[0], dc1, atHome, "192.0.2.1")
	g.askedVia(t, atHome, "10.1.0.31", none)
	told := fresh()
	reply := withSubnet(t, clients[0], dc1, told, "203.0.113.0")
	g.askedVia(t, told, "10.1.0.31", none)
	// Clients' subnets are not supported, and so replies have none (RFC 7871 §7.2.1).
	if opt := reply.IsEdns0(); answers(reply) != "A 192.0.2.1" || opt == nil || len(opt.Option) != 0 {
		t.Errorf("a client's own subnet: %v", reply)
	}

	must(t, outbound.Lose(100))
	comesAbout(t, "answers over dc2", func() bool {
		m, _ := from(t, clients[0], dc1, fresh(), dns.TypeA)
		return m.Rcode == dns.RcodeSuccess
	})
	var swung []string
	for range 20 {
		name := fresh()
		swung = append(swung, name)
		near("swung", clients[0], dc1, name, "192.0.2.1")
		g.askedVia(t, name, "10.2.0.31", home)
		near("dc2 meanwhile", clients[1], dc2, name, "192.0.2.2")
		near("dc2's resolver", clients[1], "10.2.0.31:5301", name, "192.0.2.2")
	}
	told = fresh()
	if m := withSubnet(t, clients[0], dc1, told, "203.0.113.0"); answers(m) != "A 192.0.2.1" {
		t.Errorf("swung, a client's own subnet: %v", m)
	}
	g.askedVia(t, told, "10.2.0.31", home)

	must(t, outbound.Lose(0))
	comesAbout(t, "home again", func() bool {
		name := fresh()
		near("on the way home", clients[0], dc1, name, "192.0.2.1")
		all := g.saw(name)
		return len(all) == 1 && all[0].from.String() == "10.1.0.31" && all[0].subnet == none
	})
	for _, name := range swung {
		near("from memory", clients[0], dc1, name, "192.0.2.1")
		near("from memory", clients[1], dc2, name, "192.0.2.2")
	}
}
