package zone

import (
	"bytes"
	"slices"

	"github.com/strata-dns/strata/core/wire"
)

// A partial zone has only some of its names in memory; whoever fills it knows the others.
// What leads away or stands for others is always there: its apex, delegations, DNAMEs and
// wildcards. A name has either all of its records in memory or none, so one without any,
// even where names below it are there, is Unread until what is known of it is given
// (Reader.Know).

// A Known is what is known of a name that is not in memory.
type Known struct {
	Exists bool // it has names below it, but no records (RFC 8020)
	Above  int  // where not: how many labels shorter the longest name is that exists
}

// Know has Answer take what the function says of names without records in memory; ok
// false: nothing is known. nil, as at first: nothing is known of any.
func (r *Reader) Know(of func(name []byte) (k Known, ok bool)) { r.known = of }

// Unread is the name that an answer with this outcome was not finished for, and its zone.
func (r *Reader) Unread() (name []byte, z *Zone) { return r.unread[:r.unreadLen], r.unreadZone }

// SetPartial says whether a zone is partial.
func (tx *Tx) SetPartial(apex []byte, partial bool) error {
	z := tx.t.Zone(apex)
	if z == nil {
		return ErrZone
	}
	if z.partial == partial {
		return nil
	}
	y := *z
	y.partial = partial
	y.cuts = partial || tx.t.below[z.number] > 0
	tx.t.setZone(z.number, &y)
	return nil
}

// unreadAt ends a look-up at a name without records in memory: n, or nil.
func (r *Reader) unreadAt(q *wire.Query, typ uint16, n node, res *Result) {
	known, ok := Known{}, false
	if r.known != nil {
		known, ok = r.known(q.Name())
	}
	switch {
	case !ok:
		r.unreadLen, r.unreadZone = copy(r.unread[:], q.Name()), res.Zone
		res.Outcome = Unread
	case known.Exists:
		res.Outcome, res.node = NoData, n
	default:
		res.Outcome = NoName
		if w := r.wildcard(q, min(known.Above, q.Labels)); w != nil {
			res.Wildcard = true
			r.at(w, typ, res)
		}
	}
}

// Holds reports whether a name has records in memory.
func (tx *Tx) Holds(name []byte) bool {
	n := tx.lookup(name)
	return n != nil && n.entries() > 0
}

// Pinned reports whether a record of a name and type is always in memory.
func Pinned(name []byte, typ uint16) bool {
	return typ == wire.TypeNS || typ == wire.TypeDNAME || isWildcard(name)
}

// BelowCut reports whether a name is below a delegation that is in memory: it may be glue.
func (tx *Tx) BelowCut(name []byte) bool {
	for at := name; len(at) > 1; {
		at = wire.Parent(at)
		n := tx.lookup(at)
		if n == nil {
			continue
		}
		if z := tx.zone(n); z == nil || n.flags()&flagApex != 0 || tx.t.below[z.number] == 0 {
			return false
		}
		if n.flags()&flagCut != 0 {
			return true
		}
	}
	return false
}

// Bring shows all records of a name, of several sources, at once: those of the name that
// were there before go.
func (tx *Tx) Bring(name []byte, records []Record) error {
	tx.t.room()
	b := &tx.t.build
	b.entries = b.entries[:0]
	more := 0
	for i := range records {
		rec := &records[i]
		if !bytes.Equal(rec.Name, name) {
			return ErrZone
		}
		if err := rec.check(); err != nil {
			return err
		}
		rrs := b.render(nil, rec)
		e := entry{Type: rec.Type, Source: rec.Source, Count: countRRs(rrs), mark: byte(tx.pass), RRs: rrs}
		if len(rrs) > maxEntry {
			return ErrSize
		}
		more += e.Count
		b.entries = append(b.entries, e)
	}
	b.joinAll(name)
	if len(b.entries) > 255 {
		return ErrSize
	}
	h := wire.HashName(name)
	r := tx.findRef(h, name)
	if r != 0 {
		for _, e := range tx.t.node(r).appendEntries(nil) {
			if e.Source != union {
				more -= e.Count
			}
		}
	}
	if _, err := tx.showName(h, r, name); err != nil {
		return err
	}
	tx.t.records.Add(int64(more))
	return nil
}

// Evict takes the records of one name of a partial zone out of memory, at once, but no
// pinned one's: that of the first one from a place on, which should be a matter of chance.
// gone is told of each record, whose data it does not get. It reports whether there was one.
func (tx *Tx) Evict(from uint64, gone func(name []byte, typ uint16, source Source)) (bool, error) {
	tx.t.room()
	slots := tx.idx.slots
	for i := range slots {
		slot := slots[(from+uint64(i))%uint64(len(slots))]
		r := ref(slot)
		if r <= grave || !tx.evictable(tx.t.node(r)) {
			continue
		}
		n := tx.t.node(r)
		name := slices.Clone(n.name())
		count := 0
		for _, e := range n.appendEntries(nil) {
			if e.Source != union {
				gone(name, e.Type, e.Source)
				count += e.Count
			}
		}
		tx.t.build.entries = tx.t.build.entries[:0]
		if err := tx.rebuild(wire.HashName(name), r, n); err != nil {
			return false, err
		}
		tx.t.records.Add(int64(-count))
		return true, nil
	}
	return false, nil
}

// Evictable counts the names that could be evicted.
func (tx *Tx) Evictable() (count int) {
	tx.each(func(_ uint64, _ ref, n node) {
		if tx.evictable(n) {
			count++
		}
	})
	return count
}

func (tx *Tx) evictable(n node) bool {
	if n.entries() == 0 || n.flags()&(flagApex|flagCut|flagDNAME) != 0 || isWildcard(n.name()) {
		return false
	}
	z := tx.zone(n)
	return z != nil && z.partial && !tx.BelowCut(n.name())
}
