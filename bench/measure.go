package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Setting is what one invocation holds fixed for all contenders.
type Setting struct {
	Root, Work          string // the checkout; the directory for everything temporary
	ServerCPU, LoadCPU  int
	Rounds, Seconds     int
	Clients, InFlight   int
	Peers               []string
	LatencyRate, Latent int // queries a second, and seconds, of the latency run
	Hosts, Large        int // names in the zone; names in the memory table's zone
	SteadyRate          int // queries a second of the table dpdk-stability; 0: as many as get answered
}

// portable writes a command or message without this machine's directories, so
// that two machines' reports can be compared.
func (set Setting) portable(text string) string {
	return strings.NewReplacer(set.Work, "$WORK", set.Root+"/", "").Replace(text)
}

// commands are the loads as one would type them.
func (set Setting) commands(loads ...Load) []string {
	var texts []string
	for _, load := range loads {
		texts = append(texts, set.portable(load.command("$PORT", set.LoadCPU)))
	}
	return texts
}

// measure runs one load against a running server and accounts for it.
func (set Setting) measure(ctx context.Context, s *Server, load Load) (Sample, error) {
	return account(s, func() (Sample, error) {
		o, err := load.run(ctx, s.Seat.Port, set.LoadCPU)
		return Sample{
			QPS: o.QPS, Completed: o.Completed, Lost: o.Lost, Seconds: o.Seconds, Mean: o.Mean,
			RCodes: o.RCodes, LoadCPU: o.CPU,
		}, err
	})
}

// account adds to a sample what the server used meanwhile. Its CPU time is read
// outside the load's run, at most some milliseconds away.
func account(s *Server, load func() (Sample, error)) (Sample, error) {
	machine := machineTimeNow()
	before, err := usageOf(s.pid())
	if err != nil {
		return Sample{}, err
	}
	sample, err := load()
	if err != nil {
		return Sample{}, err
	}
	after, err := usageOf(s.pid())
	if err != nil {
		return Sample{}, err
	}
	if err := pinned(s.pid(), s.cpu); err != nil {
		return Sample{}, err
	}
	sample.CPU, sample.CPUTicks, sample.CPUFrom = after.since(before)
	sample.Stolen, sample.Others = machineTimeNow().since(machine, sample.CPU+sample.LoadCPU)
	sample.Resident, sample.Peak = resident(s.pid())
	return sample, nil
}

// ask is measure for an open-loop client, which runs in this process.
func (set Setting) ask(s *Server, asking Asking) (Sample, error) {
	return account(s, func() (Sample, error) {
		before := ownTime()
		w, err := asking.run(s.Seat.Port)
		if err != nil {
			return Sample{}, err
		}
		sample := w.sample(asking.Patience)
		sample.LoadCPU = ownTime() - before
		return sample, nil
	})
}

// sample is what the client saw; who has no answer waited for the whole patience.
func (w Waits) sample(patience time.Duration) Sample {
	right := len(w.Latencies)
	waits := w.all(patience)
	sample := Sample{
		QPS: float64(right) / max(w.Seconds, 1e-9), Asked: int64(w.Asked), Completed: int64(right), Failed: int64(w.Failed), Lost: int64(w.Unanswered),
		Seconds: w.Seconds, Late: w.Late,
		P50: quantile(waits, 0.5), P99: quantile(waits, 0.99), P999: quantile(waits, 0.999),
	}
	if right > 0 {
		sample.Longest = w.Latencies[right-1]
	}
	return sample
}

// ownTime is the CPU time of this process.
func ownTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// latencies runs the load at the fixed rate and fills in the sample's quantiles:
// at full load a latency says only how many queries were in flight.
func (set Setting) latencies(ctx context.Context, s *Server, load Load, sample *Sample) error {
	o, err := set.latencyLoad(load).run(ctx, s.Seat.Port, set.LoadCPU)
	if err != nil {
		return err
	}
	sample.P50, sample.P99 = quantile(o.Latencies, 0.50), quantile(o.Latencies, 0.99)
	return nil
}

