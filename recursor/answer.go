package main

import (
	"errors"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/resolver"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// routes say whom a question goes to that memory cannot answer. They are replaced
// as a whole at a reload. (The way before this point, through rules and cache, is
// resolver's answer.go; aliases that lead from one side to the other are followed
// in its chase.go.)
type routes struct {
	zones    *resolver.Routes // our own zones: their servers
	external *external        // the rest of the world; nil where there is none
}

// errNowhere is a question that is neither ours nor to be asked outside.
var errNowhere = resolver.Faulty(errors.New("not in a zone of ours, and no external resolver is configured"), wire.EDENotAuthoritative)

// Ask implements resolver.Route.
func (s *server) Ask(q *cache.Question, done func(a upstream.Answer)) {
	r := s.routes.Load()
	to := r.zones.Find(q.View, q.Name)
	if to == nil {
		if r.external == nil {
			done(upstream.Answer{Err: errNowhere})
			return
		}
		r.external.ask(s.resolver.Question(q, true), done)
		return
	}
	question := s.resolver.Question(q, to.Manner == recursive) // an authoritative server answers without recursion
	switch {
	case to.Set.Try(&question, done):
	case s.routes.Load() != r: // the set was closed as a reload replaced it a moment ago
		s.Ask(q, done)
	default:
		done(upstream.Answer{Err: upstream.ErrNoServers})
	}
}

// Apart implements resolver.Route: what an authoritative server says about names
// that are not its own, or the world about ours, is not believed.
func (s *server) Apart(view uint32, a, b []byte) bool {
	r := s.routes.Load()
	return r.zones.Find(view, a) != r.zones.Find(view, b)
}

// Declines implements resolver.Decliner.
func (s *server) Declines(view uint32, name []byte) bool {
	r := s.routes.Load()
	if to := r.zones.Find(view, name); to != nil {
		return to.Refuses(name)
	}
	return r.external != nil && r.external.refuses(name)
}
