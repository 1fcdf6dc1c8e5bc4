package resolver

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/wire"
)

// CacheConfig is the section cache.
type CacheConfig struct {
	Size     config.Size   `mapstructure:"size"`      // of memory for answers; 0: none are kept
	StaleFor time.Duration `mapstructure:"stale_for"` // how old an answer may be given when nobody answers; 0: none
	Prefetch bool          `mapstructure:"prefetch"`  // fetch anew what is asked for in the last tenth of its TTL
	File     string        `mapstructure:"file"`      // kept over a restart; "": not
	Negative []NegativeCap `mapstructure:"negative"`
}

// A NegativeCap limits how long it is remembered that names below one do not exist.
type NegativeCap struct {
	Under string         `mapstructure:"under"`
	Max   *time.Duration `mapstructure:"max"` // 0: not at all; must be given
}

const (
	// maxSize is more than any host gives its cache.
	maxSize = 1 << 40
	// hopeless is how many times the machine's memory the size is no more than: the
	// cache's tables alone, which are made at the start, would not fit. A small machine may
	// well have a size that it never fills.
	hopeless = 8
)

// Validate finds what types alone do not.
func (c *CacheConfig) Validate(report *config.Report) {
	if c.Size > 0 && c.Size < 64<<10 {
		report.Add("size", "%s is too little; at least 64KiB, or 0 for keeping no answers", c.Size)
	}
	if c.Size > maxSize {
		report.Add("size", "%s is too much; at most %s", c.Size, config.Size(maxSize))
	}
	if c.Size == 0 && c.File != "" {
		report.Add("file", "%s would hold nothing: with a size of 0 no answers are kept", c.File)
	}
	if c.StaleFor < 0 {
		report.Add("stale_for", "%s is negative; 0 for no stale answers", c.StaleFor)
	}
	seen := map[string]bool{}
	for i, n := range c.Negative {
		name, err := wire.ParseName(n.Under)
		switch here := fmt.Sprintf("negative[%d].under", i); {
		case err != nil || n.Under == "":
			report.Add(here, "%v", cmp.Or(err, errNoName))
		case wire.IsWildcard(name):
			report.Add(here, "%q: %v", n.Under, errAsterisk)
		case seen[string(name)]:
			report.Add(here, "%s stands twice", n.Under)
		}
		seen[string(name)] = true
		if here := fmt.Sprintf("negative[%d].max", i); n.Max == nil {
			report.Add(here, "missing; a time such as 1s, or 0s for never remembering")
		} else if *n.Max < 0 {
			report.Add(here, "%s is negative; a time such as 1s, or 0s for never remembering", *n.Max)
		}
	}
}

// options are the cache's, from the config. A client waits for budget in all.
func (c *CacheConfig) options(budget time.Duration) (cache.Options, error) {
	if machine := memory(); c.Size/hopeless > machine {
		return cache.Options{}, fmt.Errorf("cache.size: %s is too much for this machine, which has %s of memory", c.Size, machine)
	}
	o := cache.Options{Size: int64(c.Size), Off: c.Size == 0, Prefetch: c.Prefetch, StaleFor: c.StaleFor, ClientTimer: budget, Budget: budget + surrender}
	if c.StaleFor == 0 {
		o.StaleFor = -1
	}
	for _, n := range c.Negative {
		under, err := wire.ParseName(n.Under)
		if err != nil {
			return o, fmt.Errorf("cache.negative: %w", err)
		}
		o.Negative = append(o.Negative, cache.Cap{Under: under, Max: *n.Max})
	}
	return o, nil
}

// memory of the machine, in whole MiB.
func memory() config.Size {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return math.MaxInt64
	}
	return config.Size(uint64(info.Totalram) * uint64(info.Unit) >> 20 << 20)
}
