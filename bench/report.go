package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// titles are the report's sections, in its order.
var titles = []struct{ table, title string }{
	{tableAuthoritative, "Authoritative"},
	{tableNodecache, "Node cache"},
	{tableRules, "Node cache with all rules"},
	{tableJunk, "Node cache under junk"},
	{tableCold, "Node cache, names it does not know"},
	{tableAway, "Node cache while the upstream restarts"},
	{tableRestart, "Node cache restarted itself"},
	{tableRecursorHits, "Recursor"},
	{tableRecursorMisses, "Recursor, questions asked on"},
	{tableRecursorDead, "Recursor before a dead upstream"},
	{tableLookup, "Zone lookup in process"},
	{tableMemory, "Memory and load time"},
	{tableMemif, "Authoritative on DPDK: one core over memif"},
	{tableOffered, "Authoritative on DPDK: offered load"},
	{tableNames, "Authoritative on DPDK: number of names"},
	{tableQueues, "Authoritative on DPDK: receive queues"},
	{tableXDP, "Authoritative on DPDK: AF_XDP on a veth"},
	{tableStability, "Authoritative on DPDK: stability"},
	{tablePinning, "Authoritative on kernel sockets: pinning and namespaces"},
	{tableKubernetes, "A Kubernetes cluster's names"},
	{tableCrowd, "The monitor of a large Kubernetes cluster"},
	{tableEtcdLoad, "Records from etcd and from a snapshot"},
	{tableRecords, "Records added at another node"},
	{tablePropagation, "From a Kubernetes cluster to the answer, beside many records"},
	{tableChanges, "Answers while records change"},
	{tableBounded, "Authoritative with bounded memory"},
}

// report writes RESULTS.md.
func report(w io.Writer, results Results) error {
	p := &printer{w: w}
	p.line("# Benchmark results\n")
	p.line("Written by `go run ./bench`; the samples are in `results.json`, the configurations in `peers/`. Ratios travel")
	p.line("between machines, figures do not. Each table's contenders were measured in one run, alternating.\n")
	p.targets(results)
	for _, section := range titles {
		if run := results[section.table]; run != nil {
			p.section(section.title, run)
			for _, plot := range plots(section.table, run) {
				p.line("![%s](plots/%s.svg)\n", plot.Title, plot.file)
			}
		}
	}
	return p.err
}

// quiet is the share of the machine's time up to which a disturbance goes
// unmentioned: the kernel's own work and this program's are in it.
const quiet = 0.03

// A printer keeps the first error, so that the report reads as its text.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) row(cells ...string) { p.line("| %s |", strings.Join(cells, " | ")) }

// head prints a header row; columns after the first are numbers.
func (p *printer) head(cells ...string) {
	p.row(cells...)
	p.row("---", strings.TrimSuffix(strings.Repeat("---: | ", len(cells)-1), " | "))
}

func (p *printer) targets(results Results) {
	p.line("## Targets\n")
	p.line("| table | load | figure | target | measured | reached |")
	p.line("| --- | --- | --- | --- | ---: | --- |")
	for _, t := range targets {
		v := t.judge(results[t.Table])
		measured := "–"
		switch {
		case t.Metric.absolute() && v.Reached != notMeasured:
			measured = fmt.Sprintf("%.3g", v.Measured)
		case v.Measured > 0:
			measured = fmt.Sprintf("%.2f × %s's", v.Measured, v.Peer)
		}
		load := t.Load
		if t.Of != "" {
			load += ": " + t.Of
		}
		p.row(t.Table, load, string(t.Metric), t.text(), measured, v.Reached)
	}
	p.line("")
}

func (p *printer) section(title string, run *Run) {
	p.line("## %s\n", title)
	m := run.Machine
	p.line("%s · %s, %d cores, %s · %s, kernel %s · %s · `%s`\n",
		run.Date, m.CPU, m.Cores, mebibytes(float64(m.Memory)), m.System, m.Kernel, m.Go, run.Command)
	for _, s := range run.Settings {
		p.line("- %s", s)
	}
	if rounds := run.rounds(); rounds < 3 && !run.long() {
		p.line("- **Rounds: %d, fewer than three: a proof that it runs, not a measurement.**", rounds)
	}
	if stolen := run.most(func(s Sample) float64 { return s.Stolen }); stolen > quiet {
		p.line("- **The hypervisor took up to %.0f %% of the machine's time during a sample.**", stolen*100)
	}
	if others := run.most(func(s Sample) float64 { return s.Others }); others > quiet {
		p.line("- **Other programs used up to %.0f %% of the machine's time during a sample: queries/s and latencies suffer from that, CPU per query little.**", others*100)
	}
	p.line("")
	for _, load := range run.loads() {
		p.line("### %s\n", strings.ToUpper(load[:1])+load[1:])
		switch {
		case run.loading(load):
			p.sizes(run, load)
		case load == answered:
			p.lookups(run, load)
		case load == replacedUDP || load == replacedTCP:
			p.restarts(run, load)
		case run.framesLoad(load):
			p.frames(run, load)
		case run.openLoop(load):
			p.waits(run, load)
		default:
			p.speeds(run, load)
		}
	}
	p.contenders(run)
	if len(run.Commands) == 0 {
		return // the generator is no program of its own
	}
	p.line("Commands:\n")
	for _, c := range run.Commands {
		p.line("    %s", c)
	}
	p.line("")
}

