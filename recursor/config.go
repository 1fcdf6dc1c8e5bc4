package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/failover"
	"github.com/strata-dns/strata/policy"
)

// A Config is recursor.yaml. configs/recursor.yaml explains the keys.
type Config struct {
	config.Base `mapstructure:",squash"`

	MaxUDP   int                     `mapstructure:"max_udp"` // octets of the largest reply over UDP
	Site     string                  `mapstructure:"site"`
	Allow    []string                `mapstructure:"allow"`
	Zones    []Zone                  `mapstructure:"zones"` // our own, and their authoritative servers
	External External                `mapstructure:"external"`
	Cache    resolver.CacheConfig    `mapstructure:"cache"`
	Exchange resolver.ExchangeConfig `mapstructure:"exchange"` // how servers are asked
	Policy   policy.Config           `mapstructure:"policy"`
	Cookies  resolver.CookieConfig   `mapstructure:"cookies"`
	TCP      listen.TCP              `mapstructure:"tcp"`
	TLS      listen.TLS              `mapstructure:"tls"`
	Observe  observe.Config          `mapstructure:",squash"` // single queries
}

// live are the keys that a reload takes up.
var live = []string{"site", "allow", "zones", "external", "policy", "cookies", "tls.cert", "tls.key", "top", "query_log", "dnstap", "log.level"}

// A Zone is names of our own, and who answers for them.
type Zone struct {
	resolver.Domains `mapstructure:",squash"`
	Recursive        bool `mapstructure:"recursive"` // the servers resolve: they are asked with RD set
}

// recursive is the manner in which zones' servers are asked that resolve.
const recursive = "recursive"

// domains are the zones' names and servers, in the same order.
func (c *Config) domains() (list []resolver.Domains) {
	for _, z := range c.Zones {
		d := z.Domains
		if z.Recursive {
			d = d.Asked(recursive)
		}
		list = append(list, d)
	}
	return list
}

// External says who answers for the rest of the world.
type External struct {
	Sites []Site `mapstructure:"sites"`
	Check Check  `mapstructure:"check"`
}

// A Site is one datacenter's external resolvers.
type Site struct {
	Name    string            `mapstructure:"name"`
	ECS     netip.Prefix      `mapstructure:"ecs"` // what its clients come from, for the world
	Servers []upstream.Server `mapstructure:"servers"`
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
		Cache:    resolver.CacheConfig{Size: 512 << 20, StaleFor: 24 * time.Hour, Prefetch: true},
		Exchange: resolver.ExchangeConfig{Budget: resolver.DefaultBudget},
		Policy:   policy.Config{Rate: policy.Rate{InFlight: 1000}},
		Cookies:  resolver.CookieConfig{Enabled: true},
		TCP:      listen.TCP{Idle: 10 * time.Second, Clients: 10_000, PerClient: 100},
		Observe:  observe.Defaults(),
	}
}

// Validate finds what types alone do not.
func (c *Config) Validate(report *config.Report) {
	c.Base.Validate(report)
	listen.ValidateAddresses(c.Listen, report)
	listen.ValidateMaxUDP(c.MaxUDP, report)
	report.Under("cache", c.Cache.Validate)
	report.Under("exchange", c.Exchange.Validate)
	report.Under("tcp", c.TCP.Validate)
	report.Under("tls", func(report *config.Report) { c.TLS.Validate(c.Listen, report) })
	c.Observe.Validate(report)
	resolver.ValidateDomains(c.domains(), "zones", c.Listen, report)
	if len(c.External.Sites) > 0 {
		c.validateSites(report)
	}
	c.External.Check.validate(len(c.External.Sites), report)
	if len(c.Zones) == 0 && len(c.External.Sites) == 0 {
		report.Add("zones", "neither zones nor external.sites: there is nobody to ask")
	}
	if _, err := c.rules(); err != nil {
		resolver.Report(err, report)
	}
}

func (c *Config) validateSites(report *config.Report) {
	names := c.siteNames()
	if !slices.Contains(names, c.Site) {
		report.Add("site", "%q is none of external.sites: %s", c.Site, strings.Join(names, ", "))
	}
	at := map[netip.AddrPort]string{}
	for i, s := range c.External.Sites {
		key := fmt.Sprintf("external.sites[%d]", i)
		switch {
		case s.Name == "":
			report.Add(key+".name", "missing; what the site is called")
		case slices.Contains(names[:i], s.Name):
			report.Add(key+".name", "site %s stands twice", s.Name)
		}
		resolver.ValidateServers(s.Servers, key+".servers", "the site's external resolvers", c.Listen, report)
		for j, server := range s.Servers {
			switch before := at[server.Addr]; {
			case before == "":
				at[server.Addr] = s.Name
			case before != s.Name:
				report.Add(fmt.Sprintf("%s.servers[%d]", key, j), "%s stands in site %s already", server.Addr, before)
			case !slices.Contains(s.Servers[:j], server): // else said above
				report.Add(fmt.Sprintf("%s.servers[%d]", key, j), "%s stands in the list already, asked in another way: choose one", server.Addr)
			}
		}
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
	rules, err := resolver.NewRules(c.Policy, policy.Env{
		Site: c.Site, Allow: c.Allow, Private: true, Zones: resolver.Names(c.domains()),
	})
	rules.Views = resolver.NewViews(c.domains())
	if err == nil {
		err = rules.UseCookies(c.Cookies)
	}
	return rules, err
}

// warn says what is allowed, and mostly meant otherwise.
func (c *Config) warn(log *slog.Logger) {
	for _, a := range c.Allow {
		if p, err := netip.ParsePrefix(a); err == nil && p.Bits() == 0 {
			log.Warn("whoever reaches this recursor may ask: an open resolver is used for attacks on others (RFC 5358)", "key", "allow", "prefix", a)
		}
	}
}

func summary(c *Config) []slog.Attr {
	return []slog.Attr{
		slog.String("site", c.Site), slog.Int("zones", len(c.Zones)), slog.Any("sites", c.siteNames()),
		slog.String("cache", c.Cache.Size.String()), slog.Duration("stale_for", c.Cache.StaleFor), slog.Bool("prefetch", c.Cache.Prefetch),
		slog.Int("synth", len(c.Policy.Synth)), slog.Any("allow", c.Allow), slog.Any("tls", c.TLS.Listen),
	}
}
