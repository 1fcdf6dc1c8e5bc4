package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/e2e/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answerer starts a server on loopback that gives every name one address.
func answerer(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	return answererBy(t, address, func() {})
}

// answererBy is answerer, but each question waits for before.
func answererBy(t *testing.T, address string, before func()) netip.AddrPort {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan bool), make(chan error, 1)
	s := &dns.Server{PacketConn: packets, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		before()
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(address)}}
		_ = w.WriteMsg(m)
	})}
	go func() { ended <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-ended
	})
	return netip.MustParseAddrPort(packets.LocalAddr().String())
}

// freePort finds a port that UDP and TCP can have.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(stack.Loopback(stack.FreePort(t)))
}

// start runs a whole nodecache and returns its reload. It is drained at the end.
func start(t *testing.T, c *Config, log *stack.Text) func(*Config) error {
	t.Helper()
	d := daemon.New(daemon.Options{Name: "nodecache", Log: slog.New(slog.NewTextHandler(log, nil))})
	reload, err := build(context.Background(), d, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(c *Config) error { return reload(ctx, c) }
}

func settings(t *testing.T) *Config {
	c := defaults()
	c.Listen, c.Workers, c.Admin, c.Control = []netip.AddrPort{freePort(t)}, 1, "", ""
	c.Cache.Size = 1 << 20
	return &c
}

func ask(t *testing.T, server netip.AddrPort, network, name string) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 10 * time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server.String())
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	return m
}

func address(m *dns.Msg) string {
	if len(m.Answer) != 1 {
		return dns.RcodeToString[m.Rcode]
	}
	return m.Answer[0].(*dns.A).A.String()
}

func TestServeAndReload(t *testing.T) {
	site, other, stub := answerer(t, "192.0.2.1"), answerer(t, "192.0.2.2"), answerer(t, "192.0.2.3")
	c := settings(t)
	c.Upstreams = resolver.Plain(site)
	c.Stubs = []resolver.Domains{{Names: []string{"cluster.local"}, Servers: resolver.Plain(stub)}}
	var log stack.Text
	reload := start(t, c, &log)
	see := func(name, want string) {
		t.Helper()
		for _, network := range []string{"tcp", "udp"} {
			if got := address(ask(t, c.Listen[0], network, name)); got != want {
				t.Errorf("%s over %s: %s, want %s", name, network, got, want)
			}
		}
	}
	see("www.example.", "192.0.2.1")
	see("db.cluster.local.", "192.0.2.3")
	see("db.xcluster.local.", "192.0.2.1")

	bad := *c
	bad.Upstreams = resolver.Plain(netip.AddrPort{})
	if err := reload(&bad); err == nil {
		t.Error("upstreams without an address are taken up")
	}
	bad = *c
	bad.Policy.BlockAAAA = []string{"a..b"}
	if err := reload(&bad); err == nil {
		t.Error("a policy that is wrong is taken up")
	}
	see("still.example.", "192.0.2.1")

	fresh := *c
	fresh.Upstreams = resolver.Plain(other)
	fresh.Stubs = nil
	fresh.Policy.Refused = []string{"refused.example"}
	fresh.Cache.Size = 2 << 20
	if err := reload(&fresh); err != nil {
		t.Fatal(err)
	}
	see("new.example.", "192.0.2.2")
	see("www.example.", "192.0.2.1")      // from memory
	see("db.cluster.local.", "192.0.2.2") // others' now: memory forgot what they said
	see("x.refused.example.", "REFUSED")
	if !strings.Contains(log.String(), "keys=[cache.size]") {
		t.Errorf("what needs a restart is not said: %s", log.String())
	}
	for _, size := range []config.Size{2 << 20, c.Cache.Size} { // still so, and as it runs again
		again := fresh
		again.Cache.Size = size
		if err := reload(&again); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "keys=[cache.size]"); got != 2 {
			t.Errorf("%d bytes: told %d times in all that the size needs a restart, want 2", size, got)
		}
	}
}

// TestReloadLosesNothing replaces the routes again and again while questions are
// asked of them: none finds its servers closed.
func TestReloadLosesNothing(t *testing.T) {
	c := settings(t)
	c.Upstreams = resolver.Plain(answerer(t, "192.0.2.1"))
	s, err := newServer(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.resolver.Discard(s.engine); err != nil {
			t.Error(err)
		}
	}()
	stop, reloads := make(chan bool), 0
	var reloading, asking sync.WaitGroup
	reloading.Go(func() {
		for ; ; reloads++ {
			select {
			case <-stop:
				return
			default:
				fresh := *c
				if err := s.reload(context.Background(), &fresh); err != nil {
					t.Error(err)
				}
			}
		}
	})
	question := cache.Question{Name: wire.MustName("www.example"), Type: wire.TypeA, Class: wire.ClassIN}
	for range 4 {
		asking.Go(func() {
			for range 1000 {
				done := make(chan error, 1)
				s.Ask(&question, func(a upstream.Answer) { done <- a.Err })
				if err := <-done; err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	asking.Wait()
	close(stop)
	reloading.Wait()
	t.Log(reloads, "reloads")
}

// TestDrain tells a nodecache to end while upstream owes it an answer: the client
// gets it all the same.
func TestDrain(t *testing.T) {
	asked, goOn := make(chan bool, 8), make(chan bool)
	up := answererBy(t, "192.0.2.1", func() {
		asked <- true
		<-goOn
	})
	c := settings(t)
	c.Upstreams, c.Cache.File = resolver.Plain(up), filepath.Join(t.TempDir(), "n.cache")
	d := daemon.New(daemon.Options{Name: "nodecache", Log: slog.New(slog.DiscardHandler)})
	if _, err := build(context.Background(), d, c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, answered := make(chan error, 1), make(chan string, 1)
	go func() { ended <- d.Run(ctx) }()
	go func() { answered <- address(ask(t, c.Listen[0], "udp", "www.example.")) }()
	<-asked
	cancel()
	for deadline := time.Now().Add(5 * time.Second); d.Ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("ready though it was told to end")
		}
	}
	close(goOn)
	if got := <-answered; got != "192.0.2.1" {
		t.Errorf("got %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.Cache.File); err != nil {
		t.Error(err)
	}
}

// TestAsksItself has a nodecache for its own upstream: it says SERVFAIL when its
// budget is over, and lives on.
func TestAsksItself(t *testing.T) {
	t.Parallel()
	c := settings(t)
	c.Upstreams = resolver.Plain(c.Listen...)
	c.Stubs = []resolver.Domains{{Names: []string{"good.example"}, Servers: resolver.Plain(answerer(t, "192.0.2.1"))}}
	var log stack.Text
	start(t, c, &log)
	begin := time.Now()
	if m := ask(t, c.Listen[0], "udp", "www.example."); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %v", m)
	}
	if took := time.Since(begin); took > resolver.DefaultBudget+5*time.Second {
		t.Errorf("took %s", took)
	}
	if got := address(ask(t, c.Listen[0], "udp", "www.good.example.")); got != "192.0.2.1" {
		t.Errorf("then: %s", got)
	}
}

func TestPortInUse(t *testing.T) {
	c := settings(t)
	c.Upstreams = resolver.Plain(answerer(t, "192.0.2.1"))
	taken, err := net.ListenPacket("udp", c.Listen[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var log stack.Text
	d := daemon.New(daemon.Options{Name: "nodecache", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := build(context.Background(), d, c); err == nil || !strings.Contains(err.Error(), c.Listen[0].String()) {
		t.Errorf("got %v", err)
	}
}
