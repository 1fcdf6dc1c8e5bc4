package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/RESULTS.md anew")

// invented is a run with round figures: Strata at 2 µs against 4, 3 and 40.
func invented() Results {
	m := Machine{CPU: "A CPU", Cores: 2, Kernel: "6.1", Memory: 8 << 30, System: "Debian", Go: "go1.26"}
	run := &Run{Date: "2026-01-02 03:04 UTC", Machine: m, Command: "go run ./bench", Settings: []string{"A setting."},
		Commands: []string{"dnsperf -p $PORT"}, Entries: []Entry{
			{Name: "Strata", Ours: true, Version: "1", Command: "authoritative serve"},
			{Name: "Knot", Version: "3", Command: "knotd"}, {Name: "NSD", Version: "4", Command: "nsd"},
			{Name: "CoreDNS", Version: "1", Command: "coredns"},
			{Name: "BIND", Missing: "named is missing: bench/deps | installs it"}}}
	for round := 1; round <= 3; round++ {
		for name, us := range map[string]int{"Strata": 2, "Knot": 4, "NSD": 3, "CoreDNS": 40} {
			busy := time.Second
			if us == 40 {
				busy = 300 * time.Millisecond
			}
			run.Samples = append(run.Samples, Sample{Load: existing, Contender: name, Round: round,
				QPS: float64(1e6/us) + float64(round), Completed: 1000, CPU: time.Duration(us) * time.Millisecond, Seconds: 1, LoadCPU: busy,
				P50: 40 * time.Microsecond, P99: 90 * time.Microsecond, Resident: int64(us) << 20, CPUFrom: "schedstat"})
		}
	}
	held := &Run{Date: run.Date, Machine: m, Command: run.Command, Entries: run.Entries[:3], Samples: []Sample{
		{Load: loaded, Contender: "Strata", Round: 1, Resident: 300 << 20, Peak: 400 << 20, LoadTime: 3 * time.Second},
		{Load: loaded, Contender: "Knot", Round: 1, Resident: 700 << 20, Peak: 750 << 20, LoadTime: 7 * time.Second, Stolen: 0.2},
		{Load: loaded, Contender: "NSD", Round: 1, Resident: 500 << 20, Peak: 500 << 20, LoadTime: 2 * time.Second}}}
	sizes := &Run{Date: run.Date, Machine: m, Command: run.Command,
		Entries: []Entry{{Name: smallTable}, {Name: largeTable, Ours: true}}, Samples: []Sample{
			{Load: answered, Contender: smallTable, Round: 1, PerAnswer: 100},
			{Load: answered, Contender: largeTable, Round: 1, PerAnswer: 350}}}
	none, some := int64(0), int64(1234)
	junk := &Run{Date: run.Date, Machine: m, Command: run.Command, Entries: []Entry{{Name: "Strata", Ours: true}, {Name: "unbound with local zones"}},
		Samples: []Sample{{Load: junkMix, Contender: "Strata", Round: 1, QPS: 400_000, Completed: 1000, Seconds: 1, CPU: 2 * time.Millisecond, Noise: &none},
			{Load: junkMix, Contender: "unbound with local zones", Round: 1, QPS: 200_000, Completed: 1000, Seconds: 1, CPU: 4 * time.Millisecond, Noise: &some}}}
	cold := &Run{Date: run.Date, Machine: m, Command: run.Command, Entries: []Entry{{Name: "Strata", Ours: true}, {Name: "unbound"}}}
	for round, most := range []int64{1, 2, 1} { // asked twice in one round of three
		cold.Samples = append(cold.Samples, Sample{Load: storm, Contender: "Strata", Round: round + 1, Asked: 3000, Completed: 2990, Lost: 10, Seconds: 1,
			P50: 21 * time.Millisecond, P99: 30 * time.Millisecond, P999: 35 * time.Millisecond, Longest: 50 * time.Millisecond, UpstreamP99: stormDelay, Repeats: &most},
			Sample{Load: storm, Contender: "unbound", Round: round + 1, Asked: 3000, Completed: 3000, Seconds: 1,
				P50: 22 * time.Millisecond, P99: 60 * time.Millisecond, P999: 70 * time.Millisecond, Longest: 70 * time.Millisecond, UpstreamP99: stormDelay, Repeats: &some})
	}
	return Results{tableAuthoritative: run, tableLookup: sizes, tableMemory: held, tableJunk: junk, tableCold: cold}
}

