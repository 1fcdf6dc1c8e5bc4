package store

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// beat asks etcd for its revision, again and again. The answer needs a quorum, so
// it tells a cluster that works from one that is merely there; a watch alone
// would stay silent for both.
func (w *Watcher) beat(ctx context.Context) {
	tick := time.NewTicker(w.opts.Beat)
	defer tick.Stop()
	since := time.Now()
	for first := true; ; first = false {
		seen := w.seen.Load() // before asking: what is answered cannot be less
		revision, err := w.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		was := w.connected.Swap(err == nil)
		switch {
		case err != nil && (was || first):
			since = time.Now()
			w.log.Warn("etcd is away; answers go on with what there is, changes have to wait", "error", err)
		case err == nil && !was && !first:
			w.log.Info("etcd is back", "after", time.Since(since).Round(time.Millisecond), "revision", revision)
			select {
			case w.back <- struct{}{}:
			default:
			}
		}
		if err == nil {
			w.heard()
			w.rewound.Store(revision < seen)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask gives etcd's revision now.
func (w *Watcher) ask(ctx context.Context) (int64, error) {
	within := min(w.c.opts.Timeout, 3*time.Second)
	etcd, err := w.c.conn()
	if err != nil {
		return 0, w.c.fault(ctx, "ask etcd", w.c.opts.DialTimeout, "", err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), within)
	defer cancel()
	resp, err := etcd.Get(timed, w.c.keys.records, clientv3.WithKeysOnly())
	if err != nil {
		return 0, w.c.fault(ctx, "ask etcd", within, "", err)
	}
	return resp.Header.Revision, nil
}

// A retrying waits before what failed is tried again.
type retrying struct {
	most   time.Duration
	log    *slog.Logger
	back   <-chan struct{} // ends a wait: there is reason to hope; may be nil
	tries  int
	logged time.Time
}

func (b *retrying) good() { b.tries, b.logged = 0, time.Time{} }

// wait waits 100 ms, 200 ms, … up to most, a quarter of it by chance, and says so
// at first and then twice a minute.
func (b *retrying) wait(ctx context.Context, err error) {
	pause := min(100*time.Millisecond<<min(b.tries, 10), b.most)
	pause -= time.Duration(rand.Int64N(int64(pause)/4 + 1))
	b.tries++
	if now := time.Now(); ctx.Err() == nil && now.Sub(b.logged) >= 30*time.Second {
		b.logged = now
		b.log.Warn("trying etcd again", "error", err, "tries", b.tries, "retry_in", pause.Round(time.Millisecond))
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	case <-b.back:
		b.tries = 0
	}
}
