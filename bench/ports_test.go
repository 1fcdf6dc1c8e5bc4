package main

import (
	"strings"
	"testing"
	"time"

	"github.com/strata-dns/strata/bench/packets"
)

const lcorePage = `# HELP strata_dpdk_frames_total Frames.
strata_dpdk_frames_total{lcore="0",verdict="query"} 1200
strata_dpdk_frames_total{lcore="1",verdict="foreign"} 7
strata_dpdk_frames_total{lcore="1",verdict="query"} 4.216784e+06
strata_dpdk_longest_gap_seconds{lcore="1"} 0.7
strata_dpdk_recent_longest_gap_seconds{lcore="1"} 0.0025
strata_dpdk_total{lcore="1",what="gaps"} 31
strata_dpdk_total{lcore="1",what="gaps_over_2ms"} 4
strata_dpdk_total{lcore="1",what="sent"} 99
strata_queries_total{lcore="1"} 5
go_goroutines 12
`

func TestParseLcores(t *testing.T) {
	all := parseLcores(lcorePage)
	want := lcoreCount{queries: 4_216_784, gaps: [5]float64{0: 31, 2: 4}, longest: 2500 * time.Microsecond}
	if len(all) != 2 || all["1"] != want || all["0"] != (lcoreCount{queries: 1200}) {
		t.Errorf("%+v", all)
	}
}

const gunOutput = `using interface eth0, XDP threads 1, UDP, native mode
thread#00: sent 400032, received 104353
total queries:     400032 (200016 pps)
total replies:     104353 (52176 pps) (26%)
average DNS reply size: 57 B
average Ethernet reply rate: 41613984 bps (41.61 Mbps)
responded NOERROR:   104353
duration: 2 s
`

func TestParseGun(t *testing.T) {
	s, err := parseGun(gunOutput)
	if err != nil || s.QPS != 52_176 || s.Completed != 104_353 || s.Lost != 400_032-104_353 || s.Seconds < 1.99 || s.Seconds > 2.01 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", strings.ReplaceAll(gunOutput, "total replies", "no replies"), strings.ReplaceAll(gunOutput, "total queries", "no")} {
		if _, err := parseGun(text); err == nil {
			t.Errorf("%.40q: no error", text)
		}
	}
}

func FuzzParseGun(f *testing.F) {
	f.Add(gunOutput)
	f.Add("total replies: 1 (1 pps)\ntotal queries: 0 (0 pps)")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseGun(text); err == nil && (s.QPS <= 0 || s.Lost < 0 || s.Completed < 0) {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}

func FuzzParseLcores(f *testing.F) {
	f.Add(lcorePage)
	f.Add(`strata_dpdk_total{lcore="`)
	f.Fuzz(func(t *testing.T, text string) { parseLcores(text) })
}

// Answers of another kind than asked for end a measurement.
func TestRight(t *testing.T) {
	codes := func(noError, missing, refused uint64) map[string]uint64 {
		return map[string]uint64{"NOERROR": noError, "NXDOMAIN": missing, "REFUSED": refused}
	}
	for _, c := range []struct {
		name  string
		r     packets.Report
		share float64
		ok    bool
	}{
		{"all there", packets.Report{Received: 1000, RCodes: codes(1000, 0, 0)}, 0, true},
		{"half absent", packets.Report{Received: 1000, RCodes: codes(505, 495, 0)}, 0.5, true},
		{"none", packets.Report{}, 0, false},
		{"an echo", packets.Report{Received: 1000, Empty: 1000, RCodes: codes(1000, 0, 0)}, 0, false},
		{"refused", packets.Report{Received: 1000, RCodes: codes(999, 0, 1)}, 0, false},
		{"absent ones answered", packets.Report{Received: 1000, RCodes: codes(1000, 0, 0)}, 0.5, false},
		{"present ones denied", packets.Report{Received: 1000, RCodes: codes(900, 100, 0)}, 0, false},
	} {
		if err := right(&c.r, c.share); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// What is asked of whom: a figure of one row against another's, and a number that is to be
// reached.
func TestTargetsOfRows(t *testing.T) {
	at := func(name string, qps float64) Sample {
		return Sample{Load: fullSpeed, Contender: name, Round: 1, Flood: true, QPS: qps, Completed: int64(qps), Seconds: 1, CPU: time.Second, LoadCPU: time.Second}
	}
	run := &Run{
		Entries: []Entry{{Name: memifHits, Ours: true}, {Name: memifLarge}, {Name: memifHalf}, {Name: memifKnot}},
		Samples: []Sample{at(memifHits, 5e6), at(memifLarge, 2e6), at(memifHalf, 3.5e6), at(memifKnot, 1e5)},
	}
	// 5 ≥ 4 million; 50 ≥ 40; 2 < 2.5 million; 2.5 > 2; 0.7 < 0.8, of which a generator that polls, and so is
	// always busy, is no excuse.
	want := []string{"yes", "yes", "no", "no", "no"}
	var got []string
	for _, target := range targets {
		if target.Table == tableMemif {
			got = append(got, target.judge(run).Reached)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%v, want %v", got, want)
	}
}

// The echo loop's figures of the same run are taken off.
func TestUnsteady(t *testing.T) {
	s := Sample{Deviation: 0.021, EchoDeviation: 0.015, PollGap: 900 * time.Microsecond, EchoGap: 500 * time.Microsecond}
	points, ok := unsteady.of(s)
	beyond, known := poll.of(s)
	if !ok || !known || points < 0.599 || points > 0.601 || beyond != 400 {
		t.Errorf("%g points, %g µs, %v, %v", points, beyond, ok, known)
	}
	if _, ok := unsteady.of(Sample{Deviation: 0.021}); ok {
		t.Error("held against an echo loop that was not measured")
	}
	s.PollGap = 100 * time.Microsecond
	if beyond, _ := poll.of(s); beyond != -400 {
		t.Errorf("%g µs", beyond)
	}
}

// Two starts that differ in their socket alone are one command.
func TestAppendNew(t *testing.T) {
	all := appendNew(nil, withoutSocket(`flood --eal "--vdev=net_memif0,socket=$WORK/memif-123" --rate 0`))
	all = appendNew(all, withoutSocket(`flood --eal "--vdev=net_memif0,socket=$WORK/memif-456" --rate 0`))
	all = appendNew(all, withoutSocket(`flood --eal "--vdev=net_memif0,socket=$WORK/memif-456" --rate 5`))
	if len(all) != 2 || strings.Contains(all[0], "123") {
		t.Errorf("%q", all)
	}
}
