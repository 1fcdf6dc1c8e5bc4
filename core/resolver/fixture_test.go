package resolver

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/planetest"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second // of tests, for what must happen

// A nameServer is a real server on loopback, over UDP and TCP, that answers from
// records, or as it is told.
type nameServer struct {
	addr    netip.AddrPort
	records []dns.RR
	answer  func(q *dns.Msg) *dns.Msg // before the records, where not nil
	silent  atomic.Bool
	asked   atomic.Int64
	stop    func()
}

func serve(t testing.TB, records ...string) *nameServer { return serveBy(t, nil, records...) }

func serveBy(t testing.TB, answer func(q *dns.Msg) *dns.Msg, records ...string) *nameServer {
	t.Helper()
	s := &nameServer{answer: answer}
	s.add(t, records...)
	packets, streams := openPorts(t)
	s.addr = netip.MustParseAddrPort(packets.LocalAddr().String())
	udp := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(s.handle)}
	tcp := &dns.Server{Listener: streams, Handler: dns.HandlerFunc(s.handle)}
	var running, started sync.WaitGroup
	started.Add(2)
	udp.NotifyStartedFunc, tcp.NotifyStartedFunc = started.Done, started.Done
	for _, one := range []*dns.Server{udp, tcp} {
		running.Go(func() { _ = one.ActivateAndServe() })
	}
	started.Wait()
	s.stop = sync.OnceFunc(func() {
		_ = udp.Shutdown()
		_ = tcp.Shutdown()
		running.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// openPorts opens a port that is free for both UDP and TCP.
func openPorts(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var err error
	for range 20 {
		var packets net.PacketConn
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			break
		}
		var streams net.Listener
		if streams, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, streams
		}
		_ = packets.Close()
	}
	t.Fatal(err)
	return nil, nil
}

func (s *nameServer) add(t testing.TB, records ...string) {
	t.Helper()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		s.records = append(s.records, rr)
	}
}

func (s *nameServer) handle(w dns.ResponseWriter, q *dns.Msg) {
	s.asked.Add(1)
	if s.silent.Load() {
		return
	}
	if s.answer != nil {
		if m := s.answer(q); m != nil {
			_ = w.WriteMsg(m)
			return
		}
	}
	m := s.look(q)
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		m.Truncate(dns.MinMsgSize)
	}
	_ = w.WriteMsg(m)
}

// look answers as an authoritative server would: along the aliases that it knows,
// and denies with the SOA record of the last name's zone.
func (s *nameServer) look(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := dns.CanonicalName(q.Question[0].Name)
	for range 20 {
		alias, there := "", false
		for _, rr := range s.records {
			if dns.CanonicalName(rr.Header().Name) != name {
				continue
			}
			there = true
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				alias = dns.CanonicalName(c.Target)
			}
		}
		if alias != "" {
			name = alias
			continue
		}
		soa := s.soa(name)
		switch {
		case soa == nil && len(m.Answer) == 0:
			m.Rcode = dns.RcodeRefused
		case soa == nil: // an alias out of here
		case !there:
			m.Rcode = dns.RcodeNameError
			m.Ns = []dns.RR{soa}
		case len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype == dns.TypeCNAME:
			m.Ns = []dns.RR{soa}
		}
		break
	}
	return m
}

func (s *nameServer) soa(name string) dns.RR {
	for _, rr := range s.records {
		if rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(dns.CanonicalName(rr.Header().Name), name) {
			return rr
		}
	}
	return nil
}

// A testRoute asks zones' servers, and others for the rest, as both binaries do.
type testRoute struct {
	zones    atomic.Pointer[Routes]
	rest     *upstream.Set
	resolver *Resolver
}

func (r *testRoute) find(view uint32, name []byte) *upstream.Set {
	if to := r.zones.Load().Find(view, name); to != nil {
		return to.Set
	}
	return r.rest
}

func (r *testRoute) Ask(q *cache.Question, done func(a upstream.Answer)) {
	question := r.resolver.Question(q, true)
	r.find(q.View, q.Name).Ask(&question, done)
}

func (r *testRoute) Declines(view uint32, name []byte) bool { return r.find(view, name).Refuses(name) }

func (r *testRoute) Apart(view uint32, a, b []byte) bool {
	return r.find(view, a) != r.find(view, b)
}

// A scene is a resolver with its upstream, and a client.
type scene struct {
	*Resolver
	t       testing.TB
	engine  *upstream.Engine
	handler plane.Handler
	queue   *planetest.Queue // of datagrams
	streams *planetest.Queue
	clients uint16
	close   func()
}

// A plot says what a scene is made of.
type plot struct {
	rest   *nameServer
	zones  map[string]*nameServer
	split  []Domains // more zones
	policy policy.Config
	env    policy.Env
	cache  CacheConfig
	stream bool
	look   observe.Config
}

