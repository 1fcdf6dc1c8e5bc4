package failover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServerStates(t *testing.T) {
	s := tell(t, twoSites()).state("a1", Up)
	s.checked(false, "a1").state("a1", Suspect).checked(true, "a1").state("a1", Up)
	s.checked(false, "a1").state("a1", Suspect).checked(true, "a1").state("a1", Up) // not in a row
	s.checked(false, "a1").checked(false, "a1").state("a1", Down)
	s.checked(true, "a1").state("a1", Probation).checked(false, "a1").state("a1", Down)
	s.checked(true, "a1").checked(true, "a1").state("a1", Up)
	s.checked(false, "a1").state("a1", Suspect) // one again, not a third
}

func TestFallAndRiseOfOne(t *testing.T) {
	cfg := twoSites()
	cfg.Pace.Fall, cfg.Pace.Rise = 1, 1
	s := tell(t, cfg).checked(false, "a1").state("a1", Down).checked(true, "a1").state("a1", Up)
	var way []string
	for _, e := range s.events {
		way = append(way, e.To)
	}
	if want := []string{"suspect", "down", "probation", "up"}; !slices.Equal(way, want) {
		t.Errorf("went %v, want %v", way, want)
	}
}

// A client who asks for names whose own servers are dead makes exchanges fail
// and must not take a resolver down.
func TestPassiveFailuresAloneTakeNobodyDown(t *testing.T) {
	s := tell(t, twoSites())
	for range 1000 {
		s.used(false, "a1")
	}
	s.state("a1", Suspect).checked(true, "a1").state("a1", Up)
	suspicions := 0
	for range 600 { // ten minutes of it, checks answering all the while
		s.wait(time.Second).used(false, "a1")
		if s.Current().Servers[0].Address != "a1" { // suspect: a2 first
			suspicions++
			s.checked(true, "a1")
		}
	}
	if suspicions > 20 {
		t.Errorf("suspected %d times in ten minutes; hints that misled should be muted", suspicions)
	}
	s.wait(time.Hour).checked(true, "a1").used(false, "a1").state("a1", Suspect) // but not for ever
}

func TestPassiveFailureCountsTowardsFall(t *testing.T) {
	s := tell(t, twoSites()).used(false, "a1").checked(false, "a1").state("a1", Down)
	s.checked(false, "a2").used(false, "a2").state("a2", Down)
	if why := s.events[1].Why; !strings.Contains(why, "2 failures in a row: no answer") {
		t.Errorf("went down because %q", why)
	}
}

// A resolver whose way out is cut answers from its cache: only checks know.
func TestPassiveSuccessProvesNothing(t *testing.T) {
	s := tell(t, twoSites()).checked(false, "a1").used(true, "a1").state("a1", Suspect)
	s.checked(false, "a1").state("a1", Down).used(true, "a1", "a1", "a1").state("a1", Down)
	s.checked(true, "a1").used(true, "a1").state("a1", Probation).used(false, "a1").state("a1", Probation)
	s.checked(true, "a1").state("a1", Up)
}

// A client who asks for what takes long must not drive the checks.
func TestHintsThatMisleadAreMuted(t *testing.T) {
	s := tell(t, twoSites())
	s.Take(s.now, 9)
	s.checked(true, "a1", "a2", "b1")
	checks := 0
	for range 6000 { // ten minutes of it
		s.wait(100*time.Millisecond).Hint("a1", s.now)
		for _, c := range s.Take(s.now, 9) {
			if s.checked(true, c.Server.Address); c.Server.Address == "a1" {
				checks++
			}
		}
	}
	if checks < 120 || checks > 140 {
		t.Errorf("checked %d times in ten minutes; 120 without hints, and those should be muted", checks)
	}
	if len(s.events) > 0 {
		t.Errorf("hints alone made %+v", s.events)
	}
}

