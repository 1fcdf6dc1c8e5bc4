package listen

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/plane/socket"
)

var (
	datagramsDesc = prometheus.NewDesc("strata_udp_total", "What the UDP sockets did, by worker.", []string{"listen", "worker", "what"}, nil)
	streamsDesc   = prometheus.NewDesc("strata_tcp_total", "What the TCP or TLS listener did.", []string{"listen", "what"}, nil)
	openDesc      = prometheus.NewDesc("strata_tcp_connections", "Connections that are open.", []string{"listen"}, nil)
)

// metrics shows the servers' counters to Prometheus; they are read when asked for.
type metrics []*socket.Server

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- datagramsDesc
	ch <- streamsDesc
	ch <- openDesc
}

// A figure is one counter and its name.
type figure struct {
	what string
	n    uint64
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m {
		listen := s.Address().String()
		datagrams, streams := s.Counts()
		for worker, c := range datagrams {
			for _, f := range [...]figure{
				{"received", c.Received}, {"batches", c.Batches}, {"sent", c.Sent}, {"late", c.Late}, {"segmented", c.Segmented},
				{"unsent", c.Unsent}, {"oversize", c.Oversize}, {"naps", c.Naps},
			} {
				ch <- prometheus.MustNewConstMetric(datagramsDesc, prometheus.CounterValue, float64(f.n), listen, strconv.Itoa(worker), f.what)
			}
		}
		for _, f := range [...]figure{
			{"accepted", streams.Accepted}, {"refused", streams.Refused}, {"received", streams.Received}, {"sent", streams.Sent}, {"late", streams.Late},
			{"bequeathed", streams.Bequeathed}, {"adopted", streams.Adopted}, {"gone", streams.Gone}, {"idle", streams.Idle}, {"slow", streams.Slow}, {"malformed", streams.Malformed},
		} {
			ch <- prometheus.MustNewConstMetric(streamsDesc, prometheus.CounterValue, float64(f.n), listen, f.what)
		}
		ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(streams.Open), listen)
	}
}
