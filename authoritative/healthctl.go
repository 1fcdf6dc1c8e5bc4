package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// leftOut gives the addresses that an answer does not have because they are down.
func (s *server) leftOut(r *zone.Reader, name []byte, typ uint16, answer []dns.RR) []string {
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
	return s.sink.health.missing(standsAt(r, name, typ), typ, has)
}

// standsAt is the name that a hit's RRset has in the table: the question's, or the
// wildcard's for it. That is the first one found: were there one closer to the name,
// its encloser would be the closest (RFC 4592 §3.3.1).
func standsAt(r *zone.Reader, name []byte, typ uint16) []byte {
	look := func(name []byte) zone.Result {
		var q wire.Query
		q.Parse(wire.AppendQuery(nil, 0, 0, name, typ, wire.ClassIN, nil))
		return r.Lookup(&q, typ, -1)
	}
	if !look(name).Wildcard {
		return name
	}
	for above := name[1+name[0]:]; len(above) > 1; above = above[1+above[0]:] {
		star := append([]byte{1, '*'}, above...)
		if res := look(star); res.Outcome == zone.Hit && !res.Wildcard {
			return star
		}
	}
	return name
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

// A healthReport is an address that is not up, as `ctl health` and /status show it.
type healthReport struct {
	Address netip.Addr `json:"address"`
	State   string     `json:"state"`
	Since   time.Time  `json:"since,omitzero"`
	By      string     `json:"by,omitempty"`
	Answer  string     `json:"answer"`          // what comes of it
	Names   []string   `json:"names,omitempty"` // where it stands
}

// What comes of an address's health.
const (
	isAnswered = "answered"
	isLeftOut  = "left out, unless all of the RRset are down"
	isExpired  = "answered: no prober vouches for it any more"
	isNowhere  = "in no record that is probed"
)

// report says what is known of addresses: of one, or of all that are down.
func (h *health) report(one netip.Addr) (all []healthReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for addr, state := range h.known {
		if addr != one && (one.IsValid() || state.State != store.Down) {
			continue
		}
		r := healthReport{Address: addr, State: state.State.String(), Since: state.Since, By: state.By, Answer: isAnswered}
		switch {
		case len(h.at[addr]) == 0:
			r.Answer = isNowhere
		case h.out[addr]:
			r.Answer = isLeftOut
		case state.State == store.Down:
			r.Answer = isExpired
		}
		for set := range h.at[addr] {
			r.Names = append(r.Names, wire.NameString([]byte(set.name)))
		}
		slices.Sort(r.Names)
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b healthReport) int { return a.Address.Compare(b.Address) })
	return all
}

// missing gives the addresses that an RRset is not answered with, as lines.
func (h *health) missing(name []byte, typ uint16, answered [][]byte) (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for addr := range h.out {
		data := addr.AsSlice()
		has := slices.ContainsFunc(answered, func(b []byte) bool { return bytes.Equal(b, data) })
		if h.at[addr][rrset{string(name), typ}] > 0 && !has {
			state := h.known[addr]
			lines = append(lines, fmt.Sprintf("%s is down since %s by %s", addr, state.Since.Format(time.RFC3339), state.By))
		}
	}
	slices.Sort(lines)
	return lines
}

// counts are for metrics.
func (h *health) counts() (up, down, out, probed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, state := range h.known {
		if state.State == store.Down {
			down++
		} else {
			up++
		}
	}
	return up, down, len(h.out), len(h.at)
}
