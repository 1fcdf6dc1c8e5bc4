package failover

import (
	"errors"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var errSilent = errors.New("no answer")

// A story drives a fleet by hand, on a clock of its own.
type story struct {
	testing.TB
	*Fleet
	now    time.Time
	events []Event
}

func twoSites() Config {
	return Config{
		Home: "dc1",
		Sites: []Site{
			{Name: "dc1", Servers: []string{"a1", "a2"}},
			{Name: "dc2", Servers: []string{"b1"}},
		},
		Pace:   DefaultPace(),
		Jitter: func() float64 { return 0 },
	}
}

func tell(t testing.TB, cfg Config) *story {
	t.Helper()
	s := &story{TB: t, now: start}
	cfg.OnEvent = func(e Event) { s.events = append(s.events, e) }
	fleet, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	s.Fleet = fleet
	return s
}

func (s *story) wait(d time.Duration) *story {
	s.now = s.now.Add(d)
	s.Tick(s.now)
	return s
}

func (s *story) result(ok bool, how How, servers ...string) *story {
	for _, server := range servers {
		r := Result{Server: server, At: s.now, OK: ok, How: how, RTT: time.Millisecond}
		if !ok {
			r.Err = errSilent
		}
		s.Result(r)
	}
	return s
}

func (s *story) checked(ok bool, servers ...string) *story { return s.result(ok, Active, servers...) }
func (s *story) used(ok bool, servers ...string) *story    { return s.result(ok, Passive, servers...) }

// lose and restore give each server exactly as many results as it takes.
func (s *story) lose(servers ...string) *story {
	for range s.cfg.Pace.Fall {
		s.checked(false, servers...)
	}
	return s
}

func (s *story) restore(servers ...string) *story {
	for range s.cfg.Pace.Rise {
		s.checked(true, servers...)
	}
	return s
}

// asks wants a mode, how many servers are fit, and the servers in order.
func (s *story) asks(mode Mode, fit int, servers ...string) *story {
	s.Helper()
	set := s.Current()
	var got []string
	for _, v := range set.Servers {
		got = append(got, v.Address)
	}
	if set.Mode != mode || set.Fit != fit || !slices.Equal(got, servers) {
		s.Fatalf("at +%v: %v, asks %v of which %d fit; want %v, %v of which %d",
			s.now.Sub(start), set.Mode, got, set.Fit, mode, servers, fit)
	}
	return s
}

func (s *story) state(server string, want State) *story {
	s.Helper()
	if got := (*s.address.Load())[server].state; got != want {
		s.Fatalf("at +%v: %s is %v, want %v", s.now.Sub(start), server, got, want)
	}
	return s
}

// TestScriptStates walks the four states of a failover script (home up or down,
// swung or not), with the other site up and down.
func TestScriptStates(t *testing.T) {
	cases := map[string]func(s *story){
		"home up, not swung: nothing to do": func(s *story) {
			s.restore("a1", "a2", "b1").wait(time.Minute).asks(Home, 2, "a1", "a2")
		},
		"home down, not swung: swing": func(s *story) {
			s.lose("a1", "a2").asks(Swung, 1, "b1", "a1", "a2")
		},
		"home down, swung: stay": func(s *story) {
			s.lose("a1", "a2").wait(time.Hour).checked(false, "a1", "a2").asks(Swung, 1, "b1", "a1", "a2")
		},
		"home up, swung, hold-down running: both": func(s *story) {
			s.lose("a1", "a2").wait(29*time.Second).restore("a1").asks(Swung, 2, "a1", "b1", "a2")
		},
		"home up, swung, hold-down over: back": func(s *story) {
			s.lose("a1", "a2").wait(30*time.Second).restore("a1").asks(Home, 1, "a1", "a2")
		},
		"home back before the hold-down ends: back at its end, without a result": func(s *story) {
			s.lose("a1", "a2").restore("a1").wait(30*time.Second-1).asks(Swung, 2, "a1", "b1", "a2")
			s.wait(1).asks(Home, 1, "a1", "a2")
		},
		"home down, the other down before: all down": func(s *story) {
			s.lose("b1").asks(Home, 2, "a1", "a2").lose("a1", "a2").asks(AllDown, 0, "a1", "a2", "b1")
		},
		"swung, then the other down: all down, then whoever is first": func(s *story) {
			s.lose("a1", "a2").lose("b1").asks(AllDown, 0, "a1", "a2", "b1")
			s.checked(true, "b1").asks(AllDown, 0, "b1", "a1", "a2")
			s.checked(true, "b1").asks(Swung, 1, "b1", "a1", "a2")
		},
		"all down, home first, never swung: home alone at once": func(s *story) {
			s.lose("b1").lose("a1", "a2").restore("a2").asks(Home, 1, "a2", "a1")
		},
		"all down after a swing, home first: home once the hold-down is over": func(s *story) {
			s.lose("a1", "a2").lose("b1").restore("a2").asks(Swung, 1, "a2", "a1")
			s.wait(30*time.Second).asks(Home, 1, "a2", "a1")
		},
		"all down and back within the hold-down: it is the same swing": func(s *story) {
			s.lose("a1", "a2").wait(10 * time.Second).lose("b1").wait(10 * time.Second).restore("b1").restore("a1")
			s.asks(Swung, 2, "a1", "b1", "a2").wait(10*time.Second).asks(Home, 1, "a1", "a2")
			if n := s.Status().Swings; n != 1 {
				s.Errorf("%d swings counted, want 1", n)
			}
		},
		"home partly down: home alone, the rest last": func(s *story) {
			s.lose("a1").asks(Home, 1, "a2", "a1")
		},
		"home suspect is not down": func(s *story) {
			s.checked(false, "a1", "a2").asks(Home, 2, "a1", "a2").checked(false, "a2").asks(Home, 1, "a1", "a2")
		},
	}
	for name, play := range cases {
		t.Run(name, func(t *testing.T) { play(tell(t, twoSites())) })
	}
}

// TestEveryOrder plays every order of seven events on two servers and compares
// the mode with the rule in its shortest form.
func TestEveryOrder(t *testing.T) {
	const events, length = 5, 7
	total := 1
	for range length {
		total *= events
	}
	cfg := Config{
		Home: "dc1", Sites: []Site{{"dc1", []string{"a"}}, {"dc2", []string{"b"}}},
		Pace: DefaultPace(), Jitter: func() float64 { return 0 }, History: 1,
	}
	cfg.Pace.MaxHoldDown = cfg.Pace.HoldDown // no dampening here
	for order := range total {
		s := tell(t, cfg)
		home, away, held, mode := true, true, false, Home
		for n, step := order, 0; step < length; n, step = n/events, step+1 {
			switch n % events {
			case 0:
				s.lose("a")
				home = false
			case 1:
				s.restore("a")
				home = true
			case 2:
				s.lose("b")
				away = false
			case 3:
				s.restore("b")
				away = true
			case 4:
				s.wait(cfg.Pace.HoldDown)
				held = false
			}
			switch {
			case !home && !away:
				mode = AllDown
			case home && !held:
				mode = Home
			case mode != Swung:
				mode, held = Swung, true
			}
			if got := s.Current().Mode; got != mode {
				t.Fatalf("order %d, home %v, away %v, held %v: %v, want %v; %+v", order, home, away, held, got, mode, s.events)
			}
		}
	}
}

func TestFlappingIsDampened(t *testing.T) {
	s := tell(t, twoSites())
	swing := func() time.Duration {
		s.lose("a1", "a2").asks(Swung, 1, "b1", "a1", "a2")
		left := s.now
		s.restore("a1", "a2")
		for s.Current().Mode == Swung {
			s.wait(time.Second)
		}
		return s.now.Sub(left)
	}
	for _, want := range []time.Duration{30, 60, 120, 240, 480, 480} {
		if got := swing(); got != want*time.Second {
			t.Fatalf("away for %v, want %v s", got, want)
		}
	}
	s.wait(2 * 300 * time.Second) // two calm times: a quarter
	if got := swing(); got != 120*time.Second {
		t.Fatalf("away for %v after a calm while, want 2 min", got)
	}
	s.wait(24 * time.Hour)
	if got := swing(); got != 30*time.Second {
		t.Fatalf("away for %v after a calm day, want 30 s", got)
	}
	if got := s.Status().Swings; got != 8 {
		t.Errorf("%d swings counted, want 8", got)
	}
}

// Who went from swung to all-down and back was never home: that is no flapping.
func TestAllDownIsNoFlapping(t *testing.T) {
	s := tell(t, twoSites())
	s.lose("a1", "a2").restore("a1", "a2").wait(30*time.Second).asks(Home, 2, "a1", "a2")
	s.lose("a1", "a2", "b1").wait(2*time.Minute).restore("b1").asks(Swung, 1, "b1", "a1", "a2")
	if got := s.Status().HoldDown; got != 60 {
		t.Fatalf("held for %v s, want 60: home was back for a moment only", got)
	}
	s.lose("b1").wait(2*time.Minute).restore("b1").asks(Swung, 1, "b1", "a1", "a2")
	if got := s.Status().HoldDown; got != 60 {
		t.Errorf("held for %v s, want 60 again", got)
	}
}

func TestPinAndRelease(t *testing.T) {
	s := tell(t, twoSites())
	if err := s.Pin("dc9", s.now); !errors.Is(err, ErrUnknownSite) || err.Error() != `pin: unknown site "dc9"; known: dc1, dc2` {
		t.Fatalf("pin of an unknown site: %v", err)
	}
	s.asks(Home, 2, "a1", "a2")
	s.Release(s.now) // nothing to do
	if err := s.Pin("dc2", s.now); err != nil {
		t.Fatal(err)
	}
	s.asks(Pinned, 1, "b1").lose("b1").asks(Pinned, 0, "b1")
	s.lose("a1", "a2")
	if err := s.Pin("dc1", s.now); err != nil {
		t.Fatal(err)
	}
	s.asks(Pinned, 0, "a1", "a2").restore("b1").asks(Pinned, 0, "a1", "a2")
	s.Release(s.now)
	s.asks(Swung, 1, "b1", "a1", "a2") // it went on counting
	var fleet []string
	for _, e := range s.events {
		if e.Subject() == "fleet" {
			fleet = append(fleet, e.To)
		}
	}
	if want := []string{"pinned dc2", "pinned dc1", "swung"}; !slices.Equal(fleet, want) {
		t.Errorf("fleet went %v, want %v", fleet, want)
	}
}

func TestThirdSite(t *testing.T) {
	cfg := twoSites()
	cfg.Home = "dc2"
	cfg.Sites = append(cfg.Sites, Site{"dc3", []string{"c1", "c2"}})
	s := tell(t, cfg).asks(Home, 1, "b1").lose("c1").lose("b1").asks(Swung, 3, "a1", "a2", "c2", "b1", "c1")
	s.lose("c2").asks(Swung, 2, "a1", "a2", "b1") // a site without an answering server leaves
	if set := s.Current(); !set.Servers[0].Away || set.Servers[2].Away || set.Serving("dc3") || !set.Serving("dc1") {
		t.Errorf("wrong about who is away or serving: %+v", set)
	}
}
