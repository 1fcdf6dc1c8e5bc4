package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/e2e/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second // of tests, for what must happen

// A nameServer is a real server on loopback, over UDP and TCP. It gives every name
// its own address, but for those under probe.example, which do not exist, and for
// check.example, which is 192.0.2.99, and for those under broken.example, which fail.
type nameServer struct {
	addr    netip.AddrPort
	address net.IP
	silent  atomic.Bool  // as if the network were cut
	quiet   atomic.Bool  // about names under quiet.example
	rcode   atomic.Int32 // given to all, where not 0
	checks  atomic.Int64 // questions under probe.example
	streams atomic.Int64 // of those, over TCP
	asked   atomic.Int64 // other questions

	mu   sync.Mutex
	last *dns.Msg // of those
}

func serve(t *testing.T, address string) *nameServer {
	t.Helper()
	s := &nameServer{address: net.ParseIP(address)}
	packets, streams := openPorts(t)
	s.addr = netip.MustParseAddrPort(packets.LocalAddr().String())
	var running, started sync.WaitGroup
	started.Add(2)
	both := []*dns.Server{{PacketConn: packets}, {Listener: streams}}
	for _, one := range both {
		one.Handler, one.NotifyStartedFunc = dns.HandlerFunc(s.handle), started.Done
		running.Go(func() { _ = one.ActivateAndServe() })
	}
	started.Wait()
	t.Cleanup(func() {
		for _, one := range both {
			_ = one.Shutdown()
		}
		running.Wait()
	})
	return s
}

// openPorts opens a port that is free for both UDP and TCP.
func openPorts(t *testing.T) (net.PacketConn, net.Listener) {
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

func (s *nameServer) handle(w dns.ResponseWriter, q *dns.Msg) {
	name := q.Question[0].Name
	check := dns.IsSubDomain("probe.example.", name)
	if check {
		s.checks.Add(1)
		if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
			s.streams.Add(1)
		}
	} else if name != "check.example." {
		s.asked.Add(1)
		s.mu.Lock()
		s.last = q
		s.mu.Unlock()
	}
	if s.silent.Load() || s.quiet.Load() && dns.IsSubDomain("quiet.example.", name) {
		return
	}
	m := new(dns.Msg).SetRcode(q, int(s.rcode.Load()))
	a := &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: s.address}
	switch {
	case m.Rcode != 0:
	case dns.IsSubDomain("broken.example.", name):
		m.Rcode = dns.RcodeServerFailure
	case check && name != "probe.example.":
		m.Rcode = dns.RcodeNameError
	case name == "check.example.":
		a.A, a.Hdr.Ttl = net.IPv4(192, 0, 2, 99), 0
		m.Answer = []dns.RR{a}
	case q.Question[0].Qtype == dns.TypeA:
		m.Answer = []dns.RR{a}
	}
	_ = w.WriteMsg(m)
}

// lastAsked is the latest question that was no check.
func (s *nameServer) lastAsked() *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// settings of a recursor at dc1 with a quick pace.
func settings(home, away *nameServer) *Config {
	c := defaults()
	c.Site = "dc1"
	c.Cache.Size = 1 << 20
	c.External.Sites = []Site{
		{Name: "dc1", ECS: netip.MustParsePrefix("198.51.100.0/24"), Servers: resolver.Plain(home.addr)},
		{Name: "dc2", ECS: netip.MustParsePrefix("203.0.113.0/24"), Servers: resolver.Plain(away.addr)},
	}
	c.External.Check = Check{Interval: 50 * time.Millisecond, Timeout: 100 * time.Millisecond, Fall: 2, Rise: 2, HoldDown: 100 * time.Millisecond, Zone: "probe.example"}
	return &c
}

// ours are zones of our own as configs have them.
func ours(list ...resolver.Domains) (zones []Zone) {
	for _, d := range list {
		zones = append(zones, Zone{Domains: d})
	}
	return zones
}

// A site is a running recursor that does not listen.
type site struct {
	*server
	t   *testing.T
	log *stack.Text
	ctl func(args ...string) (string, error)
}

func run(t *testing.T, c *Config) *site {
	t.Helper()
	s := &site{t: t, log: &stack.Text{}}
	var err error
	if s.server, err = newServer(c, slog.New(slog.NewTextHandler(s.log, nil))); err != nil {
		t.Fatal(err)
	}
	x := s.routes.Load().external
	var commands control.Commands
	commands.Add(x.commands()...)
	path := filepath.Join(t.TempDir(), "ctl.sock")
	ctx, cancel := context.WithCancel(context.Background())
	socket, err := control.Listen(ctx, path, &commands)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var failed [2]error
	running.Go(func() { failed[0] = x.checks.Run(ctx) })
	running.Go(func() { failed[1] = socket.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := errors.Join(failed[0], failed[1], s.close()); err != nil {
			t.Error(err)
		}
	})
	s.ctl = func(args ...string) (string, error) {
		var out bytes.Buffer
		request := control.Request{Args: args, JSON: args[0] == "--json"}
		if request.JSON {
			request.Args = args[1:]
		}
		err := control.Do(ctx, path, request, &out)
		return out.String(), err
	}
	return s
}

// ask asks the route, past memory: the address that a name has, or what is wrong.
func (s *site) ask(name string) string {
	s.t.Helper()
	q := &cache.Question{Name: wire.MustName(name), Type: wire.TypeA, Class: wire.ClassIN}
	answers := make(chan string, 1)
	s.Ask(q, func(a upstream.Answer) {
		m, err := new(dns.Msg), a.Err
		if err == nil {
			err = m.Unpack(a.Msg)
		}
		switch {
		case err != nil:
			answers <- err.Error()
		case len(m.Answer) == 1:
			answers <- m.Answer[0].(*dns.A).A.String()
		default:
			answers <- dns.RcodeToString[m.Rcode]
		}
	})
	select {
	case a := <-answers:
		return a
	case <-time.After(patience):
		s.t.Fatalf("%s: no answer", name)
		return ""
	}
}

// until waits for what must come about.
func (s *site) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s\n%s", what, s.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *site) mode() string { return s.routes.Load().external.fleet.Current().Mode.String() }

func (s *site) logged(what string) func() bool {
	return func() bool { return strings.Contains(s.log.String(), what) }
}

// subnet is the EDNS Client Subnet of a question, "" for none.
func subnet(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_SUBNET); ok {
				return netip.PrefixFrom(netip.AddrFrom4([4]byte(e.Address.To4())), int(e.SourceNetmask)).String()
			}
		}
	}
	return ""
}
