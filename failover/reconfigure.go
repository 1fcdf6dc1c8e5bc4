package failover

import (
	"fmt"
	"time"
)

// Reconfigure puts another configuration in place. Servers that stay, told by
// their address, keep their state, counters and schedule, also when they move
// to another site; new ones begin up and are due for a check. A pin stays while
// its site does. OnEvent and Jitter stay where the new ones are nil. After an
// error, which is that of Config.Check, all is as before.
func (f *Fleet) Reconfigure(cfg Config, at time.Time) error {
	if err := cfg.Check(); err != nil {
		return fmt.Errorf("reconfigure: %w", err)
	}
	f.step(at, func(now time.Time) { f.replace(cfg, now) })
	f.nudge()
	return nil
}

func (f *Fleet) replace(cfg Config, now time.Time) {
	if cfg.OnEvent == nil {
		cfg.OnEvent = f.cfg.OnEvent
	}
	if cfg.Jitter == nil {
		cfg.Jitter = f.cfg.Jitter
	}
	old := f.cfg
	f.cfg = cfg.filled()
	f.record.most = f.cfg.History
	f.record.trim()
	f.replaceSites(now)
	why := "new configuration"
	if old.Home != cfg.Home {
		f.swing.holdUntil = time.Time{} // it was another home's
	}
	if f.pinned != "" && siteNamed(f.sites, f.pinned) == nil {
		why = fmt.Sprintf("released: site %s was removed", f.pinned)
		f.pinned = ""
	}
	f.settle(now, why)
}

func (f *Fleet) replaceSites(now time.Time) {
	oldSites, kept := f.sites, *f.address.Load()
	f.sites = nil
	for _, conf := range f.cfg.Sites {
		in := &site{name: conf.Name, since: now}
		if before := siteNamed(oldSites, conf.Name); before != nil {
			in.since, in.serving = before.since, before.serving
		} else {
			f.tell(Event{Site: conf.Name, From: added, To: in.state(), Why: "new configuration"})
		}
		for _, address := range conf.Servers {
			in.servers = append(in.servers, f.keep(kept[address], address, conf.Name, now))
		}
		f.sites = append(f.sites, in)
	}
	f.index()
	f.tellRemoved(oldSites)
}

// keep returns the server as it was, or a new one.
func (f *Fleet) keep(s *server, address, site string, now time.Time) *server {
	if s == nil {
		s = newServer(address, site, now)
		f.tell(Event{Site: site, Server: address, From: added, To: s.state.String(), Why: "new configuration"})
	}
	s.site = site
	return s
}

func (f *Fleet) tellRemoved(old []*site) {
	now := *f.address.Load()
	for _, in := range old {
		for _, s := range in.servers {
			if now[s.address] == nil {
				f.tell(Event{Site: in.name, Server: s.address, From: s.state.String(), To: removed, Why: "new configuration"})
			}
		}
		if siteNamed(f.sites, in.name) == nil {
			f.tell(Event{Site: in.name, From: in.state(), To: removed, Why: "new configuration"})
		}
	}
}
