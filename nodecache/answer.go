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
	stubs resolver.Routes[*upstream.Set] // names with servers of their own
	site  *upstream.Set                  // the site's recursors, for all the rest
}

// ask implements resolver.Route.
func (s *server) ask(q *cache.Question, done func(msg []byte, err error)) {
	r := s.routes.Load()
	to, ok := r.stubs.Find(q.Name)
	if !ok {
		to = r.site
	}
	to.Ask(&upstream.Question{Name: q.Name, Type: q.Type, Class: q.Class, DO: q.DO, CD: q.CD, RD: true}, func(a upstream.Answer) {
		done(a.Msg, a.Err)
	})
}
