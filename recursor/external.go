package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// An external is the way to the rest of the world: failover says which resolvers
// serve now, and one upstream set follows it.
type external struct {
	log    *slog.Logger
	fleet  *failover.Fleet
	set    *upstream.Set
	checks *checks
	moves  *prometheus.CounterVec // transitions

	mu    sync.Mutex                                // of what follows, to be written
	ecs   []byte                                    // the home site's prefix as an EDNS option, nil for none
	way   atomic.Pointer[way]                       // what set was made for
	known atomic.Pointer[map[netip.AddrPort]string] // resolvers, as failover calls them
}

// A way is one state of the fleet and what goes with the questions meanwhile.
type way struct {
	fleet   *failover.Set
	options []byte // EDNS, in wire form
}

// newExternal makes the way out of a config that has one.
func newExternal(c *Config, engine *upstream.Engine, log *slog.Logger) (*external, error) {
	x := &external{log: log, moves: newMoves()}
	f := c.fleet()
	f.OnEvent = x.event
	var err error
	if x.fleet, err = failover.New(f, time.Now()); err != nil {
		return nil, err
	}
	if x.set, err = engine.Set(nil, upstream.SetOptions{}); err != nil {
		return nil, err
	}
	if x.checks, err = newChecks(x.fleet, c, log); err != nil {
		return nil, err
	}
	x.follow(c)
	return x, nil
}

// reload takes up new sites and checks, or nothing where that fails. What is known
// of resolvers that stay is kept.
func (x *external) reload(c *Config) error {
	if err := x.fleet.Reconfigure(c.fleet(), time.Now()); err != nil {
		return err
	}
	x.follow(c)
	x.checks.change(c)
	return nil
}

// now brings the upstream set in line with failover, and gives the options that go
// with a question to it.
func (x *external) now() *way {
	w := x.way.Load()
	if w.fleet != x.fleet.Current() {
		w = x.follow(nil)
	}
	return w
}

// follow makes the upstream set what failover says: those that are believed to
// answer, or, where nobody is, all. Where another site's resolvers may answer, the
// home site's prefix goes along, so that answers that depend on the asker's place
// stay near (RFC 7871). c is a new configuration, or nil.
func (x *external) follow(c *Config) *way {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c != nil {
		x.take(c)
	}
	// Asked for under the lock, lest an older state come behind a newer one.
	w := &way{fleet: x.fleet.Current()}
	fit := w.fleet.Servers[:w.fleet.Fit]
	if len(fit) == 0 {
		fit = w.fleet.Servers
	}
	servers := make([]upstream.Server, 0, len(fit))
	for _, s := range fit {
		server, err := upstream.ParseServer(s.Address)
		if err != nil {
			x.log.Error("external resolver not taken up", "server", s.Address, "err", err)
			continue
		}
		servers = append(servers, server)
	}
	if slices.ContainsFunc(fit, func(s failover.Server) bool { return s.Away }) {
		w.options = x.ecs
	}
	if err := x.set.Replace(servers[:min(len(servers), 64)]); err != nil {
		x.log.Error("external resolvers not taken up", "err", err)
	}
	x.way.Store(w)
	return w
}

// take reads out of a config what the fleet does not know of.
func (x *external) take(c *Config) {
	x.ecs = nil
	known := map[netip.AddrPort]string{}
	for _, s := range c.External.Sites {
		if s.Name == c.Site && s.ECS.IsValid() {
			x.ecs = clientSubnet(s.ECS)
		}
		for _, a := range s.Servers {
			known[a.Addr] = a.Text()
		}
	}
	x.known.Store(&known)
}

// result hands an exchange's outcome on to failover.
func (x *external) result(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
	if name := (*x.known.Load())[server]; name != "" { // not an authoritative server of ours
		x.fleet.Result(failover.Result{Server: name, At: time.Now(), OK: ok, How: failover.Passive, RTT: rtt, Err: err})
	}
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
