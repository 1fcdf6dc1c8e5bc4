package main

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// restore fills the etcd zones from the snapshot, where there is one, and returns
// the revision it is of.
func (s *server) restore(path string) int64 {
	if path == "" {
		return 0
	}
	info, err := store.Restore(path, restoring{s.sink})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.log.Info("no snapshot yet", "file", path)
		return 0
	case err != nil:
		s.log.Error("snapshot not used; waiting for etcd instead", "error", err)
		return 0
	}
	s.restored.Store(info.Time.UnixNano())
	s.log.Info("started from snapshot", "file", path, "records", info.Count, "revision", info.Revision, "age", time.Since(info.Time).Round(time.Second))
	return info.Revision
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
	counted := func(yield func(store.Record, error) bool) {
		v.s.sink.records(func(rec store.Record, err error) bool {
			v.count++
			return yield(rec, err)
		})
	}
	if err := store.WriteSnapshot(v.path, now.revision, time.Now(), counted); err != nil {
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
