package probe

import (
	"errors"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// A brake keeps what a prober that is cut off would write. The last try of all is
// made together with a jury: some of the addresses that answered, and the
// references.
type brake struct {
	number int // of the last jury
	asked  *jury
	again  time.Time // before this no other is asked
	on     bool
	share  float64 // of the addresses that seem gone, by the last jury
}

// A jury is what those who were asked have said so far.
type jury struct {
	pending   int
	good, bad int     // of the jurors
	cleared   int     // accused that answered
	failed    []*ward // accused that did not
	reference bool    // one of them answers
}

const (
	jurors     = 32   // addresses that are asked, at most
	defendants = 1000 // accused that are tried with one jury, at most
	brakeFrom  = 4    // addresses: fewer may go down at any time
	// juryPause keeps juries from costing more than the probes, where many
	// addresses go down one by one.
	juryPause = 100 * time.Millisecond
)

// accuse notes that an address has one try left, or of a single one none. It is not in
// the queue until it is judged.
func (r *rounds) accuse(w *ward) {
	w.spent = w.fails >= r.opts.Tries && !r.brake.on
	if w.due = w.began; !w.spent {
		w.due = w.due.Add(r.opts.Timeout)
	}
	if len(r.accused) == 0 && r.brake.again.Before(w.due) {
		r.brake.again = w.due
	}
	r.accused[w] = struct{}{}
}

// jury begins to ask, where there is somebody accused.
func (r *rounds) jury(now time.Time) (all []start) {
	b := &r.brake
	if b.asked != nil || now.Before(b.again) {
		return nil
	}
	if len(r.accused) == 0 {
		b.on = false
		return nil
	}
	b.number++
	b.asked = &jury{}
	tried, most := 0, min(defendants, max(1, r.opts.Sockets-r.inFlight))
	for w := range r.accused {
		if w.due.After(now) || tried == most {
			continue
		}
		if tried++; w.spent {
			b.asked.failed = append(b.asked.failed, w)
			continue
		}
		all = append(all, w.try(now, b.number)...)
	}
	if tried == 0 {
		b.asked, b.again = nil, now.Add(juryPause)
		return nil
	}
	asked := 0
	for _, w := range r.wards {
		if asked == jurors {
			break
		}
		if r.innocent(w) {
			asked++
			all = append(all, start{Target: Target{w.addr, w.checks[0]}, ward: w, jury: b.number, juror: true})
		}
	}
	for _, reference := range r.opts.Reference {
		all = append(all, start{Target: reference, jury: b.number})
	}
	b.asked.pending = len(all)
	r.inFlight += len(all)
	if len(all) == 0 { // nobody to ask
		r.decide(now)
	}
	return all
}

// innocent are those that answered when last asked, or were not asked yet.
func (r *rounds) innocent(w *ward) bool {
	_, accused := r.accused[w]
	return !accused && w.state != store.Down && r.known[w.addr].State != store.Down
}

// heard takes what one of those who were asked says. Each jury is heard to its end.
func (r *rounds) heard(now time.Time, s start, err error) {
	j := r.brake.asked
	switch j.pending--; {
	case s.ward == nil:
		j.reference = j.reference || err == nil
	case !s.juror:
		if s.ward.tried(err) {
			r.last(now, s.ward)
		}
	case err == nil:
		j.good++
	case !verdictless(err):
		j.bad++
	}
	if j.pending == 0 {
		r.decide(now)
	}
}

// last takes what the last try of an address found.
func (r *rounds) last(now time.Time, w *ward) {
	switch {
	case w.failed == nil:
		r.brake.asked.cleared++
		r.answers(now, w)
		r.requeue(now, w)
	case !verdictless(w.failed):
		r.brake.asked.failed = append(r.brake.asked.failed, w)
	}
}

// decide has those that failed to the last written down, unless most of all
// addresses seem to have gone with them and no reference answers either.
func (r *rounds) decide(now time.Time) {
	b := &r.brake
	j := b.asked
	b.asked = nil
	answering := 0
	for _, w := range r.wards {
		if r.innocent(w) {
			answering++
		}
	}
	accused := float64(len(r.accused))
	gone := accused * share(len(j.failed), j.cleared)
	gone += float64(answering) * share(j.bad, j.good)
	b.share = 0
	if gone > 0 {
		b.share = gone / (accused + float64(answering))
	}
	if b.on = gone >= brakeFrom && b.share > r.opts.Brake && !j.reference; b.on {
		b.again = now.Add(r.opts.Timeout)
		for w := range r.accused { // what failed while cut off is no evidence
			w.spent = false
		}
		return
	}
	b.again = now.Add(juryPause)
	for _, w := range j.failed {
		if w.checks == nil {
			continue // dismissed
		}
		delete(r.accused, w)
		w.state = store.Down
		r.unsaid[w.addr] = struct{}{}
		r.requeue(now, w)
	}
}

func share(part, rest int) float64 {
	if part == 0 {
		return 0
	}
	return float64(part) / float64(part+rest)
}

// ErrLocal is a check that could not be made: it says nothing about the address.
var ErrLocal = errors.New("not probed")

func verdictless(err error) bool { return errors.Is(err, ErrLocal) }
