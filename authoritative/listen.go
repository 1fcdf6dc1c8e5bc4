package main

import (
	"context"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/plane/socket"
)

func (s *server) listen(d *daemon.Daemon, c *Config) error {
	for _, a := range c.Listen {
		u, err := socket.ListenUDP(a, socket.UDPOptions{Workers: max(1, c.Workers), Room: max(c.MaxUDP, 512)})
		if err != nil {
			return err
		}
		d.Add(daemon.Func("udp "+a.String(), func(ctx context.Context) error {
			for _, q := range u.Queues() {
				go socket.Serve(q, s.worker(), socket.AnyCPU)
			}
			<-ctx.Done()
			return u.Close()
		}))
	}
	return nil
}
