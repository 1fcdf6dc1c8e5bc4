package store

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A skyReader reads folders in SkyDNS's layout beside the records, at the same
// revision and by the same goroutine, and has the watcher's sink hold both.
type skyReader struct {
	c       *Client
	folders []skyFolder
	sets    *skySets
}

type skyFolder struct {
	SkyDNS
	start, end string
	seen       int64 // revision up to which nothing is missing
}

// newSkyReader gives nil where there is nothing to read.
func newSkyReader(c *Client, layouts []SkyDNS) *skyReader {
	if len(layouts) == 0 {
		return nil
	}
	r := &skyReader{c: c, sets: newSkySets()}
	for _, layout := range layouts {
		start, end := layout.keyRange()
		r.folders = append(r.folders, skyFolder{SkyDNS: layout, start: start, end: end})
	}
	return r
}

var errReserved = errors.New("its owner is the one of what is read in SkyDNS's layout, and of nothing else")

// reserved reports a record in our own layout that claims to be of the other.
func (r *skyReader) reserved(rec Record) bool {
	if r == nil || rec.Owner != SkyDNSOwner {
		return false
	}
	r.c.skip([]byte(r.c.keys.key(rec.Name, rec.Type, rec.Owner)), errReserved)
	return true
}

// beside yields own's records, and behind them what is in the folders at revision.
// done is called when all was yielded, and makes this the state that changes build on.
func (r *skyReader) beside(ctx context.Context, own iter.Seq2[Record, error], revision int64) (all iter.Seq2[Record, error], done func()) {
	if r == nil {
		return own, func() {}
	}
	sets := newSkySets()
	all = func(yield func(Record, error) bool) {
		for rec, err := range own {
			if err == nil && r.reserved(rec) {
				continue
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
		if err := r.read(ctx, sets, revision); err != nil {
			yield(Record{}, err)
			return
		}
		sets.all(yield, r.skip)
	}
	return all, func() {
		r.sets = sets
		for i := range r.folders {
			r.folders[i].seen = revision
		}
	}
}

// read reads all folders at a revision.
func (r *skyReader) read(ctx context.Context, sets *skySets, revision int64) error {
	for i := range r.folders {
		f := &r.folders[i]
		p := &pager{c: r.c, end: f.end, revision: revision}
		page, err := p.get(ctx, f.start)
		if err != nil {
			return err
		}
		p.page = page
		touched := map[string]bool{}
		err = p.each(ctx, func(kv *mvccpb.KeyValue) bool {
			r.take(f, sets, string(kv.Key), kv.Value, touched)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// take puts a key into the sets. A value that is none is reported, and as none there.
func (r *skyReader) take(f *skyFolder, sets *skySets, key string, raw []byte, touched map[string]bool) {
	name, parts, err := f.parse(key, raw)
	switch {
	case err != nil:
		if parts = nil; name == nil || f.holds(name) {
			r.skip(key, err)
		}
	case !f.holds(name):
		parts = nil
	}
	sets.put(key, name, parts, touched)
}

func (r *skyReader) skip(key string, err error) { r.c.skip([]byte(key), err) }

// empty reports whether the folders hold nothing at all.
func (r *skyReader) empty(ctx context.Context, revision int64) (bool, error) {
	if r == nil {
		return true, nil
	}
	for _, f := range r.folders {
		p := &pager{c: r.c, end: f.end, revision: revision}
		page, err := p.get(ctx, f.start)
		if err != nil || len(page.Kvs) > 0 {
			return false, err
		}
	}
	return true, nil
}

// A skyHeard is what one folder's watch said.
type skyHeard struct {
	folder *skyFolder
	resp   clientv3.WatchResponse
	ended  bool
}

// watch follows all folders, each from where it was, until ctx ends; nil where there
// is nothing to follow.
func (r *skyReader) watch(ctx context.Context, etcd *clientv3.Client) <-chan skyHeard {
	if r == nil {
		return nil
	}
	heard := make(chan skyHeard)
	for i := range r.folders {
		f := &r.folders[i]
		watch := etcd.Watch(ctx, f.start, clientv3.WithRange(f.end), clientv3.WithRev(f.seen+1), clientv3.WithProgressNotify())
		go func() {
			for more := true; more; {
				got := skyHeard{folder: f}
				got.resp, more = <-watch
				got.ended = !more
				select {
				case heard <- got:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return heard
}

// takeSky hands a folder's changes to the sink.
func (w *Watcher) takeSky(got skyHeard) error {
	w.heard()
	resp := got.resp
	if len(resp.Events) == 0 {
		if resp.IsProgressNotify() {
			got.folder.seen = max(got.folder.seen, resp.Header.Revision)
		}
		return nil
	}
	touched := map[string]bool{}
	for _, ev := range resp.Events {
		if ev.Type == clientv3.EventTypeDelete {
			w.sky.sets.put(string(ev.Kv.Key), nil, nil, touched)
			continue
		}
		w.sky.take(got.folder, w.sky.sets, string(ev.Kv.Key), ev.Kv.Value, touched)
	}
	revision := resp.Events[len(resp.Events)-1].Kv.ModRevision
	if changes := w.sky.sets.changes(touched, revision, w.sky.skip); len(changes) > 0 {
		told := max(revision, w.told.Load()) // the records' own watch may be ahead
		if err := w.sink.Apply(changes, told); err != nil {
			return fmt.Errorf("apply changes of %s up to revision %d: %w", got.folder.Prefix, revision, err)
		}
		w.holds = true
		w.told.Store(told)
	}
	got.folder.seen = revision
	return nil
}
