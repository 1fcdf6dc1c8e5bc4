package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/garbage"
)

// openStore makes a client for the config's etcd.
func openStore(c *Config, log *slog.Logger) (*store.Client, error) {
	return store.Open(store.Options{
		Endpoints: c.Etcd.Endpoints,
		Prefix:    c.Etcd.Prefix,
		User:      c.Etcd.User,
		Password:  c.Etcd.Password,
		TLS:       store.TLS{CA: c.Etcd.TLS.CA, Cert: c.Etcd.TLS.Cert, Key: c.Etcd.TLS.Key},
		Log:       log,
	})
}

// addEtcd adds the tasks that have to do with etcd: the embedded member, the
// watch, the snapshot. What is in the snapshot can be answered when it returns.
func (s *server) addEtcd(d *daemon.Daemon, c *Config) error {
	up := make(chan struct{})
	var own *member
	if c.Etcd.Embedded.Dir != "" {
		spaceCollections(garbage.Percent) // a member allocates with each change
		own = &member{opts: c.embedOptions(s.log), log: s.log, up: up, users: s.etcdUsers}
		d.Add(own)
	} else {
		close(up)
	}
	if !c.usesEtcd() {
		return nil
	}
	var err error
	if s.client, err = openStore(c, s.log); err != nil {
		return err
	}
	if own != nil {
		own.entered = append(own.entered, s.client)
	}
	oversee := newOverseer(s, up, c)
	held := s.restore(c.Snapshot)
	s.watcher = store.NewWatcher(s.client, s.sink, store.WatchOptions{Compare: c.Etcd.Compare, Held: held, SkyDNS: c.skyDNS()})
	feed := &feeder{s: s, up: up, ended: make(chan struct{})}
	s.etcdUsers.Add(1)
	s.etcdUsers.Add(1)
	d.Add(feed, oversee)
	if c.Snapshot != "" {
		s.saver = &saver{s: s, path: c.Snapshot, saved: s.sink.state(), after: feed.ended}
		s.etcdUsers.Add(1)
		d.Add(s.saver)
	}
	return nil
}

// A member is the embedded etcd as a task. It starts last and ends last: before it
// has found the others of its cluster the server answers from its snapshot, and at
// the end the watch lets go of it first.
type member struct {
	opts  store.EmbedOptions
	log   *slog.Logger
	up    chan struct{} // closed when it has a leader
	users *sync.WaitGroup
	// entered are clients that ask it without a socket, where they may.
	entered []*store.Client
}

const (
	memberPatience = 10 * time.Second // without a leader, until it is said
	memberStop     = 3 * time.Second  // leaves time of daemon.DrainLimit for the snapshot
)

func (c *Config) embedOptions(log *slog.Logger) store.EmbedOptions {
	e := c.Etcd.Embedded
	opts := store.EmbedOptions{
		Dir: e.Dir, Name: e.Name, ClientURL: e.Client, PeerURL: e.Peer, Log: log,
		Ready: 100 * 365 * 24 * time.Hour, // the others come when they come
	}
	if opts.ClientURL == "" && len(c.Etcd.Endpoints) > 0 {
		opts.ClientURL = c.Etcd.Endpoints[0]
	}
	if len(e.Cluster) > 0 {
		opts.InitialCluster = map[string]string{}
		for _, p := range e.Cluster {
			opts.InitialCluster[p.Name] = p.URL
		}
	}
	return opts
}

// Run implements daemon.Task.
func (m *member) Run(ctx context.Context) error {
	late := time.AfterFunc(memberPatience, func() {
		m.log.Warn("the etcd member still has no leader: are enough members of its cluster up?", "dir", m.opts.Dir, "after", memberPatience)
	})
	etcd, err := store.Embed(ctx, m.opts)
	late.Stop()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	m.log.Info("etcd member started", "dir", m.opts.Dir, "endpoints", etcd.Endpoints())
	for _, client := range m.entered {
		client.Enter(etcd)
	}
	close(m.up)
	select {
	case <-etcd.Failed():
		return errors.New("it stopped by itself")
	case <-ctx.Done():
	}
	m.users.Wait()
	stop, cancel := context.WithTimeout(context.Background(), memberStop)
	defer cancel()
	if err := etcd.Stop(stop); err != nil { // its log is on disk: nothing is lost
		m.log.Warn("etcd member did not stop in time", "error", err)
	}
	return nil
}

// Ready implements daemon.Task: without its leader the server may still serve.
func (m *member) Ready() bool    { return true }
func (m *member) String() string { return "etcd member " + m.opts.Dir }

// A feeder is the task that keeps the etcd zones as etcd is. It is ready when
// there is something to answer from: from etcd, or from a snapshot while etcd is
// away.
type feeder struct {
	s     *server
	up    <-chan struct{} // the member of this process, if there is one
	ended chan struct{}   // closed when nothing more comes
}

// Run implements daemon.Task.
func (f *feeder) Run(ctx context.Context) error {
	defer f.s.etcdUsers.Done()
	defer f.s.client.Close()
	defer close(f.ended)
	select {
	case <-f.up:
	case <-ctx.Done():
		return nil
	}
	return f.s.watcher.Run(ctx)
}

// Ready implements daemon.Task.
func (f *feeder) Ready() bool    { return f.s.sink.filled.Load() }
func (f *feeder) String() string { return f.s.named("records from etcd") }

// Reason implements daemon.Reasoner.
func (f *feeder) Reason() string { return f.s.freshness() }

// age is how old the records may be that are answered from: the time since etcd was
// last heard of, lost its data, or since the snapshot was written; negative where there
// are none.
func (s *server) age() time.Duration {
	w := s.watcher
	switch at, lost := s.restored.Load(), w.Lost(); {
	case w.Synced() && !lost.IsZero():
		return time.Since(lost)
	case w.Synced() && w.Connected():
		return 0
	case w.Synced():
		return max(0, time.Since(w.LastContact()))
	case at != nil:
		return time.Since(*at)
	}
	return -1
}

// freshness says in half a sentence what the etcd zones are answered from.
func (s *server) freshness() string {
	w, revision := s.watcher, s.sink.revision.Load()
	since := func() time.Duration { return time.Since(w.LastContact()).Round(time.Second) }
	switch filled := s.sink.filled.Load(); {
	case filled && w.Connected() && !w.Lost().IsZero():
		return fmt.Sprintf("etcd has lost its data; revision %d is answered from until there are records again", revision)
	case w.Synced() && w.Connected():
		return fmt.Sprintf("as etcd has them, revision %d", revision)
	case w.Synced():
		return fmt.Sprintf("etcd has not answered for %s; revision %d is answered from", since(), revision)
	case filled && w.LastContact().IsZero():
		return fmt.Sprintf("etcd has not answered yet; the snapshot, revision %d, %s old, is answered from", revision, s.age().Round(time.Second))
	case filled:
		return fmt.Sprintf("etcd has not given all records yet; the snapshot, revision %d, %s old, is answered from", revision, s.age().Round(time.Second))
	case w.LastContact().IsZero():
		return "etcd has not answered yet, and there is no snapshot"
	}
	return "etcd answers, but has not given all records yet"
}
