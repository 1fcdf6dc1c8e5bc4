package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// Results is results.json: the last run of each table. A run of one table keeps
// the others as they were; within a table everything is from one invocation.
type Results map[string]*Run

// A Run is one table's measurement.
type Run struct {
	Date     string   `json:"date"`     // UTC
	Machine  Machine  `json:"machine"`  //
	Command  string   `json:"command"`  // how bench was called
	Settings []string `json:"settings"` // what holds for all contenders, as sentences
	Commands []string `json:"commands"` // of the generator
	Entries  []Entry  `json:"entries"`
	Samples  []Sample `json:"samples"`
}

// An Entry is a contender's part in a run.
type Entry struct {
	Name    string `json:"name"`
	Ours    bool   `json:"ours,omitempty"`
	Version string `json:"version,omitempty"`
	Command string `json:"command,omitempty"`
	Missing string `json:"missing,omitempty"` // why it was not measured, or not to the end
}

// A Sample is one contender under one load in one round. Times are nanoseconds,
// sizes bytes.
type Sample struct {
	Load      string           `json:"load"`
	Contender string           `json:"contender"`
	Round     int              `json:"round"`
	QPS       float64          `json:"qps,omitempty"`
	Completed int64            `json:"completed,omitempty"`
	Lost      int64            `json:"lost,omitempty"`
	Seconds   float64          `json:"seconds,omitempty"`
	CPU       time.Duration    `json:"cpu,omitempty"`       // the server's, all threads
	CPUFrom   string           `json:"cpu_from,omitempty"`  // schedstat or stat
	CPUTicks  time.Duration    `json:"cpu_ticks,omitempty"` // the same from stat, in 10 ms steps
	LoadCPU   time.Duration    `json:"load_cpu,omitempty"`  // dnsperf's, or this program's where it asks itself
	Upstream  time.Duration    `json:"upstream_cpu,omitempty"`
	Stolen    float64          `json:"stolen,omitempty"` // share of the machine's time the hypervisor took
	Others    float64          `json:"others,omitempty"` // share of it that other programs used
	Mean      time.Duration    `json:"mean,omitempty"`   // latency under the load
	P50       time.Duration    `json:"p50,omitempty"`    // latency at the fixed rate
	P99       time.Duration    `json:"p99,omitempty"`
	RCodes    map[string]int64 `json:"rcodes,omitempty"`
	Resident  int64            `json:"resident,omitempty"` // sum of PSS over the process and its children
	Peak      int64            `json:"peak,omitempty"`     // VmHWM of the largest process
	LoadTime  time.Duration    `json:"load_time,omitempty"`

	// Of a server that was replaced under the load.
	Gap        time.Duration `json:"gap,omitempty"`        // the longest without an answer
	Reconnects int64         `json:"reconnects,omitempty"` // of clients

	// Of an open-loop client.
	Asked   int64         `json:"asked,omitempty"`
	Failed  int64         `json:"failed,omitempty"` // answers that were wrong or no help
	P999    time.Duration `json:"p999,omitempty"`
	Longest time.Duration `json:"longest,omitempty"`
	Late    time.Duration `json:"late,omitempty"` // how far the client itself was behind, at worst

	Waiting     int64         `json:"waiting,omitempty"`      // questions beside the measured ones, without an answer at once
	UpstreamP99 time.Duration `json:"upstream_p99,omitempty"` // of the upstream's own delays
	IdleP99     time.Duration `json:"idle_p99,omitempty"`     // of the same server before
	Repeats     *int64        `json:"repeats,omitempty"`      // how often the most asked question came
	Noise       *int64        `json:"noise,omitempty"`        // questions that the rules should have kept back

	// Of a load of frames (flood).
	Flood         bool          `json:"flood,omitempty"`
	Offered       float64       `json:"offered,omitempty"`        // queries a second; 0: as many as can be
	Names         int           `json:"names,omitempty"`          // in the zone, where the table is about that
	PerSecond     []uint64      `json:"per_second,omitempty"`     // replies
	Deviation     float64       `json:"deviation,omitempty"`      // their standard deviation over their mean
	Full          float64       `json:"full,omitempty"`           // share of polls at which the port did not take all
	Lcores        []float64     `json:"lcores,omitempty"`         // queries of each lcore since the start
	PollGap       time.Duration `json:"poll_gap,omitempty"`       // the longest between two polls
	PollGaps      float64       `json:"poll_gaps,omitempty"`      // how many were above 500 µs
	EchoDeviation float64       `json:"echo_deviation,omitempty"` // of the echo loop in the same round
	EchoGap       time.Duration `json:"echo_gap,omitempty"`       // its longest between two polls
	Changes       float64       `json:"changes,omitempty"`        // of records, a second

	PerAnswer   float64 `json:"per_answer,omitempty"` // in process, nanoseconds
	Allocations int64   `json:"allocations,omitempty"`
}

