package packets

import (
	"math"
	"time"
)

// A Report is what flood prints, as JSON. Counts are of the measured time, and of the
// replies that came within the patience after it.
type Report struct {
	Rate       float64           `json:"rate"` // asked for, queries a second; 0: as many as can be
	Seconds    float64           `json:"seconds"`
	Sent       uint64            `json:"sent"`
	Received   uint64            `json:"received"`
	Lost       uint64            `json:"lost"` // without a reply for the patience
	Unexpected uint64            `json:"unexpected,omitempty"`
	QPS        float64           `json:"qps"` // replies a second
	PerSecond  []uint64          `json:"per_second"`
	Deviation  float64           `json:"deviation"` // standard deviation of PerSecond over its mean
	RCodes     map[string]uint64 `json:"rcodes,omitempty"`
	Empty      uint64            `json:"empty,omitempty"` // NOERROR without an answer
	Latency    Latency           `json:"latency"`
	Full       float64           `json:"full"`    // share of polls at which the port did not take all: the other side is the limit
	Behind     time.Duration     `json:"behind"`  // at worst, after a query was due and until it was made
	Longest    time.Duration     `json:"longest"` // between two polls
}

// An Echoed is what flood prints at the end of an echo.
type Echoed struct {
	Echoed  uint64          `json:"echoed"`
	Unsent  uint64          `json:"unsent"`
	Longest []time.Duration `json:"longest"` // between two polls, by second
	Gaps    []uint64        `json:"gaps"`    // times between two polls above 500 µs, 1, 2, 5 and 10 ms, of all seconds
}

// Deviation is the standard deviation of the counts over their mean; 0 of fewer than two.
func Deviation(counts []uint64) float64 {
	if len(counts) < 2 {
		return 0
	}
	mean := 0.0
	for _, c := range counts {
		mean += float64(c)
	}
	if mean /= float64(len(counts)); mean == 0 {
		return 0
	}
	squares := 0.0
	for _, c := range counts {
		squares += (float64(c) - mean) * (float64(c) - mean)
	}
	return math.Sqrt(squares/float64(len(counts)-1)) / mean
}
