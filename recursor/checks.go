package main

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/failover"
)

// checks is the task that has the external resolvers checked: by one checker after
// the other where a reload changes what is asked.
//
// They go through an engine of their own: what becomes of them is told to failover
// as proof, and must not come in as a hint as well.
type checks struct {
	log     *slog.Logger
	fleet   *failover.Fleet
	asked   *upstream.Set                // for clients
	hint    func(server upstream.Server) // that one has fallen silent
	engine  *upstream.Engine
	config  atomic.Pointer[Config]
	changed chan struct{}
	zone    atomic.Pointer[string] // what is wrong with the check zone; "" or nil: nothing
}

func newChecks(x *external, c *Config) (*checks, error) {
	k := &checks{log: x.log, fleet: x.fleet, asked: x.set, hint: x.hint, changed: make(chan struct{}, 1)}
	k.config.Store(c)
	var err error
	k.engine, err = c.Exchange.Engine(upstream.Options{Shards: 1, Idle: time.Second})
	return k, err
}

// change takes up what a new config asks.
func (k *checks) change(c *Config) {
	if was := k.config.Swap(c); reflect.DeepEqual(was.External.Check, c.External.Check) {
		return
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Ready implements daemon.Task. Clients are served without checks, too.
func (k *checks) Ready() bool { return true }

// String implements daemon.Task.
func (k *checks) String() string { return "failover checks" }

// Run implements daemon.Task.
func (k *checks) Run(ctx context.Context) error {
	defer k.engine.Close()
	for ctx.Err() == nil {
		if err := k.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

// round checks until ctx ends or the config changes.
func (k *checks) round(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	c := k.config.Load()
	ended := make(chan error, 1)
	go func() { ended <- k.check(ctx, c) }()
	select {
	case <-k.changed:
	case <-ctx.Done():
	case err := <-ended:
		cancel()
		return err
	}
	cancel()
	return <-ended
}

// check has the resolvers of one config checked.
func (k *checks) check(ctx context.Context, c *Config) error {
	check := &c.External.Check
	if !check.asks() { // one site: there is nowhere to swing to
		<-ctx.Done()
		return nil
	}
	checker, err := failover.NewChecker(k.fleet, check.plan(), k.probe, 16)
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	beside.Go(func() { k.examine(ctx, c) })
	beside.Go(func() { k.listen(ctx) })
	err = checker.Run(ctx)
	beside.Wait()
	return err
}

// examine asks once for the check zone itself. Where it does not exist, or cannot
// be resolved, checks prove nothing: the name above says so from memory.
func (k *checks) examine(ctx context.Context, c *Config) {
	check := &c.External.Check
	k.zone.Store(nil)
	if check.Zone == "" {
		return
	}
	pause := time.NewTicker(check.Interval)
	defer pause.Stop()
	for {
		for _, s := range k.fleet.Current().Servers {
			server, err := upstream.ParseServer(s.Address)
			if err != nil {
				continue
			}
			limit, cancel := context.WithTimeout(ctx, check.Timeout)
			m, err := k.ask(limit, server, check.Zone, dns.TypeSOA)
			cancel()
			if err == nil {
				k.say(check.Zone, s.Address, m.Rcode)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// say tells the log, once, and /status what is wrong with the check zone.
func (k *checks) say(zone, server string, rcode int) {
	wrong := "the check zone cannot be resolved"
	switch rcode {
	case dns.RcodeSuccess:
		return
	case dns.RcodeNameError:
		wrong = "the check zone does not exist: a resolver may say so from memory, and checks prove little"
	}
	k.zone.Store(&wrong)
	k.log.Warn(wrong, "key", "external.check.zone", "zone", zone, "server", server, "rcode", dns.RcodeToString[rcode])
}

// zoneFault is what say told, "" for nothing.
func (k *checks) zoneFault() string {
	if wrong := k.zone.Load(); wrong != nil {
		return *wrong
	}
	return ""
}
