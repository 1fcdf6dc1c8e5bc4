package main

import (
	"net/netip"
	"slices"
	"time"

	"github.com/strata-dns/strata/failover"
)

// A lineup is what must be known of the resolvers to hand an exchange's outcome on. It is
// looked at for each exchange: a short list is quicker than a map, and what a good answer
// from a resolver that is up needs is no more than its name.
type lineup struct {
	known *map[netip.AddrPort]string // it was made from
	fleet *failover.Set              // the same
	list  []placed
}

// A placed is one resolver.
type placed struct {
	addr netip.AddrPort
	name string // as failover calls it
	up   bool
}

// lineup gives that of now.
func (x *external) lineup() *lineup {
	known, fleet := x.known.Load(), x.fleet.Current()
	if l := x.lined.Load(); l != nil && l.known == known && l.fleet == fleet {
		return l
	}
	l := &lineup{known: known, fleet: fleet}
	for addr, name := range *known {
		up := slices.ContainsFunc(fleet.Servers, func(s failover.Server) bool { return s.Address == name && s.State == failover.Up })
		l.list = append(l.list, placed{addr, name, up})
	}
	x.lined.Store(l)
	return l
}

// result hands an exchange's outcome on to failover. A good answer of one that is up
// is counted, and no more: its time is not asked for.
func (x *external) result(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
	list := x.lineup().list
	for i := range list {
		p := &list[i]
		if p.addr != server {
			continue
		}
		r := failover.Result{Server: p.name, OK: ok, How: failover.Passive, RTT: rtt, Err: err}
		if !ok || !p.up {
			r.At = time.Now()
		}
		x.fleet.Result(r)
		return
	}
}
