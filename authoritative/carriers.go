package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/dpdk"
	"github.com/strata-dns/strata/core/plane/frame"
	"github.com/strata-dns/strata/core/wire"
)

// carriers are what carries packets here: sockets, and DPDK's plane where there is one.
type carriers struct {
	refused error      // why DPDK could not be had, of plane auto
	plane   dpdk.Plane // nil without
	tellers []teller   // one an lcore
}

// rcodes are as many as are told apart: those of headers and the first of EDNS.
const rcodes = 24

// A teller counts the RCODEs of what one lcore answers.
type teller struct {
	next plane.Handler
	late lateTeller
	now  [rcodes]uint32 // of the batch in hand
	_    [64]byte
	all  [rcodes]atomic.Uint64
	_    [64]byte
}

// Answer implements plane.Handler.
func (t *teller) Answer(batch []plane.Packet, late plane.Queue) {
	if t.late.Queue == nil && late != nil { // it is the same one ever after
		t.late = lateTeller{late, t}
	}
	t.next.Answer(batch, &t.late)
	for i := range batch {
		if reply := batch[i].Data; len(reply) >= wire.HeaderLen {
			t.now[rcodeOf(reply)%rcodes]++
		}
	}
	for code, n := range t.now {
		if n != 0 {
			t.all[code].Add(uint64(n))
			t.now[code] = 0
		}
	}
}

// A lateTeller counts what is delivered to the lcore's queue later on.
type lateTeller struct {
	plane.Queue
	teller *teller
}

// Deliver implements plane.Queue.
func (l *lateTeller) Deliver(to plane.Return, reply []byte) error {
	if err := l.Queue.Deliver(to, reply); err != nil {
		return err
	}
	if len(reply) >= wire.HeaderLen {
		l.teller.all[rcodeOf(reply)%rcodes].Add(1)
	}
	return nil
}

// alone are the counts of a header with a question, and one record in the additional section.
const alone = 1<<48 | 1

// rcodeOf is the RCODE of a reply of ours. Those above 15 (RFC 6891 §6.1.3) have OPT and no other
// record, right behind the question.
func rcodeOf(reply []byte) int {
	low := int(reply[3] & 15)
	if binary.BigEndian.Uint64(reply[4:]) != alone {
		return low
	}
	at := wire.HeaderLen
	for at < len(reply) && reply[at] != 0 {
		at += 1 + int(reply[at])
	}
	if at += 1 + 4; at+5 >= len(reply) || reply[at] != 0 || binary.BigEndian.Uint16(reply[at+1:]) != wire.TypeOPT {
		return low
	}
	return int(reply[at+5])<<4 | low
}

// rcodes names what has been counted.
func (t *teller) rcodes() map[string]uint64 {
	all := map[string]uint64{}
	for code := range t.all {
		if n := t.all[code].Load(); n != 0 {
			all[rcodeName(code)] = n
		}
	}
	return all
}

func rcodeName(code int) string {
	if code == dns.RcodeBadVers { // in the table it has TSIG's name of the same number
		return "badvers"
	}
	return strings.ToLower(dns.RcodeToString[code])
}

// planeStatus is the section plane of /status, and what `ctl plane` shows.
type planeStatus struct {
	Planes  []string          `json:"planes"` // those that carry
	Refused string            `json:"refused,omitempty"`
	Lcores  []lcoreStatus     `json:"lcores,omitempty"`
	Ports   []dpdk.PortCounts `json:"ports,omitempty"`
}

type lcoreStatus struct {
	Lcore    int               `json:"lcore"`
	Received uint64            `json:"received"` // queries
	Answered uint64            `json:"answered"`
	Turned   uint64            `json:"turned"` // ARP, neighbour discovery, echo
	Rcodes   map[string]uint64 `json:"rcodes"`
	Dropped  map[string]uint64 `json:"dropped"` // by why
	Bursts   map[string]uint64 `json:"bursts"`  // by frames in them
	Busy     float64           `json:"busy"`    // share of the time
	BusyNow  float64           `json:"busy_last_minute"`
	Gap      float64           `json:"longest_gap_seconds"`
	GapNow   float64           `json:"longest_gap_last_minute_seconds"`
	Gaps     uint64            `json:"gaps"` // above dpdk.LongGap
	Naps     uint64            `json:"naps"`
}

