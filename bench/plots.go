package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A plot is a chart of a table, and its file's name.
type plot struct {
	file string
	Chart
}

// plots are what can be drawn of a table's run.
func plots(table string, run *Run) []plot {
	switch table {
	case tableOffered:
		return offeredPlots(run)
	case tableNames:
		return []plot{{"dpdk-names", Chart{Title: "Cost of a query by names in the zone", X: "names", Y: "ns/query", LogX: true,
			Lines: []Line{{"Strata over memif", run.points(bySize, func(s Sample) float64 { return float64(s.Names) }, cpuPerQuery, 1)}}}}}
	case tableStability:
		return []plot{{"dpdk-stability", Chart{Title: "Replies in each second", X: "second", Y: "million queries/s",
			Lines: []Line{run.perSecond(steadily, memifHits), run.perSecond(steadily, memifEcho)}}}}
	}
	return nil
}

// offeredPlots leave out the row without a rate.
func offeredPlots(run *Run) []plot {
	load := func(s Sample) float64 { return s.Offered }
	var ideal [][2]float64
	answered := run.points(atRates, load, queryRate, 1)
	for _, p := range answered {
		ideal = append(ideal, [2]float64{p[0], p[0]})
	}
	latency := func(name string, m Metric) Line {
		return Line{name, run.points(atRates, load, m, float64(time.Microsecond))}
	}
	return []plot{
		{"dpdk-load", Chart{Title: "Throughput against offered load", X: "offered, queries/s", Y: "answered, queries/s",
			Lines: []Line{{"answered", answered}, {"all that is offered", ideal}}}},
		{"dpdk-latency", Chart{Title: "Latency against offered load", X: "offered, queries/s", Y: "µs", LogY: true,
			Lines: []Line{latency("p50", p50), latency("p99", p99), latency("p99.9", p999)}}},
	}
}

// points are the medians of the rows that have an x.
func (r *Run) points(load string, x func(Sample) float64, m Metric, unit float64) (points [][2]float64) {
	seen := map[string]bool{}
	for _, s := range r.Samples {
		if at := x(s); s.Load == load && at > 0 && !seen[s.Contender] {
			seen[s.Contender] = true
			if v, ok := r.median(load, s.Contender, m); ok {
				points = append(points, [2]float64{at, v / unit})
			}
		}
	}
	return sorted(points)
}

// perSecond is the series of a row's last round, in millions.
func (r *Run) perSecond(load, contender string) Line {
	l := Line{Name: contender}
	for _, s := range r.Samples {
		if s.Load == load && s.Contender == contender {
			l.Points = nil
			for i, n := range s.PerSecond {
				l.Points = append(l.Points, [2]float64{float64(i + 1), float64(n) / 1e6})
			}
		}
	}
	return l
}

// draw writes the plots of a table into dir/plots.
func draw(dir, table string, run *Run) error {
	for _, p := range plots(table, run) {
		var b bytes.Buffer
		if err := p.svg(&b); err != nil {
			return fmt.Errorf("draw %s: %w", p.file, err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "plots"), 0o755); err != nil {
			return fmt.Errorf("draw %s: %w", p.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "plots", p.file+".svg"), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("draw %s: %w", p.file, err)
		}
	}
	return nil
}
