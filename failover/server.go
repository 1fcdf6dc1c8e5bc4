package failover

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A State is how a server stands.
type State uint8

// The states of a server, from best to worst: the order in which a set lists
// them.
const (
	Up        State = iota
	Suspect         // failed, though not often enough to be down
	Probation       // was down, answers checks, not yet `rise` in a row
	Down
)

var stateNames = []string{"up", "suspect", "probation", "down"}

func (s State) String() string { return stateNames[s] }

// MarshalText writes the state's name, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(stateNames, string(text))
	if i < 0 {
		return fmt.Errorf("read server state: %q is none of %s", text, strings.Join(stateNames, ", "))
	}
	*s = State(i)
	return nil
}

// Fit tells whether a server in this state is believed to answer.
func (s State) Fit() bool { return s <= Suspect }

// How a result was come by.
type How uint8

// A result is of a check, or of one exchange made for clients.
const (
	Active How = iota
	Passive
)

// A Result is how one check or one exchange with a server ended. However many
// clients waited for an exchange, it is one result.
type Result struct {
	Server string    // its address, as configured
	At     time.Time // when it ended
	OK     bool
	How    How
	RTT    time.Duration // of a successful one; 0 where not known
	Err    error         // why it failed, for people; may be nil
}

// A server is what is known of one server. Everything but mood and the passive
// counters is guarded by the fleet's lock.
type server struct {
	address string
	site    string
	state   State
	since   time.Time

	fails  int  // in a row, counted until down
	oks    int  // checks in a row on probation
	proven bool // one of fails was a check
	hints  trust
	hinted bool // a hint called the next check
	timing schedule

	rtt           time.Duration // smoothed, of checks
	lately        lately
	checks        tally
	lastErr       string
	lastErrAt     time.Time
	mood          atomic.Uint32 // state, for those without the lock
	passiveOK     atomic.Uint64
	passiveFailed atomic.Uint64
}

type tally struct{ ok, failed uint64 }

// trust is how long passive failures are not believed, after checks refuted
// them.
type trust struct {
	refuted int // suspicions refuted in a row
	window  time.Duration
	until   time.Time
}

// idle tells whether a passive result changes nothing but a counter. It is
// called without the lock.
func (s *server) idle(ok bool) bool { return State(s.mood.Load()).Fit() == ok }

func (s *server) countPassive(ok bool) {
	if ok {
		s.passiveOK.Add(1)
	} else {
		s.passiveFailed.Add(1)
	}
}

// A move is a transition of a server and its reason.
type move struct {
	to  State
	why string
}

// weigh takes a result in and returns the moves it causes, in order.
func (s *server) weigh(r Result, p Pace) []move {
	if !r.OK && r.Err != nil {
		s.lastErr, s.lastErrAt = r.Err.Error(), r.At
	}
	switch {
	case r.How == Passive && r.OK:
		return nil
	case r.How == Passive:
		return s.doubt(r, p)
	case r.OK:
		return s.answered(r, p)
	}
	return s.failed(r, p)
}

// answered is a check that was answered.
func (s *server) answered(r Result, p Pace) []move {
	s.checks.ok++
	s.measure(r.RTT)
	refuted := s.hinted || s.state == Suspect && !s.proven
	s.fails, s.proven, s.hinted = 0, false, false
	s.hints.learn(refuted, r.At, p)
	switch s.state {
	case Suspect:
		return []move{{Up, "a check was answered"}}
	case Down:
		s.oks = 1
		if s.oks >= p.Rise {
			return []move{{Probation, "a check was answered"}, {Up, risen(p)}}
		}
		return []move{{Probation, "a check was answered"}}
	case Probation:
		if s.oks++; s.oks >= p.Rise {
			return []move{{Up, risen(p)}}
		}
	}
	return nil
}

func risen(p Pace) string { return fmt.Sprintf("answered %d checks in a row", p.Rise) }

// failed is a check that was not answered, or wrongly.
func (s *server) failed(r Result, p Pace) []move {
	s.checks.failed++
	s.hinted = false
	switch s.state {
	case Up, Suspect:
		s.fails++
		s.proven = true
		return s.fall("check failed", r, p)
	case Probation:
		return []move{{Down, because("check failed on probation", r.Err)}}
	}
	return nil
}

// heed tells whether a hint is to be followed, and remembers that it was.
func (s *server) heed(at time.Time) bool {
	if s.state != Up || at.Before(s.hints.until) {
		return false
	}
	s.hinted = true
	return true
}

// doubt is an exchange that failed. It cannot end a suspicion or a probation
// by itself.
func (s *server) doubt(r Result, p Pace) []move {
	if !s.state.Fit() || s.state == Up && r.At.Before(s.hints.until) {
		return nil
	}
	s.fails++
	return s.fall("exchange failed", r, p)
}

// fall moves an up or suspect server that has just failed once more.
func (s *server) fall(what string, r Result, p Pace) (moves []move) {
	if s.state == Up {
		moves = append(moves, move{Suspect, because(what, r.Err)})
	}
	if s.proven && s.fails >= p.Fall {
		moves = append(moves, move{Down, because(fmt.Sprintf("%s, %d failures in a row", what, s.fails), r.Err)})
	}
	return moves
}

func because(what string, err error) string {
	if err == nil {
		return what
	}
	return what + ": " + err.Error()
}

// learn adjusts the trust after an answered check. Each refutation in a row
// doubles the time hints are ignored, up to twelve intervals; as long again
// without one and all is forgotten.
func (t *trust) learn(refuted bool, at time.Time, p Pace) {
	if refuted {
		longest := 12 * p.Interval
		t.window = min(p.retry()<<min(t.refuted, 8), longest)
		t.refuted++
		t.until = at.Add(t.window)
	} else if at.After(t.until.Add(t.window)) {
		*t = trust{}
	}
}

// lately is how long the latest checks took that were answered.
type lately struct {
	took [8]time.Duration
	next int
}

func (l *lately) add(rtt time.Duration) {
	l.took[l.next%len(l.took)] = rtt
	l.next++
}

// slow is the third slowest: two slow answers, such as those for which a resolver that
// has just come back has to find the way, say little. It is 0 where too few are known.
func (l *lately) slow() time.Duration {
	took := l.took
	slices.Sort(took[:])
	return took[len(took)-3]
}

// measure smooths the round trip as RFC 6298 section 2 does, by an eighth.
func (s *server) measure(rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	if s.rtt == 0 {
		s.rtt = rtt
	}
	s.rtt += (rtt - s.rtt) / 8
	s.lately.add(rtt)
}

// patience is how long a check of this server may take: the timeout, unless
// the server answers and is known to be quick. Then the time between two hurried
// checks is enough, so that a loss is noticed soon, or three times what its answers
// took of late. As `fall` checks must not take longer than an interval where that can
// be helped, who is slow has half as long again as its answers took. A server that
// grows slower than that goes down, is then given the full timeout, and is measured
// anew.
func (s *server) patience(p Pace) time.Duration {
	slow := s.lately.slow()
	if slow == 0 || !s.state.Fit() {
		return p.Timeout
	}
	return min(p.Timeout, max(p.retry(), min(3*slow, p.Interval/time.Duration(p.Fall)), slow+slow/2))
}