// Distrust doubles with each hint that misled, and is forgotten after as long without.
func TestDistrustFades(t *testing.T) {
	s := tell(t, twoSites())
	muted := func() time.Duration { // after one more
		s.Hint("a1", s.now)
		s.checked(true, "a1")
		return (*s.address.Load())["a1"].hints.until.Sub(s.now)
	}
	for _, want := range []time.Duration{500, 1000, 2000} {
		if got := muted(); got != want*time.Millisecond {
			t.Fatalf("muted for %v, want %d ms", got, want)
		}
		s.wait(want * time.Millisecond)
	}
	s.wait(2*time.Second).checked(true, "a1")
	if got := muted(); got != 4*time.Second {
		t.Errorf("no longer than the last time without one: muted for %v, want 4 s", got)
	}
	s.wait(9*time.Second).checked(true, "a1")
	if got := muted(); got != 500*time.Millisecond {
		t.Errorf("after a while without: muted for %v, want 500 ms", got)
	}
}

// What is known of the others is looked at anew when the last server is in doubt.
func TestDoubtHurriesEveryone(t *testing.T) {
	cfg := twoSites()
	cfg.Pace.Interval = 20 * time.Second
	s := tell(t, cfg).lose("a1")
	s.Take(s.now, 9)
	s.checked(false, "a1").checked(true, "a2", "b1").wait(6 * time.Second)
	if s.due("a1") != 14*time.Second || s.due("b1") != 14*time.Second {
		t.Fatalf("checked in %v and %v, want 14 s", s.due("a1"), s.due("b1"))
	}
	s.used(false, "a2")
	if s.due("a1") != 0 || s.due("b1") != 0 || s.due("a2") != 0 {
		t.Errorf("nobody is up, and checks are due in %v, %v and %v", s.due("a1"), s.due("b1"), s.due("a2"))
	}
}

// due is when a server's next check is, after the story's now.
func (s *story) due(server string) time.Duration {
	return (*s.address.Load())[server].timing.due.Sub(s.now)
}

func TestSchedule(t *testing.T) {
	s := tell(t, twoSites())
	if checks := s.Take(s.now, 2); len(checks) != 2 || checks[0].Server.Address != "a1" || checks[0].Timeout != time.Second {
		t.Fatalf("took %+v at the start, want a1 and a2, with 1 s each", checks)
	}
	if checks := s.Take(s.now, 9); len(checks) != 1 || !checks[0].Server.Away {
		t.Fatalf("took %+v, want the one left", checks)
	}
	if checks := s.Take(s.now.Add(time.Second), 9); checks != nil {
		t.Fatalf("took %+v while all were awaited", checks)
	}
	s.wait(time.Second)
	for _, step := range []struct {
		what string
		do   func()
		want time.Duration
	}{
		{"answered: an interval after it began", func() { s.checked(true, "a1") }, 4 * time.Second},
		{"exchange failed: now", func() { s.used(false, "a1") }, 0},
		{"refuted at once: an interval later", func() { s.Take(s.now, 1); s.checked(true, "a1") }, 5 * time.Second},
		{"exchange failed, while that is muted: as before", func() { s.used(false, "a1") }, 5 * time.Second},
		{"exchange failed, when it no longer is, after a check of just now: now", func() {
			s.wait(5*time.Second).Take(s.now, 1)
			s.checked(true, "a1").used(false, "a1")
		}, 0},
		{"taken, nothing heard: given up after its time and an interval", func() { s.Take(s.now, 1) }, 5500 * time.Millisecond},
		{"exchange failed while it is awaited: as before", func() { s.used(false, "a1") }, 5500 * time.Millisecond},
		{"failed at once: down, after an interval", func() { s.checked(false, "a1") }, 5 * time.Second},
		{"a down server answers an exchange: half a second after the last", func() { s.used(true, "a1") }, time.Second / 2},
		{"another fails: not at its server's cost", func() { s.used(false, "a2") }, time.Second / 2},
	} {
		if step.do(); s.due("a1") != step.want {
			t.Errorf("%s: due in %v, want %v", step.what, s.due("a1"), step.want)
		}
	}
	if checks := s.Take(s.now.Add(time.Hour), 9); len(checks) != 3 {
		t.Errorf("after an hour without results only %d checks were due", len(checks))
	}
}