// perQuery is the server's CPU time for one answered query.
func (s Sample) perQuery() float64 {
	if s.Completed == 0 {
		return 0
	}
	return float64(s.CPU) / float64(s.Completed)
}

// A Metric names one figure of a sample.
type Metric string

const (
	cpuPerQuery     Metric = "CPU per query"
	queryRate       Metric = "queries/s"
	memory          Metric = "resident memory"
	peakMemory      Metric = "peak memory"
	loadTime        Metric = "load time"
	serverBusy      Metric = "server busy"
	loadBusy        Metric = "dnsperf busy"
	p50             Metric = "p50"
	p99             Metric = "p99"
	p999            Metric = "p99.9"
	longest         Metric = "longest"
	askedRate       Metric = "asked/s"
	unhelpful       Metric = "failed"         // wrong or no help
	failed          Metric = "failed answers" // wrong, no help, or none within the patience
	slowdown        Metric = "p99 over the upstream's"
	upstreamP99     Metric = "upstream's p99"
	idleP99         Metric = "idle p99"
	lateness        Metric = "client late"
	disturbance     Metric = "p99 over idle"
	ceiling         Metric = "peak memory in MiB"
	repeats         Metric = "most questions upstream for one name"
	noise           Metric = "blocked questions upstream"
	waiters         Metric = "waiting"
	lost            Metric = "lost"
	perAnswer       Metric = "time per answer"
	millions        Metric = "million queries/s"
	fullPort        Metric = "port full"
	deviation       Metric = "deviation"
	pollGap         Metric = "longest between polls"
	pollGaps        Metric = "gaps"
	unsteady        Metric = "deviation over the echo loop's, percentage points"
	poll            Metric = "longest between polls over the echo loop's, µs"
	changeRate      Metric = "changes/s"
	allocations     Metric = "allocations per answer"
	thousandChanges Metric = "thousand changes/s"
	loadSeconds     Metric = "load time in s"
	p50ms           Metric = "p50 in ms"
	p99ms           Metric = "p99 in ms"
	longestms       Metric = "longest in ms"
)

// of returns the figure; ok is false where the sample does not hold it.
func (m Metric) of(s Sample) (value float64, ok bool) {
	switch m {
	case cpuPerQuery:
		if s.Waiting > 0 {
			return 0, false // most of the CPU went into the questions beside
		}
		value = s.perQuery()
	case queryRate:
		value = s.QPS
	case memory:
		value = float64(s.Resident)
	case peakMemory:
		value = float64(s.Peak)
	case loadTime:
		value = float64(s.LoadTime)
	case serverBusy:
		value = s.CPU.Seconds() / max(s.Seconds, 1e-9)
	case loadBusy:
		value = s.LoadCPU.Seconds() / max(s.Seconds, 1e-9)
	case p50:
		value = float64(s.P50)
	case p99:
		value = float64(s.P99)
	case p999:
		value = float64(s.P999)
	case longest:
		value = float64(s.Longest)
	case askedRate:
		value = float64(s.Asked) / max(s.Seconds, 1e-9)
	case unhelpful:
		return float64(s.Failed), s.Asked > 0
	case failed:
		return float64(s.Failed + s.Lost), s.Asked > 0
	case lateness:
		value = float64(s.Late)
	case thousandChanges:
		value = s.Changes / 1000
	case loadSeconds:
		value = s.LoadTime.Seconds()
	case p50ms:
		value = float64(s.P50) / float64(time.Millisecond)
	case p99ms:
		value = float64(s.P99) / float64(time.Millisecond)
	case longestms:
		value = float64(s.Longest) / float64(time.Millisecond)
	case upstreamP99:
		value = float64(s.UpstreamP99)
	case idleP99:
		value = float64(s.IdleP99)
	case slowdown:
		return over(s.P99, s.UpstreamP99)
	case disturbance:
		return over(s.P99, s.IdleP99)
	case ceiling:
		value = float64(s.Peak) / (1 << 20)
	case waiters:
		value = float64(s.Waiting)
	case repeats:
		return number(s.Repeats)
	case noise:
		return number(s.Noise)
	case perAnswer:
		value = s.PerAnswer
	case millions:
		value = s.QPS / 1e6
	case fullPort:
		return s.Full, s.Flood
	case deviation:
		value = s.Deviation
	case pollGap:
		value = float64(s.PollGap)
	case pollGaps:
		return s.PollGaps, s.EchoGap > 0 // the echo loop does not count them
	case unsteady:
		return (s.Deviation - s.EchoDeviation) * 100, s.EchoDeviation > 0
	case poll:
		return float64(s.PollGap-s.EchoGap) / float64(time.Microsecond), s.EchoGap > 0
	case changeRate:
		value = s.Changes
	case allocations:
		return float64(s.Allocations), s.PerAnswer > 0
	case lost:
		return float64(s.Lost), s.Completed > 0 || s.Asked > 0
	}
	return value, value > 0
}

