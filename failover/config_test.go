package failover

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConfigCheck(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		`home: unknown site "dc7"; known: dc1, dc2`:      func(c *Config) { c.Home = "dc7" },
		`site "dc2" has no servers`:                      func(c *Config) { c.Sites[1].Servers = nil },
		`site "dc1" is there twice`:                      func(c *Config) { c.Sites[1].Name = "dc1" },
		`a site has no name`:                             func(c *Config) { c.Sites[1].Name = "" },
		`site "dc2": server a1 is already in site "dc1"`: func(c *Config) { c.Sites[1].Servers = []string{"a1"} },
		`site "dc1": a server has no address`:            func(c *Config) { c.Sites[0].Servers = []string{""} },
		`interval is 0s, which is too short`:             func(c *Config) { c.Pace.Interval = 0 },
		`timeout is -1s, which is too short`:             func(c *Config) { c.Pace.Timeout = -time.Second },
		`hold_down is -1ns, which is too short`:          func(c *Config) { c.Pace.HoldDown = -1 },
		`fall is 0, must be at least 1`:                  func(c *Config) { c.Pace.Fall = 0 },
		`rise is -2, must be at least 1`:                 func(c *Config) { c.Pace.Rise = -2 },
	} {
		cfg := twoSites()
		spoil(&cfg)
		if _, err := New(cfg, start); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got: %v", want, err)
		}
		s := tell(t, twoSites()).lose("a1")
		if err := s.Reconfigure(cfg, s.now); err == nil || !strings.HasPrefix(err.Error(), "reconfigure: ") {
			t.Errorf("reconfigure to %q: %v", want, err)
		}
		s.asks(Home, 1, "a2", "a1")
	}
}

func TestReconfigureKeepsWhatStays(t *testing.T) {
	s := tell(t, twoSites()).lose("a1").checked(true, "a2").used(true, "a2")
	cfg := twoSites()
	cfg.OnEvent = nil // stays
	cfg.Sites = []Site{{"dc1", []string{"a3", "a1"}}, {"dc3", []string{"a2"}}}
	if err := s.Reconfigure(cfg, s.now); err != nil {
		t.Fatal(err)
	}
	s.asks(Home, 1, "a3", "a1").state("a1", Down)
	st := s.Status().Sites
	if moved := st[1].Servers[0]; moved.ChecksOK != 1 || moved.PassiveOK != 1 {
		t.Errorf("a2 moved and lost its counters: %+v", moved)
	}
	var told []string
	for _, e := range s.events[2:] {
		told = append(told, e.Subject()+": "+e.From+" → "+e.To)
	}
	want := []string{
		"server a3: added → up", "site dc3: added → standby",
		"server b1: up → removed", "site dc2: standby → removed",
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}

func TestReconfigureReleasesWhatIsGone(t *testing.T) {
	s := tell(t, twoSites())
	if err := s.Pin("dc2", s.now); err != nil {
		t.Fatal(err)
	}
	if err := s.Reconfigure(twoSites(), s.now); err != nil {
		t.Fatal(err)
	}
	s.asks(Pinned, 1, "b1") // its site stayed
	cfg := twoSites()
	cfg.Sites = cfg.Sites[:1]
	if err := s.Reconfigure(cfg, s.now); err != nil {
		t.Fatal(err)
	}
	s.asks(Home, 2, "a1", "a2")
	if why := s.events[len(s.events)-2].Why; why != "released: site dc2 was removed" {
		t.Errorf("events %+v", s.events)
	}
}

func TestStatusIsJSON(t *testing.T) {
	s := tell(t, twoSites()).lose("a1").lose("a2").wait(time.Second).checked(true, "b1")
	s.wait(time.Second).lose("b1").wait(time.Second)
	if st := s.Status(); st.Since != start.Add(2*time.Second) || st.Sites[0].Since != start || st.Sites[0].Servers[0].Since != start ||
		st.Sites[1].Servers[0].Since != start.Add(2*time.Second) {
		t.Errorf("since when: %+v", st)
	}
	s = tell(t, twoSites()).wait(time.Second).lose("a1").lose("a2").checked(true, "b1")
	if until := s.Status().HoldUntil; until != s.now.Add(30*time.Second) {
		t.Errorf("held until %v, it is %v", until, s.now)
	}
	if until := s.restore("a1").wait(30 * time.Second).Status().HoldUntil; !until.IsZero() {
		t.Errorf("at home, and held until %v", until)
	}
	s = tell(t, twoSites()).wait(time.Second).lose("a1").lose("a2").checked(true, "b1")
	if since := s.Status().Sites[1].Since; since != s.now {
		t.Errorf("dc2 serves since %v, it is %v", since, s.now)
	}
	text, err := json.Marshal(s.Status())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"mode":"swung"`, `"home":"dc1"`, `"swings":1`, `"hold_down_seconds":30`, `"hold_until":"2026-01-02T03:04:36Z"`,
		`"name":"dc2","home":false,"state":"serving"`, `"address":"a1","state":"down"`, `"rtt_ms":1,`,
		`"checks_failed":2`, `"last_error":"no answer"`, `"answering":1`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	var back Status
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, s.Status()) {
		t.Errorf("read back %+v, %v", back, err)
	}
	history, err := json.Marshal(s.History())
	if err != nil || !strings.Contains(string(history), `"site":"dc1","server":"a1","from":"up","to":"suspect","why":"check failed: no answer"`) {
		t.Errorf("history %s, %v", history, err)
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{"up", "probation", "down", "home", "all-down", "pinned", "", "Up"} {
		f.Add([]byte(name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		state, mode := Probation, AllDown
		if err := state.UnmarshalText(text); (err == nil) != (state.String() == string(text)) {
			t.Errorf("state %q: %v, %v", text, state, err)
		}
		if err := mode.UnmarshalText(text); (err == nil) != (mode.String() == string(text)) {
			t.Errorf("mode %q: %v, %v", text, mode, err)
		}
		if err := errors.Join(state.UnmarshalText(nil), mode.UnmarshalText(nil)); err == nil {
			t.Error("an empty name is one")
		}
	})
}
