package resolver

import (
	"fmt"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// A Route is where the questions go that memory cannot answer.
type Route interface {
	// Ask sends a question upstream. It must not block, and calls done once, from
	// any goroutine, with the whole reply or an error: upstream's, or one that says what the
	// asker is told (Faulty). The message needs to be valid during the call only.
	Ask(q *cache.Question, done func(a upstream.Answer))
	// Apart tells whether two folded names are asked of different servers, in a
	// view: what those of one say about the other is not believed.
	Apart(view uint32, a, b []byte) bool
}

// A Decliner is a Route that can tell at no cost which questions it would fail at once, as
// nobody replies to whatever is asked: of a flood of these the hot path makes short work.
type Decliner interface {
	// Declines tells whether a question about a folded name, in a view, would get
	// upstream.ErrMute at this moment. It must neither block nor allocate.
	Declines(view uint32, name []byte) bool
}

// Routes find the servers to ask about a name: those given for the longest suffix
// of it, cut at labels.
type Routes struct {
	targets   []*Target // by place in the list of domains
	everybody map[string]*Target
	own       map[uint32]map[string]*Target // of views, those of a moment ago among them
	left      map[uint32]*departed
	lengths   [wire.MaxName + 1]bool // of names given, to anybody: most suffixes have another
	gone      *Target                // for views of an earlier configuration: there is nobody to ask
}

// A Target is the servers of one entry in a list of domains.
type Target struct {
	*upstream.Set
	Manner string // in which they are asked, as Domains.Asked has it
}

// OpenRoutes opens a set of servers for each entry in a list of domains. before are the
// routes that these are to replace, nil for none: of its views, those that the list
// does not have keep their servers for as long as a question may have been on its way.
func OpenRoutes(engine *upstream.Engine, list []Domains, before *Routes) (*Routes, error) {
	r := &Routes{own: map[uint32]map[string]*Target{}, left: map[uint32]*departed{}}
	open := func(servers []upstream.Server, manner string) (*Target, error) {
		set, err := engine.Set(servers, upstream.SetOptions{})
		return &Target{set, manner}, err
	}
	var err error
	if r.gone, err = open(nil, ""); err != nil {
		return nil, err
	}
	for _, d := range list {
		to, err := open(d.Servers, d.manner)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("route for %q: %w", d.Names, err)
		}
		r.targets = append(r.targets, to)
	}
	r.everybody = r.placed(entriesByName(list).everybody())
	for number, one := range NewViews(list).all() {
		r.own[number] = r.placed(one.entries)
	}
	if err := r.inherit(before, open); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// placed are the targets of domains that have places in the list.
func (r *Routes) placed(places map[string]int) map[string]*Target {
	by := map[string]*Target{}
	for name, place := range places {
		by[name] = r.targets[place]
		r.lengths[len(name)] = true
	}
	return by
}

// Find gives whom to ask about a folded name in a view, nil where nobody is named.
func (r *Routes) Find(view uint32, name []byte) *Target {
	var own map[string]*Target
	if view != 0 {
		if own = r.own[view]; own == nil {
			return r.gone
		}
	}
	for {
		if r.lengths[len(name)] {
			if to := own[string(name)]; to != nil {
				return to
			}
			if to := r.everybody[string(name)]; to != nil {
				return to
			}
		}
		if name[0] == 0 {
			return nil
		}
		name = name[1+int(name[0]):]
	}
}

// Close lets go of the servers. Questions on their way are still answered.
func (r *Routes) Close() {
	if r == nil {
		return
	}
	for _, to := range r.targets {
		to.Close()
	}
	for _, d := range r.left {
		d.close()
	}
}
