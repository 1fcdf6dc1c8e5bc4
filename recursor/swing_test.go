package main

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/e2e/stack"
	"github.com/strata-dns/strata/failover"
)

// TestSwing cuts the home site's resolver off and lets it come back.
func TestSwing(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, settings(home, away))
	if got := s.ask("www.example"); got != "192.0.2.1" || subnet(home.lastAsked()) != "" {
		t.Errorf("at home: %s, subnet %q", got, subnet(home.lastAsked()))
	}
	before := s.external().set.Stats()[0].Asked
	s.until("checks of both", func() bool { return home.checks.Load() > 2 && away.checks.Load() > 2 })
	if away.asked.Load() != 0 {
		t.Error("the other site was asked while home answers")
	}

	home.silent.Store(true)
	begin := time.Now()
	s.until("swung", func() bool { return s.mode() == "swung" })
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("swung after %s", took)
	}
	s.until("the other site answers", func() bool { return s.ask("www.example") == "192.0.2.2" })
	if got := subnet(away.lastAsked()); got != "198.51.100.0/24" {
		t.Errorf("the other site was asked with subnet %q, want home's", got)
	}

	home.silent.Store(false)
	s.until("home again", func() bool { return s.mode() == "home" })
	if got := s.ask("www.example"); got != "192.0.2.1" || subnet(home.lastAsked()) != "" {
		t.Errorf("home again: %s, subnet %q", got, subnet(home.lastAsked()))
	}

	if asked := s.external().set.Stats()[0].Asked; asked <= before {
		t.Errorf("home was asked %d times at first, and %d times in all: what was known of it is lost", before, asked)
	}
	for _, want := range []string{`level=WARN msg=failover subject=fleet site="" from=home to=swung`, "subject=fleet site=\"\" from=swung to=home"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("not in the log: %s\n%s", want, s.log)
		}
	}
	x := s.routes.Load().external
	text, err := json.Marshal(x.status())
	if err != nil || !strings.Contains(string(text), `"to":"swung"`) || !strings.Contains(string(text), `"mode":"home"`) {
		t.Errorf("status: %v %s", err, text)
	}
	if n := counter(t, x, "strata_failover_transitions_total", "fleet", "home", "swung"); n != 1 {
		t.Errorf("%v swings counted", n)
	}
}

