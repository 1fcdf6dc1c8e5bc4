package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawing reads an SVG file as XML and returns its circles' and texts' count.
func drawing(t *testing.T, r io.Reader) (circles, texts int) {
	t.Helper()
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return circles, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			switch e.Name.Local {
			case "circle":
				circles++
			case "text":
				texts++
			}
			for _, a := range e.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.Contains(a.Value, "%!") {
					t.Fatalf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestChart(t *testing.T) {
	// The first vertical line of the grid goes from the top to the bottom, its value below.
	const grid = `<line x1="76.0" y1="64" x2="76.0" y2="348" stroke="#dddddd"/><text x="76.0" y="364" text-anchor="middle">`
	for name, c := range map[string]Chart{
		"nothing":    {Title: "nothing"},
		"one point":  {Title: "one", Lines: []Line{{"a", [][2]float64{{3, 4}}}}},
		"zero":       {Title: "zero", Lines: []Line{{"a", [][2]float64{{0, 0}, {1, 0}}}}},
		"logarithms": {Title: "a <b> & c", LogX: true, LogY: true, Lines: []Line{{"a", [][2]float64{{1000, 90}, {5e6, 400}}}, {"b", [][2]float64{{1000, 1}}}}},
	} {
		var b strings.Builder
		if err := c.svg(&b); err != nil {
			t.Fatal(err)
		}
		points := 0
		for _, l := range c.Lines {
			points += len(l.Points)
		}
		if circles, texts := drawing(t, strings.NewReader(b.String())); circles != points || texts < 3 {
			t.Errorf("%s: %d circles for %d points, %d texts", name, circles, points, texts)
		}
		if !strings.Contains(b.String(), grid) && name != "nothing" {
			t.Errorf("%s: no %s in\n%s", name, grid, b.String())
		}
		if strings.Contains(b.String(), "%!") {
			t.Errorf("%s: a verb is left:\n%s", name, b.String())
		}
	}
}

// Everything that is drawn is within the axes, whose ticks are few and in order.
func TestAxis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.001, 1e9), 1, 20).Draw(t, "values")
		l := Line{Name: "a"}
		for _, v := range values {
			l.Points = append(l.Points, [2]float64{v, v})
		}
		a := Chart{Lines: []Line{l}}.axis(0, rapid.Bool().Draw(t, "log"))
		for _, v := range values {
			if at := a.at(v); at < -1e-9 || at > 1+1e-9 {
				t.Fatalf("%g stands at %g of %+v", v, at, a)
			}
		}
		ticks := a.ticks()
		if len(ticks) < 2 || len(ticks) > 20 {
			t.Fatalf("%d ticks on %+v", len(ticks), a)
		}
		for i := range ticks[1:] {
			if ticks[i+1] <= ticks[i] {
				t.Fatalf("ticks %v", ticks)
			}
		}
	})
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", 1500: "1.5k", 2e6: "2M", 0.25: "0.25"} {
		if got := short(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}

// The tables that are drawn have their files, and the report shows them.
func TestDraw(t *testing.T) {
	dir := t.TempDir()
	results := Results{}
	for table, samples := range map[string][]Sample{
		tableOffered: {{Load: atRates, Contender: "a", Offered: 1e6, QPS: 1e6}, {Load: atRates, Contender: "b", Offered: 2e6, QPS: 1.8e6},
			{Load: atRates, Contender: "c", QPS: 1.9e6}},
		tableNames:     {{Load: bySize, Contender: "a", Names: 1000, QPS: 4e6}, {Load: bySize, Contender: "b", Names: 50_000, QPS: 3e6}},
		tableStability: {{Load: steadily, Contender: memifHits, QPS: 2e6, PerSecond: []uint64{1, 2, 3}}, {Load: steadily, Contender: memifEcho, QPS: 2e6, PerSecond: []uint64{4, 5, 6}}},
	} {
		run := &Run{Date: "2026-01-02 03:04 UTC"}
		for i, s := range samples {
			s.Round, s.Flood, s.Completed, s.Seconds, s.CPU = 1, true, int64(s.QPS), 1, time.Second
			s.P50, s.P99, s.P999 = 10*time.Microsecond, 20*time.Microsecond, 30*time.Microsecond
			run.Samples = append(run.Samples, s)
			run.Entries = append(run.Entries, Entry{Name: s.Contender, Ours: i == 0})
		}
		if err := draw(dir, table, run); err != nil {
			t.Fatal(err)
		}
		results[table] = run
	}
	for file, points := range map[string]int{"dpdk-load": 4, "dpdk-latency": 6, "dpdk-names": 2, "dpdk-stability": 6} {
		f, err := os.Open(filepath.Join(dir, "plots", file+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if circles, _ := drawing(t, f); circles != points {
			t.Errorf("%s: %d points, want %d", file, circles, points)
		}
	}
	var b strings.Builder
	if err := report(&b, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"](plots/dpdk-load.svg)", "](plots/dpdk-latency.svg)", "](plots/dpdk-names.svg)", "](plots/dpdk-stability.svg)", "| row | queries/s |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the report:\n%s", want, b.String())
		}
	}
}
