package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon"
)

// bound makes memory bounded, and gives the config as it is then. What is in a snapshot of
// such a server is not all there is, so it has a file of its own.
func (s *server) bound(d *daemon.Daemon, c *Config) *Config {
	s.sink.bounded = newBounded(s, c.Memory.MaxNames)
	d.Registry().MustRegister(s.sink.bounded)
	of := *c
	if of.Snapshot != "" {
		of.Snapshot += ".bounded"
	}
	return &of
}

var (
	heldDesc    = prometheus.NewDesc("strata_memory_names", "Names of etcd's zones in memory that others may take the place of, where memory.max_names bounds them.", nil, nil)
	evictedDesc = prometheus.NewDesc("strata_memory_evicted_total", "Names taken out of memory, as memory.max_names were there.", nil, nil)
	readsDesc   = prometheus.NewDesc("strata_memory_reads_total", "Names read from etcd, as they were asked for and not in memory.", nil, nil)
	lateDesc    = prometheus.NewDesc("strata_memory_late_answers_total", "Queries that waited for etcd, by what came of it.", []string{"result"}, nil)
)

// Describe implements prometheus.Collector.
func (b *bounded) Describe(ch chan<- *prometheus.Desc) {
	ch <- heldDesc
	ch <- evictedDesc
	ch <- readsDesc
	ch <- lateDesc
}

// Collect implements prometheus.Collector.
func (b *bounded) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(b.shown.Load()))
	ch <- prometheus.MustNewConstMetric(evictedDesc, prometheus.CounterValue, float64(b.evicted.Load()))
	ch <- prometheus.MustNewConstMetric(readsDesc, prometheus.CounterValue, float64(b.etcd.Load()))
	for result, n := range map[string]uint64{"answered": b.answered.Load(), "failed": b.failed.Load(), "crowded": b.crowded.Load()} {
		ch <- prometheus.MustNewConstMetric(lateDesc, prometheus.CounterValue, float64(n), result)
	}
}
