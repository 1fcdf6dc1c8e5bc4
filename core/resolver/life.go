package resolver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/upstream"
)

// Attach shows a resolver and its engine to a daemon, and has the daemon end both
// when nobody asks any more. Attach it before the listeners are added, so that
// these are drained first.
func (r *Resolver) Attach(d *daemon.Daemon, engine *upstream.Engine) {
	d.AddStatus("resolver", r.Status)
	d.AddStatus("upstreams", func() any { return upstreamStatus(engine) })
	d.AddCommand(r.Commands()...)
	d.Registry().MustRegister(r, &r.post, r.observer, upstreamMetrics{engine})
	d.Add(daemon.Func("observers", r.observer.Run))
	d.OnHandover(r.save)
	d.Add(daemon.Func("cache", func(ctx context.Context) error {
		<-ctx.Done()
		return r.Close(engine)
	}))
}

// load fills the cache from its file. One that is damaged is left aside. What would
// keep the file from being written at the end is said now.
func (r *Resolver) load() {
	if r.file == "" {
		return
	}
	if err := unix.Access(filepath.Dir(r.file), unix.W_OK); err != nil {
		r.log.Warn("the cache will not be kept: its directory cannot be written to", "file", r.file, "err", err)
	}
	if _, err := os.Stat(r.file); errors.Is(err, fs.ErrNotExist) {
		r.log.Info("no cache file yet", "file", r.file)
		return
	}
	n, err := r.cache.Load(r.file)
	if err != nil {
		r.log.Warn("cache file not used: starting with an empty cache", "err", err)
		return
	}
	r.log.Info("cache loaded", "file", r.file, "entries", n)
}

// Close saves the cache, where it has a file, and ends engine and cache, in this
// order: with its questions in the air ended by the engine, the cache has nobody
// waiting that it would not have answered. It may be called once.
func (r *Resolver) Close(engine *upstream.Engine) error {
	if err := r.save(); err != nil {
		r.log.Error("cache not saved", "err", err)
	}
	return r.Discard(engine)
}

// save writes the cache to its file, where it has one.
func (r *Resolver) save() error {
	if r.file == "" {
		return nil
	}
	n, err := r.cache.Save(r.file)
	if err == nil {
		r.log.Info("cache saved", "file", r.file, "entries", n)
	}
	return err
}

// Discard is Close without saving: for a resolver that never came to serve.
func (r *Resolver) Discard(engine *upstream.Engine) error {
	r.garbage.close()
	err := engine.Close()
	r.cache.Close()
	return err
}
