package observe

import "github.com/prometheus/client_golang/prometheus"

var (
	eventsDesc    = prometheus.NewDesc("strata_observed_queries_total", "Sampled queries by who looked at them, and what became of that: written, dropped as there was no room, or failed in writing.", []string{"by", "what"}, nil)
	connectedDesc = prometheus.NewDesc("strata_dnstap_connected", "1 while a dnstap receiver takes messages.", nil, nil)
)

var kindNames = [kinds]string{"top", "query_log", "dnstap"}

// Describe implements prometheus.Collector.
func (b *Observer) Describe(ch chan<- *prometheus.Desc) {
	ch <- eventsDesc
	ch <- connectedDesc
}

// Collect implements prometheus.Collector.
func (b *Observer) Collect(ch chan<- prometheus.Metric) {
	for k := range b.pipes {
		p := &b.pipes[k]
		for what, n := range map[string]uint64{"written": p.written.Load(), "dropped": p.dropped(), "failed": p.failed.Load()} {
			ch <- prometheus.MustNewConstMetric(eventsDesc, prometheus.CounterValue, float64(n), kindNames[k], what)
		}
	}
	connected := 0.0
	if b.dnstap.connected.Load() {
		connected = 1
	}
	ch <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, connected)
}
