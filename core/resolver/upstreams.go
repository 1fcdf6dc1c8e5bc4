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
		Garbled    uint64  `json:"garbled,omitempty"`
		Hedges     uint64  `json:"hedges,omitempty"`
		RTT        float64 `json:"rtt_ms"`
		Down       bool    `json:"down,omitempty"`
		LastError  string  `json:"last_error,omitempty"`
	}
	list := []serverStatus{}
	for _, s := range engine.Stats() {
		last := ""
		if s.LastError != nil {
			last = s.LastError.Error()
		}
		list = append(list, serverStatus{s.Server.String(), s.Asked, s.Answered, s.Failed, s.Timeouts, s.Errors, s.Mismatches, s.Garbled, s.Hedges,
			float64(s.RTT.Microseconds()) / 1000, s.Down, last})
	}
	return list
}

// upstreamMetrics shows an engine's counters to Prometheus.
type upstreamMetrics struct{ engine *upstream.Engine }

var (
	exchangesDesc = prometheus.NewDesc("strata_upstream_exchanges_total", "Queries to upstream servers, why they were sent and how they ended.", []string{"server", "what"}, nil)
	mismatchDesc  = prometheus.NewDesc("strata_upstream_mismatches_total", "Replies not believed, by what was wrong: made up, or for somebody else. Those from other addresses the kernel drops.", []string{"server", "reason"}, nil)
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
			{"asked", s.Asked}, {"hedge", s.Hedges}, {"resend", s.Resends}, {"answered", s.Answered}, {"failed", s.Failed},
			{"garbled", s.Garbled}, {"truncated", s.Truncated}, {"timeout", s.Timeouts}, {"error", s.Errors}, {"mismatch", s.Mismatches},
			{"late", s.Late}, {"refused", s.Refused}, {"flood", s.Floods}, {"connected", s.Connections}, {"closed", s.Closed},
		} {
			ch <- prometheus.MustNewConstMetric(exchangesDesc, prometheus.CounterValue, float64(c.n), name, c.what)
		}
		for reason, n := range map[string]uint64{"id": s.OtherID, "question": s.OtherQuestion, "case": s.OtherCase, "subnet": s.OtherSubnet, "no reply": s.NoReply} {
			ch <- prometheus.MustNewConstMetric(mismatchDesc, prometheus.CounterValue, float64(n), name, reason)
		}
		down := 0.0
		if s.Down {
			down = 1
		}
		ch <- prometheus.MustNewConstMetric(downDesc, prometheus.GaugeValue, down, name)
		ch <- histogram(&s, name)
	}
}

// histogram turns a server's plain counters into a cumulative histogram.
func histogram(s *upstream.ServerStats, name string) prometheus.Metric {
	buckets := map[float64]uint64{}
	var n uint64
	for i, bound := range upstream.HistogramBounds {
		n += s.Histogram[i]
		buckets[bound.Seconds()] = n
	}
	longer := s.Histogram[len(s.Histogram)-1]
	return prometheus.MustNewConstHistogram(rttDesc, n+longer, s.Waited.Seconds(), buckets, name)
}
