package zone

import (
	"bytes"
	"slices"

	"github.com/strata-dns/strata/core/wire"
)

// A staged name is all that a file says of one, as it stands in a table of its own.
type staged struct {
	name    []byte
	flags   byte
	entries []entry
}

// eachName calls f with all names that hold something, in no order, until it fails. What
// f gets is valid during the call.
func (t *Table) eachName(f func(s *staged) error) (err error) {
	r := t.NewReader()
	defer r.Close()
	r.Enter()
	defer r.Leave()
	var s staged
	r.each(func(_ uint64, _ ref, n node) {
		s.name, s.flags, s.entries = n.name(), n.flags(), n.appendEntries(s.entries[:0])
		if err == nil && len(s.entries) > 0 {
			err = f(&s)
		}
	})
	return err
}

// appendEntries appends all entries of a node.
func (n node) appendEntries(dst []entry) []entry {
	off := n.records()
	for i := range n.entries() {
		var e entry
		e, off = n.entryAt(i, off)
		dst = append(dst, e)
	}
	return dst
}

// bring makes the live zone what was staged: what aliases lead to before them, and the
// apex last. Each name is changed at once, so that none has new data and old signatures.
// What another zone took over since the file was read stays as it is there.
func (l *loader) bring(tx *Tx, stage *Table) error {
	z := tx.t.Zone(l.apex)
	if z == nil {
		return ErrZone
	}
	tx.Mark(l.live.NewPass())
	for _, turn := range [...]turn{targetTurn, aliasTurn, apexTurn} {
		err := stage.eachName(func(s *staged) error {
			if l.turn(s) != turn {
				return nil
			}
			return l.bringName(tx, z, s)
		})
		if err != nil {
			return err
		}
	}
	tx.settle()
	return l.clear(tx, z)
}

// A turn is when a name is brought over.
type turn int

const (
	targetTurn turn = iota
	aliasTurn
	apexTurn
)

func (l *loader) turn(s *staged) turn {
	switch {
	case len(s.name) == len(l.apex):
		return apexTurn
	case s.flags&(flagCNAME|flagDNAME) != 0:
		return aliasTurn
	}
	return targetTurn
}

// bringName brings one name over. At another zone's apex this one has a DS at most,
// which is brought over by itself.
func (l *loader) bringName(tx *Tx, z *Zone, s *staged) error {
	n := tx.lookup(s.name)
	switch {
	case n == nil:
		if above := tx.ancestor(s.name); above == nil || above.zone() != z.number {
			return nil
		}
	case n.zone() != z.number:
		for i := range s.entries {
			e := &s.entries[i]
			if tx.holder(tx.lookup(s.name), e.Type).number != z.number {
				continue
			}
			if _, err := tx.Put(e.record(s.name)); err != nil {
				return err
			}
		}
		return nil
	}
	if n != nil && n.flags()&flagApex != 0 && tx.around(s.name) >= 0 { // the DS is the upper zone's to say
		s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return e.Type == wire.TypeDS })
	}
	return tx.putName(s.name, l.source, s.entries)
}

// record is an entry as it is put.
func (e *entry) record(name []byte) *Record {
	rec := &Record{Name: name, Type: e.Type, Source: e.Source, TTL: RRset{RRs: e.RRs}.TTL()}
	for b := e.RRs; len(b) > 0; b = b[rrSize(b):] {
		rec.Data = append(rec.Data, rrData(b))
	}
	return rec
}

// clear takes away the names that the file no longer has, each at once, and then what
// it has no longer at other zones' apexes.
func (l *loader) clear(tx *Tx, z *Zone) error {
	var gone [][]byte
	var entries []entry
	tx.each(func(_ uint64, _ ref, n node) {
		if n.zone() != z.number || n.flags()&flagApex != 0 {
			return
		}
		entries = n.appendEntries(entries[:0])
		if slices.ContainsFunc(entries, func(e entry) bool { return e.Source == l.source && Pass(e.mark) != tx.pass }) {
			gone = append(gone, slices.Clone(n.name()))
		}
	})
	for _, name := range gone {
		if err := tx.putName(name, l.source, nil); err != nil {
			return err
		}
	}
	_, err := tx.Sweep(tx.pass, func(y *Zone, s Source) bool { return y.number == z.number && s == l.source })
	return err
}

// putName makes entries, taken from another table's node, all that a source holds at a
// name, at once. The name must be in a zone of the table, or come to be.
func (tx *Tx) putName(name []byte, source Source, entries []entry) error {
	tx.t.room()
	h := wire.HashName(name)
	r := tx.findRef(h, name)
	b := &tx.t.build
	b.entries, b.own = b.entries[:0], b.own[:0]
	if r != 0 {
		tx.divide(tx.t.node(r), source)
		if slices.EqualFunc(b.own, entries, sameRecords) {
			tx.remark(r, b.own)
			return nil
		}
	}
	for _, e := range entries {
		e.Source, e.mark, e.hidden = source, byte(tx.pass), false
		b.entries = append(b.entries, e)
	}
	b.joinAll(name)
	if len(b.entries) > 255 {
		return ErrSize
	}
	zone, err := tx.showName(h, r, name)
	if err != nil {
		return err
	}
	more := 0
	for _, e := range b.own {
		more -= e.Count
		tx.touched(&Record{Name: name, Type: e.Type}, zone)
	}
	for _, e := range entries {
		more += e.Count
		tx.touched(&Record{Name: name, Type: e.Type}, zone)
	}
	tx.t.records.Add(int64(more))
	return nil
}

// divide has the builder take a node's entries but unions: those that a source has in
// the node's zone as its own, all others to be kept.
func (tx *Tx) divide(n node, source Source) {
	b := &tx.t.build
	upper := n.flags()&flagApex != 0 && tx.around(n.name()) >= 0 // whose DS stands here
	off := n.records()
	for i := range n.entries() {
		var e entry
		switch e, off = n.entryAt(i, off); {
		case e.Source == union:
		case e.Source == source && !(upper && e.Type == wire.TypeDS):
			b.own = append(b.own, e)
		default:
			e.hidden = false
			b.entries = append(b.entries, e)
		}
	}
}

func sameRecords(a, b entry) bool { return a.Type == b.Type && bytes.Equal(a.RRs, b.RRs) }

// remark makes entries of a node part of the sync.
func (tx *Tx) remark(r ref, entries []entry) {
	n := tx.t.node(r)
	for i := range entries {
		n[entries[i].at+10] = byte(tx.pass)
	}
}

// joinAll adds the unions of all types.
func (b *builder) joinAll(name []byte) {
	b.merged = b.merged[:0]
	parts := b.entries[:len(b.entries):len(b.entries)]
	for i := range parts {
		typ := parts[i].Type
		if !slices.ContainsFunc(parts[:i], func(e entry) bool { return e.Type == typ }) {
			b.joinAlso(name, typ)
		}
	}
}

// showName puts a name's new block, of the builder's entries, in the place of its old
// one, or makes the name where r is 0, and gives the number of its zone.
func (tx *Tx) showName(h uint64, r ref, name []byte) (zone int, err error) {
	switch {
	case r != 0:
		n := tx.t.node(r)
		zone = n.zone()
		return zone, tx.rebuild(h, r, n)
	case len(tx.t.build.entries) == 0:
		return 0, nil
	}
	return tx.addName(h, name)
}
