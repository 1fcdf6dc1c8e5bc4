package resolver

import (
	"context"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane/socket"
)

// Listen adds a listener for each address.
func (r *Resolver) Listen(d *daemon.Daemon, base *config.Base, tcp TCP) error {
	for _, a := range base.Listen {
		u, err := socket.ListenUDP(a, socket.UDPOptions{Workers: max(1, base.Workers), Room: r.maxUDP})
		if err != nil {
			return err
		}
		d.Add(daemon.Func("udp "+a.String(), func(ctx context.Context) error {
			for _, q := range u.Queues() {
				go socket.Serve(q, r.Worker(), socket.AnyCPU)
			}
			<-ctx.Done()
			return u.Close()
		}))
	}
	return nil
}
