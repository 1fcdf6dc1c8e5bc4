package resolver

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/strata-dns/strata/policy"
)

// page is what Prometheus would read of a resolver.
func page(t *testing.T, r *Resolver) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	return string(body)
}

// Each rule is counted, over all workers and over reloads, on a page that has a
// bound however many rules there are.
func TestRuleMetrics(t *testing.T) {
	c := policy.Config{RuleMetrics: 3, Search: []string{"prd.example"}, Deny: []string{"192.0.2.0/24"}}
	for i := range 50 {
		c.BlockAAAA = append(c.BlockAAAA, fmt.Sprintf("zone%d.example", i))
	}
	s := play(t, plot{rest: serve(t, soa), policy: c, env: policy.Env{Allow: []string{"127.0.0.0/8", "192.0.2.0/25"}}})
	for range 2 { // as two workers
		s.handler = s.Worker(netip.AddrPort{})
		for i := range 50 {
			s.ask(fmt.Sprintf("www.zone%d.example.", i), dns.TypeAAAA)
		}
	}
	s.ask("www.google.com.prd.example.", dns.TypeA)
	s.query(query{name: "www.example.", typ: dns.TypeA, client: "192.0.2.200"})
	see := func(body string, want ...string) {
		t.Helper()
		for _, line := range want {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("no line %s", line)
			}
		}
	}
	body := page(t, s.Resolver)
	see(body,
		`strata_policy_rule_decided_total{kind="aaaa",rule="zone0.example."} 2`,
		`strata_policy_rule_decided_total{kind="aaaa",rule="zone2.example."} 2`,
		`strata_policy_rule_decided_total{kind="aaaa",rule="others"} 94`,
		`strata_policy_rule_decided_total{kind="junk",rule="prd.example."} 1`,
		`strata_policy_rule_decided_total{kind="client",rule="192.0.2.0/24"} 1`,
		`strata_policy_decided_total{kind="aaaa"} 100`,
		`strata_policy_decided_total{kind="junk"} 1`,
	)
	if n := strings.Count(body, "\nstrata_policy_rule_decided_total{"); n != 4+1+2 {
		t.Errorf("%d series:\n%s", n, body)
	}

	// What a rule that goes had counted stays in the sum of its kind, which may not
	// fall; a rule that stays goes on.
	c.BlockAAAA = []string{"new.example", "zone1.example"}
	rules, err := NewRules(c, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	s.SetRules(rules)
	s.ask("www.zone1.example.", dns.TypeAAAA)
	see(page(t, s.Resolver),
		`strata_policy_rule_decided_total{kind="aaaa",rule="zone1.example."} 3`,
		`strata_policy_rule_decided_total{kind="aaaa",rule="new.example."} 0`,
		`strata_policy_decided_total{kind="aaaa"} 101`,
	)
}
