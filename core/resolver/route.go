package resolver

import (
	"errors"
	"fmt"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// A Route is where the questions go that memory cannot answer.
type Route interface {
	// Ask sends a question upstream. It must not block, and calls done once, from
	// any goroutine, with the whole reply or an error. The message needs to be
	// valid during the call only.
	Ask(q *cache.Question, done func(a upstream.Answer))
	// Apart tells whether two folded names are asked of different servers: what
	// those of one say about the other is not believed.
	Apart(a, b []byte) bool
}

// Routes find the servers to ask about a name: those given for the longest suffix
// of it, cut at labels. Keys are folded wire names.
type Routes map[string]*upstream.Set

// OpenRoutes opens a set of servers for each list of domains.
func OpenRoutes(engine *upstream.Engine, list []Domains) (Routes, error) {
	r := Routes{}
	for _, d := range list {
		set, err := engine.Set(d.Servers, upstream.SetOptions{})
		if err != nil {
			r.Close()
			return nil, err
		}
		for _, n := range d.Names {
			name, err := wire.ParseName(n)
			if err != nil {
				set.Close()
				r.Close()
				return nil, fmt.Errorf("route for %q: %w", n, err)
			}
			r[string(name)] = set
		}
	}
	return r, nil
}

// Find gives whom to ask about a folded name, nil where nobody is named.
func (r Routes) Find(name []byte) *upstream.Set {
	for {
		if to := r[string(name)]; to != nil || name[0] == 0 {
			return to
		}
		name = name[1+int(name[0]):]
	}
}

// Close lets go of the servers. Questions on their way are still answered.
func (r Routes) Close() {
	for _, set := range r {
		set.Close()
	}
}

// Exchange asks a set of servers. Its errors hold what the asker is told.
func Exchange(to *upstream.Set, q *upstream.Question, done func(a upstream.Answer)) {
	to.Ask(q, func(a upstream.Answer) {
		if a.Err != nil {
			a.Err = upstreamFault(a.Err)
		}
		done(a)
	})
}

// Gone reports whether a question found its set closed, as a reload replaced it a
// moment ago: it is to be asked by the new routes.
func Gone(err error) bool { return errors.Is(err, upstream.ErrNoServers) }
