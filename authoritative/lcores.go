package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/plane/dpdk"
	"github.com/strata-dns/strata/core/plane/frame"
)

var (
	framesDesc     = prometheus.NewDesc("strata_dpdk_frames_total", "Frames received by DPDK's ports, by what they were.", []string{"lcore", "verdict"}, nil)
	rcodesDesc     = prometheus.NewDesc("strata_dpdk_replies_total", "Replies by their RCODE.", []string{"lcore", "rcode"}, nil)
	lcoreDesc      = prometheus.NewDesc("strata_dpdk_total", "What an lcore did.", []string{"lcore", "what"}, nil)
	burstDesc      = prometheus.NewDesc("strata_dpdk_burst_frames", "Frames in a burst.", []string{"lcore"}, nil)
	upDPDKDesc     = prometheus.NewDesc("strata_dpdk_seconds_total", "Time since an lcore began to poll.", []string{"lcore"}, nil)
	busyDesc       = prometheus.NewDesc("strata_dpdk_busy_seconds_total", "Of that: with frames in hand.", []string{"lcore"}, nil)
	longestDesc    = prometheus.NewDesc("strata_dpdk_longest_gap_seconds", "Longest time between two polls.", []string{"lcore"}, nil)
	recentBusyDesc = prometheus.NewDesc("strata_dpdk_recent_busy_ratio", "Share of the last minute with frames in hand.", []string{"lcore"}, nil)
	recentGapDesc  = prometheus.NewDesc("strata_dpdk_recent_longest_gap_seconds", "Longest time between two polls in the last minute.", []string{"lcore"}, nil)
	portDesc       = prometheus.NewDesc("strata_dpdk_port_total", "What a port counted itself.", []string{"port", "what"}, nil)
)

// lcores shows the counters of DPDK's plane to Prometheus.
type lcores struct{ carriers *carriers }

// Describe implements prometheus.Collector.
func (l lcores) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{framesDesc, rcodesDesc, lcoreDesc, burstDesc, upDPDKDesc, busyDesc, longestDesc, recentBusyDesc, recentGapDesc, portDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (l lcores) Collect(ch chan<- prometheus.Metric) {
	for i, c := range l.carriers.plane.Counts() {
		lcore := strconv.Itoa(c.Lcore)
		show := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{lcore}, labels...)...)
		}
		for v, n := range c.Frames {
			show(framesDesc, prometheus.CounterValue, float64(n), frame.Verdict(v).String())
		}
		for rcode, n := range l.carriers.tellers[i].rcodes() {
			show(rcodesDesc, prometheus.CounterValue, float64(n), rcode)
		}
		for what, n := range map[string]uint64{
			"bursts": c.Bursts, "polls": c.Polls, "sent": c.Sent, "unsent": c.Unsent, "late": c.Late, "oversize": c.Oversize, "gaps": c.Gaps[0], "naps": c.Naps,
		} {
			show(lcoreDesc, prometheus.CounterValue, float64(n), what)
		}
		for kind, n := range c.Gaps {
			if kind > 0 { // the shortest are "gaps"
				show(lcoreDesc, prometheus.CounterValue, float64(n), "gaps_over_"+dpdk.GapLength(kind).String())
			}
		}
		show(upDPDKDesc, prometheus.CounterValue, c.Up.Seconds())
		show(busyDesc, prometheus.CounterValue, c.Busy.Seconds())
		show(longestDesc, prometheus.GaugeValue, c.Longest.Seconds())
		show(recentBusyDesc, prometheus.GaugeValue, c.Recent.Share())
		show(recentGapDesc, prometheus.GaugeValue, c.Recent.Longest.Seconds())
		ch <- burstMetric(lcore, &c)
	}
	for _, p := range l.carriers.plane.Ports() {
		for what, n := range portCounts(&p) {
			ch <- prometheus.MustNewConstMetric(portDesc, prometheus.CounterValue, float64(n), p.Name, what)
		}
	}
}

// burstMetric is the histogram of an lcore's bursts.
func burstMetric(lcore string, c *dpdk.Counts) prometheus.Metric {
	buckets, all, frames := map[float64]uint64{}, uint64(0), uint64(0)
	for i, n := range c.Sizes {
		all += n
		buckets[float64(dpdk.BurstUpTo(i))] = all
	}
	for _, n := range c.Frames {
		frames += n
	}
	return prometheus.MustNewConstHistogram(burstDesc, all, float64(frames), buckets, lcore)
}

// portCounts names what a port counts. That of the ports' own received and sent frames
// which are no queries is in them, too.
func portCounts(p *dpdk.PortCounts) map[string]uint64 {
	return map[string]uint64{
		"received": p.Received, "sent": p.Sent, "missed": p.Missed, "no buffer": p.NoBuffer,
		"errors": p.Errors, "send errors": p.SendErrors,
	}
}
