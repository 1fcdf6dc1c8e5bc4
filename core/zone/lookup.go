package zone

import (
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// Outcome is how a look-up ended (RFC 1034 §4.3.2).
type Outcome uint8

const (
	Refused      Outcome = iota // no zone of ours holds the name
	NotReady                    // the zone has no SOA yet
	Hit                         // the RRset that was asked for
	NoData                      // the name exists, and has no such RRset
	NoName                      // the name does not exist, nor a wildcard for it
	Referral                    // the name is at or below a delegation
	Alias                       // the name has a CNAME instead
	Substitution                // a name above has a DNAME
	Unread                      // the name is not in memory, and may be where that is filled from
)

func (o Outcome) String() string {
	return [...]string{"refused", "not ready", "hit", "nodata", "nxdomain", "referral", "alias", "substitution", "unread"}[o]
}

// A Result is a look-up's outcome and what an answer needs of it.
type Result struct {
	Outcome Outcome
	Set     RRset // of Hit, Alias (CNAME), Referral (NS), Substitution (DNAME)
	Zone    *Zone
	node    node // where Set stands, or nothing of the type does
	// Owner is the label of the question's name at which Set stands: 0 the name
	// itself, also where a wildcard answers.
	Owner    int
	Wildcard bool
}

// guess is findRef without a look at the node: the upper half of the hash says
// nearly always which it is.
func (v *view) guess(h uint64) ref {
	x := v.idx
	mask := len(x.slots) - 1
	for i := x.place(h); ; i = (i + 1) & mask {
		s := atomic.LoadUint64(&x.slots[i])
		if s == 0 {
			return 0
		}
		if (s^h)>>32 == 0 && ref(s) > grave {
			return ref(s)
		}
	}
}

// Lookup finds what there is for a name and type. at is the query's place in the
// batch that was prepared, or -1.
func (r *Reader) Lookup(q *wire.Query, typ uint16, at int) (res Result) {
	n := r.fetched(q, at)
	if n == nil {
		n = r.find(q.Hash[0], q.Name())
	}
	if n != nil {
		if z := r.zone(n); z != nil && z.Ready() && !z.cuts && typ != wire.TypeDS {
			res.Zone = z
			r.at(n, typ, &res)
			return res
		}
	}
	// What follows reads more names than one. If any came or went meanwhile, it
	// may have seen some before and some after the change: it looks again.
	for tries := 0; ; tries++ {
		shape := r.t.shape.Load()
		r.look() // an index that was replaced knows no changes any more
		res = r.walk(q, typ)
		if r.t.shape.Load() == shape || tries == maxTries {
			return res
		}
	}
}

// fetched is the node of a query that was looked up ahead, nil where that found another name
// or none.
func (r *Reader) fetched(q *wire.Query, at int) node {
	if at < 0 || at >= len(r.sights) || r.sights[at].ref == 0 || r.sights[at].hash != q.Hash[0] {
		return nil
	}
	if n := r.t.node(r.sights[at].ref); string(n.name()) == string(q.Name()) {
		return n
	}
	return nil
}

// maxTries bounds how often a look-up starts anew beside a writer that changes
// names all the time. A second try is rare, as a change takes longer than a look-up.
const maxTries = 64

// walk is a look-up that heeds what stands above the name.
func (r *Reader) walk(q *wire.Query, typ uint16) (res Result) {
	n := r.find(q.Hash[0], q.Name())
	if n != nil && n.flags()&flagHash == 0 {
		res.Zone = r.zone(n)
	}
	if res.Zone == nil {
		return r.missing(q, typ)
	}
	if !res.Zone.Ready() {
		res.Outcome = NotReady
		return res
	}
	if typ == wire.TypeDS && n.flags()&flagApex != 0 {
		r.aboveCut(q, &res)
	}
	if res.Zone.cuts && r.above(q, 1, &res) {
		return res
	}
	if res.Zone.partial && n.entries() == 0 {
		r.unreadAt(q, typ, n, &res)
		return res
	}
	r.at(n, typ, &res)
	return res
}

// aboveCut makes the zone around the asked one answer, where it is ours: a DS
// RRset is the parent's (RFC 4035 §3.1.4.1).
func (r *Reader) aboveCut(q *wire.Query, res *Result) {
	for i := 1; i <= q.Labels; i++ {
		if n := r.find(q.Hash[i], q.Suffix(i)); n != nil {
			if z := r.zone(n); z != nil && z.Ready() {
				res.Zone = z
			}
			return
		}
	}
}

// at ends a look-up at the node of the name, or of the wildcard for it.
func (r *Reader) at(n node, typ uint16, res *Result) {
	res.node = n
	flags := n.flags()
	var ok bool
	switch {
	case flags&flagCut != 0 && typ != wire.TypeDS && !res.Wildcard:
		res.Outcome = Referral
		res.Set, _ = n.find(wire.TypeNS)
		return
	case typ == wire.TypeANY:
		res.Set, ok = n.any()
	default:
		res.Set, ok = n.find(typ)
	}
	if ok {
		res.Outcome = Hit
		return
	}
	if flags&flagCNAME != 0 {
		res.Outcome = Alias
		res.Set, _ = n.find(wire.TypeCNAME)
		return
	}
	res.Outcome = NoData
}

// any is the one RRset that ANY is answered with (RFC 8482 §4.1): one of DNSSEC only
// where there is no other.
func (n node) any() (set RRset, ok bool) {
	off := n.records()
	for i := range n.entries() {
		var e entry
		if e, off = n.entryAt(i, off); e.hidden {
			continue
		}
		if set, ok = (RRset{Type: e.Type, Count: e.Count, RRs: e.RRs}), true; plain(e.Type) {
			break
		}
	}
	return set, ok
}

// missing ends a look-up whose name has no node: at a delegation or DNAME above
// it, at the wildcard of its closest encloser (RFC 4592 §3.3.1), or nowhere.
func (r *Reader) missing(q *wire.Query, typ uint16) (res Result) {
	for i := 1; i <= q.Labels; i++ {
		n := r.find(q.Hash[i], q.Suffix(i))
		if n == nil || n.flags()&flagHash != 0 {
			continue
		}
		if res.Zone = r.zone(n); res.Zone == nil {
			continue
		}
		if !res.Zone.Ready() {
			res.Outcome = NotReady
			return res
		}
		if res.Zone.cuts && r.above(q, i, &res) {
			return res
		}
		if res.Zone.partial {
			r.unreadAt(q, typ, nil, &res)
			return res
		}
		if n.flags()&flagWildcard != 0 {
			if w := r.wildcard(q, i); w != nil {
				res.Wildcard = true
				r.at(w, typ, &res)
				return res
			}
		}
		res.Outcome = NoName
		return res
	}
	return res
}

// wildcard finds the name *.encloser, the encloser being the suffix at label i.
func (r *Reader) wildcard(q *wire.Query, i int) node {
	r.star[0], r.star[1] = 1, '*'
	n := 2 + copy(r.star[2:], q.Suffix(i))
	return r.find(wire.HashName(r.star[:n]), r.star[:n])
}

// above looks from the zone's apex down to label last for the first delegation
// or DNAME that the name is below of.
func (r *Reader) above(q *wire.Query, last int, res *Result) bool {
	for i := q.Labels - res.Zone.Labels; i >= last; i-- {
		n := r.find(q.Hash[i], q.Suffix(i))
		if n == nil {
			continue // being made: a name is shown before the empty ones above it
		}
		switch flags := n.flags(); {
		case flags&flagCut != 0:
			res.Outcome, res.Owner, res.node = Referral, i, n
			res.Set, _ = n.find(wire.TypeNS)
			return true
		case flags&flagDNAME != 0:
			res.Outcome, res.Owner, res.node = Substitution, i, n
			res.Set, _ = n.find(wire.TypeDNAME)
			return true
		}
	}
	return false
}
