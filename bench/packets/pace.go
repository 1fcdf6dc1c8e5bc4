package packets

// A Pace is when queries are due, whatever becomes of them: an open loop, so that a
// slow server is asked as often as a quick one, and its latencies count from when a
// query was due, not from when there was room to send it.
type Pace struct {
	start    uint64  // cycles
	interval float64 // cycles from one to the next; 0: always due
	next     uint64  // how many were taken
}

// NewPace begins at start; rate is queries a second, 0 as many as can be.
func NewPace(start uint64, rate, hz float64) *Pace {
	p := &Pace{start: start}
	if rate > 0 {
		p.interval = hz / rate
	}
	return p
}

// Due is how many queries are due by now and were not taken, at most most.
func (p *Pace) Due(now uint64, most int) int {
	if p.interval == 0 {
		return max(most, 0)
	}
	if now < p.start || most <= 0 {
		return 0
	}
	by := uint64(float64(now-p.start)/p.interval) + 1 // the first is due at once
	return int(min(by-min(by, p.next), uint64(most)))
}

// Take takes one query that is due, and says since when it is.
func (p *Pace) Take(now uint64) uint64 {
	if p.interval == 0 {
		return now
	}
	due := p.start + uint64(float64(p.next)*p.interval)
	p.next++
	return due
}