func play(t testing.TB, p plot) *scene {
	t.Helper()
	s := &scene{t: t, queue: planetest.NewQueue(), streams: planetest.NewStreamQueue()}
	rules, err := NewRules(p.policy, p.env)
	if err != nil {
		t.Fatal(err)
	}
	if s.engine, err = upstream.New(upstream.Options{Budget: DefaultBudget}); err != nil {
		t.Fatal(err)
	}
	route := &testRoute{}
	set := func(n *nameServer) *upstream.Set {
		var servers []netip.AddrPort
		if n != nil {
			servers = append(servers, n.addr)
		}
		set, err := s.engine.Set(Plain(servers...), upstream.SetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	route.rest = set(p.rest)
	zones := p.split
	for name, n := range p.zones {
		zones = append(zones, Domains{Names: []string{name}, Servers: Plain(n.addr)})
	}
	ours, err := OpenRoutes(s.engine, zones, nil)
	if err != nil {
		t.Fatal(err)
	}
	route.zones.Store(ours)
	rules.Views = NewViews(zones)
	if p.cache.Size == 0 {
		p.cache.Size, p.cache.StaleFor, p.cache.Prefetch = 4<<20, time.Hour, true
	}
	s.Resolver, err = New(Options{Cache: p.cache, Rules: rules, Route: route, Engine: s.engine, MaxUDP: 1232, Log: slog.New(slog.DiscardHandler), Observe: p.look})
	if err != nil {
		t.Fatal(err)
	}
	route.resolver = s.Resolver
	if s.handler = s.Worker(netip.AddrPort{}); p.stream {
		s.handler = s.Stream(netip.AddrPort{})
	}
	s.close = sync.OnceFunc(func() {
		if err := s.Close(s.engine); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.close)
	return s
}

// A query is a question of a client: recursion desired, EDNS, from loopback.
type query struct {
	name   string
	typ    uint16
	client string
	size   uint16 // 0: 1232; 1: without EDNS
	do     bool
	noRD   bool
	stream bool
}

func (s *scene) ask(name string, typ uint16) *dns.Msg {
	s.t.Helper()
	return s.query(query{name: name, typ: typ})
}

// query asks and waits for the reply. nil is none at all.
func (s *scene) query(q query) *dns.Msg {
	s.t.Helper()
	m := new(dns.Msg).SetQuestion(q.name, q.typ)
	m.RecursionDesired = !q.noRD
	if q.size == 0 {
		q.size = 1232
	}
	if q.size > 1 {
		m.SetEdns0(q.size, q.do)
	}
	reply := s.packet(pack(s.t, m), q.client, q.stream)
	if reply == nil {
		return nil
	}
	a := new(dns.Msg)
	if err := a.Unpack(reply); err != nil {
		s.t.Fatalf("%s: %v in %x", q.name, err, reply)
	}
	if a.Id != m.Id || !a.Response || len(a.Question) != 1 || a.Question[0] != m.Question[0] {
		s.t.Fatalf("not the reply to %s: %v", q.name, a)
	}
	return a
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// packet has one packet answered. nil is no reply.
func (s *scene) packet(data []byte, client string, stream bool) []byte {
	s.t.Helper()
	before := s.count("miss")
	c, sent := s.send(data, client, stream)
	if !sent && s.count("miss") == before { // dropped
		return nil
	}
	return s.reply(c)
}

// send brings one packet from a client of its own to the handler. sent is whether
// there was a reply at once.
func (s *scene) send(data []byte, client string, stream bool) (c *planetest.Client, sent bool) {
	s.t.Helper()
	queue := s.queue
	if stream {
		queue = s.streams
	}
	if client == "" {
		client = "127.0.0.1"
	}
	s.clients++
	c = queue.Client(netip.AddrPortFrom(netip.MustParseAddr(client), s.clients))
	if err := c.Ask(data); err != nil {
		s.t.Fatal(err)
	}
	batch := make([]plane.Packet, 4)
	n, err := queue.Receive(batch)
	if err != nil || n != 1 {
		s.t.Fatalf("%d packets, %v", n, err)
	}
	s.handler.Answer(batch[:n], queue)
	sent = len(batch[0].Data) > 0
	if err := queue.Send(batch[:n]); err != nil {
		s.t.Fatal(err)
	}
	return c, sent
}

func (s *scene) reply(c *planetest.Client) []byte {
	s.t.Helper()
	reply, err := c.Reply(patience)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// count reads a counter of strata_answers_total.
func (s *scene) count(kind string) (n uint64) {
	s.eachCount(func(_, _ string, c *counts) {
		for k := range c.by {
			if kindName(k) == kind {
				n += c.by[k].Load()
			}
		}
	})
	return n
}

// What replies hold.

func wireName(t testing.TB, name string) []byte {
	t.Helper()
	var buf [256]byte
	n, err := dns.PackDomainName(dns.CanonicalName(name), buf[:], 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// ede is a reply's extended error, -1 for none.
func ede(m *dns.Msg) int {
	if code, ok := extendedError(m); ok {
		return int(code)
	}
	return -1
}

// data is the answer section without owners and TTLs: "CNAME b.example.", "A 192.0.2.1".
func data(m *dns.Msg) (all []string) {
	for _, rr := range m.Answer {
		h := rr.Header()
		all = append(all, dns.Type(h.Rrtype).String()+" "+rr.String()[len(h.String()):])
	}
	return all
}
