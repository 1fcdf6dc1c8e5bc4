package failover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A pair is the fleet and the model, driven side by side.
type pair struct {
	fleet  *Fleet
	model  *model
	events []Event
	chain  map[string]string // subject → its last To
	home   string            // when the fleet last became swung, the home it left
	swung  time.Time
	checks map[string]int // failed checks since a server was last up
}

var addresses = []string{"a1", "a2", "a3", "b1", "b2", "c1"}

// drawConfig draws one to three sites over a few addresses, so that another
// draw keeps, moves, adds and removes some.
func drawConfig(t *rapid.T) Config {
	cfg := Config{History: rapid.IntRange(1, 20).Draw(t, "history")}
	left := rapid.Permutation(addresses).Draw(t, "addresses")
	sites := rapid.IntRange(1, 3).Draw(t, "sites")
	for i := range sites {
		n := rapid.IntRange(1, len(left)-(sites-i-1)).Draw(t, "servers")
		n = min(n, 3)
		cfg.Sites = append(cfg.Sites, Site{fmt.Sprintf("dc%d", i+1), left[:n]})
		left = left[n:]
	}
	cfg.Home = cfg.Sites[rapid.IntRange(0, sites-1).Draw(t, "home")].Name
	cfg.Pace = Pace{
		Interval: 5 * time.Second, Timeout: time.Second,
		Fall: rapid.IntRange(1, 3).Draw(t, "fall"), Rise: rapid.IntRange(1, 3).Draw(t, "rise"),
		HoldDown: time.Duration(rapid.SampledFrom([]int{0, 10, 30}).Draw(t, "hold-down")) * time.Second,
	}
	return cfg
}

func newPair(t *rapid.T) *pair {
	p := &pair{chain: map[string]string{"fleet": "home"}, checks: map[string]int{}}
	cfg := drawConfig(t)
	cfg.OnEvent = p.listen(t)
	for _, site := range cfg.Sites {
		p.chain["site "+site.Name] = siteState(site.Name == cfg.Home)
		for _, a := range site.Servers {
			p.chain["server "+a] = "up"
		}
	}
	fleet, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	p.fleet, p.model = fleet, newModel(cfg, start)
	return p
}

// listen holds every event against its subject's chain.
func (p *pair) listen(t *rapid.T) func(Event) {
	return func(e Event) {
		last, known := p.chain[e.Subject()]
		if e.From == added && known && last != removed || e.From != added && e.From != last {
			t.Fatalf("broken chain: %+v after %q", e, last)
		}
		if e.From == e.To || e.Why == "" {
			t.Fatalf("not a transition, or for no reason: %+v", e)
		}
		if n := len(p.events); n > 0 && e.At.Before(p.events[n-1].At) {
			t.Fatalf("%+v is older than the one before", e)
		}
		p.chain[e.Subject()] = e.To
		if e.To == "up" {
			p.checks[e.Server] = 0
		}
		p.events = append(p.events, e)
		p.atLeastHeld(t, e)
		if e.Server != "" && e.To == "down" && p.checks[e.Server] == 0 {
			t.Fatalf("%s went down without a failed check", e.Server)
		}
	}
}

// atLeastHeld wants every swing to last as long as was configured.
func (p *pair) atLeastHeld(t *rapid.T, e Event) {
	if e.Subject() != "fleet" {
		return
	}
	home := p.model.cfg.Home
	if e.From == "home" && e.To == "swung" {
		p.home, p.swung = home, e.At
	}
	if e.From == "swung" && e.To == "home" && p.home == home && e.At.Sub(p.swung) < p.model.hold {
		t.Fatalf("home after %v, the hold-down was %v", e.At.Sub(p.swung), p.model.hold)
	}
}

// result feeds a run of results of one server: runs are what states are about.
func (p *pair) result(t *rapid.T) {
	address := rapid.SampledFrom(addresses).Draw(t, "server")
	for range rapid.IntRange(1, 8).Draw(t, "results") {
		ok, how := rapid.Bool().Draw(t, "ok"), rapid.SampledFrom([]How{Active, Active, Passive}).Draw(t, "how")
		if how == Active && !ok {
			p.checks[address]++
		}
		p.model.result(address, ok, how == Active)
		p.fleet.Result(Result{Server: address, At: p.model.now, OK: ok, How: how, RTT: time.Millisecond})
		p.check(t)
	}
}

// hint wants a hint to call a check at once, to change nothing else, and not to be
// heeded where the model does not trust it.
func (p *pair) hint(t *rapid.T) {
	address := rapid.SampledFrom(addresses).Draw(t, "server")
	s := (*p.fleet.address.Load())[address]
	p.model.hint(address)
	var before schedule
	if s != nil {
		before = s.timing
	}
	p.fleet.Hint(address, p.model.now)
	switch m := p.model.servers[address]; {
	case m == nil || before.flying:
	case m.hinted && s.timing.due.After(p.model.now):
		t.Fatalf("%s was hinted at and is next checked at %v, it is %v", address, s.timing.due, p.model.now)
	case !m.hinted && s.timing != before:
		t.Fatalf("a hint at %s, which is %s, was heeded", address, m.state)
	}
}

// site fails or restores a whole one, which single results seldom do.
func (p *pair) site(t *rapid.T) {
	site := rapid.SampledFrom(p.model.cfg.Sites).Draw(t, "site")
	ok := rapid.Bool().Draw(t, "ok")
	for range 3 {
		for _, a := range site.Servers {
			if !ok {
				p.checks[a]++
			}
			p.model.result(a, ok, true)
			p.fleet.Result(Result{Server: a, At: p.model.now, OK: ok, How: Active})
		}
	}
}

