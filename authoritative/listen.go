package main

import (
	"net/netip"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/plane"
)

// listenSockets adds a listener for each address. All zones that are read from files or
// the snapshot are in memory by then.
func (s *server) listenSockets(d *daemon.Daemon, c *Config, workers int) error {
	return listen.Add(d, listen.Options{
		Addresses: c.Listen, Workers: workers, MaxUDP: c.MaxUDP, TCP: listen.TCP(c.TCP),
		Handler: func(_ netip.AddrPort, stream bool) plane.Handler {
			if stream {
				return s.stream()
			}
			return s.worker()
		},
	})
}
