package failover

import "time"

// Status is the fleet at one moment, as `ctl failover status` and /status show
// it. Durations are in the unit their key names.
type Status struct {
	Mode      Mode      `json:"mode"`
	Since     time.Time `json:"since"`
	Home      string    `json:"home"`
	Pinned    string    `json:"pinned,omitempty"`
	Answering int       `json:"answering"` // servers believed to answer, of those asked now
	Swings    uint64    `json:"swings"`    // away from home, ever
	// HoldDown is that of the latest swing; HoldUntil its end, while swung.
	HoldDown  float64      `json:"hold_down_seconds"`
	HoldUntil time.Time    `json:"hold_until,omitzero"`
	Sites     []SiteStatus `json:"sites"`
}

// SiteStatus is one site: serving or standby.
type SiteStatus struct {
	Name    string         `json:"name"`
	Home    bool           `json:"home"`
	State   string         `json:"state"`
	Since   time.Time      `json:"since"`
	Servers []ServerStatus `json:"servers"`
}

// ServerStatus is one server. Counters begin when the server was first
// configured.
type ServerStatus struct {
	Address       string    `json:"address"`
	State         State     `json:"state"`
	Since         time.Time `json:"since"`
	ChecksOK      uint64    `json:"checks_ok"`
	ChecksFailed  uint64    `json:"checks_failed"`
	PassiveOK     uint64    `json:"passive_ok"`
	PassiveFailed uint64    `json:"passive_failed"`
	RTT           float64   `json:"rtt_ms"` // of checks, smoothed; 0 before the first
	NextCheck     time.Time `json:"next_check"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
}

// Status returns the fleet as it is now.
func (f *Fleet) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := Status{
		Mode: f.mode(), Since: f.modeSince, Home: f.cfg.Home, Pinned: f.pinned,
		Answering: f.set.Load().Fit, Swings: f.swing.count, HoldDown: f.swing.hold.Seconds(),
	}
	if f.swing.mode != Home {
		st.HoldUntil = f.swing.holdUntil
	}
	for _, s := range f.sites {
		at := SiteStatus{Name: s.name, Home: s.name == f.cfg.Home, State: s.state(), Since: s.since}
		for _, v := range s.servers {
			at.Servers = append(at.Servers, v.status())
		}
		st.Sites = append(st.Sites, at)
	}
	return st
}

func (s *server) status() ServerStatus {
	return ServerStatus{
		Address: s.address, State: s.state, Since: s.since,
		ChecksOK: s.checks.ok, ChecksFailed: s.checks.failed,
		PassiveOK: s.passiveOK.Load(), PassiveFailed: s.passiveFailed.Load(),
		RTT: float64(s.rtt) / float64(time.Millisecond), NextCheck: s.timing.due,
		LastError: s.lastErr, LastErrorAt: s.lastErrAt,
	}
}
