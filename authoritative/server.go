package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/zone"
)

// A server is a running authoritative.
type server struct {
	log     *slog.Logger
	table   *zone.Table
	sink    *sink
	client  *store.Client  // nil without etcd zones
	watcher *store.Watcher // nil without etcd zones
	maxUDP  int

	mu      sync.Mutex
	workers []*counts // of the workers' answerers, in order
	streams *counts   // of those for streams, together
}

// build makes the server of a config. Zones from files and from the snapshot are
// in memory before the first query is taken.
func build(ctx context.Context, d *daemon.Daemon, c *Config) (func(context.Context, *Config) error, error) {
	table, err := zone.New()
	if err != nil {
		return nil, err
	}
	s := &server{log: d.Log(), table: table, sink: newSink(table, d.Log()), maxUDP: c.MaxUDP, streams: new(counts)}
	for _, section := range c.unused() {
		s.log.Warn("section of the config has no effect: its part is not in this build", "section", section)
	}
	if err := s.setZones(c.Zones); err != nil {
		return nil, err
	}
	d.AddStatus("zones", s.status)
	d.AddCommand(s.commands()...)
	d.Registry().MustRegister(s)
	if err := s.addEtcd(ctx, d, c); err != nil {
		return nil, err
	}
	if err := s.listen(d, c); err != nil {
		return nil, err
	}
	return s.reload, nil
}

// addEtcd adds the tasks that have to do with etcd: the embedded member, the
// watch, the snapshot.
func (s *server) addEtcd(ctx context.Context, d *daemon.Daemon, c *Config) error {
	if c.Etcd.Embedded.Dir != "" {
		m, err := embed(ctx, c, s.log)
		if err != nil {
			return err
		}
		d.Add(m)
	}
	if !c.usesEtcd() {
		return nil
	}
	var err error
	if s.client, err = openStore(c, s.log); err != nil {
		return err
	}
	held := s.restore(c.Snapshot)
	s.watcher = store.NewWatcher(s.client, s.sink, store.WatchOptions{Compare: c.Etcd.Compare, Held: held})
	d.Add(gate{s})
	if c.Snapshot != "" {
		d.Add(s.saver(c.Snapshot))
	}
	return nil
}

// reload takes up what can change while running: the zones. A zone whose file has
// an error stays as it was.
func (s *server) reload(_ context.Context, c *Config) error {
	if c.usesEtcd() && s.watcher == nil {
		return errRestart
	}
	if err := s.setZones(c.Zones); err != nil {
		return err
	}
	s.log.Info("reloaded: zones; other keys are taken up at the next start")
	return nil
}

// worker makes the handler of one worker.
func (s *server) worker() plane.Handler {
	a := &answerer{reader: s.table.NewReader(), maxUDP: s.maxUDP, counts: new(counts)}
	s.mu.Lock()
	s.workers = append(s.workers, a.counts)
	s.mu.Unlock()
	return a
}

// A streamHandler answers streams, whose goroutines come and go: it lends each
// batch one of a few answerers.
type streamHandler struct {
	s    *server
	free chan *answerer
}

func (s *server) stream() plane.Handler {
	return &streamHandler{s: s, free: make(chan *answerer, 64)}
}

// Answer implements plane.Handler.
func (h *streamHandler) Answer(batch []plane.Packet, late plane.Queue) {
	var a *answerer
	select {
	case a = <-h.free:
	default:
		a = &answerer{reader: h.s.table.NewReader(), maxUDP: h.s.maxUDP, counts: h.s.streams}
	}
	a.Answer(batch, late)
	select {
	case h.free <- a:
	default:
		a.reader.Close()
	}
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