// counter reads one metric by the values of its labels.
func counter(t *testing.T, c prometheus.Collector, name string, labels ...string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			had := 0
			for _, l := range m.Label {
				if slices.Contains(labels, l.GetValue()) {
					had++
				}
			}
			if f.GetName() == name && had == len(labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestChecksAreProofOnly has a server go down by failed checks, which must not come
// in once more as hints.
func TestChecksAreProofOnly(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := settings(home, away)
	c.External.Check.Fall = 4
	s := run(t, c)
	home.rcode.Store(dns.RcodeServerFailure)
	s.until("swung", func() bool { return s.mode() == "swung" })
	status := s.routes.Load().external.fleet.Status().Sites[0].Servers[0]
	if status.ChecksFailed < 4 || status.PassiveFailed != 0 {
		t.Errorf("down after %d checks and %d exchanges", status.ChecksFailed, status.PassiveFailed)
	}
	if !strings.Contains(status.LastError, "SERVFAIL") {
		t.Errorf("because of %q", status.LastError)
	}
	// Exchanges for clients are hints, and counted.
	s.ask("www.example")
	s.until("an exchange is counted", func() bool {
		return counter(t, s.routes.Load().external, "strata_failover_checks_total", away.addr.String(), "exchange", "true") >= 1
	})
}

func TestChecksOverTCP(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, settings(home, away))
	s.until("a check over TCP", func() bool { return home.streams.Load() > 1 })
	if n := home.checks.Load() - home.streams.Load(); n < home.streams.Load() {
		t.Errorf("%d checks over UDP, %d over TCP", n, home.streams.Load())
	}
	if s.mode() != "home" {
		t.Errorf("fleet is %s", s.mode())
	}
}

func TestPinAndRelease(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, settings(home, away))
	if out, err := s.ctl("failover", "pin", "dc2"); err != nil || !strings.Contains(out, "pinned to dc2") {
		t.Fatal(out, err)
	}
	if got := s.ask("www.example"); got != "192.0.2.2" || subnet(away.lastAsked()) != "198.51.100.0/24" {
		t.Errorf("pinned: %s, subnet %q", got, subnet(away.lastAsked()))
	}
	if out, err := s.ctl("failover", "status"); err != nil || !strings.Contains(out, "pinned: dc2") {
		t.Errorf("status: %v\n%s", err, out)
	}
	for words, says := range map[string]string{"failover pin dc9": "unknown site \"dc9\"; known: dc1, dc2", "failover pin": "pin which site?", "failover pin dc1 dc2": "pin which site?"} {
		if _, err := s.ctl(strings.Fields(words)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if out, err := s.ctl("--json", "failover", "pin", "dc2"); err != nil || !strings.Contains(out, `"pinned":"dc2"`) {
		t.Fatal(out, err)
	}
	if out, err := s.ctl("--json", "failover", "release"); err != nil || !strings.Contains(out, `"mode":"home"`) {
		t.Fatal(out, err)
	}
	if got := s.ask("www.example"); got != "192.0.2.1" {
		t.Errorf("released: %s", got)
	}
	if out, err := s.ctl("failover", "history"); err != nil || !strings.Contains(out, " fleet: pinned dc2 -> home (released by hand)\n") || !strings.Contains(out, " dc2: serving -> standby (") {
		t.Errorf("history: %v\n%s", err, out)
	}
}

// TestCheckZone says what is wrong with the zone that checks ask for.
func TestCheckZone(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := settings(home, away)
	c.External.Check.Zone = "none.probe.example"
	s := run(t, c)
	s.until("said that it does not exist", s.logged("the check zone does not exist"))
	before := home.checks.Load()
	s.until("more checks", func() bool { return home.checks.Load() > before+5 })
	if n := strings.Count(s.log.String(), "check zone"); n != 1 {
		t.Errorf("said %d times", n)
	}
	if text, err := json.Marshal(s.routes.Load().external.status()); err != nil || !strings.Contains(string(text), `"check_zone":"the check zone does not exist`) {
		t.Errorf("status: %v %s", err, text)
	}

	home.rcode.Store(dns.RcodeRefused)
	c = settings(home, away)
	s = run(t, c)
	s.until("said that it is refused", s.logged("the check zone cannot be resolved"))
	home.rcode.Store(0)

	c = settings(home, away)
	c.External.Check.Interval = 10 * time.Millisecond
	s = run(t, c)
	before = home.checks.Load()
	s.until("checks", func() bool { return home.checks.Load() > before+20 })
	if fault := s.routes.Load().external.checks.zoneFault(); fault != "" || strings.Contains(s.log.String(), "check zone") {
		t.Errorf("a good zone: %q %s", fault, s.log)
	}
}

// TestReload changes what is checked, whence questions come, and who answers.
func TestReload(t *testing.T) {
	t.Parallel()
	home, away, third := serve(t, "192.0.2.1"), serve(t, "192.0.2.2"), serve(t, "192.0.2.3")
	c := settings(home, away)
	s := run(t, c)
	s.until("checks", func() bool { return away.checks.Load() > 1 })

	bad := *c
	bad.External.Sites = nil
	if err := s.reload(t.Context(), &bad); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("sites taken out wholly: %v", err)
	}
	bad = *c
	bad.Site = "dc9"
	if err := s.reload(t.Context(), &bad); err == nil {
		t.Error("an unknown home is taken up")
	}
	bad = *c
	bad.Zones = ours(resolver.Domains{Names: []string{"a.example"}, Servers: resolver.Plain(netip.AddrPort{})})
	if err := s.reload(t.Context(), &bad); err == nil {
		t.Error("a zone without servers is taken up")
	}
	if got := s.ask("www.example"); got != "192.0.2.1" {
		t.Errorf("after bad ones: %s", got)
	}

	fresh := *c
	fresh.External.Check.Zone, fresh.External.Check.Expect = "", []Expect{{Name: "check.example", Type: "A", Data: "192.0.2.99"}}
	fresh.External.Sites = []Site{
		{Name: "dc1", ECS: netip.MustParsePrefix("2001:db8::/48"), Servers: resolver.Plain(third.addr)},
		{Name: "dc2", Servers: resolver.Plain(away.addr)},
	}
	fresh.Zones = ours(resolver.Domains{Names: []string{"ours.example"}, Servers: resolver.Plain(home.addr)})
	if err := s.reload(t.Context(), &fresh); err != nil {
		t.Fatal(err)
	}
	if got := s.ask("www.example"); got != "192.0.2.3" || !third.lastAsked().RecursionDesired {
		t.Errorf("external: %s, RD %v", got, third.lastAsked().RecursionDesired)
	}
	if got := s.ask("db.ours.example"); got != "192.0.2.1" || home.lastAsked().RecursionDesired {
		t.Errorf("ours: %s, RD %v", got, home.lastAsked().RecursionDesired)
	}
	third.silent.Store(true)
	s.until("swung by the new checks", func() bool { return s.mode() == "swung" })
	s.until("dc2 answers", func() bool { return s.ask("www.example") == "192.0.2.2" })
	e := away.lastAsked().IsEdns0()
	if e == nil || !slices.ContainsFunc(e.Option, func(o dns.EDNS0) bool {
		subnet, ok := o.(*dns.EDNS0_SUBNET)
		return ok && subnet.Family == 2
	}) {
		t.Errorf("options: %v", e)
	}
}

// TestReloadNamesRestarts is told at each reload what differs from what runs, and not
// what differs from the reload before.
func TestReloadNamesRestarts(t *testing.T) {
	t.Parallel()
	home := serve(t, "192.0.2.1")
	c := settings(home, home)
	c.External.Sites, c.Zones = nil, ours(resolver.Domains{Names: []string{"ours.example"}, Servers: resolver.Plain(home.addr)})
	log := &stack.Text{}
	s, err := newServer(c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	for i, tt := range []struct {
		size config.Size
		told int // in all
	}{{2 << 20, 1}, {2 << 20, 2}, {c.Cache.Size, 2}} {
		fresh := *c
		fresh.Cache.Size = tt.size
		if err := s.reload(t.Context(), &fresh); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "keys=[cache.size]"); got != tt.told {
			t.Errorf("reload %d: told %d times, want %d\n%s", i, got, tt.told, log)
		}
	}
}

// TestWrongAnswer has a resolver give another answer than is known to be right.
func TestWrongAnswer(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	c := settings(home, away)
	c.External.Check.Zone = ""
	c.External.Check.Expect = []Expect{{Name: "www.check.example", Type: "A", Data: "192.0.2.2"}}
	s := run(t, c)
	s.until("swung away from who lies", func() bool { return s.mode() == "swung" })
	if e := s.routes.Load().external.fleet.Status().Sites[0].Servers[0].LastError; !strings.Contains(e, "not the expected answer") {
		t.Errorf("because of %q", e)
	}
}

// TestOneSite needs no checks.
func TestOneSite(t *testing.T) {
	t.Parallel()
	home := serve(t, "192.0.2.1")
	c := settings(home, home)
	c.External.Sites = c.External.Sites[:1]
	c.External.Check.Zone = ""
	s := run(t, c)
	if got := s.ask("www.example"); got != "192.0.2.1" {
		t.Error(got)
	}
}

func TestNowhere(t *testing.T) {
	home := serve(t, "192.0.2.1")
	c := defaults()
	c.Cache.Size = 1 << 20
	c.Zones = ours(resolver.Domains{Names: []string{"ours.example"}, Servers: resolver.Plain(home.addr)})
	var err error
	s := &site{t: t, log: &stack.Text{}}
	if s.server, err = newServer(&c, nil); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if got := s.ask("db.ours.example"); got != "192.0.2.1" {
		t.Error(got)
	}
	if got := s.ask("www.example"); !strings.Contains(got, "no external resolver") {
		t.Error(got)
	}
}

func TestJudge(t *testing.T) {
	reply := func(rcode int, records ...string) *dns.Msg {
		m := new(dns.Msg).SetRcode(new(dns.Msg).SetQuestion("a.example.", dns.TypeA), rcode)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return m
	}
	for _, tt := range []struct {
		m    *dns.Msg
		typ  uint16
		data string
		want string // part of the error; "" for good
	}{
		{reply(0), dns.TypeA, "", ""},
		{reply(dns.RcodeNameError), dns.TypeA, "", ""},
		{reply(dns.RcodeServerFailure), dns.TypeA, "", "SERVFAIL"},
		{reply(dns.RcodeRefused), dns.TypeA, "192.0.2.1", "REFUSED"},
		{reply(0, "a.example. 0 A 192.0.2.1"), dns.TypeA, "192.0.2.1", ""},
		{reply(0, "a.example. 9 A 192.0.2.1"), dns.TypeA, "192.0.2.1", failover.ErrCacheable.Error()},
		{reply(0, "a.example. 0 A 192.0.2.2"), dns.TypeA, "192.0.2.1", failover.ErrWrong.Error()},
		{reply(dns.RcodeNameError), dns.TypeA, "192.0.2.1", failover.ErrWrong.Error()},
		{reply(0, "a.example. 0 TXT \"x y\""), dns.TypeTXT, "\"x y\"", ""},
		{reply(0, "a.example. 0 TXT x"), dns.TypeTXT, "x", ""},
		{reply(0, "a.example. 0 MX 10 Mail.example."), dns.TypeMX, "10 mail.example.", ""},
		{reply(0, "a.example. 0 CNAME b.example.", "b.example. 0 A 192.0.2.1"), dns.TypeA, "192.0.2.1", ""},
	} {
		err := judge(tt.m, tt.typ, tt.data)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q: %v", tt.m.Answer, tt.data, err)
		}
	}
}

func TestClientSubnet(t *testing.T) {
	for prefix, want := range map[string]string{
		"198.51.100.0/24": "\x00\x08\x00\x07\x00\x01\x18\x00\xc6\x33\x64", "198.51.100.7/32": "\x00\x08\x00\x08\x00\x01\x20\x00\xc6\x33\x64\x07",
		"198.51.255.255/17": "\x00\x08\x00\x07\x00\x01\x11\x00\xc6\x33\x80", "0.0.0.0/0": "\x00\x08\x00\x04\x00\x01\x00\x00",
		"2001:db8::/32": "\x00\x08\x00\x08\x00\x02\x20\x00\x20\x01\x0d\xb8",
	} {
		if got := clientSubnet(netip.MustParsePrefix(prefix)); string(got) != want {
			t.Errorf("%s: %x", prefix, got)
		}
	}
}