// speeds is the table of a load that dnsperf drove.
func (p *printer) speeds(run *Run, load string) {
	p.head("server", "CPU µs/query", "queries/s", "min–max", "server busy", "dnsperf busy", "p50 µs", "p99 µs", "lost", "resident",
		"Strata's CPU ÷ this", "Strata's queries/s ÷ this")
	var limited []string
	for _, e := range run.Entries {
		if _, ok := run.median(load, e.Name, queryRate); !ok {
			continue
		}
		low, high := run.span(load, e.Name, queryRate)
		if busy, _ := run.median(load, e.Name, loadBusy); busy >= atLimit {
			limited = append(limited, e.Name)
		}
		p.row(e.Name, run.cell(load, e.Name, cpuPerQuery), run.cell(load, e.Name, queryRate),
			fmt.Sprintf("%.0f–%.0f", low, high), run.cell(load, e.Name, serverBusy), run.cell(load, e.Name, loadBusy),
			run.cell(load, e.Name, p50), run.cell(load, e.Name, p99), run.cell(load, e.Name, lost), run.cell(load, e.Name, memory),
			run.ratio(load, e, cpuPerQuery), run.ratio(load, e, queryRate))
	}
	p.line("")
	if len(limited) > 0 {
		p.line("dnsperf had its CPU at %.0f %% or more with %s: there the generator bounds queries/s, and CPU per query decides.\n",
			atLimit*100, strings.Join(limited, ", "))
	}
	p.noise(run, load)
}

// noise says what reached the upstream though the rules were to keep it back.
func (p *printer) noise(run *Run, load string) {
	var counts []string
	for _, e := range run.Entries {
		if n, ok := run.judged(load, e.Name, noise); ok {
			counts = append(counts, fmt.Sprintf("%s %.0f", e.Name, n))
		}
	}
	if len(counts) > 0 {
		p.line("Blocked questions that came to the upstream, at most in a round: %s.\n", strings.Join(counts, ", "))
	}
}

// A column is one of a table, by its title.
type column struct {
	title string
	cell  func(Entry) string
}

// waits is the table of a load that an open-loop client asked. Latencies are
// medians over the rounds, counts are those of the worst. Columns that nobody has
// a figure for are left out.
func (p *printer) waits(run *Run, load string) {
	count := func(m Metric) func(Entry) string {
		return func(e Entry) string { return run.worst(load, e.Name, m, 1) }
	}
	latency := func(m Metric) func(Entry) string {
		return func(e Entry) string { return run.milliseconds(load, e.Name, m) }
	}
	ratio := func(m Metric) func(Entry) string { return func(e Entry) string { return run.ratio(load, e, m) } }
	p.columns(run, load, []column{
		{"server", func(e Entry) string { return e.Name }},
		{"asked/s", func(e Entry) string { return run.cell(load, e.Name, askedRate) }},
		{"failed", count(unhelpful)}, {"unanswered", count(lost)}, {"most asked upstream", count(repeats)}, {"waiting", count(waiters)},
		{"p50 ms", latency(p50)}, {"p99 ms", latency(p99)}, {"p99.9 ms", latency(p999)}, {"longest ms", latency(longest)},
		{"upstream's p99 ms", latency(upstreamP99)}, {"idle p99 ms", latency(idleP99)},
		{"changes/s", func(e Entry) string { return run.cell(load, e.Name, changeRate) }},
		{"client late ms", func(e Entry) string { return run.worst(load, e.Name, lateness, float64(time.Millisecond)) }},
		{"CPU µs/query", func(e Entry) string { return run.cell(load, e.Name, cpuPerQuery) }},
		{"peak", func(e Entry) string { return run.cell(load, e.Name, peakMemory) }},
		{"Strata's p99 ÷ this", ratio(p99)}, {"Strata's p99.9 ÷ this", ratio(p999)},
	})
}

// columns prints those that say something.
func (p *printer) columns(run *Run, load string, all []column) {
	p.columnsOf(run, load, askedRate, all)
}

