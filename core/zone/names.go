package zone

import (
	"unsafe"

	"github.com/strata-dns/strata/core/wire"
)

// add makes the node of a new name. It is shown with its records at once, and
// before the empty non-terminals that lead to it (RFC 8020): in between, every
// question is still answered as before or already as afterwards.
func (tx *Tx) add(h uint64, rec *Record) (bool, error) {
	b := &tx.t.build
	if b.rrs = b.render(b.rrs[:0], rec); len(b.rrs) == 0 {
		return false, nil
	}
	b.entries = b.entries[:0]
	count, err := tx.contribute(rec)
	if err != nil {
		return false, err
	}
	zone, err := tx.addName(h, rec.Name)
	if err != nil {
		return false, err
	}
	tx.t.records.Add(int64(count))
	tx.touched(rec, zone)
	return true, nil
}

// addName makes the node of a new name of the builder's entries, and gives the number
// of its zone.
func (tx *Tx) addName(h uint64, name []byte) (zone int, err error) {
	above := tx.ancestor(name)
	if above == nil {
		return 0, ErrZone
	}
	entries := tx.t.build.entries
	flags := flagsOf(entries, 0)
	zone = above.zone()
	tx.countBelow(zone, leadsAway(flags))
	m, err := tx.create(h, name, zone, flags, entries)
	if err != nil {
		tx.countBelow(zone, -leadsAway(flags))
		return zone, err
	}
	return zone, tx.link(m.name(), zone)
}

// ancestor is the nearest name above that there is.
func (tx *Tx) ancestor(name []byte) node {
	for len(name) > 1 {
		name = wire.Parent(name)
		if n := tx.lookup(name); n != nil {
			return n
		}
	}
	return nil
}

// link counts a new name at its parent, and makes the names between it and the
// nearest there is.
func (tx *Tx) link(name []byte, zone int) error {
	for {
		var flags byte
		if isWildcard(name) {
			flags = flagWildcard
		}
		name = wire.Parent(name)
		h := wire.HashName(name)
		if r := tx.findRef(h, name); r != 0 {
			n := tx.t.node(r)
			n.setChildren(n.children() + 1)
			if flags == 0 {
				return nil
			}
			return tx.amend(h, r, func(n node) { n[10] |= flagWildcard })
		}
		n, err := tx.create(h, name, zone, flags, nil)
		if err != nil {
			return err
		}
		n.setChildren(1)
	}
}

func isWildcard(name []byte) bool { return len(name) > 2 && name[0] == 1 && name[1] == '*' }

// amend shows a copy of a node with another flag.
func (tx *Tx) amend(h uint64, r ref, f func(node)) error {
	n := tx.t.node(r)
	s, err := tx.t.arena.alloc(len(n))
	if err != nil {
		return err
	}
	m := node(unsafe.Slice((*byte)(tx.t.arena.at(s)), len(n)))
	copy(m, n)
	f(m)
	tx.show(h, r, s, n)
	return nil
}

// create shows the node of a new name.
func (tx *Tx) create(h uint64, name []byte, zone int, flags byte, entries []entry) (node, error) {
	if tx.idx.crowded() {
		y, err := tx.idx.grown()
		if err != nil {
			return nil, err
		}
		tx.t.indexes.add(tx.t, tx.idx)
		tx.t.idx.Store(y)
		tx.look()
	}
	n, r, err := tx.block(name, zone, flags, entries)
	if err != nil {
		return nil, err
	}
	tx.idx.set(h, 0, r)
	tx.t.shape.Add(1)
	return n, nil
}

// remove takes out a name that nothing holds, the names above that were there
// for its sake first: as in add, each question changes its answer once.
func (tx *Tx) remove(h uint64, r ref, n node) {
	tx.release(n.name())
	tx.unlink(h, r, n)
	if leadsAway(n.flags()) != 0 {
		tx.countBelow(n.zone(), -1)
	}
}

// unlink takes a node out of the index.
func (tx *Tx) unlink(h uint64, r ref, n node) {
	tx.idx.set(h, r, 0)
	tx.t.shape.Add(1)
	tx.retire(r, n)
}

// release tells a name's parent that the name goes, and takes the parent out too
// where nothing else holds it.
func (tx *Tx) release(name []byte) {
	parent := wire.Parent(name)
	h := wire.HashName(parent)
	r := tx.findRef(h, parent)
	if r == 0 {
		return
	}
	n := tx.t.node(r)
	n.setChildren(n.children() - 1)
	if n.children() == 0 && n.entries() == 0 && n.flags()&flagApex == 0 {
		tx.release(parent)
		tx.unlink(h, r, n)
		return
	}
	if isWildcard(name) {
		// Without memory for the copy the flag stays: a look-up more, no wrong answer.
		_ = tx.amend(h, r, func(n node) { n[10] &^= flagWildcard })
	}
}
