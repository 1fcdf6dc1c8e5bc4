package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// An external is the way to the rest of the world: failover says which resolvers
// serve now, and one upstream set follows it.
type external struct {
	log     *slog.Logger
	engine  *upstream.Engine
	fleet   *failover.Fleet
	checker *failover.Checker
	set     *upstream.Set
	ecs     []byte // the EDNS option for questions that go to another site, in wire form

	mu      sync.Mutex
	current atomic.Pointer[failover.Set] // what set was made for
}

// newExternal makes the way out, nil where the config has none.
func newExternal(c *Config, engine *upstream.Engine, log *slog.Logger) (*external, error) {
	if len(c.External.Sites) == 0 {
		return nil, nil
	}
	x := &external{engine: engine}
	f := c.fleet()
	f.OnEvent = func(e failover.Event) {
		log.Info("failover", "site", e.Site, "server", e.Server, "from", e.From, "to", e.To, "why", e.Why)
	}
	var err error
	if x.fleet, err = failover.New(*f, time.Now()); err != nil {
		return nil, err
	}
	if x.checker, err = failover.NewChecker(x.fleet, c.plan(), x.probe, 16); err != nil {
		return nil, err
	}
	for _, s := range c.External.Sites {
		if s.Name == c.Site && s.ECS.IsValid() {
			x.ecs = clientSubnet(s.ECS)
		}
	}
	if x.set, err = engine.Set(nil, upstream.SetOptions{}); err != nil {
		return nil, err
	}
	x.log = log
	x.now()
	return x, nil
}

// reload takes up new sites. What is known of resolvers that stay is kept.
func (x *external) reload(c *Config) error {
	if err := x.fleet.Reconfigure(*c.fleet(), time.Now()); err != nil {
		return err
	}
	x.now()
	return nil
}

var errRestart = errors.New("external.sites were added to a config without, or taken out wholly: restart to take that up")

// plan is what the checks ask.
func (c *Config) plan() failover.Plan {
	p := failover.Plan{StreamEvery: 10}
	if c.External.Check.Zone != "" {
		p.Zones = []string{c.External.Check.Zone}
	}
	for _, e := range c.External.Check.Expect {
		p.Expect = append(p.Expect, failover.Question{Name: e.Name, Type: e.Type, Data: e.Data})
	}
	return p
}

// now gives the servers to ask now, and the options that go with the question:
// where another site's resolvers may answer, the home site's prefix, so that
// answers that depend on the asker's place stay near (RFC 7871).
func (x *external) now() (*upstream.Set, []byte) {
	set := x.fleet.Current()
	if set != x.current.Load() {
		x.follow(set)
	}
	for i := range set.Servers {
		if set.Servers[i].Away {
			return x.set, x.ecs
		}
	}
	return x.set, nil
}

// follow makes the upstream set what failover says: those that are believed to
// answer, or, where nobody is, all.
func (x *external) follow(set *failover.Set) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fit := set.Servers[:set.Fit]
	if set.Fit == 0 {
		fit = set.Servers
	}
	servers := make([]upstream.Server, 0, len(fit))
	for _, s := range fit {
		if addr, err := netip.ParseAddrPort(s.Address); err == nil { // it was written by us
			servers = append(servers, upstream.Server{Addr: addr})
		}
	}
	if err := x.set.Replace(servers); err != nil {
		x.log.Error("external resolvers not taken up", "err", err)
	}
	x.current.Store(set)
}

// result hands an exchange's outcome on to failover.
func (x *external) result(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
	x.fleet.Result(failover.Result{Server: server.String(), At: time.Now(), OK: ok, How: failover.Passive, RTT: rtt, Err: err})
}

// clientSubnet is the option of RFC 7871 §6 for a prefix.
func clientSubnet(p netip.Prefix) []byte {
	family, addr := byte(1), p.Masked().Addr().AsSlice()
	if p.Addr().Is6() {
		family = 2
	}
	octets := (p.Bits() + 7) / 8
	return wire.AppendOption(nil, wire.OptionECS, append([]byte{0, family, byte(p.Bits()), 0}, addr[:octets]...))
}

// probe implements failover.Probe.
func (x *external) probe(ctx context.Context, server failover.Server, question failover.Question) error {
	addr, err := netip.ParseAddrPort(server.Address)
	if err != nil {
		return err
	}
	name, err := wire.ParseName(question.Name)
	if err != nil {
		return err
	}
	typ, err := resolver.ParseType(question.Type)
	if err != nil {
		return err
	}
	to := upstream.Server{Addr: addr}
	if question.Stream {
		to.Transport = upstream.TCP
	}
	a, err := x.engine.Exchange(ctx, to, &upstream.Question{Name: name, Type: typ, Class: wire.ClassIN, RD: true})
	if err != nil {
		return err
	}
	return judge(a.Msg, question.Data)
}

// judge says whether a check's answer will do. Without data any answer does that
// came from the name's own servers, also that there is no such name.
func judge(msg []byte, data string) error {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return errors.New(dns.RcodeToString[m.Rcode])
	}
	if data == "" {
		return nil
	}
	for _, rr := range m.Answer {
		text := strings.TrimPrefix(rr.String(), rr.Header().String())
		if strings.EqualFold(strings.TrimSuffix(text, "."), strings.TrimSuffix(data, ".")) {
			if rr.Header().Ttl > 0 {
				return failover.ErrCacheable
			}
			return nil
		}
	}
	return fmt.Errorf("%w: %d records, none is %s", failover.ErrWrong, len(m.Answer), data)
}
