package main

import (
	"testing"
	"time"
)

func TestParsePutWatch(t *testing.T) {
	const text = "goos: linux\nBenchmarkPutWatch-2   \t     500\t   2034567 ns/op\t   9000000 longest-ns\t    412345 p50-ns\t   1200000 p99-ns\nPASS\n"
	s, err := parsePutWatch(text)
	if err != nil || s.P50 != 412345 || s.P99 != 1200*time.Microsecond || s.Longest != 9*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := parsePutWatch("PASS\n"); err == nil {
		t.Error("no figures are figures")
	}
}

func TestAllowance(t *testing.T) {
	run := &Run{Samples: []Sample{
		{Load: propagation, Contender: "Strata", P50: 2400 * time.Microsecond},
		{Load: propagation, Contender: "CoreDNS kubernetes", P50: 1500 * time.Microsecond},
		{Load: propagation, Contender: etcdItself, P50: 700 * time.Microsecond},
	}}
	const want = "Target for the median: at most CoreDNS's + 1.5 × etcd's own put → watch, 1.50 + 1.5 × 0.70 = 2.55 ms; Strata's is 2.40 ms: yes."
	if got := allowance(run); got != want {
		t.Error(got)
	}
	run.Samples[0].P50 = 2600 * time.Microsecond
	if got := allowance(run); got[len(got)-3:] != "no." {
		t.Error(got)
	}
}
