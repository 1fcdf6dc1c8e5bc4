package store

import (
	"context"
	"log/slog"
	"time"
)

// A Saver keeps a snapshot file as fresh as what a Watcher's sink holds.
type Saver struct {
	c     *Client
	w     *Watcher
	path  string
	every time.Duration
	log   *slog.Logger
	saved uint64 // the watcher's Changes that are in the file
}

// NewSaver makes a saver that looks for changes every so often, 5 s if every is
// 0. Saving reads all records anew and so takes its time: it rests for twenty
// times as long as the last one took.
func NewSaver(c *Client, w *Watcher, path string, every time.Duration) *Saver {
	if every <= 0 {
		every = 5 * time.Second
	}
	return &Saver{c: c, w: w, path: path, every: every, log: c.log}
}

// String names the task.
func (s *Saver) String() string { return "snapshot" }

// Ready is always so: nobody waits for a snapshot.
func (s *Saver) Ready() bool { return true }

// Run saves until ctx ends, and returns nil then. A failure is logged and tried
// again; the file there stays.
func (s *Saver) Run(ctx context.Context) error {
	timer := time.NewTimer(s.every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		if err := s.Save(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("snapshot not saved", "file", s.path, "error", err)
		}
		timer.Reset(max(s.every, 20*time.Since(began)))
	}
}

// Save writes the file, if there are changes it doesn't have. What etcd holds is
// saved only while the watcher follows it: never the emptiness of an etcd that
// has lost its data.
func (s *Saver) Save(ctx context.Context) error {
	changes := s.w.Changes()
	if changes == s.saved || !s.w.Connected() || s.w.rewound.Load() {
		return nil
	}
	records, revision, err := s.c.Records(ctx)
	if err != nil {
		return err
	}
	if revision < s.w.Revision() {
		return nil // went back since; the watcher will see to it
	}
	if err := WriteSnapshot(s.path, revision, time.Now(), records); err != nil {
		return err
	}
	s.saved = changes
	return nil
}
