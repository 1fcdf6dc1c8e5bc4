package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An entry is a key of a folder that is followed, as it was read or as it changed.
type entry struct {
	kv      *mvccpb.KeyValue
	deleted bool
}

// How a folder is followed.
const (
	followCompare = 10 * time.Minute // between two readings of all of it
	followRetry   = 2 * time.Second  // the longest wait before etcd is tried again
)

// follow tells of all keys of a folder, and then of each change, until ctx ends. A
// folder is small beside the records: it is read whole where anything is in doubt.
func (c *Client) follow(ctx context.Context, folder, what string, replace, apply func([]entry)) {
	retry := retrying{most: followRetry, log: c.log.With("what", what)}
	silent := retrying{most: followRetry, log: slog.New(slog.DiscardHandler)} // that etcd is away others say
	for ctx.Err() == nil {
		revision, err := c.readFolder(ctx, folder, replace)
		for err == nil && ctx.Err() == nil {
			retry.good()
			silent.good()
			revision, err = c.watchFolder(ctx, folder, revision, apply)
		}
		if errors.Is(err, errReadAgain) || errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrUnavailable):
			silent.wait(ctx, err)
		default:
			retry.wait(ctx, fmt.Errorf("follow %s: %w", what, err))
		}
	}
}

// errReadAgain is that it is time for reading all.
var errReadAgain = errors.New("time for a full compare")

func (c *Client) readFolder(ctx context.Context, folder string, replace func([]entry)) (int64, error) {
	p, err := c.openRange(ctx, folder, folder[:len(folder)-1]+"0") // '0' follows '/'
	if err != nil {
		return 0, err
	}
	var all []entry
	err = p.each(ctx, func(kv *mvccpb.KeyValue) bool {
		all = append(all, entry{kv: kv})
		return true
	})
	if err != nil {
		return 0, err
	}
	replace(all)
	return p.revision, nil
}

// watchFolder tells of the changes after a revision, until the watch ends; an error
// without is errReadAgain.
func (c *Client) watchFolder(ctx context.Context, folder string, revision int64, apply func([]entry)) (int64, error) {
	etcd, err := c.conn()
	if err != nil {
		return revision, err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watch := etcd.Watch(ctx, folder, clientv3.WithPrefix(), clientv3.WithRev(revision+1), clientv3.WithProgressNotify())
	due := time.NewTimer(followCompare - time.Duration(rand.Int64N(int64(followCompare/10))))
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return revision, ctx.Err()
		case <-due.C:
			return revision, errReadAgain
		case resp, open := <-watch:
			if !open {
				return revision, errors.New("the watch has ended")
			}
			if err := resp.Err(); err != nil {
				return revision, err
			}
			if revision = max(revision, resp.Header.Revision); len(resp.Events) == 0 {
				continue
			}
			changed := make([]entry, len(resp.Events))
			for i, ev := range resp.Events {
				changed[i] = entry{kv: ev.Kv, deleted: ev.Type == clientv3.EventTypeDelete}
			}
			apply(changed)
		}
	}
}
