package failover

import (
	"fmt"
	"time"
)

// A model is the fleet written down a second time, as plainly as can be: whole
// recomputation, no schedule, no set that is kept.
type model struct {
	cfg      Config
	now      time.Time
	servers  map[string]*modelServer
	mode     string
	pin      string
	hold     time.Duration
	heldTill time.Time
	cameHome time.Time
}

type modelServer struct {
	state         string
	failures      string // in a row: c for a check, x for an exchange
	answered      int
	hinted        bool
	muted         time.Time
	muteFor       time.Duration
	misledInARow  int
	passive, seen int
}

func newModel(cfg Config, now time.Time) *model {
	m := &model{now: now, mode: "home", servers: map[string]*modelServer{}}
	m.configure(cfg)
	return m
}

func (m *model) configure(cfg Config) {
	if cfg.Home != m.cfg.Home {
		m.heldTill = time.Time{}
	}
	m.cfg = cfg
	before := m.servers
	m.servers = map[string]*modelServer{}
	pinned := false
	for _, site := range cfg.Sites {
		pinned = pinned || site.Name == m.pin
		for _, a := range site.Servers {
			if m.servers[a] = before[a]; m.servers[a] == nil {
				m.servers[a] = &modelServer{state: "up"}
			}
		}
	}
	if !pinned {
		m.pin = ""
	}
	m.decide()
}

func (m *model) result(address string, ok, check bool) {
	s, p := m.servers[address], m.cfg.Pace
	if s == nil {
		return
	}
	hinted := s.hinted && check
	if check {
		s.seen++
		s.hinted = false
	} else {
		s.passive++
	}
	switch s.state + map[bool]string{true: " check", false: " exchange"}[check] + map[bool]string{true: " ok", false: " failed"}[ok] {
	case "up check ok":
		m.trust(s, hinted)
	case "suspect check ok":
		s.state = "up"
		m.trust(s, hinted || !contains(s.failures, 'c'))
		s.failures = ""
	case "down check ok", "probation check ok":
		m.trust(s, false)
		if s.state == "down" {
			s.state, s.answered = "probation", 0
		}
		if s.answered++; s.answered >= p.Rise {
			s.state = "up"
		}
	case "probation check failed":
		s.state = "down"
	case "up exchange failed":
		if !m.now.Before(s.muted) {
			s.state, s.failures = "suspect", s.failures+"x"
		}
	case "suspect exchange failed":
		s.failures += "x"
	case "up check failed", "suspect check failed":
		s.state, s.failures = "suspect", s.failures+"c"
	}
	if !ok && s.state == "suspect" && len(s.failures) >= p.Fall && contains(s.failures, 'c') {
		s.state, s.failures = "down", ""
	}
	m.decide()
}

// trust is less for a while when a check was called for nothing.
func (m *model) trust(s *modelServer, misled bool) {
	p := m.cfg.Pace
	if !misled {
		if m.now.After(s.muted.Add(s.muteFor)) {
			s.misledInARow, s.muteFor, s.muted = 0, 0, time.Time{}
		}
		return
	}
	s.muteFor = min(p.Interval/5, time.Second/2)
	for range min(s.misledInARow, 8) {
		s.muteFor *= 2
	}
	s.muteFor = min(s.muteFor, 12*p.Interval)
	s.misledInARow++
	s.muted = m.now.Add(s.muteFor)
}

func (m *model) hint(address string) {
	if s := m.servers[address]; s != nil && s.state == "up" && !m.now.Before(s.muted) {
		s.hinted = true
	}
}

func contains(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// at counts the servers in one of the states, at home or elsewhere.
func (m *model) at(home bool, states ...string) (n int) {
	for _, site := range m.cfg.Sites {
		for _, a := range site.Servers {
			for _, state := range states {
				if (site.Name == m.cfg.Home) == home && m.servers[a].state == state {
					n++
				}
			}
		}
	}
	return n
}

func (m *model) decide() {
	p := m.cfg.filled().Pace
	homeUp, homeFit := m.at(true, "up") > 0, m.at(true, "up", "suspect") > 0
	awayFit := m.at(false, "up", "suspect") > 0
	holdOver := !m.now.Before(m.heldTill)
	before := m.mode
	if !homeFit && !awayFit {
		m.mode = "all-down"
		return
	}
	if before == "home" && homeFit || before == "swung" && homeUp && holdOver || before == "all-down" && homeFit && holdOver {
		if m.mode = "home"; before != "home" {
			m.cameHome = m.now
		}
		return
	}
	m.mode = "swung"
	if before == "swung" || !holdOver {
		return
	}
	switch calm := m.now.Sub(m.cameHome); {
	case m.hold == 0:
		m.hold = p.HoldDown
	case m.cameHome.IsZero():
	case calm < p.Calm:
		m.hold *= 2
	default:
		for ; calm >= p.Calm && m.hold > p.HoldDown; calm -= p.Calm {
			m.hold /= 2
		}
	}
	m.hold = min(max(m.hold, p.HoldDown), p.MaxHoldDown)
	m.heldTill, m.cameHome = m.now.Add(m.hold), time.Time{}
}

// want is the set, as "site/address state", and how it came about.
func (m *model) want() (label string, list []string) {
	label = m.mode
	if m.pin != "" {
		label = "pinned " + m.pin
	}
	for _, state := range []string{"up", "suspect", "probation", "down"} {
		for _, home := range []bool{true, false} {
			for _, site := range m.cfg.Sites {
				if (site.Name == m.cfg.Home) != home || !m.serves(site, label) {
					continue
				}
				for _, a := range site.Servers {
					if m.servers[a].state == state {
						list = append(list, fmt.Sprintf("%s/%s %s", site.Name, a, state))
					}
				}
			}
		}
	}
	return label, list
}

func (m *model) serves(site Site, label string) bool {
	switch label {
	case "all-down":
		return true
	case "home":
		return site.Name == m.cfg.Home
	case "swung":
		if site.Name == m.cfg.Home {
			return true
		}
		for _, a := range site.Servers {
			if s := m.servers[a].state; s == "up" || s == "suspect" {
				return true
			}
		}
		return false
	}
	return site.Name == m.pin
}