// columnsOf is columns for the rows that have the metric.
func (p *printer) columnsOf(run *Run, load string, has Metric, all []column) {
	entries := slices.DeleteFunc(slices.Clone(run.Entries), func(e Entry) bool {
		_, ok := run.median(load, e.Name, has)
		return !ok
	})
	all = slices.DeleteFunc(all, func(c column) bool {
		return !slices.ContainsFunc(entries, func(e Entry) bool { return c.cell(e) != "–" })
	})
	row := make([]string, len(all))
	for i, c := range all {
		row[i] = c.title
	}
	p.head(row...)
	for _, e := range entries {
		for i, c := range all {
			row[i] = c.cell(e)
		}
		p.row(row...)
	}
	p.line("")
}

// sizes is the table of the loaded zone.
func (p *printer) sizes(run *Run, load string) {
	p.head("server", "resident", "peak", "load time", "Strata's memory ÷ this", "Strata's load time ÷ this")
	for _, e := range run.Entries {
		if _, ok := run.median(load, e.Name, memory); ok {
			p.row(e.Name, run.cell(load, e.Name, memory), run.cell(load, e.Name, peakMemory), run.cell(load, e.Name, loadTime),
				run.ratio(load, e, memory), run.ratio(load, e, loadTime))
		}
	}
	p.line("")
}

// lookups is the table of core/zone's benchmark.
func (p *printer) lookups(run *Run, load string) {
	p.head("zone", "ns/answer", "allocations")
	for _, e := range run.Entries {
		p.row(e.Name, run.cell(load, e.Name, perAnswer), run.cell(load, e.Name, allocations))
	}
	p.line("")
}

func (p *printer) contenders(run *Run) {
	if !slices.ContainsFunc(run.Entries, func(e Entry) bool { return e.Command != "" || e.Missing != "" }) {
		return // no programs took part
	}
	p.line("| server | version | started as, or why not |")
	p.line("| --- | --- | --- |")
	for _, e := range run.Entries {
		how := e.Missing
		if how == "" {
			how = "`" + e.Command + "`"
		}
		version := e.Version
		if version == "" {
			version = "–"
		}
		p.row(e.Name, version, strings.ReplaceAll(how, "|", "¦"))
	}
	p.line("")
}

// cell is a contender's median, in the metric's unit.
func (r *Run) cell(load, contender string, m Metric) string {
	v, ok := r.median(load, contender, m)
	if !ok {
		return "–"
	}
	switch m {
	case cpuPerQuery:
		return fmt.Sprintf("%.2f", v/float64(time.Microsecond))
	case perAnswer:
		return fmt.Sprintf("%.0f", v)
	case p50, p99:
		return fmt.Sprintf("%.0f", v/float64(time.Microsecond))
	case memory, peakMemory:
		return mebibytes(v)
	case loadTime:
		return fmt.Sprintf("%.2f s", v/float64(time.Second))
	case serverBusy, loadBusy:
		return fmt.Sprintf("%.0f %%", v*100)
	}
	return fmt.Sprintf("%.0f", v)
}

// milliseconds is the median of a latency, for those too long to show in µs.
func (r *Run) milliseconds(load, contender string, m Metric) string {
	v, ok := r.median(load, contender, m)
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.2f", v/float64(time.Millisecond))
}

// worst is the figure of the worst round, in the unit.
func (r *Run) worst(load, contender string, m Metric, unit float64) string {
	if _, ok := r.median(load, contender, m); !ok {
		return "–"
	}
	_, high := r.span(load, contender, m)
	if high /= unit; high == math.Trunc(high) {
		return fmt.Sprintf("%.0f", high)
	}
	return fmt.Sprintf("%.2f", high)
}

// loading reports whether a load is a server's start.
func (r *Run) loading(load string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Load == load && s.LoadTime > 0 && s.Asked == 0 })
}

// openLoop reports whether an open-loop client asked the load.
func (r *Run) openLoop(load string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Load == load && s.Asked > 0 })
}

// ratio is Strata's median over the contender's.
func (r *Run) ratio(load string, e Entry, m Metric) string {
	ours, ok := r.median(load, r.ours(), m)
	theirs, known := r.median(load, e.Name, m)
	if e.Ours || !ok || !known {
		return "–"
	}
	return fmt.Sprintf("%.2f", ours/theirs)
}

// span is a contender's smallest and largest figure over the rounds.
func (r *Run) span(load, contender string, m Metric) (low, high float64) {
	for _, s := range r.Samples {
		if v, ok := m.of(s); ok && s.Load == load && s.Contender == contender {
			if low == 0 || v < low {
				low = v
			}
			high = max(high, v)
		}
	}
	return low, high
}

func (r *Run) rounds() (n int) {
	for _, s := range r.Samples {
		n = max(n, s.Round)
	}
	return n
}

// most is the largest such share over all samples.
func (r *Run) most(share func(Sample) float64) (most float64) {
	for _, s := range r.Samples {
		most = max(most, share(s))
	}
	return most
}

func mebibytes(v float64) string { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }
