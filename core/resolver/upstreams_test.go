package resolver

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// TestUpstreamMetrics: what servers did is counted, and how long they took.
func TestUpstreamMetrics(t *testing.T) {
	up := serve(t, "www.example. 300 IN A 192.0.2.1")
	s := play(t, plot{rest: up})
	s.ask("www.example.", dns.TypeA)
	registry := prometheus.NewRegistry()
	registry.MustRegister(upstreamMetrics{s.engine})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, family := range families {
		seen[family.GetName()] = true
		if family.GetName() != "strata_upstream_rtt_seconds" {
			continue
		}
		h := family.GetMetric()[0].GetHistogram()
		buckets := h.GetBucket()
		if first, last := buckets[0].GetUpperBound(), buckets[len(buckets)-1].GetUpperBound(); first != 50e-6 || last != 2 {
			t.Errorf("buckets from %g to %g s", first, last)
		}
		if h.GetSampleCount() != 1 || h.GetSampleSum() <= 0 || h.GetSampleSum() > 2 {
			t.Errorf("%d replies took %g s", h.GetSampleCount(), h.GetSampleSum())
		}
	}
	for _, name := range []string{"strata_upstream_exchanges_total", "strata_upstream_mismatches_total", "strata_upstream_rtt_seconds", "strata_upstream_down", "strata_upstream_in_flight"} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}