func (p *pair) wait(t *rapid.T) {
	by := rapid.SampledFrom([]time.Duration{1, time.Second, 9 * time.Second, 31 * time.Second, 6 * time.Minute, time.Hour}).Draw(t, "by")
	p.model.now = p.model.now.Add(by)
	p.model.decide()
	p.fleet.Tick(p.model.now)
}

func (p *pair) take(t *rapid.T) {
	most := rapid.IntRange(0, 4).Draw(t, "most")
	checks := p.fleet.Take(p.model.now, most)
	if len(checks) > most {
		t.Fatalf("took %d checks of at most %d", len(checks), most)
	}
	if len(checks) < most && !p.fleet.Next().After(p.model.now) {
		t.Fatalf("took %d of %d, and more are due", len(checks), most)
	}
}

func (p *pair) pin(t *rapid.T) {
	name := rapid.SampledFrom([]string{"dc1", "dc2", "dc3", "dc4"}).Draw(t, "pin")
	known := slices.ContainsFunc(p.model.cfg.Sites, func(s Site) bool { return s.Name == name })
	if err := p.fleet.Pin(name, p.model.now); (err == nil) != known {
		t.Fatalf("pin %s: %v", name, err)
	}
	if known {
		p.model.pin = name
	}
}

func (p *pair) release(*rapid.T) {
	p.model.pin = ""
	p.fleet.Release(p.model.now)
}

func (p *pair) reconfigure(t *rapid.T) {
	cfg := drawConfig(t)
	if cfg.Home != p.model.cfg.Home {
		p.home = "" // the hold-down was about another one
	}
	p.model.configure(cfg)
	if err := p.fleet.Reconfigure(cfg, p.model.now); err != nil {
		t.Fatal(err)
	}
}

// check holds everything visible against the model and the house's rules.
func (p *pair) check(t *rapid.T) {
	set, st := p.fleet.Current(), p.fleet.Status()
	label, want := p.model.want()
	var got []string
	fit := 0
	for _, s := range set.Servers {
		got = append(got, fmt.Sprintf("%s/%s %s", s.Site, s.Address, s.State))
		if s.State.Fit() {
			fit++
		}
		if s.Away != (s.Site != p.model.cfg.Home) {
			t.Fatalf("%+v, home is %s", s, p.model.cfg.Home)
		}
	}
	if !slices.Equal(got, want) || p.chain["fleet"] != label || fit != set.Fit || fit != st.Answering {
		t.Fatalf("%s asks %v, %d fit\nwant %s, %v; %+v", p.chain["fleet"], got, set.Fit, label, want, st)
	}
	p.rules(t, set)
	p.consistent(t, set, st)
}

// rules are those a site's people would state, apart from any model.
func (p *pair) rules(t *rapid.T, set *Set) {
	up, fit := false, false
	for _, s := range p.model.servers {
		up, fit = up || s.state == "up", fit || s.state == "up" || s.state == "suspect"
	}
	first := set.Servers[0] // never empty: this would panic
	homeUp := p.model.at(true, "up") > 0
	switch {
	case set.Mode == Pinned:
		for _, s := range set.Servers {
			if s.Site != p.model.pin {
				t.Fatalf("%s is pinned, and %s is asked", p.model.pin, s.Address)
			}
		}
	case up && first.State == Down || fit && set.Fit == 0:
		t.Fatalf("first is %+v while another answers", first)
	case homeUp && !p.model.now.Before(p.model.heldTill) && (set.Mode != Home || slices.ContainsFunc(set.Servers, func(s Server) bool { return s.Away })):
		t.Fatalf("home is up, the hold-down over, and it is %v", set.Mode)
	case set.Mode == AllDown && fit:
		t.Fatal("all down, and one is not")
	}
}

func (p *pair) consistent(t *rapid.T, set *Set, st Status) {
	history := p.fleet.History()
	if most := p.model.cfg.History; len(history) > most || !slices.Equal(history, p.events[len(p.events)-len(history):]) {
		t.Fatalf("history of %d, at most %d, is not the latest of what was told", len(history), most)
	}
	soon := p.fleet.cfg.Pace.MaxInterval + p.fleet.cfg.Pace.Timeout + p.fleet.cfg.Pace.Interval
	for _, site := range st.Sites {
		if site.State != p.chain["site "+site.Name] || (site.State == "serving") != set.Serving(site.Name) {
			t.Fatalf("site %s: status %s, events %s", site.Name, site.State, p.chain["site "+site.Name])
		}
		for _, s := range site.Servers {
			m := p.model.servers[s.Address]
			if s.State.String() != p.chain["server "+s.Address] {
				t.Fatalf("server %s: status %v, events %s", s.Address, s.State, p.chain["server "+s.Address])
			}
			if s.ChecksOK+s.ChecksFailed != uint64(m.seen) || s.PassiveOK+s.PassiveFailed != uint64(m.passive) {
				t.Fatalf("server %s counts %+v, fed %d checks and %d exchanges", s.Address, s, m.seen, m.passive)
			}
			if s.NextCheck.After(p.model.now.Add(soon)) {
				t.Fatalf("server %s is next checked at %v, it is %v", s.Address, s.NextCheck, p.model.now)
			}
		}
	}
	for subject, state := range p.chain {
		if strings.HasPrefix(subject, "server ") && state != removed && p.model.servers[subject[len("server "):]] == nil {
			t.Fatalf("%s is gone and was last %s", subject, state)
		}
	}
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		t.Repeat(map[string]func(*rapid.T){
			"":            p.check,
			"result":      p.result,
			"hint":        p.hint,
			"site":        p.site,
			"wait":        p.wait,
			"take":        p.take,
			"pin":         p.pin,
			"release":     p.release,
			"reconfigure": p.reconfigure,
		})
	})
}
