package failover

import (
	"iter"
	"slices"
)

// A Server is one to ask.
type Server struct {
	Site    string
	Address string
	Away    bool // not at home: the answer should be made near home all the same (RFC 7871)
	State   State
}

// A Set is whom to ask now, never empty and never changed: a new one takes its
// place, so that a caller who keeps something per set can compare pointers.
type Set struct {
	Mode    Mode
	Home    string
	Servers []Server
	// Fit counts the leading servers that are believed to answer and may be
	// chosen among freely. Zero means nobody is known to answer: then the others
	// are what there is, in order.
	Fit int
}

// Current returns whom to ask now. It takes no lock and allocates nothing.
func (f *Fleet) Current() *Set { return f.set.Load() }

// Serving tells whether a site's servers are in the set.
func (s *Set) Serving(site string) bool {
	return slices.ContainsFunc(s.Servers, func(v Server) bool { return v.Site == site })
}

// up tells whether a server of the set is up: those stand first.
func (s *Set) up() bool { return s.Servers[0].State == Up }

func (s *Set) equal(o *Set) bool {
	return o != nil && s.Mode == o.Mode && s.Home == o.Home && s.Fit == o.Fit && slices.Equal(s.Servers, o.Servers)
}

// servers walks all servers, home's first, else as configured.
func (f *Fleet) servers() iter.Seq[*server] {
	return func(yield func(*server) bool) {
		for _, home := range []bool{true, false} {
			for _, at := range f.sites {
				if (at.name == f.cfg.Home) != home {
					continue
				}
				for _, s := range at.servers {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// face is what others see of a server.
func (f *Fleet) face(s *server) Server {
	return Server{Site: s.site, Address: s.address, Away: s.site != f.cfg.Home, State: s.state}
}

// choose makes the set that the mode and the servers call for.
func (f *Fleet) choose() *Set {
	set := &Set{Mode: f.mode(), Home: f.cfg.Home}
	fit := f.fitSites()
	for s := range f.servers() {
		var in bool
		switch set.Mode {
		case Home:
			in = s.site == f.cfg.Home
		case Swung:
			in = s.site == f.cfg.Home || fit[s.site]
		case AllDown:
			in = true
		case Pinned:
			in = s.site == f.pinned
		}
		if in {
			set.Servers = append(set.Servers, f.face(s))
		}
	}
	slices.SortStableFunc(set.Servers, func(a, b Server) int { return int(a.State) - int(b.State) })
	for set.Fit < len(set.Servers) && set.Servers[set.Fit].State.Fit() {
		set.Fit++
	}
	return set
}

func (f *Fleet) fitSites() map[string]bool {
	fit := map[string]bool{}
	for s := range f.servers() {
		fit[s.site] = fit[s.site] || s.state.Fit()
	}
	return fit
}
