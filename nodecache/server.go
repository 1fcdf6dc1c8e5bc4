package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/nodecache/node"
)

// A server is a running nodecache. It is its resolver's Route.
type server struct {
	log      *slog.Logger
	started  *Config // that it was started with: what reloads do not take up is as it says
	config   *Config // that was last taken up; under the daemon's turn of reloads
	engine   *upstream.Engine
	resolver *resolver.Resolver
	routes   atomic.Pointer[routes]
}

// build makes the server of a config.
func build(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	s, err := newServer(c, d.Log())
	if err != nil {
		return nil, err
	}
	own, err := addAddresses(d, c.Node)
	if err != nil {
		return nil, errors.Join(err, s.resolver.Discard(s.engine))
	}
	s.resolver.Attach(d, s.engine)
	if err := s.resolver.Listen(d, &c.Base, c.TCP, c.TLS); err != nil {
		own.Close()
		return nil, errors.Join(err, s.resolver.Discard(s.engine))
	}
	return s.reload, nil
}

// addAddresses has the host's own addresses for as long as the daemon runs; they
// must be there before anybody listens on them.
func addAddresses(d *daemon.Daemon, c node.Config) (*node.Node, error) {
	own, err := node.Open(c, d.Log())
	if err != nil || !own.Any() {
		return own, err
	}
	d.Registry().MustRegister(own.Metric())
	d.Add(own)
	return own, nil
}

// newServer makes a server that does not listen yet.
func newServer(c *Config, log *slog.Logger) (*server, error) {
	s := &server{log: log, started: c, config: c}
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	if s.engine, err = c.Exchange.Engine(upstream.Options{}); err != nil {
		return nil, err
	}
	fresh, err := s.open(c, &routes{})
	if err == nil {
		s.routes.Store(fresh)
		s.resolver, err = resolver.New(resolver.Options{Cache: c.Cache, Rules: rules, Route: s, Engine: s.engine, MaxUDP: c.MaxUDP, Budget: c.Exchange.Budget, Log: log, Observe: c.Observe, JSON: c.Log.Format == "json"})
	}
	if err != nil {
		return nil, errors.Join(err, s.engine.Close())
	}
	return s, nil
}

// reload takes up what can change while running, or nothing where that fails.
func (s *server) reload(_ context.Context, c *Config) error {
	rules, err := c.rules()
	if err != nil {
		return err
	}
	certify, err := s.resolver.Recertify(c.TLS)
	if err != nil {
		return err
	}
	fresh, err := s.open(c, s.routes.Load())
	if err != nil {
		return err
	}
	if err := s.resolver.Observe(c.Observe); err != nil {
		fresh.close()
		return err
	}
	old := s.config
	s.config = c
	certify()
	s.routes.Swap(fresh).close()
	s.resolver.SetRules(rules) // behind the routes, which know all views of them
	s.resolver.Forget(resolver.Moved(old.Stubs, c.Stubs))
	s.resolver.Forget(resolver.Rewritten(old.Policy, c.Policy))
	config.Reloaded(s.log, s.started, c, live...)
	return nil
}

// open opens sets for the config's servers, to replace those of before. The engine keeps
// what it knows of those that stay.
func (s *server) open(c *Config, before *routes) (*routes, error) {
	site, err := s.engine.Set(c.Upstreams, upstream.SetOptions{})
	if err != nil {
		return nil, err
	}
	stubs, err := resolver.OpenRoutes(s.engine, c.Stubs, before.stubs)
	if err != nil {
		site.Close()
		return nil, err
	}
	return &routes{stubs, site}, nil
}

// close lets go of the sets. Questions on their way are still answered.
func (r *routes) close() {
	r.site.Close()
	r.stubs.Close()
}
