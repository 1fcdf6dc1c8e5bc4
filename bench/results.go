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
	PollGaps      float64       `json:"poll_gaps,omitempty"`      // how many were above 500 µs, where their lengths are not told
	LongGaps      []float64     `json:"long_gaps,omitempty"`      // how many were above each of gapLengths
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