// Results come from many goroutines, each with a time of its own.
func TestTimeNeverRunsBack(t *testing.T) {
	s := tell(t, twoSites()).lose("a1", "a2").restore("a1").wait(29 * time.Second)
	s.Tick(start.Add(-time.Hour))
	s.Result(Result{Server: "a2", At: start, OK: true})
	if last := s.events[len(s.events)-1]; last.To != "probation" || last.At != s.now {
		t.Errorf("%+v, it was %v", last, s.now)
	}
}

func TestNextIsTheEndOfTheHoldDown(t *testing.T) {
	cfg := twoSites()
	cfg.Pace.Interval = time.Hour
	s := tell(t, cfg).lose("a1", "a2").restore("a1").checked(true, "b1")
	s.checked(true, "a1")
	if got := s.Next().Sub(s.now); got != 30*time.Second {
		t.Errorf("next in %v, want the hold-down's 30 s", got)
	}
}

func TestBackOffWhileAllAreDown(t *testing.T) {
	s := tell(t, twoSites()).lose("a1", "a2", "b1")
	var waits []time.Duration // of a1
	for s.now.Before(start.Add(2 * time.Minute)) {
		s.now = s.Next()
		for _, c := range s.Take(s.now, 9) {
			if s.checked(false, c.Server.Address); c.Server.Address == "a1" {
				waits = append(waits, s.due("a1")/time.Second)
			}
		}
	}
	if want := []time.Duration{5, 10, 20, 30, 30, 30}; !slices.Equal(waits, want) {
		t.Errorf("waited %d s, want %d s", waits, want)
	}
	s.checked(true, "b1").checked(true, "b1").asks(Swung, 1, "b1", "a1", "a2")
	if s.due("a1") > time.Second {
		t.Errorf("one answers again, and the others are left for %v", s.due("a1"))
	}
}

func TestRoundTripTimeIsSmoothed(t *testing.T) {
	s := &server{}
	for _, step := range []struct{ took, want time.Duration }{{80, 80}, {160, 90}, {0, 90}, {10, 80}} {
		if s.measure(step.took * time.Millisecond); s.rtt != step.want*time.Millisecond {
			t.Errorf("after %d ms: %v, want %d ms", step.took, s.rtt, step.want)
		}
	}
}

func TestPatience(t *testing.T) {
	second := DefaultPace()
	second.Interval = time.Second
	for _, c := range []struct {
		pace  Pace
		state State
		took  []time.Duration // answered checks, in ms
		want  time.Duration
	}{
		{second, Up, nil, 1000},
		{second, Up, []time.Duration{10}, 1000},
		{second, Up, []time.Duration{10, 10}, 1000},
		{second, Up, []time.Duration{10, 10, 10}, 200},
		{second, Up, []time.Duration{600, 10, 10, 600}, 200},
		{second, Up, []time.Duration{10, 600, 600, 600}, 900},
		{second, Up, []time.Duration{800, 800, 800}, 1000},
		{second, Up, []time.Duration{600, 600, 600, 10, 10, 10, 10, 10, 10}, 200}, // long ago
		{second, Suspect, []time.Duration{100, 110, 100}, 300},
		{second, Up, []time.Duration{170, 170, 170}, 500}, // two fit into the interval
		{second, Up, []time.Duration{330, 330, 330}, 500},
		{second, Probation, []time.Duration{10, 10, 10}, 1000},
		{second, Down, []time.Duration{10, 10, 10}, 1000},
		{DefaultPace(), Up, []time.Duration{10, 10, 10}, 500},
		{DefaultPace(), Up, []time.Duration{250, 260, 270}, 750},
	} {
		s := &server{state: c.state}
		for _, rtt := range c.took {
			s.measure(rtt * time.Millisecond)
		}
		if got := s.patience(c.pace); got != c.want*time.Millisecond {
			t.Errorf("%v, checks took %d ms, interval %v: %v, want %d ms", c.state, c.took, c.pace.Interval, got, c.want)
		}
	}
}
