package config_test

import (
	"net/netip"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
)

// The shapes of the three daemons' configs, as far as loading goes.

type cacheShape struct {
	Size     config.Size   `mapstructure:"size"`
	StaleFor time.Duration `mapstructure:"stale_for"`
	Prefetch bool          `mapstructure:"prefetch"`
	File     string        `mapstructure:"file"`
	Negative []struct {
		Under string        `mapstructure:"under"`
		Max   time.Duration `mapstructure:"max"`
	} `mapstructure:"negative"`
}

type serverGroup struct {
	Names   []string         `mapstructure:"names"`
	Servers []netip.AddrPort `mapstructure:"servers"`
}

// synthKind is an enumeration, refused by its own UnmarshalText.
type synthKind string

func (k *synthKind) UnmarshalText(text []byte) error {
	choice, err := config.Choose(text, "ip", "site")
	*k = synthKind(choice)
	return err
}

type policyShape struct {
	BlockAAAA   []string `mapstructure:"block_aaaa"`
	Search      []string `mapstructure:"search"`
	Transparent []string `mapstructure:"transparent"`
	Synth       []struct {
		Kind synthKind `mapstructure:"kind"`
		Zone string    `mapstructure:"zone"`
		TTL  uint32    `mapstructure:"ttl"`
		To   string    `mapstructure:"to"`
	} `mapstructure:"synth"`
}

type nodecacheShape struct {
	config.Base `mapstructure:",squash"`
	Upstreams   []netip.AddrPort `mapstructure:"upstreams"`
	Stubs       []serverGroup    `mapstructure:"stubs"`
	Cache       cacheShape       `mapstructure:"cache"`
	Policy      policyShape      `mapstructure:"policy"`
}

type recursorShape struct {
	config.Base `mapstructure:",squash"`
	Site        string         `mapstructure:"site"`
	Allow       []netip.Prefix `mapstructure:"allow"`
	Zones       []serverGroup  `mapstructure:"zones"`
	External    struct {
		Sites []struct {
			Name    string           `mapstructure:"name"`
			ECS     netip.Prefix     `mapstructure:"ecs"`
			Servers []netip.AddrPort `mapstructure:"servers"`
		} `mapstructure:"sites"`
		Check struct {
			Interval time.Duration `mapstructure:"interval"`
			Timeout  time.Duration `mapstructure:"timeout"`
			Fall     int           `mapstructure:"fall"`
			Rise     int           `mapstructure:"rise"`
			HoldDown time.Duration `mapstructure:"hold_down"`
			Zone     string        `mapstructure:"zone"`
			Expect   []struct {
				Name string `mapstructure:"name"`
				Type string `mapstructure:"type"`
				Data string `mapstructure:"data"`
			} `mapstructure:"expect"`
		} `mapstructure:"check"`
	} `mapstructure:"external"`
	Cache  cacheShape  `mapstructure:"cache"`
	Policy policyShape `mapstructure:"policy"`
}

type authoritativeShape struct {
	config.Base `mapstructure:",squash"`
	Plane       string `mapstructure:"plane"`
	DPDK        struct {
		EAL       []string       `mapstructure:"eal"`
		Lcores    []int          `mapstructure:"lcores"`
		Addresses []netip.Prefix `mapstructure:"addresses"`
		Idle      string         `mapstructure:"idle"`
	} `mapstructure:"dpdk"`
	Zones []struct {
		Name   string `mapstructure:"name"`
		Source string `mapstructure:"source"`
		File   string `mapstructure:"file"`
	} `mapstructure:"zones"`
	Etcd struct {
		Endpoints []string `mapstructure:"endpoints"`
		Prefix    string   `mapstructure:"prefix"`
		Embedded  struct {
			Dir string `mapstructure:"dir"`
		} `mapstructure:"embedded"`
	} `mapstructure:"etcd"`
	Snapshot string `mapstructure:"snapshot"`
	Monitor  struct {
		Kubeconfig string        `mapstructure:"kubeconfig"`
		Manifests  string        `mapstructure:"manifests"`
		Cluster    string        `mapstructure:"cluster"`
		Zone       string        `mapstructure:"zone"`
		Resync     time.Duration `mapstructure:"resync"`
	} `mapstructure:"monitor"`
	Probe struct {
		Interval time.Duration `mapstructure:"interval"`
		Timeout  time.Duration `mapstructure:"timeout"`
		Tries    int           `mapstructure:"tries"`
	} `mapstructure:"probe"`
	Anycast struct {
		ASN       uint32         `mapstructure:"asn"`
		RouterID  netip.Addr     `mapstructure:"router_id"`
		Prefixes  []netip.Prefix `mapstructure:"prefixes"`
		Neighbors []struct {
			Address netip.Addr `mapstructure:"address"`
			ASN     uint32     `mapstructure:"asn"`
		} `mapstructure:"neighbors"`
	} `mapstructure:"anycast"`
	Brake struct {
		MaxDelete float64 `mapstructure:"max_delete"`
	} `mapstructure:"brake"`
}
