package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/daemon"
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

// A member is the embedded etcd as a task.
type member struct {
	*store.Member
	dir string
}

// embed starts the etcd member of the config.
func embed(ctx context.Context, c *Config, log *slog.Logger) (*member, error) {
	e := c.Etcd.Embedded
	opts := store.EmbedOptions{Dir: e.Dir, Name: e.Name, ClientURL: e.Client, PeerURL: e.Peer, Log: log}
	if opts.ClientURL == "" && len(c.Etcd.Endpoints) > 0 {
		opts.ClientURL = c.Etcd.Endpoints[0]
	}
	if len(e.Cluster) > 0 {
		opts.InitialCluster = map[string]string{}
		for _, p := range e.Cluster {
			opts.InitialCluster[p.Name] = p.URL
		}
	}
	m, err := store.Embed(ctx, opts)
	if err != nil {
		return nil, err
	}
	log.Info("etcd member started", "dir", e.Dir, "endpoints", m.Endpoints())
	return &member{m, e.Dir}, nil
}

// Run implements daemon.Task.
func (m *member) Run(ctx context.Context) error {
	select {
	case <-m.Failed():
		return errors.New("the etcd member stopped by itself")
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return m.Stop(stop)
}

func (m *member) Ready() bool    { return true }
func (m *member) String() string { return "etcd member " + m.dir }

// restore fills the etcd zones from the snapshot, where there is one, and
// returns the revision it is of.
func (s *server) restore(path string) int64 {
	if path == "" {
		return 0
	}
	info, err := store.Restore(path, s.sink)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.log.Info("no snapshot yet", "file", path)
		return 0
	case err != nil:
		s.log.Error("snapshot not used; waiting for etcd instead", "err", err)
		return 0
	}
	s.log.Info("started from snapshot", "file", path, "records", info.Count, "revision", info.Revision, "age", time.Since(info.Time).Round(time.Second))
	return info.Revision
}

// saver returns the task that keeps the snapshot file as fresh as the table, out
// of the table: etcd is not read again for it.
func (s *server) saver(path string) daemon.Task {
	return daemon.Func("snapshot "+path, func(ctx context.Context) error {
		saved := s.sink.revision.Load()
		pause := saveEvery
		for {
			select {
			case <-ctx.Done():
				s.save(path, &saved)
				return nil
			case <-time.After(pause):
			}
			start := time.Now()
			s.save(path, &saved)
			pause = max(saveEvery, 20*time.Since(start)) // at most a twentieth of the time
		}
	})
}

const saveEvery = 5 * time.Second

// save writes the snapshot if there is something it does not have. The revision
// is read first: the table may be newer than it says, which the full compare
// after a start from it makes good.
func (s *server) save(path string, saved *int64) {
	revision := s.sink.revision.Load()
	if revision == *saved || !s.watcher.Synced() {
		return
	}
	if err := store.WriteSnapshot(path, revision, time.Now(), s.sink.records); err != nil {
		s.log.Error("snapshot not written; the one before stays", "err", err)
		return
	}
	*saved = revision
}

// A gate is the task that says whether the etcd zones can be answered from: from
// etcd, or from a snapshot while etcd is away.
type gate struct {
	s *server
}

func (g gate) Run(ctx context.Context) error { return g.s.watcher.Run(ctx) }
func (g gate) Ready() bool                   { return g.s.sink.filled.Load() }
func (g gate) String() string                { return "records from etcd" }

// Reason says how fresh the records are.
func (g gate) Reason() string {
	w := g.s.watcher
	switch last := w.LastContact(); {
	case w.Connected() && w.Synced():
		return fmt.Sprintf("at revision %d", g.s.sink.revision.Load())
	case !g.s.sink.filled.Load():
		return "etcd has not answered yet and there is no snapshot"
	case last.IsZero():
		return fmt.Sprintf("from the snapshot, revision %d; etcd has not answered yet", g.s.sink.revision.Load())
	default:
		return fmt.Sprintf("etcd has not answered for %s; answering from revision %d", time.Since(last).Round(time.Second), g.s.sink.revision.Load())
	}
}
