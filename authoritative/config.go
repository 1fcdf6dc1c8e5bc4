package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/wire"
)

// A Config is authoritative.yaml. configs/authoritative.yaml explains the keys.
type Config struct {
	config.Base `mapstructure:",squash"`

	Plane    string     `mapstructure:"plane"` // socket, dpdk, auto
	DPDK     DPDK       `mapstructure:"dpdk"`
	MaxUDP   int        `mapstructure:"max_udp"` // octets of the largest reply over UDP
	Zones    []Zone     `mapstructure:"zones"`
	Views    []View     `mapstructure:"views"`
	Memory   Memory     `mapstructure:"memory"`
	Etcd     Etcd       `mapstructure:"etcd"`
	Snapshot string     `mapstructure:"snapshot"`
	TCP      listen.TCP `mapstructure:"tcp"`
	Monitor  Monitor    `mapstructure:"monitor"`
	Probe    Probe      `mapstructure:"probe"`
	Anycast  Anycast    `mapstructure:"anycast"`
	Brake    Brake      `mapstructure:"brake"`
	API      API        `mapstructure:"api"`
}

// What a reload takes up, and what a command has no use for: no change of these needs
// a restart of it.
var (
	liveServe = []string{"zones", "views", "api", "log.level", "monitor", "brake", "anycast",
		"probe.name", "probe.interval", "probe.timeout", "probe.tries", "probe.sockets", "probe.lease", "probe.brake", "probe.reference", "probe.admin", "probe.control"}
	liveMonitor = append([]string{"probe"}, liveBeside...)
	liveProbe   = append([]string{"zones", "monitor", "brake"}, liveBeside...)
	liveBeside  = []string{"listen", "workers", "admin", "control", "takeover", "plane", "dpdk", "max_udp", "views", "memory", "snapshot", "tcp", "anycast", "api", "log.level"}
)

// A Zone is one zone and where its records come from.
type Zone struct {
	Name   string        `mapstructure:"name"`
	Source string        `mapstructure:"source"` // etcd, file
	File   string        `mapstructure:"file"`
	NS     []string      `mapstructure:"ns"`           // etcd: the zone's name servers
	MinTTL time.Duration `mapstructure:"negative_ttl"` // etcd: how long a NXDOMAIN or NODATA may be kept
	Order  string        `mapstructure:"order"`        // of addresses: rotate, shuffle, weighted, source-hash, sticky, fixed
	Most   int           `mapstructure:"max_answers"`  // addresses in an answer; 0: all
}

// Where a zone's records come from.
const (
	fromEtcd = "etcd"
	fromFile = "file"
)

// Etcd says where the records of zones with source etcd are.
type Etcd struct {
	Endpoints []string `mapstructure:"endpoints"`
	Prefix    string   `mapstructure:"prefix"`
	User      string   `mapstructure:"user"`
	Password  string   `mapstructure:"password"`
	TLS       struct {
		CA   string `mapstructure:"ca"`
		Cert string `mapstructure:"cert"`
		Key  string `mapstructure:"key"`
	} `mapstructure:"tls"`
	Embedded Embedded      `mapstructure:"embedded"`
	Compare  time.Duration `mapstructure:"compare"` // between two full compares
	SkyDNS   []SkyDNS      `mapstructure:"skydns"`
}

// SkyDNS is a folder of etcd that external-dns writes records to, in SkyDNS's layout.
type SkyDNS struct {
	Prefix string   `mapstructure:"prefix"`
	Zones  []string `mapstructure:"zones"` // what is read of it; none: all
}

// Embedded is an etcd member in this process; none where dir is empty.
type Embedded struct {
	Dir     string         `mapstructure:"dir"`
	Name    string         `mapstructure:"name"`
	Client  string         `mapstructure:"client"` // URL; empty: the first of etcd.endpoints
	Peer    string         `mapstructure:"peer"`   // URL
	Cluster []EmbeddedPeer `mapstructure:"cluster"`
}

// EmbeddedPeer is a member of the cluster that an embedded member belongs to.
type EmbeddedPeer struct {
	Name string `mapstructure:"name"`
	URL  string `mapstructure:"url"`
}

// DPDK is the plane of network cards without the kernel.
type DPDK struct {
	EAL       []string       `mapstructure:"eal"`       // arguments of DPDK's environment
	Lcores    []int          `mapstructure:"lcores"`    // CPUs that poll
	Addresses []netip.Prefix `mapstructure:"addresses"` // service addresses, with the length of their network
	Idle      string         `mapstructure:"idle"`      // poll, backoff, interrupt
	Exception string         `mapstructure:"exception"` // tap, none
}

// Anycast is keys of a part that is not in this build: they are checked, and a
// config that uses them is told so at the start.
type (
	Anycast struct {
		ASN       uint32         `mapstructure:"asn"`
		RouterID  netip.Addr     `mapstructure:"router_id"`
		Prefixes  []netip.Prefix `mapstructure:"prefixes"`
		Neighbors []struct {
			Address netip.Addr `mapstructure:"address"`
			ASN     uint32     `mapstructure:"asn"`
		} `mapstructure:"neighbors"`
	}
)

// Brake bounds what one import, or one compare of the monitor, may delete of an
// owner's records.
type Brake struct {
	MaxDelete float64 `mapstructure:"max_delete"`
}

func defaults() Config {
	return Config{
		Base: config.Base{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5300")},
			Admin:   "127.0.0.1:9355",
			Control: "/run/strata/authoritative.sock",
		},
		Plane:   "socket",
		MaxUDP:  wire.DefaultUDP,
		TCP:     listen.TCP{Idle: 10 * time.Second, Clients: 10_000, PerClient: 100},
		Etcd:    Etcd{Prefix: "/strata/v1", Compare: 10 * time.Minute},
		Monitor: monitorDefaults(),
		Probe:   probeDefaults(),
		Brake:   Brake{MaxDelete: 0.3},
	}
}

func (c *Config) usesEtcd() bool { return usesEtcd(c.Zones) }

func usesEtcd(zones []Zone) bool {
	return slices.ContainsFunc(zones, func(z Zone) bool { return z.Source == fromEtcd })
}

// unused names the sections that this build does nothing with.
func (c *Config) unused() (names []string) {
	if len(c.Anycast.Neighbors) > 0 {
		names = append(names, "anycast")
	}
	return names
}

func summary(c *Config) []slog.Attr {
	files, etcd := 0, 0
	for _, z := range c.Zones {
		if z.Source == fromFile {
			files++
		} else {
			etcd++
		}
	}
	return []slog.Attr{
		slog.String("plane", c.Plane), slog.Int("file_zones", files), slog.Int("etcd_zones", etcd),
		slog.Any("etcd", c.Etcd.Endpoints), slog.Bool("etcd_embedded", c.Etcd.Embedded.Dir != ""),
		slog.String("snapshot", c.Snapshot), slog.Int("max_udp", c.MaxUDP), slog.Int("views", len(c.Views)),
	}
}
