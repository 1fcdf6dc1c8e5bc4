package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
)

// CacheConfig is the section cache.
type CacheConfig struct {
	Size     config.Size   `mapstructure:"size"`      // of memory for answers
	StaleFor time.Duration `mapstructure:"stale_for"` // how old an answer may be given when nobody answers; 0: none
	Prefetch bool          `mapstructure:"prefetch"`  // fetch anew what is asked for in the last tenth of its TTL
	File     string        `mapstructure:"file"`      // kept over a restart; "": not
	Negative []NegativeCap `mapstructure:"negative"`
}

// A NegativeCap limits how long it is remembered that names below one do not exist.
type NegativeCap struct {
	Under string        `mapstructure:"under"`
	Max   time.Duration `mapstructure:"max"`
}

// Validate finds what types alone do not.
func (c *CacheConfig) Validate(report *config.Report) {
	if c.Size < 64<<10 {
		report.Add("size", "%s is too little; at least 64KiB", c.Size)
	}
	if c.StaleFor < 0 {
		report.Add("stale_for", "%s is negative; 0 for no stale answers", c.StaleFor)
	}
	for i, n := range c.Negative {
		if _, err := wire.ParseName(n.Under); err != nil {
			report.Add(fmt.Sprintf("negative[%d].under", i), "%v", err)
		}
		if n.Max <= 0 {
			report.Add(fmt.Sprintf("negative[%d].max", i), "%s; a time such as 1s", n.Max)
		}
	}
}

// options are the cache's, from the config.
func (c *CacheConfig) options() (cache.Options, error) {
	o := cache.Options{Size: int64(c.Size), Prefetch: c.Prefetch, StaleFor: c.StaleFor, ClientTimer: ClientTimer, Budget: Budget}
	if c.StaleFor == 0 {
		o.StaleFor = -1
	}
	for _, n := range c.Negative {
		under, err := wire.ParseName(n.Under)
		if err != nil {
			return o, fmt.Errorf("cache.negative: %w", err)
		}
		o.Negative = append(o.Negative, cache.Cap{Under: under, Max: n.Max})
	}
	return o, nil
}

// How long a client waits: a stale answer comes after ClientTimer (RFC 8767 §5),
// and where there is none, SERVFAIL after Budget. Upstream has given up by then.
const (
	ClientTimer = 1800 * time.Millisecond
	Budget      = 2 * time.Second
)

// TCP bounds what streams may hold.
type TCP struct {
	Idle      time.Duration `mapstructure:"idle"`
	Clients   int           `mapstructure:"clients"`    // connections in all
	PerClient int           `mapstructure:"per_client"` // connections of one address
}

// Validate finds what types alone do not.
func (t *TCP) Validate(report *config.Report) {
	if t.Idle <= 0 {
		report.Add("idle", "%s; how long a connection may be silent, such as 10s", t.Idle)
	}
	if t.Clients < 1 {
		report.Add("clients", "%d; how many connections there may be, such as 1000", t.Clients)
	}
	if t.PerClient < 1 {
		report.Add("per_client", "%d; how many connections one address may have, such as 100", t.PerClient)
	}
}

// ValidateListen checks where queries are answered.
func ValidateListen(listen []netip.AddrPort, report *config.Report) {
	if len(listen) == 0 {
		report.Add("listen", "missing; where queries are answered, such as [\"127.0.0.1:53\"]")
	}
	for i, a := range listen {
		if slices.Contains(listen[:i], a) {
			report.Add(fmt.Sprintf("listen[%d]", i), "%s stands in the list twice", a)
		}
	}
}

// ValidateMaxUDP checks the largest reply over UDP.
func ValidateMaxUDP(octets int, report *config.Report) {
	if octets < wire.MinUDP || octets > 4096 {
		report.Add("max_udp", "%d octets; from 512 (RFC 1035) to 4096 can be sent, 1232 passes every path", octets)
	}
}
