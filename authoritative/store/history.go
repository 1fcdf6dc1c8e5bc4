package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Past is one change of a name's records, or how one was where history begins.
type Past struct {
	Listed        // of a deleted one: name, type and owner, and the revision of the deletion
	Deleted bool  // it was taken away
	Before  bool  // it was there already when history begins, from this revision on
	Bad     error // the value that was put is none of ours
}

// A History is what etcd remembers of a name.
type History struct {
	From    int64  // what was before this revision etcd has forgotten
	To      int64  // etcd's revision when it was asked
	Changes []Past // in the order of their revisions
}

// History gives all changes of the records at a name that etcd remembers, all
// owners'. etcd keeps no time beside its revisions. Errors: ErrUnavailable.
func (c *Client) History(ctx context.Context, name []byte) (History, error) {
	if err := checkName(name); err != nil {
		return History{}, fmt.Errorf("history: %w", err)
	}
	etcd, err := c.conn()
	if err != nil {
		return History{}, c.fault(ctx, "read history", c.opts.DialTimeout, "", err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	start, end := c.keys.at(name)
	h, err := c.history(timed, etcd, start, end)
	if err != nil {
		return History{}, c.fault(ctx, "read history", c.opts.Timeout, "", err)
	}
	return h, nil
}

// history reads how things were at the first revision that is known, and then what
// a watch from there on says, until it has said all up to now.
func (c *Client) history(ctx context.Context, etcd *clientv3.Client, start, end string) (h History, err error) {
	now, err := etcd.Get(ctx, start, clientv3.WithRange(end), clientv3.WithCountOnly())
	if err != nil {
		return h, err
	}
	h.To = now.Header.Revision
	for h.From = 1; ; {
		var compacted int64
		if compacted, err = c.replay(ctx, etcd, start, end, &h); compacted == 0 {
			return h, err
		}
		h.From, h.Changes = compacted, nil
		was, err := etcd.Get(ctx, start, clientv3.WithRange(end), clientv3.WithRev(compacted))
		if err != nil {
			return h, err
		}
		for _, kv := range was.Kvs {
			c.remember(&h, kv, Past{Before: true})
		}
	}
}

// replay adds the changes after the first known revision, and that one's where it is
// the very first. It gives the revision that history begins at where that is later.
func (c *Client) replay(ctx context.Context, etcd *clientv3.Client, start, end string, h *History) (compacted int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := h.From
	if from > 1 {
		from++
	}
	watch := etcd.Watch(ctx, start, clientv3.WithRange(end), clientv3.WithRev(from))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C: // it is answered once nothing is behind
			if err := etcd.RequestProgress(ctx); err != nil {
				return 0, err
			}
		case resp, open := <-watch:
			switch {
			case !open:
				return 0, errors.Join(errWatchEnded, ctx.Err())
			case resp.CompactRevision > 0:
				return resp.CompactRevision, nil
			case resp.Err() != nil:
				return 0, resp.Err()
			}
			for _, ev := range resp.Events {
				if ev.Kv.ModRevision <= h.To {
					c.remember(h, ev.Kv, Past{Deleted: ev.Type == clientv3.EventTypeDelete})
				}
			}
			if resp.Header.Revision >= h.To && (resp.IsProgressNotify() || past(resp, h.To)) {
				return 0, nil
			}
		}
	}
}

// past reports a change that is later than all that is asked for, or the last of it.
func past(resp clientv3.WatchResponse, to int64) bool {
	n := len(resp.Events)
	return n > 0 && resp.Events[n-1].Kv.ModRevision >= to
}

func (c *Client) remember(h *History, kv *mvccpb.KeyValue, as Past) {
	d := newDecoder(c.keys)
	rec, err := d.key(kv.Key)
	if err != nil {
		return // no record's key
	}
	if !as.Deleted {
		as.Bad = d.fill(&rec, kv.Value)
	}
	as.Listed = Listed{rec, kv.ModRevision}
	h.Changes = append(h.Changes, as)
}
