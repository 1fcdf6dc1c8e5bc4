package store

import (
	"fmt"

	"github.com/miekg/dns"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/strata-dns/strata/core/wire"
)

// A slot is one key: as it was read, and as it shall be.
type slot struct {
	Record // as it shall be; no data: not there
	key    string
	mod    int64    // revision of its last change, 0: not there
	ttl    uint32   // as read
	probe  string   // as read
	have   [][]byte // as read
	bad    error    // why its value is none of ours
	wanted bool     // an edit named it
}

func (s *slot) present() bool { return len(s.Data) > 0 || s.bad != nil }

func (s *slot) changed() bool {
	switch {
	case s.bad != nil && s.wanted:
		return true
	case len(s.Data) == 0 && len(s.have) == 0:
		return false
	}
	return s.ttl != s.TTL || s.probe != s.Probe || !sameSet(s.have, s.Data)
}

// A view is all there is at the names of a transaction.
type view struct {
	keys     keys
	revision int64
	decoder  *decoder
	slots    map[string]*slot
	order    []*slot
	fence    []*mvccpb.KeyValue // as it was read
}

func newView(k keys, revision int64) *view {
	return &view{keys: k, revision: revision, decoder: newDecoder(k), slots: make(map[string]*slot)}
}

func (v *view) add(s *slot) *slot {
	v.slots[s.key] = s
	v.order = append(v.order, s)
	return s
}

// load takes a key as it is in etcd. Keys that are not ours are none of our business.
func (v *view) load(kv *mvccpb.KeyValue) {
	rec, err := v.decoder.key(kv.Key)
	if err != nil {
		return
	}
	s := v.add(&slot{key: string(kv.Key), mod: kv.ModRevision})
	s.bad = v.decoder.fill(&rec, kv.Value)
	s.Record, s.ttl, s.probe, s.have = rec, rec.TTL, rec.Probe, rec.Data
}

// edit applies an edit to the view.
func (v *view) edit(e Edit) error {
	key := v.keys.key(e.Name, e.Type, e.Owner)
	s := v.slots[key]
	if s == nil {
		s = v.add(&slot{key: key, Record: Record{Name: e.Name, Type: e.Type, Owner: e.Owner}})
	}
	if s.bad != nil && (e.Op == Add || e.Op == Extend || e.Op == Remove && len(e.Data) > 0) {
		return fmt.Errorf("%s: what etcd has at %s is none of ours, set or remove it as a whole: %w", e.Record, key, s.bad)
	}
	s.wanted = true
	s.TTL, s.Data = e.apply(s.TTL, s.Data)
	s.Probe = e.probing(s.Probe)
	return nil
}

// check refuses what no name may hold.
func (v *view) check() error {
	for _, s := range v.order {
		if !s.wanted || len(s.Data) == 0 || !s.changed() {
			continue
		}
		if single(s.Type) && len(s.Data) > 1 {
			return fmt.Errorf("%s: %w %s, and this would make %d", s.Record, ErrSingle, TypeString(s.Type), len(s.Data))
		}
		if other := v.besides(s); other != nil {
			return fmt.Errorf("%s: %w (RFC 1034 §3.6.2), and %s has %s there too",
				s.Record, ErrCNAME, other.Owner, TypeString(other.Type))
		}
	}
	return nil
}

// besides finds an RRset of the same owner that s cannot stand beside.
func (v *view) besides(s *slot) *slot {
	for _, other := range v.order {
		if other == s || !other.present() || other.Owner != s.Owner || string(other.Name) != string(s.Name) {
			continue
		}
		if s.Type == dns.TypeCNAME && !besideCNAME(other.Type) || other.Type == dns.TypeCNAME && !besideCNAME(s.Type) {
			return other
		}
	}
	return nil
}

// txn gives the transaction that makes the view true, if nobody changed what it
// was decided on, and what it will have done.
func (v *view) txn() (cmps []clientv3.Cmp, ops []clientv3.Op, res Result, err error) {
	for _, s := range v.order {
		switch {
		case !s.wanted:
			continue
		case !s.changed():
			res.Unchanged++
			continue
		}
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(s.key), "=", s.mod))
		if len(s.Data) == 0 {
			ops = append(ops, clientv3.OpDelete(s.key))
			res.Deleted++
			continue
		}
		raw, err := appendValue(nil, s.Record)
		if err != nil {
			return nil, nil, res, err
		}
		ops = append(ops, clientv3.OpPut(s.key, string(raw)))
		res.Written++
		if s.mod == 0 {
			cmps = append(cmps, v.alone(s)...)
		}
	}
	return cmps, ops, res, nil
}

// A plan is a transaction to be: what must hold, and what is done then.
type plan struct {
	cmps []clientv3.Cmp
	then []clientv3.Op
}

// plan applies the edits, and gives the transaction that makes the view true, nothing
// where it is. op begins errors.
func (v *view) plan(op string, fence *Fence, edits []Edit) (p plan, res Result, err error) {
	for _, e := range edits {
		if err := v.edit(e); err != nil {
			return p, res, fmt.Errorf("write to etcd: %w", err)
		}
	}
	if err := v.check(); err != nil {
		return p, res, fmt.Errorf("write to etcd: %w", err)
	}
	if p.cmps, p.then, res, err = v.txn(); err != nil {
		return p, res, fmt.Errorf("write to etcd: %w", err)
	}
	if len(p.then) == 0 {
		return p, res, nil
	}
	bounds, moves, err := v.fenced(fence)
	if err != nil {
		return p, res, fmt.Errorf("%s: %w", op, err)
	}
	p.cmps, p.then = append(p.cmps, bounds...), append(p.then, moves...)
	return p, res, nil
}

// fenced binds the transaction to the fence, if there is one: what must hold, and
// what is done beside the edits: the fence is put, though it may stand there already.
// The error is ErrBehind.
func (v *view) fenced(fence *Fence) (bounds []clientv3.Cmp, moves []clientv3.Op, err error) {
	if fence == nil {
		return nil, nil, nil
	}
	key := v.keys.fence(fence.Name)
	bound, err := fence.bound(key, v.fence)
	if err != nil {
		return nil, nil, err
	}
	return []clientv3.Cmp{bound}, []clientv3.Op{clientv3.OpPut(key, fenceText(fence.Position))}, nil
}

// alone guards a new RRset against a CNAME that another writer puts beside it
// meanwhile, and a new CNAME against all else: nothing at its name may be newer
// than what was read. An RRset that was there already keeps CNAMEs away itself.
func (v *view) alone(s *slot) []clientv3.Cmp {
	if s.Type == dns.TypeCNAME {
		start, end := v.keys.at(s.Name)
		return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(start), "<", v.revision+1).WithRange(end)}
	}
	if besideCNAME(s.Type) {
		return nil
	}
	cname := v.keys.key(s.Name, dns.TypeCNAME, s.Owner)
	if known := v.slots[cname]; known != nil {
		return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(cname), "=", known.mod)}
	}
	return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(cname), "=", 0)}
}

// names gives the names of edits that are sorted by name, each once.
func names(edits []Edit) [][]byte {
	var out [][]byte
	for i, e := range edits {
		if i == 0 || string(e.Name) != string(edits[i-1].Name) {
			out = append(out, e.Name)
		}
	}
	return out
}

// about names a chunk in errors.
func about(edits []Edit) string {
	if len(edits) == 1 {
		return edits[0].Record.String()
	}
	return fmt.Sprintf("%d records from %s on", len(edits), wire.NameString(edits[0].Name))
}
