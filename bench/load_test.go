package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func sampleOutput(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/dnsperf.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestParseOutcome(t *testing.T) {
	o, err := parseOutcome(sampleOutput(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Sent != 4 || o.Completed != 3 || o.Lost != 1 || o.QPS != 1.498855 || o.Seconds != 2.001528 {
		t.Errorf("counts: %+v", o)
	}
	if want := map[string]int64{"NOERROR": 2, "NXDOMAIN": 1}; !maps.Equal(o.RCodes, want) {
		t.Errorf("response codes %v, want %v", o.RCodes, want)
	}
	if o.Mean != 259*time.Microsecond {
		t.Errorf("mean latency %v", o.Mean)
	}
	// The query that timed out has no latency.
	want := []time.Duration{569 * time.Microsecond, 120 * time.Microsecond, 112 * time.Microsecond}
	if !slices.Equal(o.Latencies, want) {
		t.Errorf("latencies %v, want %v", o.Latencies, want)
	}
}

func TestParseOutcomeOfNothing(t *testing.T) {
	for _, text := range []string{"", "Error: could not bind", strings.Replace(sampleOutput(t), "Queries per second", "q", 1)} {
		if o, err := parseOutcome(text); err == nil {
			t.Errorf("no error for %.40q: %+v", text, o)
		}
	}
}

func TestLoadCommand(t *testing.T) {
	l := Load{File: "f", Clients: 1, Outstanding: 100, Seconds: 5}
	if got, want := l.command("$PORT", 0), "taskset -c 0 dnsperf -s 127.0.0.1 -p $PORT -d f -c 1 -q 100 -t 1 -l 5"; got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	l.Seconds, l.Rate, l.Each = 0, 10, true
	if got, want := l.command("5300", 3), "taskset -c 3 dnsperf -s 127.0.0.1 -p 5300 -d f -c 1 -q 100 -t 1 -n 1 -Q 10 -v"; got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
}

func FuzzParseOutcome(f *testing.F) {
	f.Add(sampleOutput(f))
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseOutcome(text) // must only not panic
	})
}
