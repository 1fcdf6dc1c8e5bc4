package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/strata-dns/strata/core/wire"
)

// A Reach is what etcd holds of one name, at one revision.
type Reach struct {
	Revision int64
	Records  []Record // of all owners at the name, nobody else's memory
	Exists   bool     // it has records, or names below it do (RFC 8020)
	// Above, of a name that does not exist, is how many labels shorter the longest one is
	// that does, or that is the apex.
	Above int
}

// Reach reads a name at or below an apex, both in wire form and lower-cased, and what
// denies it. Unless it must be of now, any member of etcd answers, with or without a
// quorum: the revision says how far it is. Errors: ErrUnavailable.
func (c *Client) Reach(ctx context.Context, name, apex []byte, now bool) (Reach, error) {
	if err := checkName(name); err != nil || !wire.IsSubdomain(name, apex) {
		return Reach{}, fmt.Errorf("reach %s: %w", wire.NameString(name), errName)
	}
	etcd, err := c.conn()
	if err != nil {
		return Reach{}, c.fault(ctx, "read etcd", c.opts.DialTimeout, "", err)
	}
	var extra []clientv3.OpOption
	if !now {
		extra = append(extra, clientv3.WithSerializable())
	}
	start, end := c.keys.at(name)
	gets := []clientv3.Op{clientv3.OpGet(start, append(extra, clientv3.WithRange(end))...)}
	for at := name; len(at) > len(apex); at = wire.Parent(at) {
		start, end := c.keys.under(at)
		gets = append(gets, clientv3.OpGet(start, append(extra, clientv3.WithRange(end), clientv3.WithLimit(1), clientv3.WithKeysOnly())...))
	}
	timed, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	got, err := etcd.Txn(timed).Then(gets...).Commit()
	if err != nil {
		return Reach{}, c.fault(ctx, "read etcd", c.opts.Timeout, "", err)
	}
	reach := Reach{Revision: got.Header.Revision, Exists: len(name) == len(apex)}
	d := newDecoder(c.keys)
	for _, kv := range got.Responses[0].GetResponseRange().Kvs {
		rec, err := d.record(kv.Key, kv.Value)
		if err != nil {
			c.skip(kv.Key, err)
			continue
		}
		reach.Records = append(reach.Records, rec)
	}
	for i, below := range got.Responses[1:] {
		if len(below.GetResponseRange().Kvs) > 0 {
			reach.Exists, reach.Above = reach.Exists || i == 0, i
			return reach, nil
		}
	}
	reach.Above = len(got.Responses) - 1
	return reach, nil
}
