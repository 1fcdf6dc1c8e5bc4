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
	everybody map[string]int
	views     *Views
	lengths   [wire.MaxName + 1]bool // of names given, to anybody: most suffixes have another
	gone      *Target                // for views of an earlier configuration: there is nobody to ask
}

// A Target is the servers of one entry in a list of domains.
type Target struct {
	*upstream.Set
	Place int // in the list
}

// OpenRoutes opens a set of servers for each entry in a list of domains.
func OpenRoutes(engine *upstream.Engine, list []Domains) (*Routes, error) {
	by := entriesByName(list)
	r := &Routes{everybody: by.everybody(), views: NewViews(list)}
	for name := range by {
		r.lengths[len(name)] = true
	}
	set, err := engine.Set(nil, upstream.SetOptions{})
	if err != nil {
		return nil, err
	}
	r.gone = &Target{set, -1}
	for i, d := range list {
		if set, err = engine.Set(d.Servers, upstream.SetOptions{}); err != nil {
			r.Close()
			return nil, fmt.Errorf("route for %q: %w", d.Names, err)
		}
		r.targets = append(r.targets, &Target{set, i})
	}
	return r, nil
}

// Find gives whom to ask about a folded name in a view, nil where nobody is named.
func (r *Routes) Find(view uint32, name []byte) *Target {
	var own map[string]int
	if view != 0 {
		if own = r.views.entries(view); own == nil {
			return r.gone
		}
	}
	for {
		if r.lengths[len(name)] {
			if place, ok := own[string(name)]; ok {
				return r.targets[place]
			}
			if place, ok := r.everybody[string(name)]; ok {
				return r.targets[place]
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
}
