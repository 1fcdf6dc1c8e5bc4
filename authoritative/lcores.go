package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/plane/dpdk"
	"github.com/strata-dns/strata/core/plane/frame"
)

var (
	framesDesc  = prometheus.NewDesc("strata_dpdk_frames_total", "Frames received by DPDK's ports, by what they were.", []string{"lcore", "verdict"}, nil)
	lcoreDesc   = prometheus.NewDesc("strata_dpdk_total", "What an lcore did.", []string{"lcore", "what"}, nil)
	upDPDKDesc  = prometheus.NewDesc("strata_dpdk_seconds_total", "Time since an lcore began to poll.", []string{"lcore"}, nil)
	busyDesc    = prometheus.NewDesc("strata_dpdk_busy_seconds_total", "Of that: with frames in hand.", []string{"lcore"}, nil)
	longestDesc = prometheus.NewDesc("strata_dpdk_longest_gap_seconds", "Longest time between two polls.", []string{"lcore"}, nil)
)

// lcores shows the counters of DPDK's plane to Prometheus.
type lcores struct{ plane dpdk.Plane }

// Describe implements prometheus.Collector.
func (l lcores) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{framesDesc, lcoreDesc, upDPDKDesc, busyDesc, longestDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (l lcores) Collect(ch chan<- prometheus.Metric) {
	for _, c := range l.plane.Counts() {
		lcore := strconv.Itoa(c.Lcore)
		counter := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{lcore}, labels...)...)
		}
		for v, n := range c.Frames {
			counter(framesDesc, float64(n), frame.Verdict(v).String())
		}
		for what, n := range map[string]uint64{
			"bursts": c.Bursts, "polls": c.Polls, "sent": c.Sent, "unsent": c.Unsent, "late": c.Late, "oversize": c.Oversize, "gaps": c.Gaps,
		} {
			counter(lcoreDesc, float64(n), what)
		}
		counter(upDPDKDesc, c.Up.Seconds())
		counter(busyDesc, c.Busy.Seconds())
		ch <- prometheus.MustNewConstMetric(longestDesc, prometheus.GaugeValue, c.Longest.Seconds(), lcore)
	}
}
