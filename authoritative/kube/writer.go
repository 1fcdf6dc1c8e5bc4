package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
)

// WriterOptions say how a Writer works. Client and Cluster must be set.
type WriterOptions struct {
	Client    *store.Client
	Cluster   string        // what the owner is named after
	Resync    time.Duration // between full compares
	MaxDelete float64       // the brake: the share of the owner's RRsets that one compare may delete
	// Rewound asks the source whether its history went back behind a position, as
	// it does when a cluster is restored from a backup. nil: the source has no
	// history, and writers are not kept apart by it.
	Rewound func(ctx context.Context, position int64) (bool, error)
	Log     *slog.Logger
}

// A Writer keeps the records of a State in etcd. Several may work for one cluster:
// what is already right is not written, and one that knows less than another one
// has written from writes nothing until it has caught up.
type Writer struct {
	state *State
	opts  WriterOptions
	owner string

	written, deleted, failures, behind atomic.Uint64
	withheld                           atomic.Int64 // RRsets the brake keeps
	compared                           atomic.Int64 // when the last compare ended, Unix nanoseconds; 0: never
	done                               atomic.Bool  // all there was to write at the start is written
	trouble                            atomic.Pointer[string]
	behindSince                        time.Time // Run's goroutine only
	large                              bool      // the last compare was, and its memory is not given back yet; likewise
}

// NewWriter makes a writer; Run sets it going.
func NewWriter(state *State, opts WriterOptions) *Writer {
	return &Writer{state: state, opts: opts, owner: Owner(opts.Cluster)}
}

// Owner is whose records a cluster's are in etcd.
func Owner(cluster string) string { return "kubernetes:" + cluster }

const (
	batch     = 960     // RRsets taken at once: as many transactions as go in parallel, four times over
	many      = 100_000 // RRsets that a compare leaves memory worth giving back of
	retryMin  = 100 * time.Millisecond
	retryMost = 2 * time.Second
)

// Run implements daemon.Task. It ends with ctx.
func (w *Writer) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.state.Ready():
	}
	if w.state.Counts().RRsets >= many { // what the lists came in goes before what is to be written comes
		debug.FreeOSMemory()
	}
	resync := time.NewTicker(w.opts.Resync)
	defer resync.Stop()
	compare, wait := true, retryMin
	for ctx.Err() == nil {
		err := w.work(ctx, &compare)
		if err == nil {
			wait = retryMin
			w.done.Store(true)
			if w.trouble.Swap(nil) != nil {
				w.opts.Log.Info("records are written again")
			}
			select {
			case <-ctx.Done():
			case <-resync.C:
				compare = true
			case <-w.state.wake:
			}
			continue
		}
		w.fail(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-w.caughtUp(err):
		}
		wait = min(2*wait, retryMost)
	}
	return nil
}

// caughtUp is heard of when there is news, for one that is behind.
func (w *Writer) caughtUp(err error) <-chan struct{} {
	if errors.Is(err, store.ErrBehind) {
		return w.state.wake
	}
	return nil
}

// fail notes and says that the records are not as they should be.
func (w *Writer) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := err.Error()
	if errors.Is(err, store.ErrBehind) {
		w.behind.Add(1)
		text = "another monitor of the cluster knows more; waiting to catch up"
	} else {
		w.failures.Add(1)
	}
	if old := w.trouble.Swap(&text); old == nil || *old != text {
		w.opts.Log.Warn("records not written; trying again", "error", err)
	}
}

// work does what there is to do.
func (w *Writer) work(ctx context.Context, compare *bool) error {
	if w.state.takeRecheck() {
		*compare = true
	}
	if *compare {
		if err := w.compare(ctx); err != nil {
			return err
		}
		*compare = false
	}
	for {
		edits, position := w.state.takeDirty(batch, w.owner)
		if len(edits) == 0 {
			w.behindSince = time.Time{}
			if w.large { // what a full sync leaves behind is as much as what is kept
				debug.FreeOSMemory()
				w.large = false
			}
			return nil
		}
		if err := w.write(ctx, edits, position); err != nil {
			return err
		}
	}
}

