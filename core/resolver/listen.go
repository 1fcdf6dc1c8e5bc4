package resolver

import (
	"net/netip"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/plane"
)

// Listen adds a listener for each address. Add everything else before it.
func (r *Resolver) Listen(d *daemon.Daemon, base *config.Base, tcp listen.TCP) error {
	return listen.Add(d, listen.Options{
		Addresses: base.Listen, Workers: base.Workers, MaxUDP: r.maxUDP, TCP: tcp,
		Handler: func(at netip.AddrPort, stream bool) plane.Handler {
			if stream {
				return r.Stream(at)
			}
			return r.Worker(at)
		},
		Pending: func() int { return int(r.Waiting()) },
	})
}
