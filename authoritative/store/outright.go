package store

import (
	"context"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An outright write is one transaction where others are two, the first of which reads:
// half the way from an event to its answer. It suits edits whose outcome does not hang
// on what is there, by a writer who is fenced and was the last to write: each fenced
// write puts the fence, and if that was done since this one last looked, by another
// writer or by a transaction of its own that came late, nothing is changed. That, and
// that no alias stands in the way, is decided within the transaction. So is, key by key
// in transactions inside it, that a value is already right, and then it is not written.
type outright struct {
	plan
	edits []Edit
}

// outrightOctets are those of values that go outright: they are sent twice, to be
// compared and to be put, and etcd takes 1.5 MiB.
const outrightOctets = 256 << 10

// newOutright plans it for a writer that last looked at a revision; false where it does
// not suit the edits.
func newOutright(k keys, fence Fence, looked int64, edits []Edit) (o outright, ok bool) {
	o.edits = edits
	seen, alone, octets := make(map[string]bool, len(edits)), make(map[string]bool), 0
	for _, e := range edits {
		key := k.key(e.Name, e.Type, e.Owner)
		if seen[key] || e.Op == Add || e.Op == Extend || e.Op == Remove && len(e.Data) > 0 || e.Op == Set && single(e.Type) {
			return o, false
		}
		seen[key] = true
		if e.Op == Remove {
			o.then = append(o.then, clientv3.OpDelete(key))
			continue
		}
		value, err := e.value()
		if octets += len(value); err != nil || octets > outrightOctets {
			return o, false
		}
		o.then = append(o.then, putOther(key, value))
		cname := k.key(e.Name, dns.TypeCNAME, e.Owner)
		if !besideCNAME(e.Type) && !alone[cname] {
			alone[cname] = true
			o.cmps = append(o.cmps, clientv3.Compare(clientv3.CreateRevision(cname), "=", 0))
		}
	}
	stands, text := k.fence(fence.Name), fenceText(fence.Position)
	o.cmps = append(o.cmps, clientv3.Compare(clientv3.Value(stands), "<", text+"\x00"),
		clientv3.Compare(clientv3.ModRevision(stands), "<", looked+1))
	o.then = append(o.then, clientv3.OpPut(stands, text))
	return o, true
}

// value is what a Set makes of its key, whatever is there.
func (e Edit) value() (string, error) {
	rec := e.Record
	rec.TTL, rec.Data = e.apply(0, nil)
	rec.Probe = e.probing("")
	raw, err := appendValue(nil, rec)
	return string(raw), err
}

// putOther puts a value unless it is there.
func putOther(key, value string) clientv3.Op {
	same := []clientv3.Cmp{clientv3.Compare(clientv3.Value(key), "=", value)}
	return clientv3.OpTxn(same, nil, []clientv3.Op{clientv3.OpPut(key, value)})
}

// result counts what was done.
func (o outright) result(done *clientv3.TxnResponse) (res Result) {
	res.Revision = done.Header.Revision
	for i, e := range o.edits {
		switch answer := done.Responses[i]; {
		case e.Op == Remove && answer.GetResponseDeleteRange().GetDeleted() > 0:
			res.Deleted++
		case e.Op == Set && !answer.GetResponseTxn().GetSucceeded():
			res.Written++
		default:
			res.Unchanged++
		}
	}
	return res
}

// writeOutright writes edits outright, and says whether it has: where they do not suit
// it or its bounds don't hold, they are for the way that reads first. A writer that came
// second with a change, after another one of the same fence, reads first until it is
// first again: what writes nothing should not go through etcd's log.
func (c *Client) writeOutright(ctx context.Context, fence *Fence, edits []Edit) (res Result, done bool, err error) {
	looked := c.looked.Load()
	if fence == nil || looked == 0 {
		return res, false, nil
	}
	o, suits := newOutright(c.keys, *fence, looked, edits)
	if !suits {
		return res, false, nil
	}
	op := "write " + about(edits)
	etcd, err := c.conn()
	if err != nil {
		return res, false, c.fault(ctx, op, c.opts.DialTimeout, nothingChanged, err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	answer, err := etcd.Txn(timed).If(o.cmps...).Then(o.then...).Commit()
	if err != nil {
		return res, false, c.unwritten(ctx, op, err)
	}
	if answer.Succeeded {
		res = o.result(answer)
	}
	return res, answer.Succeeded, nil
}

// look notes how far a fenced write has looked; 0, the next one has to read, where it
// changed nothing.
func (c *Client) look(res Result) {
	if !res.Changed() {
		res.Revision = 0
	}
	c.looked.Store(res.Revision)
}
