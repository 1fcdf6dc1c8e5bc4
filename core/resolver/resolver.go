package resolver

import (
	"cmp"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/listen"
	"github.com/strata-dns/strata/core/observe"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// A Resolver answers from memory and asks its route for the rest.
type Resolver struct {
	cache    *cache.Cache
	rules    atomic.Pointer[Rules]
	route    Route
	decliner Decliner         // the route; nil where it is none
	engine   *upstream.Engine // nil where none is known
	post     post
	maxUDP   int
	file     string
	log      *slog.Logger
	chains   chains
	loops    *loops
	traces   traces

	ballast  []byte
	garbage  *collector
	circles  circles
	observer *observe.Observer // of single queries

	mu      sync.Mutex
	workers []*counts // of answerers there were, in order
	streams *counts   // of all answerers for streams together
	secured *counts   // of those for TLS

	certificate *listen.Certificate // shown to clients; nil where none comes over TLS
}

// Options of a resolver.
type Options struct {
	Cache  CacheConfig
	Rules  Rules
	Route  Route
	Engine *upstream.Engine // that the route asks by, so that what is asked and answered in batches travels in such; or nil
	MaxUDP int              // octets of the largest reply over UDP
	Budget time.Duration    // a client's whole wait; 0: DefaultBudget
	Log    *slog.Logger

	Observe observe.Config
	JSON    bool // lines of the query log's own file are JSON
}

// New makes a resolver and reads its cache's file, where there is one.
func New(o Options) (*Resolver, error) {
	r := &Resolver{route: o.Route, engine: o.Engine, maxUDP: o.MaxUDP, file: o.Cache.File, log: o.Log, loops: newLoops(o.Log), streams: new(counts), secured: new(counts)}
	if o.Engine != nil {
		r.decliner, _ = o.Route.(Decliner)
	}
	r.ballast = newBallast()
	var err error
	if r.observer, err = observe.New(observe.Options{Version: "strata " + daemon.Version, Sources: sources(), Log: o.Log, JSON: o.JSON}, o.Observe); err != nil {
		return nil, err
	}
	opts, err := o.Cache.options(cmp.Or(o.Budget, DefaultBudget))
	if err != nil {
		return nil, err
	}
	opts.Fetch = r.fetch
	if r.cache, err = cache.New(opts); err != nil {
		return nil, err
	}
	r.rules.Store(&o.Rules)
	if r.engine != nil {
		r.engine.Together(r.together)
	}
	r.load()
	r.garbage = newCollector(r.Waiting)
	return r, nil
}

// together calls deliver, which brings answers that came together.
func (r *Resolver) together(deliver func()) {
	r.cache.Still()
	r.post.together(deliver)
	r.cache.Move()
}

// SetRules replaces the rules. Those who are asking finish with the old ones.
func (r *Resolver) SetRules(rules Rules) {
	rules.inherit(r.rules.Load())
	r.rules.Store(&rules)
}

// Observe takes up what single queries are looked at for, and opens the query log's
// file anew. With an error all stays as it was.
func (r *Resolver) Observe(c observe.Config) error { return r.observer.Set(c) }

// Forget drops what memory holds at and below domains that are answered by others
// from now on.
func (r *Resolver) Forget(domains []string) {
	for _, d := range domains {
		if name, err := wire.ParseName(d); err == nil { // or it would not have been asked for
			r.cache.Flush(cache.Match{Under: name})
		}
	}
}

// Waiting is how many askers wait for upstream, or for their replies to leave.
func (r *Resolver) Waiting() int64 { return r.cache.Stats().Waiting + r.post.owing() }

// Worker makes the handler of one worker, whose queries come in at an address.
func (r *Resolver) Worker(at netip.AddrPort) plane.Handler {
	a := &answerer{r: r, counts: new(counts), tap: r.observer.Tap(at)}
	r.mu.Lock()
	r.workers = append(r.workers, a.counts)
	r.mu.Unlock()
	return &companion{answerer: a}
}

// Stream makes the handler of one queue of streams. They count together.
func (r *Resolver) Stream(at netip.AddrPort) plane.Handler {
	return &answerer{r: r, counts: r.streams, tap: r.observer.Tap(at)}
}

// Secure makes the handler of one queue of streams within TLS. They count together.
func (r *Resolver) Secure(at netip.AddrPort) plane.Handler {
	return &answerer{r: r, counts: r.secured, secured: true, tap: r.observer.Tap(at)}
}
