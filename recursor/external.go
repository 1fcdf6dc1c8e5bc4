package main

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
)

// An external is the way to the rest of the world: failover says which resolvers
// serve now, and an upstream set follows it.
type external struct {
	log     *slog.Logger
	fleet   *failover.Fleet
	set     *upstream.Set // who is asked
	all     *upstream.Set // keeps what is known of those not asked now
	errands errands
	checks  *checks
	moves   *prometheus.CounterVec // transitions
	again   prometheus.Counter     // errands asked anew
	retry   func()                 // forgets failures

	mu      sync.Mutex                                // of what follows, to be written
	ecs     []byte                                    // the home site's prefix as an EDNS option, nil for none
	way     atomic.Pointer[way]                       // what set was made for
	checked bool                                      // checks are made
	known   atomic.Pointer[map[netip.AddrPort]string] // resolvers, as failover calls them
	lined   atomic.Pointer[lineup]                    // made from these
}

// newExternal makes the way out of a config that has one.
func newExternal(c *Config, engine *upstream.Engine, log *slog.Logger) (*external, error) {
	x := &external{log: log, moves: newMoves(), again: newAgain()}
	f := c.fleet()
	f.OnEvent = x.event
	var err error
	if x.fleet, err = failover.New(f, time.Now()); err != nil {
		return nil, err
	}
	for _, set := range []**upstream.Set{&x.set, &x.all} {
		if *set, err = engine.Set(nil, upstream.SetOptions{}); err != nil {
			return nil, err
		}
	}
	if x.checks, err = newChecks(x, c); err != nil {
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

// now brings the upstream set in line with failover, and gives the way that
// questions go.
func (x *external) now() *way {
	w := x.way.Load()
	if w.fleet != x.fleet.Current() {
		w = x.follow(nil)
	}
	return w
}

// refuses reports whether a question about a name would fail at once, for none of those
// who serve now replies.
func (x *external) refuses(name []byte) bool {
	return x.way.Load().fleet == x.fleet.Current() && x.set.Refuses(name)
}

// follow makes the upstream set what failover says. c is a new configuration, or
// nil.
func (x *external) follow(c *Config) *way {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c != nil {
		x.take(c)
	}
	// Asked for under the lock, lest an older state come behind a newer one.
	w := newWay(x.fleet.Current(), x.ecs)
	w.doubt = w.doubt && x.checked
	x.replace(x.set, parse(w.servers))
	if before := x.way.Swap(w); before != nil && (w.beyond(before) || before.doubt && !w.doubt) {
		go x.attend(w)
	}
	return w
}

// replace gives a set other servers, as many as it holds.
func (x *external) replace(set *upstream.Set, servers []upstream.Server) {
	const most = 64
	if err := set.Replace(servers[:min(len(servers), most)]); err != nil {
		x.log.Error("external resolvers not taken up", "err", err)
	}
}

// take reads out of a config what the fleet does not know of.
func (x *external) take(c *Config) {
	x.ecs, x.checked = nil, c.External.Check.asks()
	known, all := map[netip.AddrPort]string{}, []upstream.Server{}
	for _, s := range c.External.Sites {
		if s.Name == c.Site && s.ECS.IsValid() {
			x.ecs = clientSubnet(s.ECS)
		}
		for _, a := range s.Servers {
			known[a.Addr] = a.Text()
			all = append(all, a)
		}
	}
	x.known.Store(&known)
	x.replace(x.all, all)
}

// hint tells failover that a resolver has fallen silent.
func (x *external) hint(server upstream.Server) {
	if name := (*x.known.Load())[server.Addr]; name != "" {
		x.fleet.Hint(name, time.Now())
	}
}

// clientSubnet is the option of RFC 7871 §6 for a prefix. Memory knows nothing of
// subnets: it serves clients of the home site alone, and the prefix says no more than
// where that is. So what was learnt with it holds for all of them, also when home
// serves again, and what home then says may replace it. Clients' own subnets go
// nowhere.
func clientSubnet(p netip.Prefix) []byte {
	family, addr := byte(1), p.Masked().Addr().AsSlice()
	if p.Addr().Is6() {
		family = 2
	}
	octets := (p.Bits() + 7) / 8
	return wire.AppendOption(nil, wire.OptionECS, append([]byte{0, family, byte(p.Bits()), 0}, addr[:octets]...))
}
