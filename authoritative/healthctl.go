package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
)

// leftOut gives the addresses that an answer does not have because they are down.
func (s *server) leftOut(name []byte, typ uint16, answer []dns.RR) []string {
	var has [][]byte
	for _, rr := range answer { // the last of a chain of aliases is what has addresses
		name = wire.MustName(rr.Header().Name)
		wire.Fold(name)
		switch rr := rr.(type) {
		case *dns.A:
			has = append(has, rr.A.To4())
		case *dns.AAAA:
			has = append(has, rr.AAAA.To16())
		}
	}
	if len(has) == 0 {
		return nil
	}
	return s.sink.health.missing(name, typ, has)
}

func (s *server) healthCommand(_ context.Context, call *control.Call) error {
	var one netip.Addr
	switch len(call.Args) {
	case 0:
	case 1:
		var err error
		if one, err = netip.ParseAddr(call.Args[0]); err != nil {
			return err
		}
	default:
		return errors.New("health takes one address at most")
	}
	all := s.sink.health.report(one)
	return call.Value(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, map[bool]string{true: "nothing is known of " + one.String(), false: "no address is down"}[one.IsValid()])
		}
		for _, r := range all {
			fmt.Fprintf(w, "%s %s since %s by %s: %s", r.Address, r.State, r.Since.Format(time.RFC3339), r.By, r.Answer)
			if len(r.Names) > 0 {
				fmt.Fprintf(w, "; in %s", strings.Join(r.Names, ", "))
			}
			fmt.Fprintln(w)
		}
	})
}

// healthStatus is the section of /status about health.
func (s *server) healthStatus() any {
	up, down, out, probed := s.sink.health.counts()
	const most = 100 // lines; `ctl health` gives all
	all := s.sink.health.report(netip.Addr{})
	return struct {
		Up      int            `json:"up"`
		Down    int            `json:"down"`
		LeftOut int            `json:"left_out"`
		Probed  int            `json:"addresses_probed"`
		List    []healthReport `json:"list,omitempty"`
	}{up, down, out, probed, all[:min(most, len(all))]}
}

var (
	healthDesc  = prometheus.NewDesc("strata_health_addresses", "Addresses whose health is known from etcd, by state.", []string{"state"}, nil)
	leftOutDesc = prometheus.NewDesc("strata_health_left_out", "Addresses that are down, and left out of the answers where others are up.", nil, nil)
	probedDesc  = prometheus.NewDesc("strata_health_probed", "Addresses of records that ask for probing.", nil, nil)
)

// Describe implements prometheus.Collector.
func (h *health) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{healthDesc, leftOutDesc, probedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (h *health) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	up, down, out, probed := h.counts()
	gauge(healthDesc, up, "up")
	gauge(healthDesc, down, "down")
	gauge(leftOutDesc, out)
	gauge(probedDesc, probed)
}