func (set Setting) latencyLoad(load Load) Load {
	load.Seconds, load.Rate, load.Each = set.Latent, set.LatencyRate, true
	return load
}

// A table measures contenders round by round.
type table struct {
	set   Setting
	run   *Run
	all   []Contender
	paths map[string]string // of those that can still run
}

// newTable looks the contenders up; those that are missing are entered with the
// reason.
func newTable(ctx context.Context, set Setting, all []Contender, command string) (*table, error) {
	chosen, err := choose(all, set.Peers)
	if err != nil {
		return nil, err
	}
	t := &table{set: set, all: chosen, paths: map[string]string{}, run: &Run{
		Date: time.Now().UTC().Format(dateFormat), Machine: thisMachine(), Command: command}}
	for _, c := range chosen {
		entry := Entry{Name: c.Name, Ours: c.Ours && !c.Part}
		if path, err := c.find(set.Root); err != nil {
			entry.Missing = err.Error()
			slog.Warn("skipped", "contender", c.Name, "reason", err)
		} else {
			t.paths[c.Name], entry.Version = path, c.version(ctx, path)
		}
		t.run.Entries = append(t.run.Entries, entry)
	}
	return t, nil
}

// rounds starts every contender once a round, in a new order each time, hands
// it to visit, and stops it. A contender that fails is left out from then on;
// only the end of ctx ends the table.
func (t *table) rounds(ctx context.Context, seat Seat, visit func(context.Context, int, Contender, *Server, time.Time) error) error {
	for round := 1; round <= t.set.Rounds; round++ {
		for _, c := range shuffled(t.all) {
			if t.paths[c.Name] == "" {
				continue
			}
			err := t.once(ctx, seat, round, c, visit)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				slog.Warn("failed", "contender", c.Name, "round", round, "reason", err)
				t.entry(c.Name).Missing = t.set.portable(fmt.Sprintf("round %d: %v", round, err))
				delete(t.paths, c.Name)
			}
		}
	}
	return nil
}

func shuffled(all []Contender) []Contender {
	order := slices.Clone(all)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

func (t *table) once(ctx context.Context, seat Seat, round int, c Contender, visit func(context.Context, int, Contender, *Server, time.Time) error) error {
	began := time.Now()
	s, err := start(c, t.paths[c.Name], t.set.Work, t.set.ServerCPU, seat)
	if err != nil {
		return err
	}
	defer s.stop()
	t.entry(c.Name).Command = t.set.portable(s.Command)
	return visit(ctx, round, c, s, began)
}

func (t *table) entry(name string) *Entry {
	i := slices.IndexFunc(t.run.Entries, func(e Entry) bool { return e.Name == name })
	return &t.run.Entries[i]
}

// add keeps a sample and shows it, so that a long run can be watched.
func (t *table) add(s Sample, load string, c Contender, round int) {
	s.Load, s.Contender, s.Round = load, c.Name, round
	t.run.Samples = append(t.run.Samples, s)
	attrs := []any{"round", round, "contender", c.Name, "load", load}
	if s.QPS > 0 && s.Asked == 0 {
		attrs = append(attrs, "qps", int(s.QPS), "us_per_query", fmt.Sprintf("%.2f", s.perQuery()/1e3),
			"dnsperf_busy", fmt.Sprintf("%.2f", s.LoadCPU.Seconds()/max(s.Seconds, 1e-9)), "lost", s.Lost)
	}
	if s.P50 > 0 {
		attrs = append(attrs, "p50", s.P50, "p99", s.P99)
	}
	if s.Asked > 0 {
		attrs = append(attrs, "p99.9", s.P999, "longest", s.Longest, "asked", s.Asked, "failed", s.Failed, "unanswered", s.Lost,
			"us_per_query", fmt.Sprintf("%.2f", s.perQuery()/1e3), "client_late", s.Late)
	}
	if s.LoadTime > 0 {
		attrs = append(attrs, "loaded_in", s.LoadTime.Round(time.Millisecond))
	}
	slog.Info("measured", append(attrs, "resident_MiB", s.Resident>>20)...)
}
