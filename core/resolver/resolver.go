package resolver

import (
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/policy"
)

// A Route sends a question upstream. It must not block, and calls done once, from
// any goroutine, with the whole reply or an error. The message needs to be valid
// during the call only.
type Route func(q *cache.Question, done func(msg []byte, err error))

// Rules are what a query is held against: compiled policy and rate limit. They
// are replaced as a whole at a reload.
type Rules struct {
	Policy  *policy.Policy
	Limiter *policy.Limiter
}

// A Resolver answers from memory and asks its route for the rest.
type Resolver struct {
	cache  *cache.Cache
	rules  atomic.Pointer[Rules]
	route  Route
	maxUDP int
	file   string
	log    *slog.Logger

	mu      sync.Mutex
	workers []*counts // of answerers there were, in order
	streams *counts   // of all answerers for streams together
}

// Options of a resolver.
type Options struct {
	Cache  CacheConfig
	Rules  Rules
	Route  Route
	MaxUDP int // octets of the largest reply over UDP
	Log    *slog.Logger
}

// New makes a resolver and reads its cache's file, where there is one.
func New(o Options) (*Resolver, error) {
	r := &Resolver{route: o.Route, maxUDP: o.MaxUDP, file: o.Cache.File, log: o.Log, streams: new(counts)}
	opts, err := o.Cache.options()
	if err != nil {
		return nil, err
	}
	opts.Fetch = r.fetch
	if r.cache, err = cache.New(opts); err != nil {
		return nil, err
	}
	r.rules.Store(&o.Rules)
	r.load()
	return r, nil
}

// SetRules replaces the rules. Those who are asking finish with the old ones.
func (r *Resolver) SetRules(rules Rules) {
	rules.Policy.Inherit(r.rules.Load().Policy)
	r.rules.Store(&rules)
}

// load fills the cache from its file. One that is damaged is left aside.
func (r *Resolver) load() {
	if r.file == "" {
		return
	}
	n, err := r.cache.Load(r.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.log.Info("no cache file yet", "file", r.file)
	case err != nil:
		r.log.Warn("cache file not used: starting with an empty cache", "err", err)
	default:
		r.log.Info("cache loaded", "file", r.file, "entries", n)
	}
}

// Close saves the cache, where it has a file, and ends it: whoever still waits is
// told SERVFAIL.
func (r *Resolver) Close() {
	if r.file != "" {
		if n, err := r.cache.Save(r.file); err != nil {
			r.log.Error("cache not saved", "err", err)
		} else {
			r.log.Info("cache saved", "file", r.file, "entries", n)
		}
	}
	r.cache.Close()
}

// Waiting is how many askers wait for upstream.
func (r *Resolver) Waiting() int64 { return r.cache.Stats().Waiting }

// Worker makes the handler of one worker.
func (r *Resolver) Worker() plane.Handler {
	a := &answerer{r: r, counts: new(counts)}
	r.mu.Lock()
	r.workers = append(r.workers, a.counts)
	r.mu.Unlock()
	return a
}

// Stream gives the handler for streams, which any number of goroutines may call.
func (r *Resolver) Stream() plane.Handler { return &streamHandler{r: r} }

type streamHandler struct {
	r    *Resolver
	free sync.Pool
}

// Answer implements plane.Handler.
func (s *streamHandler) Answer(batch []plane.Packet, late plane.Queue) {
	a, _ := s.free.Get().(*answerer)
	if a == nil {
		a = &answerer{r: s.r, counts: s.r.streams}
	}
	a.Answer(batch, late)
	s.free.Put(a)
}