func TestReport(t *testing.T) {
	var b strings.Builder
	if err := report(&b, invented()); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "RESULTS.md")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the report is not testdata/RESULTS.md (go test ./bench -update writes it):\n%s", b.String())
	}
}

func TestJudge(t *testing.T) {
	results := invented()
	for _, c := range []struct {
		target   Target
		peer     string
		measured float64
		reached  string
	}{
		{Target{tableAuthoritative, existing, cpuPerQuery, "", 0.9, true, ""}, "NSD", 2.0 / 3, "yes"},
		{Target{tableAuthoritative, existing, cpuPerQuery, "", 0.5, true, ""}, "NSD", 2.0 / 3, "no"},
		{Target{tableAuthoritative, existing, cpuPerQuery, "CoreDNS", 0.05, true, ""}, "CoreDNS", 0.05, "yes"},
		{Target{tableAuthoritative, existing, queryRate, "", 1.1, false, ""}, "NSD", 500002.0 / 333335, "yes"},
		{Target{tableAuthoritative, existing, queryRate, "", 2, false, ""}, "NSD", 500002.0 / 333335, "no: dnsperf is the limit, CPU per query decides"},
		{Target{tableAuthoritative, existing, queryRate, "BIND", 2, false, ""}, "BIND", 0, "not measured"},
		{Target{tableLookup, answered, perAnswer, smallTable, 4, true, ""}, smallTable, 3.5, "yes"},
		{Target{tableLookup, answered, perAnswer, smallTable, 3, true, ""}, smallTable, 3.5, "no"},
		{Target{tableLookup, answered, allocations, "", 0, true, ""}, "", 0, "yes"},
		{Target{tableMemory, loaded, memory, "", 0.5, true, ""}, "NSD", 0.6, "no"},
		{Target{tableMemory, loaded, loadTime, "", 1, true, ""}, "NSD", 1.5, "no"},
		{Target{tableNodecache, hits, memory, "unbound", 2, true, ""}, "unbound", 0, "not measured"},
		{Target{tableJunk, junkMix, noise, "", 0, true, ""}, "", 0, "yes"},
		{Target{tableCold, storm, repeats, "", 1, true, ""}, "", 2, "no"},
		{Target{tableCold, storm, slowdown, "", 2, true, ""}, "", 1.5, "yes"},
		{Target{tableCold, storm, slowdown, "", 1.4, true, ""}, "", 1.5, "no"},
		{Target{tableCold, storm, failed, "", 0, true, ""}, "", 10, "no"},
		{Target{tableCold, storm, p999, "unbound", 1, true, ""}, "unbound", 0.5, "yes"},
		{Target{tableAway, restarted, failed, "", 0, true, ""}, "", 0, "not measured"},
	} {
		v := c.target.judge(results[c.target.Table])
		if v.Peer != c.peer || v.Reached != c.reached || v.Measured-c.measured > 1e-9 || c.measured-v.Measured > 1e-9 {
			t.Errorf("%s %s: against %s %v, reached %q; want %s %v %q",
				c.target.Metric, c.target.text(), v.Peer, v.Measured, v.Reached, c.peer, c.measured, c.reached)
		}
	}
}

func TestMedianAndQuantile(t *testing.T) {
	if median(nil) != 0 || median([]float64{3, 1, 2}) != 2 || median([]float64{4, 1, 3, 2}) != 2.5 {
		t.Error("median")
	}
	values := make([]time.Duration, 100)
	for i := range values {
		values[i] = time.Duration(100 - i)
	}
	if quantile(nil, 0.5) != 0 || quantile(values, 0.5) != 51 || quantile(values, 0.99) != 100 || quantile(values[:1], 0.99) != 1 {
		t.Error("quantile")
	}
}

func TestResultsSurviveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if empty, err := readResults(path); err != nil || len(empty) != 0 {
		t.Errorf("no file: %v, %v", empty, err)
	}
	want := invented()
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	have, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if !reflect.DeepEqual(have[name], want[name]) {
			t.Errorf("%s:\nhave %+v\nwant %+v", name, have[name], want[name])
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readResults(path); err == nil {
		t.Error("no error for half a file")
	}
}

// One table measured anew leaves the other as it was.
func TestSaveKeepsTheOthers(t *testing.T) {
	dir, results := t.TempDir(), invented()
	for name, run := range results {
		if err := save(dir, name, run); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"## Authoritative", "## Memory"} {
		if !strings.Contains(string(text), title) {
			t.Errorf("RESULTS.md has no %s", title)
		}
	}
}
