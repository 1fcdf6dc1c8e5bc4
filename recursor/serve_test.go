package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/e2e/stack"
)

// freeAddress is one that UDP and TCP can have.
func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(stack.Loopback(stack.FreePort(t)))
}

// start runs a whole recursor at an address until the test ends, and gives that of
// its pages.
func start(t *testing.T, c *Config, address netip.AddrPort) (pages string) {
	t.Helper()
	var log stack.Text
	c.Listen, c.Workers, c.Control = []netip.AddrPort{address}, 1, ""
	d := daemon.New(daemon.Options{Name: "recursor", Admin: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := build(context.Background(), d, c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	deadline := time.Now().Add(patience)
	for !d.Ready() {
		if time.Now().After(deadline) {
			t.Fatalf("never ready\n%s", &log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return "http://" + d.Page().Addr().String()
}

func exchange(t *testing.T, server netip.AddrPort, network, name string) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server.String())
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	return m
}

// TestServe asks a whole recursor over UDP and TCP, and reads its pages.
func TestServe(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	address := freeAddress(t)
	pages := start(t, settings(home, away), address)
	for _, network := range []string{"udp", "tcp"} {
		if m := exchange(t, address, network, "www.example."); len(m.Answer) != 1 || !m.RecursionAvailable {
			t.Errorf("over %s: %v", network, m)
		}
	}
	for _, tt := range []struct{ page, holds string }{
		{"/readyz", ""},
		{"/status", `"failover":{"mode":"home"`},
		{"/metrics", `strata_failover_serving{home="true",site="dc1"} 1`},
		{"/metrics", `strata_answers_total{outcome="miss",transport="udp"`},
		{"/metrics", `strata_answers_total{outcome="hit",transport="tcp"`},
		{"/metrics", "strata_cache_entries 1"},
		{"/metrics", "strata_upstream_exchanges_total"},
	} {
		r, err := http.Get(pages + tt.page)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(text), tt.holds) {
			t.Errorf("%s: %d, %v, does not hold %s\n%s", tt.page, r.StatusCode, err, tt.holds, text)
		}
	}
}

// TestSwingForgetsFailures has all resolvers fail, and one come back: a name that has
// failed is asked anew then, not when its failure is no longer remembered (5 s).
func TestSwingForgetsFailures(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	home.rcode.Store(dns.RcodeServerFailure)
	away.rcode.Store(dns.RcodeRefused)
	address := freeAddress(t)
	start(t, settings(home, away), address)
	if m := exchange(t, address, "udp", "www.example."); m.Rcode != dns.RcodeServerFailure {
		t.Fatalf("with all resolvers ill: %v", m)
	}
	failed := time.Now()
	away.rcode.Store(0)
	for exchange(t, address, "udp", "www.example.").Rcode != 0 {
		if took := time.Since(failed); took > 4*time.Second {
			t.Fatalf("still fails %s behind", took)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestAsksItself has a recursor for its own external resolver, and as its own
// authoritative server: it says SERVFAIL at once, and lives on.
func TestAsksItself(t *testing.T) {
	t.Parallel()
	good := serve(t, "192.0.2.1")
	c := settings(good, good)
	itself := freeAddress(t)
	c.External.Sites = []Site{{Name: "dc1", Servers: resolver.Plain(itself)}}
	c.Zones = ours(
		resolver.Domains{Names: []string{"ours.example"}, Servers: resolver.Plain(itself)},
		resolver.Domains{Names: []string{"good.example"}, Servers: resolver.Plain(good.addr)},
	)
	start(t, c, itself)
	for _, name := range []string{"www.example.", "db.ours.example."} {
		begin := time.Now()
		if m := exchange(t, itself, "udp", name); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", name, m)
		}
		if took := time.Since(begin); took > resolver.DefaultBudget {
			t.Errorf("%s took %s", name, took)
		}
	}
	if m := exchange(t, itself, "udp", "www.good.example."); len(m.Answer) != 1 {
		t.Errorf("then: %v", m)
	}
}
