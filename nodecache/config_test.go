package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver/example"
	"github.com/strata-dns/strata/core/wire"
)

func TestExample(t *testing.T) {
	example.Check(t, "../configs/nodecache.yaml", func() any { c := defaults(); return &c })
}

// load reads a config of these lines over what every config needs.
func load(t *testing.T, lines string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nodecache.yaml")
	if !strings.Contains(lines, "upstreams:") {
		lines = "upstreams: [\"192.0.2.1:53\"]\n" + lines
	}
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	return &c, config.Load(file, &c, nil)
}

func TestConfigProblems(t *testing.T) {
	for _, tt := range []struct{ lines, key, text string }{
		{"upstreams: []", "upstreams", "missing; the site's recursors"},
		{"upstreams: [\"192.0.2.1:0\"]", "upstreams[0]", "no port"},
		{"upstreams: [\"0.0.0.0:53\"]", "upstreams[0]", "no address of a server"},
		{"upstreams: [\"192.0.2.1:53\", \"192.0.2.1:53\"]", "upstreams[1]", "twice"},
		{"upstreams: [\"192.0.2.1\"]", "upstreams[0]", "port"},
		{"listen: [\"127.0.0.1:5353\"]\nupstreams: [\"127.0.0.1:5353\"]", "upstreams[0]", "this process itself"},
		{"stubs: [{names: [a.example]}]", "stubs[0].servers", "missing; who answers"},
		{"stubs: [{servers: [\"192.0.2.2:53\"]}]", "stubs[0].names", "missing"},
		{"stubs: [{names: [a..b], servers: [\"192.0.2.2:53\"]}]", "stubs[0].names[0]", "empty label"},
		{"stubs: [{names: [a.example, A.Example.], servers: [\"192.0.2.2:53\"]}]", "stubs[0].names[1]", "stands in stubs[0].names[0] already"},
		{"stubs: [{names: [\"\"], servers: [\"192.0.2.2:53\"]}]", "stubs[0].names[0]", "no name given"},
		{"stubs: [null, {names: [a.example], servers: [\"192.0.2.2:53\"]}]", "stubs[0]", "found nothing"},
		{"stubs: [{names: [a.example], servers: [{addr: \"192.0.2.2:53\"}]}]", "stubs[0].servers[0]", "found keys, expected text"},
		{"cache: {size: 1KiB}", "cache.size", "too little"},
		{"cache: {size: 999999TiB}", "cache.size", "too much; at most 1TiB"},
		{"cache: {negative: [{max: 1s}]}", "cache.negative[0].under", "no name given"},
		{"cache: {stale_for: -1s}", "cache.stale_for", "negative"},
		{"cache: {negative: [{under: a..b, max: 1s}]}", "cache.negative[0].under", "empty label"},
		{"cache: {negative: [{under: a.example}]}", "cache.negative[0].max", "missing; a time such as 1s"},
		{"cache: {negative: [{under: a.example, max: -1s}]}", "cache.negative[0].max", "is negative"},
		{"listen: []", "listen", "missing; where queries"},
		{"listen: [\"127.0.0.1:53\", \"127.0.0.1:53\"]", "listen[1]", "twice"},
		{"max_udp: 100", "max_udp", "512"},
		{"tcp: {idle: 0s}", "tcp.idle", "such as 10s"},
		{"tcp: {clients: 0}", "tcp.clients", "such as 1000"},
		{"tcp: {per_client: -1}", "tcp.per_client", "such as 100"},
		{"policy: {block_aaaa: [a..b]}", "policy.block_aaaa[0]", "empty label"},
		{"policy: {block_aaaa_answer: maybe}", "policy.block_aaaa_answer", "nodata"},
		{"policy: {rate: {per_second: -1}}", "policy.rate.per_second", "not within"},
		{"policy: {deny: [192.0.2.1/24]}", "policy.deny[0]", "192.0.2.0/24 is meant"},
		{"allow: [127.0.0.0/33]", "allow[0]", "127.0.0.0/33"},
		{"policy: {synth: [{kind: foo, zone: a.example}]}", "policy.synth[0].kind", "known: ip, site"},
		{"workers: -1", "workers", "too few"},
		{"workers: many", "workers", "number"},
		{"nothing: 1", "nothing", "unknown"},
		{"cache: {sizes: 1}", "cache.sizes", "unknown"},
	} {
		_, err := load(t, tt.lines)
		var problems config.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", tt.lines, err)
			continue
		}
		found := 0
		for _, p := range problems {
			if p.Key == tt.key && strings.Contains(p.Text, tt.text) {
				found++
			}
		}
		if found != 1 || len(problems) != 1 {
			t.Errorf("%s: want %s: …%s…, got\n%s", tt.lines, tt.key, tt.text, problems.Lines())
		}
	}
	if c, err := load(t, "cache: {negative: [{under: a.example, max: 0}]}"); err != nil || *c.Cache.Negative[0].Max != 0 {
		t.Errorf("%v %+v", err, c.Cache.Negative)
	}
	if c, err := load(t, "cache: {stale_for: 0s}\npolicy: {rate: {per_second: 10}}"); err != nil || c.Cache.StaleFor != 0 || !c.Cache.Prefetch {
		t.Errorf("%v %+v", err, c)
	}
}

func TestAllow(t *testing.T) {
	for lines, want := range map[string]map[string]string{
		"": {"127.0.0.1": "pass", "192.0.2.1": "pass"},
		"allow: [127.0.0.0/8, 192.0.2.0/24]\npolicy: {deny: [192.0.2.128/25]}": {
			"127.0.0.1": "pass", "192.0.2.1": "pass", "192.0.2.129": "refuse", "198.51.100.1": "refuse",
		},
	} {
		c, err := load(t, lines)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := c.rules()
		if err != nil {
			t.Fatal(err)
		}
		for client, action := range want {
			why, err := rules.Policy.Explain("www.example.com", wire.TypeA, netip.MustParseAddr(client))
			if err != nil || why.Action != action {
				t.Errorf("%q, %s: %v, %v, want %s", lines, client, why, err, action)
			}
		}
	}
}
