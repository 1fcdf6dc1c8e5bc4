package store

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"
)

var errSoon = errors.New("not written yet")

// An Op says what an Edit does to the owner's RRset of its record's name and type.
type Op uint8

// The operations.
const (
	Add    Op = iota // add the values; the TTL becomes the edit's
	Remove           // take the values away, or all where there are none given; nothing left: the key is deleted
	Set              // these values and no others
)

// An Edit is one wish for Write.
type Edit struct {
	Op Op
	Record
}

// A Result counts keys, which is RRsets of an owner.
type Result struct {
	Written   int   // put because their value was another
	Deleted   int   // deleted
	Unchanged int   // already right
	Revision  int64 // etcd's revision after the last of it
}

// Write applies the edits, in order for each name.
func (c *Client) Write(ctx context.Context, edits ...Edit) (Result, error) { return Result{}, errSoon }

// Add adds values to the owner's RRset.
func (c *Client) Add(ctx context.Context, rec Record) (Result, error) { return Result{}, errSoon }

// Remove takes values from the owner's RRset, all where rec has no data.
func (c *Client) Remove(ctx context.Context, rec Record) (Result, error) { return Result{}, errSoon }

// Set makes the owner's RRset exactly rec.
func (c *Client) Set(ctx context.Context, rec Record) (Result, error) { return Result{}, errSoon }

// List gives the records at and below a name; of one owner where owner is not empty.
func (c *Client) List(ctx context.Context, under []byte, owner string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errSoon) }
}

// Records gives all records at one revision, which is given too.
func (c *Client) Records(ctx context.Context) (iter.Seq2[Record, error], int64, error) {
	return nil, 0, errSoon
}

// An Import is a set of records to be an owner's.
type Import struct {
	Owner     string
	Under     []byte  // the zone: all records must be at or below it (wire form, lower-cased)
	Replace   bool    // delete what the owner has under Under and the records don't have
	MaxDelete float64 // the brake: the share of the owner's keys under Under that may be deleted; 0 is 0.3, 1 is all
}

// Import writes records of one owner.
func (c *Client) Import(ctx context.Context, what Import, records iter.Seq2[Record, error]) (Result, error) {
	return Result{}, errSoon
}

// WatchOptions have sensible zeros.
type WatchOptions struct {
	Compare time.Duration // between full compares, default 10m, negative: none
}

// A Watcher keeps a sink as etcd is.
type Watcher struct{}

// NewWatcher makes a watcher; Run starts it.
func NewWatcher(c *Client, sink Sink, opts WatchOptions) *Watcher { return &Watcher{} }

// Run follows etcd until ctx ends, whatever happens to etcd, and returns nil.
func (w *Watcher) Run(ctx context.Context) error { return errSoon }

// Synced reports whether the sink was filled from etcd since Run began.
func (w *Watcher) Synced() bool { return false }

// Connected reports whether etcd's last answer is fresh.
func (w *Watcher) Connected() bool { return false }

// Revision is what the sink has come to.
func (w *Watcher) Revision() int64 { return 0 }

// LastContact is when etcd last answered.
func (w *Watcher) LastContact() time.Time { return time.Time{} }

// Skipped counts values that were none of ours.
func (w *Watcher) Skipped() uint64 { return 0 }

// EmbedOptions describe a member. Only Dir must be set.
type EmbedOptions struct {
	Dir            string            // made where it is missing, mode 0700
	Name           string            // of the member, default "default"
	ClientURL      string            // to listen on, default "http://127.0.0.1:2379"; port 0 is any free one
	PeerURL        string            // to listen on, default "http://127.0.0.1:2380"
	InitialCluster map[string]string // name → peer URL of all members; empty: this one alone
	Join           bool              // the cluster exists, and this member was added to it
	Quota          int64             // octets, default 4 GiB
	Retention      time.Duration     // history kept before compaction, default 1h
	Ready          time.Duration     // to wait for a leader, default 30s
	Log            *slog.Logger
}

// A Member is an etcd server in this process.
type Member struct{}

// Embed starts a member and waits until it is ready.
func Embed(ctx context.Context, opts EmbedOptions) (*Member, error) { return nil, errSoon }

// Endpoints are the URLs clients reach the member at.
func (m *Member) Endpoints() []string { return nil }

// Failed is closed when the member has stopped by itself.
func (m *Member) Failed() <-chan struct{} { return nil }

// Stop ends the member within the deadline of ctx.
func (m *Member) Stop(ctx context.Context) error { return errSoon }

// WriteSnapshot writes records to a file, atomically.
func WriteSnapshot(path string, revision int64, at time.Time, records iter.Seq2[Record, error]) error {
	return errSoon
}

// A Snapshot is a state read back from a file.
type Snapshot struct {
	Revision int64
	Time     time.Time
	Count    uint64
}

// OpenSnapshot verifies a whole snapshot, before anything of it is used.
func OpenSnapshot(path string) (*Snapshot, error) { return nil, errSoon }

// Records streams the snapshot.
func (s *Snapshot) Records() iter.Seq2[Record, error] { return nil }

// Close closes the file.
func (s *Snapshot) Close() error { return nil }

// Restore fills a sink from a snapshot.
func Restore(path string, sink Sink) (*Snapshot, error) { return nil, errSoon }

// A Saver keeps a snapshot file fresh.
type Saver struct{}

// NewSaver makes a saver of what w has come to.
func NewSaver(c *Client, w *Watcher, path string, every time.Duration) *Saver { return &Saver{} }

// Run saves until ctx ends.
func (s *Saver) Run(ctx context.Context) error { return errSoon }
