package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
)

// A server is a running nodecache.
type server struct {
	log      *slog.Logger
	engine   *upstream.Engine
	resolver *resolver.Resolver
	routes   atomic.Pointer[routes]
}

// build makes the server of a config.
func build(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	s := &server{log: d.Log()}
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	if s.engine, err = upstream.New(upstream.Options{Budget: resolver.ClientTimer}); err != nil {
		return nil, err
	}
	if err := s.setRoutes(c); err != nil {
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
	if err := s.resolver.Listen(d, &c.Base, c.TCP); err != nil {
		return nil, err
	}
	return s.reload, nil
}

// reload takes up what can change while running: policy, upstreams and stubs.
func (s *server) reload(_ context.Context, c *Config) error {
	rules, err := c.rules()
	if err != nil {
		return err
	}
	if err := s.setRoutes(c); err != nil {
		return err
	}
	s.resolver.SetRules(rules)
	s.log.Info("reloaded: policy, upstreams, stubs; other keys are taken up at the next start")
	return nil
}

// setRoutes opens sets for the config's servers. The engine keeps what it knows
// of those that stay.
func (s *server) setRoutes(c *Config) error {
	fresh := &routes{stubs: resolver.Routes[*upstream.Set]{}}
	var err error
	if fresh.site, err = resolver.Servers(s.engine, c.Upstreams); err != nil {
		return err
	}
	for _, stub := range c.Stubs {
		set, err := resolver.Servers(s.engine, stub.Servers)
		if err != nil {
			fresh.close()
			return err
		}
		for _, name := range stub.Names {
			if err := fresh.stubs.Add(name, set); err != nil {
				fresh.close()
				return err
			}
		}
	}
	if old := s.routes.Swap(fresh); old != nil {
		old.close()
	}
	return nil
}

// close lets go of the sets. Questions on their way are still answered.
func (r *routes) close() {
	r.site.Close()
	for _, set := range r.stubs {
		set.Close()
	}
}
