package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// WatchOptions have sensible zeros.
type WatchOptions struct {
	Compare time.Duration // between full compares, default 10m, negative: none
	Beat    time.Duration // between two looks whether etcd answers, default 2s
	Retry   time.Duration // the longest wait before etcd is tried again, unless it answers sooner, default 5s
	// Held is the revision of what the sink holds already, from a snapshot; 0
	// where it holds nothing. An etcd that knows less and is empty has lost its
	// data and doesn't take ours away.
	Held int64
	// SkyDNS are folders in another layout, whose records are merged with ours as
	// those of SkyDNSOwner. No two of them may overlap.
	SkyDNS []SkyDNS
}

// A Watcher keeps a sink as etcd is. Its methods but Run may be called from
// anywhere at any time.
type Watcher struct {
	c    *Client
	sink Sink
	opts WatchOptions
	log  *slog.Logger

	told      atomic.Int64              // revision the sink was told of last
	seen      atomic.Int64              // revision up to which nothing is missing
	contact   atomic.Pointer[time.Time] // nil: never
	lost      atomic.Pointer[time.Time] // when etcd was found to have lost its data; nil: it has not
	synced    atomic.Bool
	connected atomic.Bool
	rewound   atomic.Bool // etcd's revision is behind what was seen
	holds     bool        // the sink has records; Run's goroutine only
	sky       *skyReader  // nil without folders; Run's goroutine only
	decoder   *decoder    // of changes, as is:
	changes   []Change    // what the sink is lent
	asked     chan struct{}
	back      chan struct{} // etcd answers again
}

// NewWatcher makes a watcher; Run sets it going.
func NewWatcher(c *Client, sink Sink, opts WatchOptions) *Watcher {
	if opts.Compare == 0 {
		opts.Compare = 10 * time.Minute
	}
	if opts.Beat <= 0 {
		opts.Beat = 2 * time.Second
	}
	if opts.Retry <= 0 {
		opts.Retry = 5 * time.Second
	}
	w := &Watcher{c: c, sink: sink, opts: opts, log: c.log, holds: opts.Held > 0, sky: newSkyReader(c, opts.SkyDNS), asked: make(chan struct{}, 1), back: make(chan struct{}, 1)}
	w.told.Store(opts.Held)
	w.seen.Store(opts.Held)
	return w
}

// Synced reports whether the sink was filled from etcd since Run began. It stays
// true when etcd goes away: old answers are better than none.
func (w *Watcher) Synced() bool { return w.synced.Load() }

// Connected reports whether etcd, with a quorum, answered when last asked.
func (w *Watcher) Connected() bool { return w.connected.Load() }

// CompareNow has Run hand the sink all there is as soon as it can, for a sink that
// takes more than it took before. A compare that is under way is followed by
// another.
func (w *Watcher) CompareNow() {
	select {
	case w.asked <- struct{}{}:
	default: // one that has not begun serves both
	}
}

// Revision is etcd's revision the sink was told of last.
func (w *Watcher) Revision() int64 { return w.told.Load() }

