package main

import (
	"net/netip"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane/dpdk"
)

// What the kernel gets of ports whose driver leaves it nothing.
const (
	exceptionNone = "none"
	exceptionTap  = "tap" // an interface for each port, with what is no query
)

func (c *DPDK) validateException(report *config.Report) {
	switch c.Exception {
	case "", exceptionNone, exceptionTap:
	default:
		report.Add("exception", "%q is unknown; known: tap, none", c.Exception)
	}
}

// addExceptions shows what the kernel gets, and tells of service addresses that no socket is
// bound to: who gets a truncated answer from one comes back over TCP in vain (RFC 7766 §5).
func (s *server) addExceptions(d *daemon.Daemon, c *Config, p dpdk.Plane) {
	d.Registry().MustRegister(exceptions{p})
	for _, p := range c.DPDK.Addresses {
		if !slices.ContainsFunc(c.Listen, func(l netip.AddrPort) bool { return takes(l, p.Addr()) }) {
			s.log.Warn("nobody is there for queries over TCP to a service address: listen lacks it", "address", netip.AddrPortFrom(p.Addr(), dnsPort))
		}
	}
}

// takes tells whether a socket that listens there gets what comes to the service address.
func takes(l netip.AddrPort, service netip.Addr) bool {
	if l.Port() != dnsPort {
		return false
	}
	a := l.Addr()
	return a == service || a == netip.IPv6Unspecified() || a == netip.IPv4Unspecified() && service.Is4()
}

var exceptionsDesc = prometheus.NewDesc("strata_dpdk_exceptions_total", "Frames between DPDK's ports and exception interfaces.", []string{"what"}, nil)

// exceptions shows the counters of exception interfaces to Prometheus.
type exceptions struct{ plane dpdk.Plane }

// Describe implements prometheus.Collector.
func (e exceptions) Describe(ch chan<- *prometheus.Desc) { ch <- exceptionsDesc }

// Collect implements prometheus.Collector.
func (e exceptions) Collect(ch chan<- prometheus.Metric) {
	c := e.plane.Exceptions()
	if c.Interfaces == 0 {
		return
	}
	for what, n := range map[string]uint64{"up": c.Up, "up_dropped": c.UpDropped, "down": c.Down, "down_dropped": c.DownDropped} {
		ch <- prometheus.MustNewConstMetric(exceptionsDesc, prometheus.CounterValue, float64(n), what)
	}
}
