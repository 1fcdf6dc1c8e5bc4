package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// A Result counts keys: RRsets of an owner. Where there is an error too, it is
// of what was done before.
type Result struct {
	Written   int   // put, because their value was another
	Deleted   int   // deleted
	Unchanged int   // already right, and not written
	Revision  int64 // etcd's revision after the last change, or of the reading that found all right
}

// Changed reports whether anything was written or deleted.
func (r Result) Changed() bool { return r.Written+r.Deleted > 0 }

func (r *Result) add(more Result) {
	r.Written += more.Written
	r.Deleted += more.Deleted
	r.Unchanged += more.Unchanged
	r.Revision = max(r.Revision, more.Revision)
}

// ErrConflict is others changing the same keys all the time.
var ErrConflict = errors.New("others kept changing the same records")

// Add adds values to the owner's RRset, whose TTL becomes rec's.
func (c *Client) Add(ctx context.Context, rec Record) (Result, error) {
	return c.Write(ctx, Edit{Add, rec})
}

// Remove takes values from the owner's RRset, all of them where rec has no data.
func (c *Client) Remove(ctx context.Context, rec Record) (Result, error) {
	return c.Write(ctx, Edit{Remove, rec})
}

// Set makes the owner's RRset exactly rec.
func (c *Client) Set(ctx context.Context, rec Record) (Result, error) {
	return c.Write(ctx, Edit{Set, rec})
}

// inFlight transactions hide etcd's disk: it syncs many of them at once.
const inFlight = 4

// manyTries tells a time that ran out by conflicts from one that did by etcd.
const manyTries = 8

// Write applies the edits, those of one name in order. Each transaction, of up
// to 60 keys, is done as a whole or not at all; edits of one name are never in
// two. Concurrent writers, here or elsewhere, lose nothing: each transaction is
// bound to what it was decided on, and decided anew when that has changed.
//
// Errors: ErrEdit, ErrCNAME, ErrSingle (nothing was changed in that transaction),
// ErrUnavailable (says whether it may have been changed), ErrConflict.
func (c *Client) Write(ctx context.Context, edits ...Edit) (Result, error) {
	return c.write(ctx, nil, edits)
}

// WriteFenced is Write by one of several who follow the same history. Errors:
// Write's, and ErrBehind.
func (c *Client) WriteFenced(ctx context.Context, fence Fence, edits ...Edit) (Result, error) {
	if err := fence.check(); err != nil {
		return Result{}, fmt.Errorf("write to etcd: %w", err)
	}
	res, err := c.write(ctx, &fence, edits)
	c.look(res)
	return res, err
}

func (c *Client) write(ctx context.Context, fence *Fence, edits []Edit) (Result, error) {
	for _, e := range edits {
		if err := e.check(); err != nil {
			return Result{}, fmt.Errorf("write to etcd: %w", err)
		}
	}
	chunks, err := chunk(edits)
	if err != nil {
		return Result{}, fmt.Errorf("write to etcd: %w", err)
	}
	if len(chunks) == 1 {
		if res, done, err := c.writeOutright(ctx, fence, chunks[0]); done || err != nil {
			return res, err
		}
		return c.commit(ctx, fence, nil, chunks[0])
	}
	results := make([]Result, len(chunks))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for i := range chunks {
		group.Go(func() (err error) {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			results[i], err = c.commit(ctx, fence, nil, chunks[i]) // not gctx: what has begun is finished
			return err
		})
	}
	err = group.Wait()
	var sum Result
	for _, res := range results {
		sum.add(res)
	}
	if err != nil && sum.Changed() {
		err = fmt.Errorf("%w (of %d edits, %d keys were written and %d deleted all the same)",
			err, len(edits), sum.Written, sum.Deleted)
	}
	return sum, err
}

// commit makes one transaction of the edits, and tries again where somebody else
// changed what it was built on. must, where it isn't nil, sees what is there before
// each try, and its error ends it.
func (c *Client) commit(ctx context.Context, fence *Fence, must func(*view) error, edits []Edit) (Result, error) {
	op := "write " + about(edits)
	etcd, err := c.conn()
	if err != nil {
		return Result{}, c.fault(ctx, op, c.opts.DialTimeout, nothingChanged, err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	for try := 0; ; try++ {
		v, err := c.view(timed, etcd, fence, edits)
		if err != nil {
			if try >= manyTries && timed.Err() != nil && ctx.Err() == nil {
				return Result{}, fmt.Errorf("%s: %w for %s%s", op, ErrConflict, c.opts.Timeout, nothingChanged)
			}
			return Result{}, c.fault(ctx, op, c.opts.Timeout, nothingChanged, err)
		}
		if must != nil {
			if err := must(v); err != nil {
				return Result{}, fmt.Errorf("%s: %w%s", op, err, nothingChanged)
			}
		}
		todo, res, err := v.plan(op, fence, edits)
		if err != nil {
			return Result{}, err
		}
		if len(todo.then) == 0 {
			res.Revision = v.revision
			return res, nil
		}
		done, err := etcd.Txn(timed).If(todo.cmps...).Then(todo.then...).Commit()
		if err != nil {
			return Result{}, c.unwritten(ctx, op, err)
		}
		if done.Succeeded {
			res.Revision = done.Header.Revision
			return res, nil
		}
		stepAside(timed, try)
	}
}

// unwritten is the error of a transaction that etcd did not say it has done.
func (c *Client) unwritten(ctx context.Context, op string, err error) error {
	state := outcomeUnknown
	if ctx.Err() == nil && !away(err) { // etcd refused: too large, no space, no permission
		state = nothingChanged
	}
	return c.fault(ctx, op, c.opts.Timeout, state, err)
}

// view reads all there is at the names of the edits, and the fence where there is
// one, at one revision.
func (c *Client) view(ctx context.Context, etcd *clientv3.Client, fence *Fence, edits []Edit) (*view, error) {
	var reads []clientv3.Op
	for _, name := range names(edits) {
		start, end := c.keys.at(name)
		reads = append(reads, clientv3.OpGet(start, clientv3.WithRange(end)))
	}
	if fence != nil {
		reads = append(reads, clientv3.OpGet(c.keys.fence(fence.Name)))
	}
	got, err := etcd.Txn(ctx).Then(reads...).Commit()
	if err != nil {
		return nil, err
	}
	v := newView(c.keys, got.Header.Revision)
	if fence != nil {
		last := len(got.Responses) - 1
		v.fence = got.Responses[last].GetResponseRange().Kvs
		got.Responses = got.Responses[:last]
	}
	for _, resp := range got.Responses {
		for _, kv := range resp.GetResponseRange().Kvs {
			v.load(kv)
		}
	}
	return v, nil
}

// stepAside waits up to 2 ms after the first conflict and up to 64 ms later on.
func stepAside(ctx context.Context, try int) {
	most := 2 * time.Millisecond << min(try, 5)
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(rand.Int64N(int64(most)))):
	}
}
