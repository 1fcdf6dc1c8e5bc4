package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// A Config is nodecache.yaml. configs/nodecache.yaml explains the keys.
type Config struct {
	config.Base `mapstructure:",squash"`

	MaxUDP    int                  `mapstructure:"max_udp"` // octets of the largest reply over UDP
	Upstreams []netip.AddrPort     `mapstructure:"upstreams"`
	Stubs     []Stub               `mapstructure:"stubs"`
	Cache     resolver.CacheConfig `mapstructure:"cache"`
	Policy    policy.Config        `mapstructure:"policy"`
	TCP       resolver.TCP         `mapstructure:"tcp"`
}

// A Stub sends the names at and below some domains to servers of their own.
type Stub struct {
	Names   []string         `mapstructure:"names"`
	Servers []netip.AddrPort `mapstructure:"servers"`
}

func defaults() Config {
	return Config{
		Base: config.Base{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")},
			Admin:   "127.0.0.1:9353",
			Control: "/run/strata/nodecache.sock",
		},
		MaxUDP: wire.DefaultUDP,
		Cache:  resolver.CacheConfig{Size: 64 << 20, StaleFor: 24 * time.Hour, Prefetch: true},
		TCP:    resolver.TCP{Idle: 10 * time.Second, Clients: 1000, PerClient: 100},
	}
}

// Validate finds what types alone do not.
func (c *Config) Validate(report *config.Report) {
	c.Base.Validate(report)
	resolver.ValidateMaxUDP(c.MaxUDP, report)
	report.Under("cache", c.Cache.Validate)
	if len(c.Upstreams) == 0 {
		report.Add("upstreams", "missing; the site's recursors, such as [\"10.1.1.120:53\"]")
	}
	for i, s := range c.Stubs {
		key := func(k string) string { return fmt.Sprintf("stubs[%d].%s", i, k) }
		if len(s.Servers) == 0 {
			report.Add(key("servers"), "missing; who knows these names")
		}
		resolver.ValidateNames(s.Names, key("names"), report)
	}
	if _, err := c.rules(); err != nil {
		resolver.Report(err, report)
	}
}

// rules compiles policy and rate limit.
func (c *Config) rules() (resolver.Rules, error) {
	env := policy.Env{}
	for _, s := range c.Stubs {
		env.Zones = append(env.Zones, s.Names...)
	}
	p, err := policy.Compile(c.Policy, env)
	l, limitErr := policy.NewLimiter(c.Policy.Rate)
	return resolver.Rules{Policy: p, Limiter: l}, errors.Join(err, limitErr)
}

func summary(c *Config) []slog.Attr {
	return []slog.Attr{
		slog.Any("upstreams", c.Upstreams), slog.Int("stubs", len(c.Stubs)),
		slog.String("cache", c.Cache.Size.String()), slog.Duration("stale_for", c.Cache.StaleFor), slog.Bool("prefetch", c.Cache.Prefetch),
		slog.Int("block_aaaa", len(c.Policy.BlockAAAA)), slog.Int("search", len(c.Policy.Search)),
	}
}
