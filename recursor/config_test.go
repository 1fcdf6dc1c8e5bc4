package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/resolver/example"
	"github.com/strata-dns/strata/e2e/stack"
)

func TestExample(t *testing.T) {
	example.Check(t, "../configs/recursor.yaml", func() any { c := defaults(); return &c })
}

// load reads a config of these lines.
func load(t *testing.T, lines string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recursor.yaml")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	return &c, config.Load(file, &c, nil)
}

func TestConfigProblems(t *testing.T) {
	const (
		zone = "zones: [{names: [a.example], servers: [\"192.0.2.1:53\"]}]\n"
		dc1  = "{name: dc1, servers: [\"192.0.2.1:53\"]}"
		dc2  = "{name: dc2, servers: [\"192.0.2.2:53\"]}"
		one  = "site: dc1\nexternal:\n  sites: [" + dc1 + "]\n"
		two  = "site: dc1\nexternal:\n  sites: [" + dc1 + ", " + dc2 + "]\n"
	)
	for _, tt := range []struct{ lines, key, text string }{
		{"workers: 1", "zones", "nobody to ask"},
		{"zones: [{names: [a.example]}]", "zones[0].servers", "missing; who answers"},
		{"zones: [{names: [a..b], servers: [\"192.0.2.1:53\"]}]", "zones[0].names[0]", "empty label"},
		{"zones: [{names: [\"*.a.example\"], servers: [\"192.0.2.1:53\"]}]", "zones[0].names[0]", "leave the asterisk out"},
		{zone + "cache: {negative: [{under: \"*.a.example\", max: 1s}]}", "cache.negative[0].under", "leave the asterisk out"},
		{zone + "cache: {negative: [{under: a.example, max: 1s}, {under: A.example., max: 2s}]}", "cache.negative[1].under", "stands twice"},
		{zone[:len(zone)-2] + ", {names: [A.example.], servers: [\"192.0.2.3:53\"]}]", "zones[1].names[0]", "stands in zones[0].names[0] already"},
		{"listen: [\"192.0.2.1:53\"]\n" + zone, "zones[0].servers[0]", "this process itself"},
		{"listen: [\"0.0.0.0:53\"]\nzones: [{names: [a.example], servers: [\"127.0.0.1:53\"]}]", "zones[0].servers[0]", "this process itself"},
		{"listen: [\"[::]:53\"]\nzones: [{names: [a.example], servers: [\"127.0.0.1:53\", \"[::1]:53\"]}]", "zones[0].servers[1]", "this process itself"},
		{"zones: [{names: [a.example], servers: [\"192.0.2.1:53\", \"224.0.0.1:53\"]}]", "zones[0].servers[1]", "no address of a server"},
		{"zones: [{names: [a.example], servers: [\"192.0.2.1:53\"], clients: [10.2.0.1/16]}]", "zones[0].clients[0]", "10.2.0.0/16 is meant"},
		{"zones: [{names: [a.example], servers: [\"192.0.2.1:53\"], clients: [\"::ffff:10.2.0.0/112\"]}]", "zones[0].clients[0]", "as IPv4"},
		{"zones: [{names: [a.example], servers: [\"192.0.2.1:53\"], clients: [here]}]", "zones[0].clients[0]", "here"},
		{zone[:len(zone)-2] + ", {names: [b.example, a.example], servers: [\"192.0.2.3:53\"], clients: [10.2.0.0/16]}" +
			", {names: [A.example.], servers: [\"192.0.2.3:53\"], clients: [10.3.0.0/16, 10.2.0.0/16]}]", "zones[2].names[0]", "stands in zones[1].names[1] already for 10.2.0.0/16"},
		{strings.Replace(one, "site: dc1", "site: dc9", 1), "site", "\"dc9\" is none of external.sites: dc1"},
		{"external:\n  sites: [" + dc1 + "]\n", "site", "is none of external.sites"},
		{"site: dc1\nexternal:\n  sites: [{name: dc1}]", "external.sites[0].servers", "missing; the site's external resolvers"},
		{"site: dc1\nexternal:\n  check: {zone: a.example}\n  sites: [" + dc1 + ", {servers: [\"192.0.2.2:53\"]}]", "external.sites[1].name", "missing"},
		{"site: dc1\nexternal:\n  check: {zone: a.example}\n  sites: [" + dc1 + ", {name: dc1, servers: [\"192.0.2.2:53\"]}]", "external.sites[1].name", "stands twice"},
		{"site: dc1\nexternal:\n  check: {zone: a.example}\n  sites: [" + dc1 + ", {name: dc2, servers: [\"192.0.2.1:53\"]}]", "external.sites[1].servers[0]", "stands in site dc1 already"},
		{"site: dc1\nexternal:\n  sites: [{name: dc1, ecs: 1.2.3, servers: [\"192.0.2.2:53\"]}]", "external.sites[0].ecs", "1.2.3"},
		{"site: dc1\nexternal:\n  sites: [{name: dc1, servers: [\"tls://192.0.2.1\"]}]", "external.sites[0].servers[0]", "expected the name of the server's certificate"},
		{"site: dc1\nexternal:\n  sites: [{name: dc1, servers: [\"192.0.2.1:53\", \"tcp://192.0.2.1\"]}]", "external.sites[0].servers[1]", "asked in another way"},
		{"site: dc1\nexternal:\n  sites: [{name: dc1, servers: [\"192.0.2.1:53\", \"192.0.2.1:53\"]}]", "external.sites[0].servers[1]", "twice"},
		{"listen: [\"192.0.2.1:853\"]\nsite: dc1\nexternal:\n  sites: [{name: dc1, servers: [\"tls://192.0.2.1#a.example\"]}]", "external.sites[0].servers[0]", "this process itself"},
		{two, "external.check", "nothing would be checked"},
		{one + "  check: {zone: a..b}", "external.check.zone", "empty label"},
		{one + "  check: {zone: " + strings.Repeat(strings.Repeat("a", 59)+".", 4) + "}", "external.check.zone", "no room"},
		{one + "  check: {interval: 0s}", "external.check.interval", "too short"},
		{one + "  check: {timeout: 0s}", "external.check.timeout", "too short"},
		{one + "  check: {hold_down: -1s}", "external.check.hold_down", "too short"},
		{one + "  check: {fall: 0}", "external.check.fall", "at least 1"},
		{one + "  check: {rise: 0}", "external.check.rise", "at least 1"},
		{one + "  check: {expect: [{type: A}]}", "external.check.expect[0].name", "no name to ask for"},
		{one + "  check: {expect: [{name: a.example, type: NONE9}]}", "external.check.expect[0].type", "unknown type"},
		{one + "  check: {expect: [{name: a.example, type: A, data: here}]}", "external.check.expect[0].data", "no data of a record of type A"},
		{zone + "allow: [10.0.0.1/8]", "allow[0]", "10.0.0.0/8 is meant"},
		{zone + "policy: {synth: [{kind: site, zone: dc.example, to: \"{site}.example\"}]}", "policy.synth[0].to", "site"},
		{zone + "cache: {size: 1}", "cache.size", "too little"},
		{zone + "cache: {size: 0, file: /tmp/cache}", "cache.file", "would hold nothing"},
		{zone + "listen: []", "listen", "missing; where queries"},
		{zone + "tcp: {idle: 0s}", "tcp.idle", "such as"},
		{zone + "nothing: 1", "nothing", "unknown"},
	} {
		_, err := load(t, tt.lines)
		var problems config.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", tt.lines, err)
			continue
		}
		if len(problems) != 1 || problems[0].Key != tt.key || !strings.Contains(problems[0].Text, tt.text) {
			t.Errorf("%s: want %s: …%s…, got\n%s", tt.lines, tt.key, tt.text, problems.Lines())
		}
	}
	for _, lines := range []string{zone, one, two + "  check: {zone: a.example}", two + "  check: {expect: [{name: a.example, type: TXT, data: '\"a b\"'}]}",
		zone[:len(zone)-2] + ", {names: [a.example], servers: [\"192.0.2.3:53\"], clients: [10.2.0.0/16], recursive: true}, {names: [a.example], servers: [\"192.0.2.1:53\"], clients: [10.2.3.0/24]}]"} {
		if _, err := load(t, lines); err != nil {
			t.Errorf("%s: %v", lines, err)
		}
	}
}

// TestOpenResolver is warned of: whoever lets all the world ask is told so.
func TestOpenResolver(t *testing.T) {
	t.Parallel()
	for allow, warned := range map[string]int{"": 0, "10.0.0.0/8 ::1": 0, "10.0.0.0/8 0.0.0.0/0": 1, "0.0.0.0/0 ::/0": 2} {
		var log stack.Text
		c := defaults()
		c.Allow = strings.Fields(allow)
		c.warn(slog.New(slog.NewTextHandler(&log, nil)))
		if got := strings.Count(log.String(), "open resolver"); got != warned {
			t.Errorf("%q: warned %d times, want %d", allow, got, warned)
		}
	}
}
