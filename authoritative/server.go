package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/zone"
)

// A server is a running authoritative.
type server struct {
	log    *slog.Logger
	table  *zone.Table
	sink   *sink
	maxUDP int
	view   string  // that this is the server of; "": of everybody
	views  *viewer // nil: there are none

	// nil without zones from etcd, saver also without a snapshot's path.
	client    *store.Client
	watcher   *store.Watcher
	saver     *saver
	api       *api
	restored  atomic.Pointer[time.Time] // when the snapshot was written that it started from; nil: none
	etcdUsers *sync.WaitGroup           // tasks that end before the embedded member does

	mu      sync.Mutex
	workers []*counts // of the workers' answerers, in order
	streams *counts   // of those for streams, together
}

func newServer(log *slog.Logger, maxUDP int) (*server, error) {
	table, err := zone.New()
	if err != nil {
		return nil, err
	}
	return &server{log: log, table: table, sink: newSink(table, log), maxUDP: maxUDP, streams: new(counts), etcdUsers: new(sync.WaitGroup)}, nil
}

// build makes the server of a config. Zones from files and from the snapshot are
// in memory before the first query is taken.
func build(_ context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	started := c
	s, err := newServer(d.Log(), c.MaxUDP)
	if err != nil {
		return nil, err
	}
	for _, section := range c.unused() {
		s.log.Warn("section of the config has no effect: its part is not in this build", "section", section)
	}
	if c.Memory.MaxNames > 0 {
		c = s.bound(d, c)
	}
	if err := s.setZones(c.Zones); err != nil {
		return nil, err
	}
	d.AddStatus("zones", s.zoneStatus)
	d.AddCommand(s.commands()...)
	d.Registry().MustRegister(s)
	if err := s.addEtcd(d, c); err != nil {
		return nil, err
	}
	if s.watcher != nil {
		d.AddStatus("etcd", s.etcdStatus)
		d.AddStatus("health", s.healthStatus)
		d.Registry().MustRegister(s.sink.health)
	}
	if err := s.addViews(d, c); err != nil {
		return nil, err
	}
	if err := s.addAPI(d, c); err != nil {
		return nil, err
	}
	if err := s.listen(d, c); err != nil {
		return nil, err
	}
	return func(_ context.Context, c *Config) error {
		err := s.reload(c)
		if err == nil {
			config.Reloaded(s.log, started, c, liveServe...)
		}
		return err
	}, nil
}

// worker makes the handler of one worker, stream that of one worker's streams.
func (s *server) worker() plane.Handler {
	c := new(counts)
	s.mu.Lock()
	s.workers = append(s.workers, c)
	s.mu.Unlock()
	return s.answerer(c)
}

func (s *server) stream() plane.Handler { return s.answerer(s.streams) }

func (s *server) answerer(c *counts) *answerer {
	a := &answerer{reader: s.table.NewReader(), maxUDP: s.maxUDP, counts: c}
	if a.front = s.inFront(a.reader); a.front != nil {
		a.views = s.views
	}
	a.bounded = s.sink.bounded
	return a
}

// eachCount goes over what was counted.
func (s *server) eachCount(f func(transport string, worker, kind int, n uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	each := func(transport string, worker int, c *counts) {
		for k := range c.by {
			if n := c.by[k].Load(); n != 0 {
				f(transport, worker, k, n)
			}
		}
	}
	for i, c := range s.workers {
		each("udp", i, c)
	}
	each("tcp", 0, s.streams)
}
