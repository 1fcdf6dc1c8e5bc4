package upstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/wire"
)

// SetOptions differ from the engine's for one set.
type SetOptions struct {
	Budget time.Duration // 0: the engine's
}

// A Set is a group of servers any of which may answer the same questions. All
// its methods may be called at any time from any goroutine.
type Set struct {
	engine  *Engine
	budget  time.Duration
	servers atomic.Pointer[[]*server]
	probes  probes
	mu      sync.Mutex // of Replace and Close
}

// Set makes a set of at most 64 servers; it may be empty. A server named in
// several sets has one state. Close it when it is used no more.
func (e *Engine) Set(servers []Server, o SetOptions) (*Set, error) {
	list, err := e.acquire(servers)
	if err != nil {
		return nil, fmt.Errorf("make upstream set: %w", err)
	}
	s := &Set{engine: e, budget: o.Budget}
	if s.budget <= 0 {
		s.budget = e.options.Budget
	}
	s.servers.Store(&list)
	return s, nil
}

// Replace changes the servers. Those that stay keep their state; questions in
// the air go on with the servers they began with.
func (s *Set) Replace(servers []Server) error {
	list, err := s.engine.acquire(servers)
	if err != nil {
		return fmt.Errorf("replace upstream set: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine.release(*s.servers.Swap(&list))
	return nil
}

// Close empties the set.
func (s *Set) Close() { _ = s.Replace(nil) }

// Servers of the set, in the order they were given.
func (s *Set) Servers() []Server {
	list := *s.servers.Load()
	servers := make([]Server, len(list))
	for i, state := range list {
		servers[i] = state.Server
	}
	return servers
}

// Stats of the set's servers, in the order they were given.
func (s *Set) Stats() []ServerStats {
	list := *s.servers.Load()
	stats := make([]ServerStats, len(list))
	for i, state := range list {
		stats[i] = state.stats(s.engine.shards)
	}
	return stats
}

// Ask asks the set and calls done exactly once: within the budget, from any
// goroutine, possibly before Ask returns. done should not block: other
// answers wait behind it. It may call Ask.
func (s *Set) Ask(q *Question, done func(Answer)) {
	if !s.ask(q, s.budget, done) {
		done(Answer{Err: ErrNoServers})
	}
}

// Try is Ask for a set that may be empty, as it was closed: then it reports false, and
// calls nobody.
func (s *Set) Try(q *Question, done func(Answer)) bool { return s.ask(q, s.budget, done) }

// ask reports whether there is anybody to ask; else done is not called.
func (s *Set) ask(q *Question, budget time.Duration, done func(Answer)) bool {
	e := s.engine
	servers := *s.servers.Load()
	switch {
	case len(servers) == 0:
		return false
	case len(q.Name) == 0 || wire.NameLen(q.Name) != len(q.Name) || len(q.Options) > maxOptions:
		done(Answer{Err: ErrQuestion})
		return true
	case s.refuses(q, servers):
		done(Answer{Err: ErrMute})
		return true
	}
	shard := e.shards[0]
	if n := uint32(len(e.shards)); n > 1 {
		shard = e.shards[e.turn.Add(1)/heldMost%n] // who asks for much has it leave together
	}
	shard.begin(q, servers, budget, done)
	return true
}

// Exchange asks the set and waits: for the budget, or until ctx's deadline where
// it has one, or until ctx ends. The answer's Msg is the caller's to keep.
func (s *Set) Exchange(ctx context.Context, q *Question) (Answer, error) {
	budget := s.budget
	if deadline, ok := ctx.Deadline(); ok {
		budget = max(time.Until(deadline), 0)
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, fmt.Errorf("ask for %s: %w", wire.NameString(q.Name), err)
	}
	answers := make(chan Answer, 1)
	take := func(a Answer) {
		a.Msg = slices.Clone(a.Msg)
		answers <- a
	}
	if !s.ask(q, budget, take) {
		take(Answer{Err: ErrNoServers})
	}
	select {
	case a := <-answers:
		if a.Err != nil {
			return a, fmt.Errorf("ask for %s: %w", wire.NameString(q.Name), a.Err)
		}
		return a, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("ask for %s: %w", wire.NameString(q.Name), ctx.Err())
	}
}

// Exchange asks one server, by the transport it names, and waits as
// Set.Exchange does: what a check of its health needs. A UDP server's truncated
// reply is asked for again over TCP.
func (e *Engine) Exchange(ctx context.Context, server Server, q *Question) (Answer, error) {
	one, err := e.Set([]Server{server}, SetOptions{})
	if err != nil {
		return Answer{}, err
	}
	defer one.Close()
	return one.Exchange(ctx, q)
}
