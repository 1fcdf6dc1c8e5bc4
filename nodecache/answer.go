package main

import (
	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
)

// routes say whom a question goes to that memory cannot answer. They are replaced
// as a whole at a reload. (The way before this point, through rules and cache, is
// resolver's answer.go.)
type routes struct {
	stubs *resolver.Routes // names with servers of their own
	site  *upstream.Set    // the site's recursors, for all the rest
}

// find gives whom to ask about a name in a view.
func (r *routes) find(view uint32, name []byte) *upstream.Set {
	if to := r.stubs.Find(view, name); to != nil {
		return to.Set
	}
	return r.site
}

// Ask implements resolver.Route.
func (s *server) Ask(q *cache.Question, done func(a upstream.Answer)) {
	r := s.routes.Load()
	question := s.resolver.Question(q, true)
	switch {
	case r.find(q.View, q.Name).Try(&question, done):
	case s.routes.Load() != r: // the set was closed as a reload replaced it a moment ago
		s.Ask(q, done)
	default:
		done(upstream.Answer{Err: upstream.ErrNoServers})
	}
}

// Declines implements resolver.Decliner.
func (s *server) Declines(view uint32, name []byte) bool {
	return s.routes.Load().find(view, name).Refuses(name)
}

// Apart implements resolver.Route.
func (s *server) Apart(view uint32, a, b []byte) bool {
	r := s.routes.Load()
	return r.find(view, a) != r.find(view, b)
}
