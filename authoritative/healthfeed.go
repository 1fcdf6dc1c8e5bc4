package main

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// An overseer is the task that keeps the health of addresses as etcd has it, lets
// expire what nobody vouches for, and keeps a copy beside the snapshot.
type overseer struct {
	s    *server
	up   <-chan struct{} // the member of this process, if there is one
	path string          // of the copy, "": none

	saved    int64 // what is in the copy
	restored bool
}

// healthSuffix is put behind the snapshot's path.
const healthSuffix = ".health"

func newOverseer(s *server, up <-chan struct{}, c *Config) *overseer {
	o := &overseer{s: s, up: up}
	s.sink.health.expire = c.Probe.Expire
	if c.Snapshot == "" {
		return o
	}
	o.path = c.Snapshot + healthSuffix
	all, err := store.ReadHealthSnapshot(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.log.Error("health not taken from its snapshot; all addresses count as up until etcd is there", "error", err)
	default:
		o.restored = true
		s.sink.health.ApplyHealth(all)
		_, o.saved = s.sink.health.all()
	}
	return o
}

// Run implements daemon.Task.
func (o *overseer) Run(ctx context.Context) error {
	defer o.s.etcdUsers.Done()
	select {
	case <-o.up:
	case <-ctx.Done():
		return nil
	}
	h := o.s.sink.health
	var following sync.WaitGroup
	following.Go(func() { o.s.client.FollowHealth(ctx, h) })
	following.Go(func() { o.s.client.FollowProbers(ctx, h.probers) })
	look := time.NewTicker(min(max(h.expire/20, 50*time.Millisecond), 2*time.Second))
	defer look.Stop()
	for next := time.Now(); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case now := <-look.C:
			h.watchOver(now, o.s.watcher.Connected())
			if now.After(next) {
				o.save()
				next = now.Add(max(saveEvery, 20*time.Since(now))) // at most a twentieth of the time
			}
		}
	}
	following.Wait()
	o.save()
	return nil
}

// save writes the copy if there is something it does not have.
func (o *overseer) save() {
	all, edited := o.s.sink.health.all()
	if o.path == "" || edited == o.saved {
		return
	}
	if err := store.WriteHealthSnapshot(o.path, all); err != nil {
		o.s.log.Error("health not saved; the copy before stays", "error", err)
		return
	}
	o.saved = edited
}

// Ready implements daemon.Task: an answer should not have addresses that are known
// to be down, where that can be known.
func (o *overseer) Ready() bool {
	return o.restored || o.s.sink.health.isHeard() || !o.s.watcher.Connected()
}

func (o *overseer) String() string { return o.s.named("health of addresses") }

// isHeard tells whether etcd has told of all there is.
func (h *health) isHeard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard
}
