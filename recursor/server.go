package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/policy"
)

// A server is a running recursor. It is its resolver's Route.
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
	s.resolver.Attach(d, s.engine)
	if x := s.routes.Load().external; x != nil {
		d.AddStatus("failover", x.status)
		d.AddCommand(x.commands()...)
		d.Registry().MustRegister(x)
		d.Add(x.checks)
	}
	if err := s.resolver.Listen(d, &c.Base, c.TCP, c.TLS); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s.reload, nil
}

// newServer makes a server that neither listens nor checks yet.
func newServer(c *Config, log *slog.Logger) (*server, error) {
	s := &server{log: log, started: c, config: c}
	s.routes.Store(&routes{})
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	if s.engine, err = c.Exchange.Engine(upstream.Options{OnExchange: s.exchanged}); err != nil {
		return nil, err
	}
	if err := s.open(c, rules); err != nil {
		return nil, errors.Join(err, s.close())
	}
	c.warn(log)
	return s, nil
}

// open makes routes and resolver of a new server.
func (s *server) open(c *Config, rules resolver.Rules) (err error) {
	r := &routes{}
	if len(c.External.Sites) > 0 {
		if r.external, err = newExternal(c, s.engine, s.log); err != nil {
			return err
		}
	}
	s.routes.Store(r)
	if r.zones, err = resolver.OpenRoutes(s.engine, c.domains(), nil); err != nil {
		return err
	}
	if s.resolver, err = resolver.New(resolver.Options{Cache: c.Cache, Rules: rules, Route: s, Engine: s.engine, MaxUDP: c.MaxUDP, Budget: c.Exchange.Budget, Log: s.log, Observe: c.Observe, JSON: c.Log.Format == "json"}); err != nil {
		return err
	}
	if r.external != nil {
		r.external.retry = s.resolver.Retry
	}
	return nil
}

// close ends the engines of a server that never ran.
func (s *server) close() error {
	err := s.engine.Close()
	if s.resolver != nil {
		err = s.resolver.Discard(s.engine)
	}
	if x := s.routes.Load().external; x != nil {
		err = errors.Join(err, x.checks.engine.Close())
	}
	return err
}

// exchanged hands each exchange with an external resolver to failover.
func (s *server) exchanged(server netip.AddrPort, ok bool, rtt time.Duration, err error) {
	if x := s.routes.Load().external; x != nil {
		x.result(server, ok, rtt, err)
	}
}

var errRestart = errors.New("external.sites were added to a config without, or taken out wholly: restart to take that up")

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
	x := s.routes.Load().external
	if (x == nil) != (len(c.External.Sites) == 0) {
		return errRestart
	}
	zones, err := resolver.OpenRoutes(s.engine, c.domains(), s.routes.Load().zones)
	if err != nil {
		return err
	}
	if err := s.resolver.Observe(c.Observe); err != nil {
		zones.Close()
		return err
	}
	if x != nil {
		if err := x.reload(c); err != nil {
			zones.Close()
			return errors.Join(err, s.resolver.Observe(s.config.Observe))
		}
	}
	old := s.config
	s.config = c
	certify()
	s.routes.Swap(&routes{zones, x}).zones.Close()
	s.resolver.SetRules(rules) // behind the routes, which know all views of them
	s.resolver.Forget(resolver.Moved(old.domains(), c.domains()))
	was := old.Policy
	if old.Site != c.Site { // {site} stands for another one
		was = policy.Config{}
	}
	s.resolver.Forget(resolver.Rewritten(was, c.Policy))
	config.Reloaded(s.log, s.started, c, live...)
	return nil
}