// LastContact is when etcd last answered; zero: never. It has a monotonic reading:
// the time since is right also when the clock has jumped.
func (w *Watcher) LastContact() time.Time {
	if at := w.contact.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Lost is since when etcd is known to have lost its data, and the sink keeps what it
// held; zero: it has not, or there are records again. It has a monotonic reading.
func (w *Watcher) Lost() time.Time {
	if at := w.lost.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// String names the task.
func (w *Watcher) String() string { return "etcd watch" }

// Ready reports Synced.
func (w *Watcher) Ready() bool { return w.Synced() }

// Run keeps the sink as etcd is until ctx ends, and returns nil then. It never
// gives up: what etcd or the sink refuse is logged and tried again, with waits
// growing up to Retry, or until etcd answers again.
func (w *Watcher) Run(ctx context.Context) error {
	var beating sync.WaitGroup
	defer beating.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beating.Go(func() { w.beat(ctx) })

	retry := retrying{most: w.opts.Retry, log: w.log, back: w.back}
	for whole := true; ctx.Err() == nil; {
		var err error
		if whole {
			if err = w.compare(ctx); err == nil {
				whole = false
				retry.good()
			}
		}
		if err == nil {
			whole, err = w.follow(ctx, &retry)
		}
		if err != nil {
			retry.wait(ctx, err)
		}
	}
	return nil
}

// errEmptied keeps a sink from following an etcd that has lost its data.
var errEmptied = errors.New("etcd is empty and its revision went back: it has lost its data; what is served stays until there are records again")

// compare hands the sink all there is. The sink decides what is news.
func (w *Watcher) compare(ctx context.Context) error {
	select {
	case <-w.asked: // this one is what was asked for
	default:
	}
	start, end := w.c.keys.all()
	p, err := w.c.openRange(ctx, start, end)
	if err != nil {
		return err
	}
	w.heard()
	if p.revision < w.seen.Load() {
		empty, err := len(p.page.Kvs) == 0, error(nil)
		if empty {
			if empty, err = w.sky.empty(ctx, p.revision); err != nil {
				return err
			}
		}
		if w.holds && empty {
			now := time.Now()
			w.lost.CompareAndSwap(nil, &now)
			return fmt.Errorf("compare with etcd: %w (from %d to %d)", errEmptied, w.seen.Load(), p.revision)
		}
		w.log.Warn("etcd's revision went back; taking what it has", "from", w.seen.Load(), "to", p.revision)
	}
	count := 0
	all, done := w.sky.beside(ctx, p.records(ctx, ""), p.revision)
	if err := w.sink.Replace(counted(all, &count), p.revision); err != nil {
		return fmt.Errorf("compare with etcd at revision %d: %w", p.revision, err)
	}
	done()
	w.holds = count > 0
	w.rewound.Store(false)
	w.lost.Store(nil)
	w.seen.Store(p.revision)
	w.told.Store(p.revision)
	if w.synced.CompareAndSwap(false, true) {
		w.log.Info("records read from etcd", "records", count, "revision", p.revision)
	}
	return nil
}

func counted(records iter.Seq2[Record, error], n *int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for rec, err := range records {
			if err == nil {
				*n++
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

func (w *Watcher) heard() {
	now := time.Now()
	w.contact.Store(&now)
}

// follow watches from the revision after what was seen, until something says
// that a full compare is due (whole), or that the watch has failed.
func (w *Watcher) follow(ctx context.Context, retry *retrying) (whole bool, err error) {
	etcd, err := w.c.conn()
	if err != nil {
		return false, w.c.fault(ctx, "watch etcd", w.c.opts.DialTimeout, "", err)
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	start, end := w.c.keys.all()
	watch := etcd.Watch(ctx, start, clientv3.WithRange(end), clientv3.WithRev(w.seen.Load()+1),
		clientv3.WithProgressNotify(), clientv3.WithCreatedNotify())
	sky := w.sky.watch(ctx, etcd)
	due, stop := w.compareDue()
	defer stop()
	look := time.NewTicker(w.opts.Beat)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-due:
			return true, nil
		case <-w.asked:
			return true, nil
		case <-look.C:
			if w.rewound.Load() {
				return true, nil
			}
			w.askProgress(ctx, etcd)
		case got := <-sky:
			if got.ended {
				return false, errWatchEnded
			}
			if err := got.resp.Err(); err != nil {
				return w.ended(err)
			}
			if err := w.takeSky(got); err != nil {
				return true, err
			}
		case resp, open := <-watch:
			if !open {
				return false, errWatchEnded
			}
			if err := resp.Err(); err != nil {
				return w.ended(err)
			}
			retry.good()
			if err := w.take(resp); err != nil {
				return true, err
			}
		}
	}
}

var errWatchEnded = errors.New("watch etcd: the watch has ended")

// ended tells history that is gone, which only a full compare makes good, from a
// watch that can go on where it was.
func (w *Watcher) ended(err error) (whole bool, _ error) {
	if errors.Is(err, rpctypes.ErrCompacted) {
		w.log.Info("etcd has compacted what was missed; reading all records", "revision", w.seen.Load())
		return true, nil
	}
	return false, fmt.Errorf("watch etcd: %w", err)
}

// askProgress has etcd say up to where nothing is missing. Where other keys
// change and records don't, this keeps the watch's place ahead of compaction.
func (w *Watcher) askProgress(ctx context.Context, etcd *clientv3.Client) {
	ctx, cancel := context.WithTimeout(ctx, w.opts.Beat)
	defer cancel()
	_ = etcd.RequestProgress(ctx) // unheard where the stream is down: the beat tells
}

// compareDue ticks once, a tenth sooner or later, so that servers which started
// together don't read together for ever.
func (w *Watcher) compareDue() (<-chan time.Time, func()) {
	if w.opts.Compare < 0 {
		return nil, func() {}
	}
	spread := time.Duration((rand.Float64() - 0.5) / 5 * float64(w.opts.Compare))
	t := time.NewTimer(w.opts.Compare + spread)
	return t.C, func() { t.Stop() }
}

// take hands one response's changes to the sink. etcd doesn't cut a revision in
// two responses.
func (w *Watcher) take(resp clientv3.WatchResponse) error {
	w.heard()
	if len(resp.Events) == 0 {
		if resp.IsProgressNotify() {
			w.seen.Store(max(w.seen.Load(), resp.Header.Revision))
		}
		return nil
	}
	changes := w.changesOf(resp.Events)
	revision := resp.Events[len(resp.Events)-1].Kv.ModRevision
	if len(changes) > 0 {
		told := max(revision, w.told.Load()) // another watch may be ahead
		if err := w.sink.Apply(changes, told); err != nil {
			return fmt.Errorf("apply changes up to revision %d: %w", revision, err)
		}
		w.holds = true
		w.told.Store(told)
	}
	w.seen.Store(revision)
	return nil
}

// manyEvents are not often in one response: room for more is not kept.
const manyEvents = 1024

// changesOf decodes events; all their octets live in one arena, and are good until it is
// called again.
func (w *Watcher) changesOf(events []*clientv3.Event) []Change {
	if len(w.changes) > manyEvents || w.decoder == nil {
		w.decoder, w.changes = newDecoder(w.c.keys), nil
	}
	d, changes := w.decoder, w.changes[:0]
	d.reset()
	for _, ev := range events {
		rec, err := d.key(ev.Kv.Key)
		if err != nil {
			if ev.Type != clientv3.EventTypeDelete {
				w.c.skip(ev.Kv.Key, err)
			}
			continue
		}
		if w.sky.reserved(rec) {
			continue
		}
		deleted := ev.Type == clientv3.EventTypeDelete
		if !deleted {
			if err := d.fill(&rec, ev.Kv.Value); err != nil {
				w.c.skip(ev.Kv.Key, err)
				rec.TTL, rec.Data, rec.Probe, deleted = 0, nil, "", true
			}
		}
		changes = append(changes, Change{Record: rec, Deleted: deleted, Key: string(ev.Kv.Key), Revision: ev.Kv.ModRevision})
	}
	w.changes = changes
	return changes
}
