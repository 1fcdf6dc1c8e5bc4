package main

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/dpdk"
	"github.com/strata-dns/strata/core/plane/frame"
)

// A ported is a plane whose numbers are made up.
type ported struct{ dpdk.Plane }

func (ported) Counts() []dpdk.Counts {
	c := dpdk.Counts{
		Lcore: 2, Bursts: 7, Sent: 104, Unsent: 3, Oversize: 1, Gaps: [dpdk.GapLengths]uint64{1}, Naps: 5, Up: 100 * time.Second, Busy: 25 * time.Second,
		Longest: 900 * time.Microsecond, Recent: dpdk.Recent{Span: 50 * time.Second, Busy: 5 * time.Second, Longest: 40 * time.Microsecond},
	}
	c.Frames[frame.Query], c.Frames[frame.Turned], c.Frames[frame.Foreign] = 100, 4, 2
	c.Sizes[0], c.Sizes[3], c.Sizes[6] = 4, 2, 1
	return []dpdk.Counts{c}
}

func (ported) Ports() []dpdk.PortCounts {
	return []dpdk.PortCounts{{Name: "net_tap0", Driver: "net_tap", Received: 106, Sent: 104, Missed: 9, Sums: true, Checks: true, Spread: "addresses"}}
}

// replies is a handler that answers with each of the RCODEs, and drops the rest.
type replies []byte

func (r replies) Answer(batch []plane.Packet, _ plane.Queue) {
	for i := range batch {
		batch[i].Data = batch[i].Data[:0]
		if i < len(r) {
			batch[i].Data = append(batch[i].Data, 0, 1, 0x84, 0x80|r[i], 0, 0, 0, 0, 0, 0, 0, 0)
		}
	}
}

func TestCarriers(t *testing.T) {
	c := &carriers{plane: ported{}, tellers: make([]teller, 1)}
	c.tellers[0].next = replies{0, 0, 3, 5, 0}
	batch := make([]plane.Packet, 8)
	for i := range batch {
		batch[i].Data = make([]byte, 12)
	}
	if n := testing.AllocsPerRun(9, func() { c.tellers[0].Answer(batch, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var text strings.Builder
	c.status().write(&text)
	for _, want := range []string{
		"planes: socket, dpdk\n", "25.0 %", "10.0 %", "900µs", "40µs",
		"lcore 2: replies noerror 30, nxdomain 10, refused 10; dropped unsent 3, foreign 2, oversize 1; bursts of 1: 4, 8-15: 2, 64: 1\n",
		"port net_tap0 (net_tap): received 106, sent 104, missed 9,", "checksums: written and looked at by the port; spread: addresses\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if got := rcodeName(dns.RcodeBadVers) + " " + rcodeName(dns.RcodeBadCookie) + " " + rcodeName(dns.RcodeNameError); got != "badvers badcookie nxdomain" {
		t.Error(got)
	}
	data, err := json.Marshal(c.status())
	if err != nil || !strings.Contains(string(data), `"rcodes":{"noerror":30,"nxdomain":10,"refused":10}`) {
		t.Errorf("%v: %s", err, data)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(lcores{c})
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP strata_dpdk_replies_total Replies by their RCODE.
# TYPE strata_dpdk_replies_total counter
strata_dpdk_replies_total{lcore="2",rcode="noerror"} 30
strata_dpdk_replies_total{lcore="2",rcode="nxdomain"} 10
strata_dpdk_replies_total{lcore="2",rcode="refused"} 10
# HELP strata_dpdk_burst_frames Frames in a burst.
# TYPE strata_dpdk_burst_frames histogram
strata_dpdk_burst_frames_bucket{lcore="2",le="1"} 4
strata_dpdk_burst_frames_bucket{lcore="2",le="3"} 4
strata_dpdk_burst_frames_bucket{lcore="2",le="7"} 4
strata_dpdk_burst_frames_bucket{lcore="2",le="15"} 6
strata_dpdk_burst_frames_bucket{lcore="2",le="31"} 6
strata_dpdk_burst_frames_bucket{lcore="2",le="63"} 6
strata_dpdk_burst_frames_bucket{lcore="2",le="64"} 7
strata_dpdk_burst_frames_bucket{lcore="2",le="+Inf"} 7
strata_dpdk_burst_frames_sum{lcore="2"} 106
strata_dpdk_burst_frames_count{lcore="2"} 7
`), "strata_dpdk_replies_total", "strata_dpdk_burst_frames"); err != nil {
		t.Error(err)
	}
}

// A later is a handler that answers the first of a batch when it is told to, with NXDOMAIN.
type later struct{ deliver func() error }

func (l *later) Answer(batch []plane.Packet, late plane.Queue) {
	to := batch[0].Return
	l.deliver = func() error { return late.Deliver(to, []byte{0, 1, 0x84, 0x83, 0, 0, 0, 0, 0, 0, 0, 0}) }
	for i := range batch {
		batch[i].Data = nil
	}
}

// A taker is a queue that takes what is delivered, until it is closed.
type taker struct {
	plane.Queue
	err error
}

func (t *taker) Deliver(plane.Return, []byte) error { return t.err }

// Replies that are delivered later count as all others do; those that nobody takes do not.
func TestCarriersLate(t *testing.T) {
	var l later
	c := &carriers{plane: ported{}, tellers: make([]teller, 1)}
	c.tellers[0].next = &l
	q := new(taker)
	for range 3 {
		c.tellers[0].Answer(make([]plane.Packet, 2), q)
		if err := l.deliver(); err != nil {
			t.Error(err)
		}
	}
	q.err = net.ErrClosed
	if err := l.deliver(); err != q.err {
		t.Error(err)
	}
	if got := c.tellers[0].rcodes(); len(got) != 1 || got["nxdomain"] != 3 {
		t.Error(got)
	}
}

// Without DPDK there are sockets, and, where it was asked for, a reason.
func TestCarriersRefused(t *testing.T) {
	c := &carriers{refused: errors.New("no such device")}
	var text strings.Builder
	c.status().write(&text)
	if got := text.String(); got != "planes: socket\nthe plane dpdk cannot be had: no such device\n" {
		t.Error(got)
	}
	if err := c.command().Run(t.Context(), &control.Call{Args: []string{"x"}}); err == nil {
		t.Error("takes an argument")
	}
}
