package failover

import (
	"slices"
	"time"
)

// A schedule is when a server is checked.
type schedule struct {
	due     time.Time // the next check, or when to give a flying one up
	started time.Time // the latest check
	flying  bool      // its result is awaited
	misses  int       // failed checks while all were down
}

// A Check is one to be made now, and reported as an Active Result.
type Check struct {
	Server  Server
	Timeout time.Duration // report a failure after this long
}

// Take returns the checks that are due, the longest due first and at most that
// many, and counts them as begun. It also does what Tick does.
func (f *Fleet) Take(at time.Time, most int) (checks []Check) {
	f.step(at, func(now time.Time) {
		f.settle(now, "")
		due := f.dueBy(now)
		for _, s := range due[:max(0, min(most, len(due)))] {
			checks = append(checks, Check{Server: f.face(s), Timeout: s.patience(f.cfg.Pace)})
			s.timing.begin(now, s.patience(f.cfg.Pace)+f.cfg.Pace.Interval)
		}
	})
	return checks
}

func (f *Fleet) dueBy(now time.Time) (due []*server) {
	for s := range f.servers() {
		if !s.timing.due.After(now) {
			due = append(due, s)
		}
	}
	slices.SortStableFunc(due, func(a, b *server) int { return a.timing.due.Compare(b.timing.due) })
	return due
}

// Next returns when Take or Tick next has something to do: a check is due or a
// hold-down ends. It may be in the past.
func (f *Fleet) Next() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var next time.Time
	if f.swing.mode == Swung && f.swing.holdUntil.After(f.now) {
		next = f.swing.holdUntil
	}
	for s := range f.servers() {
		if next.IsZero() || s.timing.due.Before(next) {
			next = s.timing.due
		}
	}
	return next
}

// Wake is sent to when Next may have come nearer. It is meant for one reader.
func (f *Fleet) Wake() <-chan struct{} { return f.wake }

func (t *schedule) begin(now time.Time, lease time.Duration) {
	t.started, t.flying, t.due = now, true, now.Add(lease)
}

// hurry brings the next check forward to now, or to gap after the last began.
// One in flight is waited for: its result says what comes next.
func (t *schedule) hurry(now time.Time, gap time.Duration) {
	if t.flying {
		return
	}
	soon := later(now, t.started.Add(gap))
	if soon.Before(t.due) {
		t.due = soon
	}
}

// plan sets the check after the one that has just ended.
func (f *Fleet) plan(s *server, now time.Time) {
	p, t := f.cfg.Pace, &s.timing
	began := t.started
	if !t.flying {
		began = now // a result nobody took the check for
	}
	t.flying = false
	wait := p.Interval
	switch {
	case s.state == Suspect:
		t.due = later(now, began.Add(p.retry()))
		return
	case f.swing.mode == AllDown && s.state == Down:
		wait = min(p.Interval<<min(t.misses, 10), p.MaxInterval)
		t.misses++
	default:
		t.misses = 0
	}
	// Up to a tenth early, never late: the interval is a promise.
	early := time.Duration(f.cfg.Jitter() * float64(wait) / 10)
	t.due = later(now, began.Add(wait-early))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
