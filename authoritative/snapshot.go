package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// restore fills the etcd zones from the snapshot, where there is one, and returns
// the revision it is of.
func (s *server) restore(path string) int64 {
	if path == "" {
		return 0
	}
	info, err := store.Restore(path, func(of *store.Snapshot) store.Sink { return restoring{s.sink, of.Zones} })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.log.Info("no snapshot yet", "file", path)
		return 0
	case err != nil:
		s.log.Error("snapshot not used; waiting for etcd instead", "error", err)
		return 0
	}
	age := max(0, time.Since(info.Time)) // of a clock that was ahead: not in the future
	written := time.Now().Add(-age)      // by this process's monotonic clock
	s.restored.Store(&written)
	s.log.Info("started from snapshot", "file", path, "records", info.Count, "revision", info.Revision, "age", age.Round(time.Second))
	return info.Revision
}

// A restoring sink is filled from a snapshot, which may be older than a zone of
// the config: what it does not know of is not taken for empty.
type restoring struct {
	*sink
	zones [][]byte // that the snapshot has all records of; nil: it does not say
}

func (r restoring) Replace(records iter.Seq2[store.Record, error], revision int64) error {
	return r.fill(records, revision, r.covers)
}

// covers tells whether the snapshot has all records of a zone. One below a zone that
// it knows was part of that, if it has anything of it: else it may have been a file's.
func (r restoring) covers(f *feed) bool {
	if r.zones == nil {
		return f.met
	}
	return slices.ContainsFunc(r.zones, func(apex []byte) bool {
		return string(apex) == string(f.apex) || f.met && wire.IsSubdomain(f.apex, apex)
	})
}

// whole gives the apexes of the zones whose records have all been seen.
func (s *sink) whole() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	apexes := [][]byte{}
	for _, f := range s.feeds {
		if f.full {
			apexes = append(apexes, f.apex)
		}
	}
	slices.SortFunc(apexes, bytes.Compare)
	return apexes
}

// A saver is the task that keeps the snapshot file as fresh as the table, out of
// the table: etcd is not read again for it. The first sync is saved at once, what
// comes after it every few seconds, the last when the watch has ended.
type saver struct {
	s     *server
	path  string
	after <-chan struct{} // closed when nothing more comes
	saved state           // what is in the file
	count int             // records of the last saving

	at     atomic.Int64 // when it was last written, Unix nanoseconds
	failed atomic.Uint64
}

// The time between the ends of two savings: each record adds sixty times what writing
// it takes, so that millions take no more than a sixtieth of a processor.
const (
	saveEvery  = 5 * time.Second
	eachRecord = 30 * time.Microsecond
)

// Run implements daemon.Task.
func (v *saver) Run(ctx context.Context) error {
	defer v.s.etcdUsers.Done()
	var pause <-chan time.Time
	for {
		news := v.s.sink.news
		if pause != nil {
			news = nil
		}
		select {
		case <-ctx.Done():
			<-v.after
			v.save()
			return nil
		case <-news:
		case <-pause:
			pause = nil
		}
		if v.save() {
			pause = time.After(saveEvery + time.Duration(v.count)*eachRecord)
		}
	}
}

// Ready implements daemon.Task: answers do not depend on it.
func (v *saver) Ready() bool    { return true }
func (v *saver) String() string { return "snapshot " + v.path }

// save writes the snapshot if there is something it does not have, and reports
// whether it tried. The state is read first: the table may be newer than it says,
// which the full compare after a start from it makes good.
func (v *saver) save() bool {
	now := v.s.sink.state()
	if now == v.saved || !v.s.watcher.Synced() {
		return false
	}
	v.count = 0
	began := v.s.sink.whole()
	zones := func() [][]byte { // those that are neither new nor gone meanwhile
		ended := v.s.sink.whole()
		return slices.DeleteFunc(began, func(apex []byte) bool {
			return !slices.ContainsFunc(ended, func(other []byte) bool { return string(other) == string(apex) })
		})
	}
	counted := func(yield func(store.Record, error) bool) {
		v.s.sink.records(func(rec store.Record, err error) bool {
			v.count++
			return yield(rec, err)
		})
	}
	if err := store.WriteSnapshot(v.path, now.revision, time.Now(), counted, zones); err != nil {
		v.failed.Add(1)
		v.s.log.Error("snapshot not written; the one before stays", "error", err)
		return true
	}
	v.saved = now
	v.at.Store(time.Now().UnixNano())
	return true
}

// savedAt is when the file was last written; zero: not by this process.
func (v *saver) savedAt() time.Time {
	if at := v.at.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}
