package policy

import "cmp"

// Config is the policy part of a binary's configuration. Names are in
// presentation form, their last dot may be left out; TTLs are seconds.
type Config struct {
	// BlockAAAA holds the suffixes under which AAAA is answered as not there.
	BlockAAAA []string `mapstructure:"block_aaaa"`
	// BlockAAAAAnswer is nodata (the default) or nxdomain, which also denies the
	// name's A to resolvers that go by RFC 8020.
	BlockAAAAAnswer string `mapstructure:"block_aaaa_answer"`

	// Search holds the domains that clients have in their search lists.
	Search []string `mapstructure:"search"`
	Junk   Junk     `mapstructure:"junk"`

	Transparent []string `mapstructure:"transparent"` // zones that pass untouched
	Static      []string `mapstructure:"static"`      // zones that hold Data and nothing else
	Refused     []string `mapstructure:"refused"`     // zones that are answered REFUSED

	// Data holds records in master-file form, "db.example.com 300 A 10.0.0.1"; the
	// TTL is 3600 where none is given.
	Data []string `mapstructure:"data"`

	Synth []Synth `mapstructure:"synth"`

	// Deny holds client prefixes; DenyAnswer is refuse (the default) or drop.
	Deny       []string `mapstructure:"deny"`
	DenyAnswer string   `mapstructure:"deny_answer"`

	// NegativeTTL is how long a made-up NODATA or NXDOMAIN may be cached
	// (RFC 2308 §5), 60 when 0.
	NegativeTTL uint32 `mapstructure:"negative_ttl"`

	// RuleMetrics is how many rules of each kind have a metric of their own, 1000
	// when 0; those behind them, in the order of the configuration, share one.
	RuleMetrics int `mapstructure:"rule_metrics"`

	Rate Rate `mapstructure:"rate"`
}

// Series is RuleMetrics with its default.
func (c *Config) Series() int { return cmp.Or(c.RuleMetrics, defaultSeries) }

// Junk says which appended search domains are noise.
type Junk struct {
	// Under is "auto" (or empty) for all of Config.Search, "off" for none, or
	// those of the domains that the rule holds under, with spaces between.
	Under string   `mapstructure:"under"`
	Extra []string `mapstructure:"extra"` // further top labels
	Keep  []string `mapstructure:"keep"`  // names that are real, with all below them; or single labels that are no top labels
}

// Synth makes up the names of one zone.
type Synth struct {
	Kind string   `mapstructure:"kind"` // ip or site
	Zone string   `mapstructure:"zone"`
	TTL  uint32   `mapstructure:"ttl"` // 300 when 0
	PTR  []string `mapstructure:"ptr"` // ip: prefixes whose reverse names are made up too
	To   string   `mapstructure:"to"`  // site: the domain put in the zone's place; {site} is this site's name
}

// Rate limits the queries of one client: a PerSecond of 0 switches off how many there
// are in a second, an InFlight of 0 how many wait at once.
type Rate struct {
	PerSecond int      `mapstructure:"per_second"`
	Burst     int      `mapstructure:"burst"`     // queries at once, PerSecond when 0
	Slip      int      `mapstructure:"slip"`      // one limited query in this many is answered TC; 0: none
	Clients   int      `mapstructure:"clients"`   // active at once, 65536 when 0
	IPv4      int      `mapstructure:"ipv4"`      // prefix length that counts as one client, 32 when 0
	IPv6      int      `mapstructure:"ipv6"`      // the same, 56 when 0
	Exempt    []string `mapstructure:"exempt"`    // prefixes without limit
	InFlight  int      `mapstructure:"in_flight"` // queries that wait for upstream at once
}

// Env is what the binary knows beside the policy's own configuration.
type Env struct {
	Site  string   // this process's site, for {site}
	Zones []string // zones of ours, and stubs: their last labels are top labels
	// Allow holds the client prefixes that may ask. Empty: everyone, or with
	// Private only loopback, link-local and private addresses.
	Allow   []string
	Private bool
}
