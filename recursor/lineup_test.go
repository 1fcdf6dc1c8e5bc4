package main

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/strata-dns/strata/failover"
)

// TestLineup follows what failover knows: who is up, and who is known at all.
func TestLineup(t *testing.T) {
	t.Parallel()
	home, away := serve(t, "192.0.2.1"), serve(t, "192.0.2.2")
	s := run(t, settings(home, away))
	x := s.external()
	up := func(name string) (found, up bool) {
		for _, p := range x.lineup().list {
			if p.name == name {
				return true, p.up
			}
		}
		return false, false
	}
	first := x.fleet.Current().Servers[0].Address
	s.until("home's resolver is up", func() bool { _, is := up(first); return is })
	if one := x.lineup(); one != x.lineup() {
		t.Error("made anew where nothing has changed")
	}
	home.silent.Store(true)
	s.until("it is down", func() bool { _, is := up(first); return !is })
	if found, _ := up(first); !found {
		t.Error("forgotten as it is down")
	}
	x.result(netip.MustParseAddrPort("192.0.2.99:53"), false, 0, errors.New("of somebody unknown"))

	home.silent.Store(false)
	s.until("it is up again", func() bool { _, is := up(first); return is })
	before := x.lineup().fleet
	for _, server := range before.Servers {
		if server.Address == first && server.State != failover.Up {
			t.Errorf("%+v is said to be up", server)
		}
	}
}
