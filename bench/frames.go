package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// framesLoad reports whether the load's queries were frames.
func (r *Run) framesLoad(load string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Load == load && s.Flood })
}

// flooded reports whether a row's queries were frames.
func (r *Run) flooded(load, contender string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Load == load && s.Contender == contender && s.Flood })
}

// long reports whether the run is one long measurement instead of three rounds.
func (r *Run) long() bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Seconds >= 30 })
}

// frames is the table of a load of frames: medians over the rounds, lost and gaps of the
// worst. Columns that nobody has a figure for are left out.
func (p *printer) frames(run *Run, load string) {
	cell := func(m Metric) func(Entry) string { return func(e Entry) string { return run.cell(load, e.Name, m) } }
	latency := func(m Metric) func(Entry) string {
		return func(e Entry) string {
			v, ok := run.median(load, e.Name, m)
			if !ok {
				return "–"
			}
			return fmt.Sprintf("%.0f", v/float64(time.Microsecond))
		}
	}
	share := func(m Metric) func(Entry) string {
		return func(e Entry) string {
			v, ok := run.median(load, e.Name, m)
			if !ok {
				return "–"
			}
			return fmt.Sprintf("%.2f %%", v*100)
		}
	}
	p.columnsOf(run, load, queryRate, []column{
		{"row", func(e Entry) string { return e.Name }},
		{"queries/s", cell(queryRate)},
		{"min–max", func(e Entry) string {
			low, high := run.span(load, e.Name, queryRate)
			return fmt.Sprintf("%.0f–%.0f", low, high)
		}},
		{"CPU ns/query", func(e Entry) string {
			v, ok := run.median(load, e.Name, cpuPerQuery)
			if !ok {
				return "–"
			}
			return fmt.Sprintf("%.0f", v)
		}},
		{"port full", share(fullPort)}, {"deviation", share(deviation)},
		{"lost", func(e Entry) string { return run.worst(load, e.Name, lost, 1) }},
		{"p50 µs", latency(p50)}, {"p99 µs", latency(p99)}, {"p99.9 µs", latency(p999)}, {"longest µs", latency(longest)},
		{"longest between polls µs", latency(pollGap)}, {"polls 500 µs late", cell(pollGaps)}, {"1, 2, 5, 10 ms late", func(e Entry) string { return run.longGaps(load, e.Name) }}, {"changes/s", cell(changeRate)},
		{"queries by lcore", func(e Entry) string { return run.byLcore(load, e.Name) }},
		{"Strata's queries/s ÷ this", func(e Entry) string { return run.ratio(load, e, queryRate) }},
	})
}

// longGaps are how many gaps were above each of the other lengths, medians over the rounds.
func (r *Run) longGaps(load, contender string) string {
	var counts [len(gapLengths)][]float64
	for _, s := range r.Samples {
		if s.Load == load && s.Contender == contender && len(s.LongGaps) == len(counts) {
			for i, n := range s.LongGaps {
				counts[i] = append(counts[i], n)
			}
		}
	}
	if len(counts[0]) == 0 {
		return "–"
	}
	var parts []string
	for _, rounds := range counts[1:] {
		parts = append(parts, fmt.Sprintf("%.0f", median(rounds)))
	}
	return strings.Join(parts, ", ")
}

// byLcore is how the last round's queries spread over lcores, in percent.
func (r *Run) byLcore(load, contender string) string {
	text := "–"
	for _, s := range r.Samples {
		if s.Load != load || s.Contender != contender || len(s.Lcores) == 0 {
			continue
		}
		total := 0.0
		for _, n := range s.Lcores {
			total += n
		}
		parts := make([]string, len(s.Lcores))
		for i, n := range s.Lcores {
			parts[i] = fmt.Sprintf("%.0f", 100*n/max(total, 1))
		}
		text = strings.Join(parts, " : ")
	}
	return text
}
