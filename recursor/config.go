package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
	"github.com/strata-dns/strata/policy"
)

// A Config is recursor.yaml. configs/recursor.yaml explains the keys.
type Config struct {
	config.Base `mapstructure:",squash"`

	MaxUDP   int                  `mapstructure:"max_udp"` // octets of the largest reply over UDP
	Site     string               `mapstructure:"site"`
	Allow    []string             `mapstructure:"allow"`
	Zones    []Zone               `mapstructure:"zones"`
	External External             `mapstructure:"external"`
	Cache    resolver.CacheConfig `mapstructure:"cache"`
	Policy   policy.Config        `mapstructure:"policy"`
	TCP      resolver.TCP         `mapstructure:"tcp"`
}

// A Zone names zones of ours and the authoritative servers that have them.
type Zone struct {
	Names   []string         `mapstructure:"names"`
	Servers []netip.AddrPort `mapstructure:"servers"`
}

// External says who answers for the rest of the world.
type External struct {
	Sites []Site `mapstructure:"sites"`
	Check Check  `mapstructure:"check"`
}

// A Site is one datacenter's external resolvers.
type Site struct {
	Name    string           `mapstructure:"name"`
	ECS     netip.Prefix     `mapstructure:"ecs"` // what its clients come from, for the world
	Servers []netip.AddrPort `mapstructure:"servers"`
}

// Check says how external resolvers are checked.
type Check struct {
	Interval time.Duration `mapstructure:"interval"`
	Timeout  time.Duration `mapstructure:"timeout"`
	Fall     int           `mapstructure:"fall"`
	Rise     int           `mapstructure:"rise"`
	HoldDown time.Duration `mapstructure:"hold_down"`
	Zone     string        `mapstructure:"zone"`
	Expect   []Expect      `mapstructure:"expect"`
}

// Expect is a question whose answer is known.
type Expect struct {
	Name string `mapstructure:"name"`
	Type string `mapstructure:"type"`
	Data string `mapstructure:"data"`
}

func defaults() Config {
	pace := failover.DefaultPace()
	return Config{
		Base: config.Base{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")},
			Admin:   "127.0.0.1:9354",
			Control: "/run/strata/recursor.sock",
		},
		MaxUDP: wire.DefaultUDP,
		External: External{Check: Check{
			Interval: pace.Interval, Timeout: pace.Timeout, Fall: pace.Fall, Rise: pace.Rise, HoldDown: pace.HoldDown,
		}},
		Cache: resolver.CacheConfig{Size: 512 << 20, StaleFor: 24 * time.Hour, Prefetch: true},
		TCP:   resolver.TCP{Idle: 10 * time.Second, Clients: 10_000, PerClient: 100},
	}
}

// Validate finds what types alone do not.
func (c *Config) Validate(report *config.Report) {
	c.Base.Validate(report)
	resolver.ValidateMaxUDP(c.MaxUDP, report)
	report.Under("cache", c.Cache.Validate)
	c.validateZones(report)
	c.validateSites(report)
	if len(c.Zones) == 0 && len(c.External.Sites) == 0 {
		report.Add("zones", "neither zones nor external.sites: there is nobody to ask")
	}
	if _, err := c.rules(); err != nil {
		resolver.Report(err, report)
	}
}

func (c *Config) validateZones(report *config.Report) {
	seen := map[string]string{}
	for i, z := range c.Zones {
		key := func(k string) string { return fmt.Sprintf("zones[%d].%s", i, k) }
		if len(z.Servers) == 0 {
			report.Add(key("servers"), "missing; the zones' authoritative servers")
		}
		resolver.ValidateNames(z.Names, key("names"), report)
		for j, n := range z.Names {
			n = strings.ToLower(strings.TrimSuffix(n, "."))
			if at := seen[n]; at != "" {
				report.Add(key(fmt.Sprintf("names[%d]", j)), "%s stands in %s already", n, at)
			}
			seen[n] = key("names")
		}
	}
}

func (c *Config) validateSites(report *config.Report) {
	if len(c.External.Sites) == 0 {
		return
	}
	names := c.siteNames()
	if !slices.Contains(names, c.Site) {
		report.Add("site", "%q is none of external.sites: %s", c.Site, strings.Join(names, ", "))
	}
	for i, s := range c.External.Sites {
		key := func(k string) string { return fmt.Sprintf("external.sites[%d].%s", i, k) }
		switch {
		case s.Name == "":
			report.Add(key("name"), "missing")
		case slices.Contains(names[:i], s.Name):
			report.Add(key("name"), "site %s stands twice", s.Name)
		case len(s.Servers) == 0:
			report.Add(key("servers"), "missing; site %s has no resolver", s.Name)
		}
	}
	for i, e := range c.External.Check.Expect {
		if _, err := wire.ParseName(e.Name); err != nil {
			report.Add(fmt.Sprintf("external.check.expect[%d].name", i), "%v", err)
		}
		if _, err := resolver.ParseType(e.Type); err != nil {
			report.Add(fmt.Sprintf("external.check.expect[%d].type", i), "%v", err)
		}
	}
	if _, err := wire.ParseName(c.External.Check.Zone); err != nil {
		report.Add("external.check.zone", "%v", err)
	}
	if err := c.fleet().Check(); err != nil {
		report.Add("external.check", "%v", err)
	}
}

func (c *Config) siteNames() (names []string) {
	for _, s := range c.External.Sites {
		names = append(names, s.Name)
	}
	return names
}

// rules compiles policy and rate limit.
func (c *Config) rules() (resolver.Rules, error) {
	env := policy.Env{Site: c.Site, Allow: c.Allow, Private: true}
	for _, z := range c.Zones {
		env.Zones = append(env.Zones, z.Names...)
	}
	p, err := policy.Compile(c.Policy, env)
	l, limitErr := policy.NewLimiter(c.Policy.Rate)
	return resolver.Rules{Policy: p, Limiter: l}, errors.Join(err, limitErr)
}

// fleet is the configuration of failover.
func (c *Config) fleet() *failover.Config {
	check := c.External.Check
	f := &failover.Config{Home: c.Site, Pace: failover.Pace{
		Interval: check.Interval, Timeout: check.Timeout, Fall: check.Fall, Rise: check.Rise, HoldDown: check.HoldDown,
	}}
	for _, s := range c.External.Sites {
		site := failover.Site{Name: s.Name}
		for _, a := range s.Servers {
			site.Servers = append(site.Servers, a.String())
		}
		f.Sites = append(f.Sites, site)
	}
	return f
}

func summary(c *Config) []slog.Attr {
	return []slog.Attr{
		slog.String("site", c.Site), slog.Int("zones", len(c.Zones)), slog.Any("sites", c.siteNames()),
		slog.String("cache", c.Cache.Size.String()), slog.Duration("stale_for", c.Cache.StaleFor), slog.Bool("prefetch", c.Cache.Prefetch),
		slog.Int("synth", len(c.Policy.Synth)), slog.Any("allow", c.Allow),
	}
}
