package failover

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Fleet is all servers of all sites and the decision which of them to ask.
// All methods may be called from any goroutine; times that run backwards are
// taken for the latest one seen.
type Fleet struct {
	set     atomic.Pointer[Set]
	address atomic.Pointer[map[string]*server] // replaced, never changed
	wake    chan struct{}

	mu        sync.Mutex
	cfg       Config
	sites     []*site
	swing     swing
	pinned    string // a site's name, or empty
	label     string // the fleet's state as told in events
	modeSince time.Time
	now       time.Time // the latest seen
	record    record
}

type site struct {
	name    string
	servers []*server
	serving bool
	since   time.Time
}

func (s *site) state() string { return siteState(s.serving) }

func siteState(serving bool) string {
	if serving {
		return "serving"
	}
	return "standby"
}

// New returns a fleet whose servers are all taken to be up, so that it serves
// at once, and are all due for a check. Errors are those of Config.Check.
func New(cfg Config, at time.Time) (*Fleet, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg.filled(), wake: make(chan struct{}, 1), now: at, modeSince: at, label: Home.String()}
	f.record.most = f.cfg.History
	for _, conf := range cfg.Sites {
		in := &site{name: conf.Name, since: at, serving: conf.Name == cfg.Home}
		for _, address := range conf.Servers {
			in.servers = append(in.servers, newServer(address, conf.Name, at))
		}
		f.sites = append(f.sites, in)
	}
	f.index()
	f.set.Store(f.choose())
	return f, nil
}

func newServer(address, site string, at time.Time) *server {
	return &server{address: address, site: site, since: at, timing: schedule{due: at}}
}

func (f *Fleet) index() {
	byAddress := map[string]*server{}
	for s := range f.servers() {
		byAddress[s.address] = s
	}
	f.address.Store(&byAddress)
}

// Result takes in how a check or an exchange ended. Results that change nothing
// but a counter, which is nearly all passive ones, take no lock and allocate
// nothing. One of a server that isn't configured, as may come late after
// Reconfigure, is ignored.
func (f *Fleet) Result(r Result) {
	s := (*f.address.Load())[r.Server]
	if s == nil {
		return
	}
	if r.How == Passive {
		s.countPassive(r.OK)
		if s.idle(r.OK) {
			return
		}
	}
	f.weigh(r)
}

func (f *Fleet) weigh(r Result) {
	f.step(r.At, func(now time.Time) {
		s := (*f.address.Load())[r.Server]
		if s == nil {
			return
		}
		r.At = now
		gap := f.cfg.Pace.retry()
		if s.state == Up {
			gap = 0 // what checks refute mutes the hints: nothing else need slow them down
		}
		moves := s.weigh(r, f.cfg.Pace)
		for _, m := range moves {
			f.tell(Event{Site: s.site, Server: s.address, From: s.state.String(), To: m.to.String(), Why: m.why})
			s.enter(m.to, now)
		}
		if r.How == Active || len(moves) > 0 {
			f.settle(now, "")
		}
		if r.How == Active {
			f.plan(s, now)
		} else if s.state != Up {
			s.timing.hurry(now, gap)
		}
	})
	f.nudge()
}

// Hint says that a server seems to have fallen silent, before an exchange with it
// has failed for good. It changes no state: it calls a check at once, unless checks
// have lately refuted what was said of that server.
func (f *Fleet) Hint(server string, at time.Time) {
	f.step(at, func(now time.Time) {
		if s := (*f.address.Load())[server]; s != nil && s.heed(now) {
			s.timing.hurry(now, 0)
		}
	})
	f.nudge()
}

func (s *server) enter(to State, now time.Time) {
	s.state, s.since = to, now
	s.mood.Store(uint32(to))
}

// Tick lets time pass: it ends a hold-down that is over.
func (f *Fleet) Tick(at time.Time) {
	f.step(at, func(now time.Time) { f.settle(now, "") })
}

// Pin makes one site serve alone, in whatever state, until Release. An unknown
// site is an error that wraps ErrUnknownSite and lists the known ones.
func (f *Fleet) Pin(name string, at time.Time) (err error) {
	f.step(at, func(now time.Time) {
		if siteNamed(f.sites, name) == nil {
			err = fmt.Errorf("pin: %w", unknownSite(name, f.cfg.Sites))
			return
		}
		f.pinned = name
		f.settle(now, "pinned by hand")
	})
	return err
}

// Release undoes Pin, and does nothing when no site is pinned.
func (f *Fleet) Release(at time.Time) {
	f.step(at, func(now time.Time) {
		f.pinned = ""
		f.settle(now, "released by hand")
	})
}

func siteNamed(sites []*site, name string) *site {
	for _, s := range sites {
		if s.name == name {
			return s
		}
	}
	return nil
}

// step makes one change under the lock, then tells about it.
func (f *Fleet) step(at time.Time, change func(now time.Time)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = later(f.now, at)
	change(f.now)
	f.deliver()
}

// nudge tells whoever waits for Next that it may have come nearer.
func (f *Fleet) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Fleet) tell(e Event) {
	e.At = f.now
	f.record.add(e)
}

// settle brings mode, set and sites in line with the servers. why is the reason
// where something other than their health is; else it is empty.
func (f *Fleet) settle(now time.Time, why string) {
	h, before := f.health(), f.swing.mode
	to := f.swing.next(h, now)
	if to != before {
		if why == "" {
			why = f.swing.why(to, h, f.cfg.Home)
		}
		f.swing.move(to, now, f.cfg.Pace)
		if before == AllDown { // ends the back-off: where one server answers, others may
			f.hurryAll(now)
		}
	}
	if label := f.labelNow(); label != f.label {
		f.tell(Event{From: f.label, To: label, Why: why})
		f.label, f.modeSince = label, now
	}
	f.publish(now)
}

// hurryAll has every server checked soon.
func (f *Fleet) hurryAll(now time.Time) {
	for s := range f.servers() {
		s.timing.hurry(now, f.cfg.Pace.retry())
	}
}

func (f *Fleet) health() (h health) {
	for s := range f.servers() {
		if s.site == f.cfg.Home {
			h.homeUp = h.homeUp || s.state == Up
			h.homeFit = h.homeFit || s.state.Fit()
		} else {
			h.awayFit = h.awayFit || s.state.Fit()
		}
	}
	return h
}

// mode is the swing's, unless a site is pinned.
func (f *Fleet) mode() Mode {
	if f.pinned != "" {
		return Pinned
	}
	return f.swing.mode
}

func (f *Fleet) labelNow() string {
	if f.pinned != "" {
		return Pinned.String() + " " + f.pinned
	}
	return f.swing.mode.String()
}

// publish replaces the set if it is another one, and turns sites on and off. With
// the last server lost that was up, what was known of all others is looked at anew:
// one that is down may have come back since its last check, one on standby be gone.
func (f *Fleet) publish(now time.Time) {
	set, before := f.choose(), f.set.Load()
	if set.equal(before) {
		return
	}
	f.set.Store(set)
	if before.up() && !set.up() {
		f.hurryAll(now)
	}
	for _, s := range f.sites {
		if serving := set.Serving(s.name); serving != s.serving {
			f.tell(Event{Site: s.name, From: s.state(), To: siteState(serving), Why: "the fleet is " + f.label})
			s.serving, s.since = serving, now
		}
	}
}
