package main

import (
	"slices"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/failover"
)

// A way is one state of the fleet, and what goes with the questions meanwhile.
type way struct {
	fleet   *failover.Set
	servers []failover.Server // who is asked
	doubt   bool              // each of these is suspect, and about to be checked
	options []byte            // EDNS, in wire form
}

// newWay asks those that are believed to answer, or, where nobody is, all. Where
// another site's resolvers may answer, the home site's prefix goes along, so that
// answers that depend on the asker's place stay near (RFC 7871).
func newWay(fleet *failover.Set, ecs []byte) *way {
	w := &way{fleet: fleet, servers: fleet.Servers[:fleet.Fit]}
	if fleet.Fit == 0 {
		w.servers = fleet.Servers
	}
	w.doubt = fleet.Fit > 0 && w.servers[0].State != failover.Up
	if slices.ContainsFunc(fleet.Servers, func(s failover.Server) bool { return s.Away }) {
		w.options = ecs
	}
	return w
}

// beyond tells whether a question that was asked by another way should be asked by
// this one, too: somebody is asked now who was not then, and of those who were nobody
// is believed to answer.
func (w *way) beyond(before *way) bool {
	if w == before {
		return false
	}
	for _, s := range w.fleet.Servers[:w.fleet.Fit] {
		if before.asks(s) {
			return false
		}
	}
	return slices.ContainsFunc(w.servers, func(s failover.Server) bool { return !before.asks(s) })
}

func (w *way) asks(server failover.Server) bool {
	return slices.ContainsFunc(w.servers, func(s failover.Server) bool { return s.Address == server.Address })
}

// parse gives servers as upstream knows them. Their addresses were the config's.
func parse(list []failover.Server) (servers []upstream.Server) {
	for _, s := range list {
		if server, err := upstream.ParseServer(s.Address); err == nil {
			servers = append(servers, server)
		}
	}
	return servers
}