// write makes etcd's RRsets those of the edits. What could not be written is to be
// written again; what etcd will never take is said, and left.
func (w *Writer) write(ctx context.Context, edits []store.Edit, position int64) error {
	err := w.edit(ctx, position, edits)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !store.Refused(err) {
		w.state.again(edits)
		return w.lookAgain(ctx, err)
	}
	if names := byName(edits); len(names) > 1 { // which one is it?
		var errs []error
		for _, one := range names {
			errs = append(errs, w.write(ctx, one, position))
		}
		return errors.Join(errs...)
	}
	w.failures.Add(1)
	w.opts.Log.Error("RRset is not written", "error", err)
	return nil
}

func (w *Writer) edit(ctx context.Context, position int64, edits []store.Edit) (err error) {
	var res store.Result
	if w.opts.Rewound == nil {
		res, err = w.opts.Client.Write(ctx, edits...)
	} else {
		res, err = w.opts.Client.WriteFenced(ctx, store.Fence{Name: w.owner, Position: position}, edits...)
	}
	w.written.Add(uint64(res.Written))
	w.deleted.Add(uint64(res.Deleted))
	return err
}

// byName cuts edits into those of one name each.
func byName(edits []store.Edit) (names [][]store.Edit) {
	at := map[string]int{}
	for _, e := range edits {
		i, ok := at[string(e.Name)]
		if !ok {
			i = len(names)
			at[string(e.Name)] = i
			names = append(names, nil)
		}
		names[i] = append(names[i], e)
	}
	return names
}

// rewoundPatience is how long a writer may be behind before the source is asked
// whether it is its history that went back.
const rewoundPatience = 5 * time.Second

// lookAgain is what comes of an error: where this writer has been behind for long,
// it may be that the cluster's history itself went back. Then the fence does too.
func (w *Writer) lookAgain(ctx context.Context, err error) error {
	var behind *store.BehindError
	if !errors.As(err, &behind) {
		w.behindSince = time.Time{}
		return err
	}
	if w.behindSince.IsZero() {
		w.behindSince = time.Now()
	}
	if time.Since(w.behindSince) < rewoundPatience {
		return err
	}
	w.behindSince = time.Now()
	rewound, ask := w.opts.Rewound(ctx, behind.Fence)
	if ask != nil || !rewound {
		return errors.Join(err, ask)
	}
	w.opts.Log.Warn("the cluster's history went back, as from a backup; going on from there", "from", behind.Fence, "to", behind.Own)
	return w.opts.Client.MoveFence(ctx, store.Fence{Name: w.owner, Position: behind.Own})
}

// errBrake is a compare that would delete more than it may.
var errBrake = errors.New("too many deletions at once")

// compare finds what in etcd is not as it should be, and has it written: what is
// missing or another one, and what is left over, unless that is too much.
func (w *Writer) compare(ctx context.Context) error {
	began := time.Now()
	c := w.state.compare()
	for rec, err := range w.opts.Client.List(ctx, []byte{0}, w.owner) {
		if err != nil {
			return fmt.Errorf("compare with etcd: %w", err)
		}
		c.met(&rec)
	}
	left, missing, wrong := c.end(w.opts.MaxDelete)
	w.compared.Store(time.Now().UnixNano())
	log := w.opts.Log.With("owner", w.owner, "rrsets", c.total, "took", time.Since(began).Round(time.Millisecond))
	w.withheld.Store(0)
	if c.braked {
		w.withheld.Store(int64(left))
		log.Error("left-over RRsets are not deleted", "error", fmt.Errorf("%w: %d of %d would go, more than %.0f %% (brake.max_delete)", errBrake, left, c.total, w.opts.MaxDelete*100))
	}
	w.large = c.total+missing >= many
	if missing+wrong+left > 0 {
		log.Info("compared with etcd", "missing", missing, "other", wrong, "left_over", left)
	}
	return nil
}

// Ready implements daemon.Task: all was compared with etcd once, what came of that is
// written, and there is nothing that could not be.
func (w *Writer) Ready() bool { return w.done.Load() && w.trouble.Load() == nil }

// Reason implements daemon.Reasoner.
func (w *Writer) Reason() string {
	switch trouble := w.trouble.Load(); {
	case trouble != nil:
		return *trouble
	case w.compared.Load() == 0:
		return "not all objects have been told of yet"
	case !w.done.Load():
		return "the first compare's records are being written"
	case w.withheld.Load() > 0:
		return fmt.Sprintf("the brake keeps %d RRsets that no object has any more (brake.max_delete)", w.withheld.Load())
	}
	return ""
}

// String implements daemon.Task.
func (w *Writer) String() string { return "records of " + w.owner }