func (c *carriers) status() planeStatus {
	s := planeStatus{Planes: []string{planeSocket}}
	if c.refused != nil {
		s.Refused = c.refused.Error()
	}
	if c.plane == nil {
		return s
	}
	s.Planes = append(s.Planes, planeDPDK)
	for i, n := range c.plane.Counts() {
		s.Lcores = append(s.Lcores, lcoreOf(&n, c.tellers[i].rcodes()))
	}
	s.Ports = c.plane.Ports()
	return s
}

func lcoreOf(n *dpdk.Counts, rcodes map[string]uint64) lcoreStatus {
	l := lcoreStatus{
		Lcore: n.Lcore, Received: n.Frames[frame.Query], Turned: n.Frames[frame.Turned], Rcodes: rcodes,
		Dropped: map[string]uint64{}, Bursts: map[string]uint64{}, Gap: n.Longest.Seconds(), Gaps: n.Gaps[0], Naps: n.Naps,
		BusyNow: n.Recent.Share(), GapNow: n.Recent.Longest.Seconds(),
	}
	if n.Up > 0 {
		l.Busy = n.Busy.Seconds() / n.Up.Seconds()
	}
	for _, count := range rcodes {
		l.Answered += count
	}
	drop := func(why string, count uint64) {
		if count > 0 {
			l.Dropped[why] = count
		}
	}
	for v := frame.Foreign; v < frame.Verdicts; v++ {
		drop(v.String(), n.Frames[v])
	}
	drop("oversize", n.Oversize)
	drop("unsent", n.Unsent)
	for i, count := range n.Sizes {
		if count > 0 {
			l.Bursts[burstName(i)] = count
		}
	}
	return l
}

// burstName says how many frames are in the bursts of a size: "8-15".
func burstName(i int) string {
	from, to := 1<<i, dpdk.BurstUpTo(i)
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

func (c *carriers) command() control.Command {
	return control.Command{
		Name: "plane", Help: "say what carries packets, and what each lcore has received, answered and dropped",
		Run: func(_ context.Context, call *control.Call) error {
			if len(call.Args) > 0 {
				return errors.New("plane takes no argument")
			}
			s := c.status()
			return call.Value(s, s.write)
		},
	}
}

// write writes tables for people.
func (s planeStatus) write(w io.Writer) {
	fmt.Fprintf(w, "planes: %s\n", strings.Join(s.Planes, ", "))
	if s.Refused != "" {
		fmt.Fprintf(w, "the plane dpdk cannot be had: %s\n", s.Refused)
	}
	if len(s.Lcores) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "lcore\treceived\tanswered\tdropped\tturned\tbusy\tlast minute\tlongest gap\tlast minute\tnaps\t\n")
	for _, l := range s.Lcores {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%.1f %%\t%.1f %%\t%s\t%s\t%d\t\n", l.Lcore, l.Received, l.Answered, total(l.Dropped), l.Turned,
			100*l.Busy, 100*l.BusyNow, span(l.Gap), span(l.GapNow), l.Naps)
	}
	table.Flush()
	for _, l := range s.Lcores {
		fmt.Fprintf(w, "lcore %d: replies %s; dropped %s; bursts of %s\n", l.Lcore, amounts(l.Rcodes), amounts(l.Dropped), l.bursts())
	}
	for _, p := range s.Ports {
		fmt.Fprintf(w, "port %s (%s): received %d, sent %d, missed %d, no buffer %d, errors %d, send errors %d; %s; spread: %s\n",
			p.Name, p.Driver, p.Received, p.Sent, p.Missed, p.NoBuffer, p.Errors, p.SendErrors, checksums(&p), p.Spread)
	}
}

// checksums says who writes those of replies and looks at those of queries.
func checksums(p *dpdk.PortCounts) string {
	switch {
	case p.Sums && p.Checks:
		return "checksums: written and looked at by the port"
	case p.Sums:
		return "checksums: written by the port"
	case p.Checks:
		return "checksums: looked at by the port"
	}
	return "checksums: by the lcores"
}

func total(by map[string]uint64) (n uint64) {
	for _, count := range by {
		n += count
	}
	return n
}

// amounts lists what was counted, the most first: "noerror 12, nxdomain 3".
func amounts(by map[string]uint64) string {
	var names []string
	for name := range by {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if by[a] != by[b] && by[a] > by[b] {
			return -1
		} else if by[a] != by[b] {
			return 1
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, by[name])
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// bursts lists them by size.
func (l *lcoreStatus) bursts() string {
	var all []string
	for i := range dpdk.BurstSizes {
		if n := l.Bursts[burstName(i)]; n > 0 {
			all = append(all, fmt.Sprintf("%s: %d", burstName(i), n))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func span(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}