// over is the ratio of two latencies; ok is false where one was not taken.
func over(latency, reference time.Duration) (value float64, ok bool) {
	if latency == 0 || reference == 0 {
		return 0, false
	}
	return float64(latency) / float64(reference), true
}

// number is a count that may be nothing, or not taken.
func number(n *int64) (value float64, ok bool) {
	if n == nil {
		return 0, false
	}
	return float64(*n), true
}

// absolute reports whether a target for the metric is a number of its own, held
// against nobody's.
func (m Metric) absolute() bool {
	switch m {
	case allocations, failed, slowdown, disturbance, ceiling, waiters, repeats, noise, millions, unsteady, poll,
		loadSeconds, p50ms, p99ms, longestms, thousandChanges:
		return true
	}
	return false
}

const dateFormat = "2006-01-02 15:04 UTC"

// median is a contender's middle figure over the rounds; ok is false if there
// is none.
func (r *Run) median(load, contender string, m Metric) (float64, bool) {
	var values []float64
	for _, s := range r.Samples {
		if s.Load == load && s.Contender == contender {
			if v, ok := m.of(s); ok {
				values = append(values, v)
			}
		}
	}
	return median(values), len(values) > 0
}

// judged is the figure that a target is held against: the median, but for what
// must not happen even once the worst round.
func (r *Run) judged(load, contender string, m Metric) (float64, bool) {
	switch m {
	case failed, repeats, noise, longestms:
		_, high := r.span(load, contender, m)
		_, ok := r.median(load, contender, m)
		return high, ok
	}
	return r.median(load, contender, m)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// quantile returns the q-th of the values (nearest rank), which it sorts.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

// best is the peer with the best median: the smallest, or for queries/s the
// largest.
func (r *Run) best(load string, m Metric) (name string, value float64) {
	for _, e := range r.Entries {
		v, ok := r.median(load, e.Name, m)
		if e.Ours || !ok {
			continue
		}
		better := cmp.Compare(v, value) < 0
		if m == queryRate {
			better = !better
		}
		if name == "" || better {
			name, value = e.Name, v
		}
	}
	return name, value
}

// ours is Strata's name in the run.
func (r *Run) ours() string {
	for _, e := range r.Entries {
		if e.Ours {
			return e.Name
		}
	}
	return ""
}

// loads lists the loads in the order they were first measured.
func (r *Run) loads() []string {
	var names []string
	for _, s := range r.Samples {
		if !slices.Contains(names, s.Load) {
			names = append(names, s.Load)
		}
	}
	return names
}

// readResults reads results.json; a file that is not there is an empty one.
func readResults(path string) (Results, error) {
	results := Results{}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	if err := json.Unmarshal(data, &results); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	return results, nil
}

// write stores the results, one sample a line so that a diff can be read.
func (r Results) write(path string) error {
	var out []byte
	out = append(out, "{\n"...)
	for i, name := range slices.Sorted(maps.Keys(r)) {
		if i > 0 {
			out = append(out, ",\n"...)
		}
		run := *r[name]
		samples := run.Samples
		run.Samples = []Sample{}
		head, err := json.MarshalIndent(run, "  ", "  ")
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		head = head[:len(head)-len("]\n  }")]
		out = fmt.Appendf(out, "  %q: %s\n", name, head)
		for j, s := range samples {
			line, err := json.Marshal(s)
			if err != nil {
				return fmt.Errorf("write results: %w", err)
			}
			out = fmt.Appendf(out, "      %s%s\n", line, map[bool]string{true: ",", false: ""}[j < len(samples)-1])
		}
		out = append(out, "    ]\n  }"...)
	}
	out = append(out, "\n}\n"...)
	if err := os.WriteFile(path, out, 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
