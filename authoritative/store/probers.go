package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrUnregistered is a prober whose registration is gone, or another's by the same
// name. Nothing was changed.
var ErrUnregistered = errors.New("the prober is no longer registered")

// ErrNameTaken is a registration by a name that a prober has which is not the one
// to be followed.
var ErrNameTaken = errors.New("another prober has the name")

// A Registration is a prober's key, which goes when the prober does:
//
//	<prefix>/probers/<host>   {"started":"2026-01-02T15:04:05Z"}   (leased)
type Registration struct {
	Name     string
	key      string
	revision int64
	lease    clientv3.LeaseID
	etcd     *clientv3.Client
	lost     chan struct{}
	cancel   context.CancelFunc
	beating  sync.WaitGroup
}

// Register makes a prober known for as long as it lives, and lease longer. A key by
// the same name is taken over, unless it is younger than followed, a registration
// of the caller's that was lost: then two use one name, and the error is ErrNameTaken.
func (c *Client) Register(ctx context.Context, name string, lease time.Duration, followed int64) (*Registration, error) {
	op := "register prober " + name
	etcd, err := c.conn()
	if err != nil {
		return nil, c.fault(ctx, op, c.opts.DialTimeout, "", err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	granted, err := etcd.Grant(timed, int64(max(lease, time.Second)/time.Second))
	if err != nil {
		return nil, c.fault(ctx, op, c.opts.Timeout, "", err)
	}
	value, err := json.Marshal(map[string]string{"started": time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	r := &Registration{Name: name, key: string(appendEscaped([]byte(c.keys.folder("probers")), name, ownerPlain)), lease: granted.ID, etcd: etcd, lost: make(chan struct{})}
	txn := etcd.Txn(timed)
	if followed > 0 {
		txn = txn.If(clientv3.Compare(clientv3.ModRevision(r.key), "<", followed+1)) // 0 where there is none
	}
	resp, err := txn.Then(clientv3.OpPut(r.key, string(value), clientv3.WithLease(granted.ID))).Commit()
	if err == nil && !resp.Succeeded {
		r.revoke(timed)
		return nil, fmt.Errorf("%s: %w", op, ErrNameTaken)
	}
	if err != nil {
		return nil, c.fault(ctx, op, c.opts.Timeout, "", err)
	}
	r.revision = resp.Header.Revision
	return r, r.keep()
}

// keep has the lease prolonged until it is lost or released.
func (r *Registration) keep() error {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	alive, err := r.etcd.KeepAlive(ctx, r.lease)
	if err != nil {
		cancel()
		return fmt.Errorf("register prober %s: %w", r.Name, err)
	}
	r.beating.Go(func() {
		defer close(r.lost)
		for range alive { // it is closed with the lease's end, or ctx's
			continue
		}
	})
	return nil
}

// Lost is closed when the lease has run out.
func (r *Registration) Lost() <-chan struct{} { return r.lost }

// Revision is etcd's, of the registration: what the key of that name has as long as
// it is this one's.
func (r *Registration) Revision() int64 { return r.revision }

// Release takes the registration back, so that others need not wait for the lease's
// end.
func (r *Registration) Release(ctx context.Context) {
	r.cancel()
	r.beating.Wait()
	r.revoke(ctx)
}

// revoke does what it can; the lease's end does the rest.
func (r *Registration) revoke(ctx context.Context) {
	timed, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = r.etcd.Revoke(timed, r.lease)
}

// FollowProbers tells which probers there are, each with the revision of its
// registration, whenever that changes, until ctx ends.
func (c *Client) FollowProbers(ctx context.Context, tell func(map[string]int64)) {
	there := map[string]int64{}
	copied := func() map[string]int64 {
		now := make(map[string]int64, len(there))
		for name, revision := range there {
			now[name] = revision
		}
		return now
	}
	folder := c.keys.folder("probers")
	take := func(entries []entry) {
		for _, e := range entries {
			name, err := unescape(nil, e.kv.Key[min(len(folder), len(e.kv.Key)):], ownerPlain)
			switch {
			case err != nil || len(name) == 0:
				c.skip(e.kv.Key, fmt.Errorf("not the key of a prober: %w", ErrOwner))
			case e.deleted:
				delete(there, string(name))
			default:
				there[string(name)] = e.kv.ModRevision
			}
		}
		tell(copied())
	}
	c.follow(ctx, folder, "probers", func(all []entry) { clear(there); take(all) }, take)
}
