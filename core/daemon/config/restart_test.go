package config_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
)

func TestRestart(t *testing.T) {
	type settings struct {
		config.Base `mapstructure:",squash"`
		Cache       cacheShape   `mapstructure:"cache"`
		Policy      policyShape  `mapstructure:"policy"`
		ECS         netip.Prefix `mapstructure:"ecs"`
	}
	old := settings{Cache: cacheShape{Size: 1, StaleFor: time.Hour}}
	fresh := old
	if keys := config.Restart(&old, &fresh); len(keys) != 0 {
		t.Errorf("nothing changed, got %q", keys)
	}
	fresh.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	fresh.Log.Format, fresh.Log.Level = "json", 4
	fresh.Cache.StaleFor = time.Minute
	fresh.Policy.BlockAAAA = []string{"example"}
	fresh.ECS = netip.MustParsePrefix("192.0.2.0/24")
	want := []string{"listen", "log.format", "cache.stale_for", "ecs"}
	if keys := config.Restart(&old, &fresh, "policy", "log.level"); !slices.Equal(keys, want) {
		t.Errorf("got %q, want %q", keys, want)
	}
}
