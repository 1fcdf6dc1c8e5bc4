package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// A strain is from when on it is watched how scarce the processors are.
type strain struct {
	began  time.Time
	waited time.Duration
}

// scarce is the share of time with more to do than processors that says that a machine
// is busy: what is asserted of times to the tenth of a second has twice as long then.
const scarce = 0.5

func watchStrain() strain {
	beat.watch()
	return strain{time.Now(), waitedForProcessor()}
}

// share is the share of the time since in which somebody waited for a processor.
func (s strain) share() float64 {
	return (waitedForProcessor() - s.waited).Seconds() / max(time.Since(s.began).Seconds(), 1e-3)
}

// waitedForProcessor is the time since the machine began in which some task that could
// run had no processor (pressure stall information, PSI); 0 where the kernel does not
// say so, and then no machine is busy.
func waitedForProcessor() time.Duration {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	var recent, minute, minutes float64
	var total int64 // µs
	if _, err := fmt.Sscanf(string(text), "some avg10=%f avg60=%f avg300=%f total=%d", &recent, &minute, &minutes, &total); err != nil {
		return 0
	}
	return time.Duration(total) * time.Microsecond
}

// inTime asserts that something took no longer than it may, or on a machine that was
// busy meanwhile no longer than twice that. While the machine stood still nothing could be
// done: that time does not count.
func (s strain) inTime(t *testing.T, what string, took, limit time.Duration) {
	t.Helper()
	share := s.share()
	if share > scarce {
		limit *= 2
	}
	_, stood := beat.stood(s.began)
	if took-stood > limit {
		fail(t, "%s after %s, want %s; somebody waited for a processor %.0f %% of the time, and the machine stood still for %s",
			what, took.Round(time.Millisecond), limit, 100*share, stood.Round(time.Millisecond))
	}
}
