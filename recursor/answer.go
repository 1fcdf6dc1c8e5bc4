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
	zones    resolver.Routes[*upstream.Set] // our own zones: their authoritative servers
	external *external                      // the rest of the world; nil where there is none
}

// errNowhere is a question that is neither ours nor to be asked outside.
var errNowhere = nowhere{errors.New("not in a zone of ours, and no external resolver is configured")}

type nowhere struct{ error }

// EDE tells the asker why (RFC 8914 §4.21).
func (nowhere) EDE() uint16 { return wire.EDENotAuthoritative }

// ask implements resolver.Route.
func (s *server) ask(q *cache.Question, done func(msg []byte, err error)) {
	r := s.routes.Load()
	question := upstream.Question{Name: q.Name, Type: q.Type, Class: q.Class, DO: q.DO, CD: q.CD}
	to, ok := r.zones.Find(q.Name)
	switch {
	case ok: // an authoritative server answers without recursion
	case r.external == nil:
		done(nil, errNowhere)
		return
	default:
		question.RD = true
		to, question.Options = r.external.now()
	}
	to.Ask(&question, func(a upstream.Answer) { done(a.Msg, a.Err) })
}
