package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options of an Engine; zero values stand for the defaults.
type Options struct {
	Budget      time.Duration  // a question's whole time; 1.8 s
	MaxInFlight int            // questions open at a time, more get ErrOverload; 100,000
	Shards      int            // parts that work alone; half the CPUs, at least one
	Idle        time.Duration  // after which an unused connection is closed; 10 s
	RootCAs     *x509.CertPool // for TLS servers; the system's
	MixCase     bool           // Server.Mix0x20 for all
	// OnExchange is told how each exchange with one server ended, from any
	// goroutine; it must not block. ok: a reply that answers. Otherwise err is
	// what the network said or ErrTimeout, or nil where the reply was SERVFAIL,
	// REFUSED, NOTIMP or FORMERR. rtt is 0 without a reply.
	OnExchange func(server netip.AddrPort, ok bool, rtt time.Duration, err error)
}

const (
	defaultBudget   = 1800 * time.Millisecond // RFC 8767 §5: the client's timer
	defaultInFlight = 100_000
	defaultIdle     = 10 * time.Second
)

// An Engine asks name servers. Sets of servers are made from it and share its
// sockets, connections and what is known about servers.
type Engine struct {
	options  Options
	base     time.Time
	ports    ports
	shards   []*shard
	turn     atomic.Uint32
	inFlight atomic.Int64                 // questions, and what shards have room for without counting
	refused  atomic.Int64                 // when a question last was, for nobody would answer; 0: not for long
	holders  atomic.Int32                 // Hold without Release
	together atomic.Pointer[func(func())] // nil where none is set

	running sync.WaitGroup
	closing sync.Once

	mu      sync.Mutex
	servers map[Server]*server
}

// New starts an engine. It must be closed.
func New(o Options) (*Engine, error) {
	o.withDefaults()
	e := &Engine{options: o, base: time.Now().Add(-time.Second), servers: map[Server]*server{}}
	var err error
	if e.ports, err = readPorts(); err != nil {
		return nil, fmt.Errorf("start upstream engine: %w", err)
	}
	for i := range o.Shards {
		s, err := newShard(e, i)
		if err != nil {
			_ = e.Close()
			return nil, fmt.Errorf("start upstream engine: %w", err)
		}
		e.shards = append(e.shards, s)
		e.running.Add(2)
		go s.receive()
		go s.keepTime()
	}
	return e, nil
}

func (o *Options) withDefaults() {
	if o.Budget <= 0 {
		o.Budget = defaultBudget
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultInFlight
	}
	if o.Shards <= 0 {
		o.Shards = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
}

// now is the time in ns since a second before the engine began; never 0.
func (e *Engine) now() int64 { return int64(time.Since(e.base)) }

// InFlight is how many questions are open.
func (e *Engine) InFlight() int {
	n := int(e.inFlight.Load())
	for _, s := range e.shards {
		s.mu.Lock()
		n -= s.room
		s.mu.Unlock()
	}
	return n
}

// Stats of all servers that are in a set, in order of address.
func (e *Engine) Stats() []ServerStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := make([]ServerStats, 0, len(e.servers))
	for _, s := range e.servers {
		stats = append(stats, s.stats(e.shards))
	}
	slices.SortFunc(stats, func(a, b ServerStats) int {
		if c := a.Server.Addr.Compare(b.Server.Addr); c != 0 {
			return c
		}
		return int(a.Server.Transport) - int(b.Server.Transport)
	})
	return stats
}

// Close ends all questions with net.ErrClosed and waits for the engine's
// goroutines. It must not be called from a callback.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		for _, s := range e.shards {
			s.close()
		}
		e.running.Wait()
	})
	return nil
}

// acquire returns the states of servers, new ones for those not known yet.
func (e *Engine) acquire(list []Server) ([]*server, error) {
	if len(list) > maxServers {
		return nil, fmt.Errorf("%d upstream servers in one set: at most %d", len(list), maxServers)
	}
	fresh := make([]*server, len(list))
	for i, want := range list {
		if slices.Contains(list[:i], want) {
			return nil, fmt.Errorf("upstream server %s is named twice", want)
		}
		var err error
		if fresh[i], err = e.newServer(want); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range fresh {
		if known := e.servers[s.Server]; known != nil {
			fresh[i] = known
		} else {
			e.servers[s.Server] = s
		}
		fresh[i].refs++
	}
	return fresh, nil
}

func (e *Engine) newServer(want Server) (*server, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	address, err := sockaddrOf(want.Addr)
	if err != nil {
		return nil, err
	}
	s := &server{Server: want, sockaddr: address, pools: make([]pool, len(e.shards)), tallies: make([]tally, len(e.shards))}
	if want.Transport == TLS {
		s.tls = &tls.Config{
			ServerName: want.TLSName, RootCAs: e.options.RootCAs, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(2 * connsMost),
		}
	}
	return s, nil
}

// release forgets servers that no set names any more. What is in the air is still
// answered; sockets go with age.
func (e *Engine) release(list []*server) {
	var gone []*server
	e.mu.Lock()
	for _, s := range list {
		if s.refs--; s.refs == 0 {
			delete(e.servers, s.Server)
			gone = append(gone, s)
		}
	}
	e.mu.Unlock()
	for _, shard := range e.shards {
		shard.mu.Lock()
		for _, s := range gone {
			for _, c := range slices.Clone(s.pools[shard.index].conns) {
				if c.draining = true; len(c.open) == 0 {
					shard.hangUp(c)
				}
			}
			for _, k := range s.pools[shard.index].sockets {
				if k != nil {
					shard.retire(k)
				}
			}
		}
		shard.mu.Unlock()
	}
}
