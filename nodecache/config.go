package main

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/nodecache/node"
	"github.com/strata-dns/strata/policy"
)

// A Config is nodecache.yaml. configs/nodecache.yaml explains the keys.
type Config struct {
	config.Base `mapstructure:",squash"`

	MaxUDP    int                     `mapstructure:"max_udp"` // octets of the largest reply over UDP
	Allow     []string                `mapstructure:"allow"`   // clients that may ask; none: all
	Upstreams []upstream.Server       `mapstructure:"upstreams"`
	Stubs     []resolver.Domains      `mapstructure:"stubs"` // names with servers of their own
	Cache     resolver.CacheConfig    `mapstructure:"cache"`
	Exchange  resolver.ExchangeConfig `mapstructure:"exchange"` // how servers are asked
	Policy    policy.Config           `mapstructure:"policy"`
	Cookies   resolver.CookieConfig   `mapstructure:"cookies"`
	TCP       listen.TCP              `mapstructure:"tcp"`
	TLS       listen.TLS              `mapstructure:"tls"`
	Observe   observe.Config          `mapstructure:",squash"` // single queries
	Node      node.Config             `mapstructure:"node"`    // addresses of the host that are added
}

// live are the keys that a reload takes up.
var live = []string{"allow", "upstreams", "stubs", "policy", "cookies", "tls.cert", "tls.key", "top", "query_log", "dnstap", "log.level"}

func defaults() Config {
	return Config{
		Base: config.Base{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")},
			Admin:   "127.0.0.1:9353",
			Control: "/run/strata/nodecache.sock",
		},
		MaxUDP:   wire.DefaultUDP,
		Cache:    resolver.CacheConfig{Size: 64 << 20, StaleFor: 24 * time.Hour, Prefetch: true},
		Exchange: resolver.ExchangeConfig{Budget: resolver.DefaultBudget},
		TCP:      listen.TCP{Idle: 10 * time.Second, Clients: 1000, PerClient: 100},
		Observe:  observe.Defaults(),
		Node:     node.Config{Interface: "strata0"},
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
	report.Under("node", func(report *config.Report) { c.Node.Validate(c.Listen, report) })
	resolver.ValidateServers(c.Upstreams, "upstreams", "the site's recursors", c.Listen, report)
	resolver.ValidateDomains(c.Stubs, "stubs", c.Listen, report)
	if _, err := c.rules(); err != nil {
		resolver.Report(err, report)
	}
}

// rules compiles policy and rate limit.
func (c *Config) rules() (resolver.Rules, error) {
	rules, err := resolver.NewRules(c.Policy, policy.Env{Zones: resolver.Names(c.Stubs), Allow: c.Allow})
	rules.Views = resolver.NewViews(c.Stubs)
	if err == nil {
		err = rules.UseCookies(c.Cookies)
	}
	return rules, err
}

func summary(c *Config) []slog.Attr {
	return []slog.Attr{
		slog.Any("upstreams", c.Upstreams), slog.Int("stubs", len(c.Stubs)),
		slog.String("cache", c.Cache.Size.String()), slog.Duration("stale_for", c.Cache.StaleFor), slog.Bool("prefetch", c.Cache.Prefetch),
		slog.Int("block_aaaa", len(c.Policy.BlockAAAA)), slog.Int("search", len(c.Policy.Search)),
	}
}
