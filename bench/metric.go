package main

import "time"

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
		if len(s.LongGaps) > 0 {
			return s.LongGaps[0], true
		}
		return s.PollGaps, s.EchoGap > 0
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
