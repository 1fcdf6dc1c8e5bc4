package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
)

// A server is a running recursor.
type server struct {
	log      *slog.Logger
	engine   *upstream.Engine
	resolver *resolver.Resolver
	routes   atomic.Pointer[routes]
}

// build makes the server of a config.
func build(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	s := &server{log: d.Log()}
	s.routes.Store(&routes{})
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	if s.engine, err = upstream.New(upstream.Options{Budget: resolver.ClientTimer, OnExchange: s.exchanged}); err != nil {
		return nil, err
	}
	x, err := newExternal(c, s.engine, s.log)
	if err != nil {
		return nil, err
	}
	if err := s.setRoutes(c, x); err != nil {
		return nil, err
	}
	s.resolver, err = resolver.New(resolver.Options{Cache: c.Cache, Rules: rules, Route: s.ask, MaxUDP: c.MaxUDP, Log: s.log})
	if err != nil {
		return nil, err
	}
	d.AddStatus("resolver", s.resolver.Status)
	d.AddStatus("upstreams", func() any { return resolver.UpstreamStatus(s.engine) })
	d.AddCommand(s.resolver.Commands()...)
	d.Registry().MustRegister(s.resolver, resolver.UpstreamMetrics{Engine: s.engine})
	d.Add(s.resolver.Task(s.engine))
	if x != nil {
		d.AddStatus("failover", func() any { return x.fleet.Status() })
		d.AddCommand(x.commands()...)
		d.Registry().MustRegister(x)
		d.Add(x.checker)
	}
	if err := s.resolver.Listen(d, &c.Base, c.TCP); err != nil {
		return nil, err
	}
	return s.reload, nil
}

// exchanged hands each exchange with an external resolver to failover, which does
// not know the others' addresses.
func (s *server) exchanged(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
	if x := s.routes.Load().external; x != nil {
		x.result(server, ok, rtt, err)
	}
}

// reload takes up what can change while running: policy, zones, external sites.
func (s *server) reload(_ context.Context, c *Config) error {
	rules, err := c.rules()
	if err != nil {
		return err
	}
	x := s.routes.Load().external
	if (x == nil) != (len(c.External.Sites) == 0) {
		return errRestart
	}
	if x != nil {
		if err := x.reload(c); err != nil {
			return err
		}
	}
	if err := s.setRoutes(c, x); err != nil {
		return err
	}
	s.resolver.SetRules(rules)
	s.log.Info("reloaded: policy, zones, external sites; other keys are taken up at the next start")
	return nil
}

// setRoutes opens sets for the config's zones. The engine keeps what it knows of
// servers that stay.
func (s *server) setRoutes(c *Config, x *external) error {
	fresh := &routes{zones: resolver.Routes[*upstream.Set]{}, external: x}
	for _, z := range c.Zones {
		set, err := resolver.Servers(s.engine, z.Servers)
		if err != nil {
			fresh.close()
			return err
		}
		for _, name := range z.Names {
			if err := fresh.zones.Add(name, set); err != nil {
				fresh.close()
				return err
			}
		}
	}
	s.routes.Swap(fresh).close()
	return nil
}

// close lets go of the zones' sets. Questions on their way are still answered.
func (r *routes) close() {
	for _, set := range r.zones {
		set.Close()
	}
}
