package resolver

import (
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/upstream"
)

// Plain are servers that are asked over UDP.
func Plain(addresses ...netip.AddrPort) []upstream.Server {
	servers := make([]upstream.Server, 0, len(addresses))
	for _, a := range addresses {
		servers = append(servers, upstream.Server{Addr: a})
	}
	return servers
}

// upstreamStatus is the section of /status about the servers that are asked.
func upstreamStatus(engine *upstream.Engine) any {
	type serverStatus struct {
		Server     string  `json:"server"`
		Asked      uint64  `json:"asked"`
		Answered   uint64  `json:"answered"`
		Failed     uint64  `json:"failed,omitempty"`
		Timeouts   uint64  `json:"timeouts,omitempty"`
		Errors     uint64  `json:"errors,omitempty"`
		Mismatches uint64  `json:"mismatches,omitempty"`
		RTT        float64 `json:"rtt_ms"`
		Down       bool    `json:"down,omitempty"`
	}
	list := []serverStatus{}
	for _, s := range engine.Stats() {
		list = append(list, serverStatus{s.Server.String(), s.Asked, s.Answered, s.Failed, s.Timeouts, s.Errors, s.Mismatches,
			float64(s.RTT.Microseconds()) / 1000, s.Down})
	}
	return list
}

// upstreamMetrics shows an engine's counters to Prometheus.
type upstreamMetrics struct{ engine *upstream.Engine }

var (
	exchangesDesc = prometheus.NewDesc("strata_upstream_exchanges_total", "Queries to upstream servers, by how they ended.", []string{"server", "what"}, nil)
	rttDesc       = prometheus.NewDesc("strata_upstream_rtt_seconds", "Round-trip times of upstream servers.", []string{"server"}, nil)
	downDesc      = prometheus.NewDesc("strata_upstream_down", "1 while a server is only probed.", []string{"server"}, nil)
	inFlightDesc  = prometheus.NewDesc("strata_upstream_in_flight", "Questions on their way upstream.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m upstreamMetrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m upstreamMetrics) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(m.engine.InFlight()))
	for _, s := range m.engine.Stats() {
		name := s.Server.String()
		for _, c := range []struct {
			what string
			n    uint64
		}{
			{"asked", s.Asked}, {"answered", s.Answered}, {"failed", s.Failed}, {"truncated", s.Truncated}, {"timeout", s.Timeouts},
			{"error", s.Errors}, {"mismatch", s.Mismatches}, {"late", s.Late}, {"flood", s.Floods},
		} {
			ch <- prometheus.MustNewConstMetric(exchangesDesc, prometheus.CounterValue, float64(c.n), name, c.what)
		}
		down := 0.0
		if s.Down {
			down = 1
		}
		ch <- prometheus.MustNewConstMetric(downDesc, prometheus.GaugeValue, down, name)
		ch <- histogram(&s, name)
	}
}

// histogram turns a server's plain counters into a cumulative histogram. The sum is
// not kept: each reply counts as the middle of its bucket, so that it never falls.
func histogram(s *upstream.ServerStats, name string) prometheus.Metric {
	buckets := map[float64]uint64{}
	var n uint64
	var sum, low float64
	for i, bound := range upstream.HistogramBounds {
		high := bound.Seconds()
		n += s.Histogram[i]
		sum += float64(s.Histogram[i]) * (low + high) / 2
		buckets[high], low = n, high
	}
	longer := s.Histogram[len(s.Histogram)-1]
	return prometheus.MustNewConstHistogram(rttDesc, n+longer, sum+float64(longer)*low, buckets, name)
}
