package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/strata-dns/strata/core/wire"
)

// A Record is one source's RRset. Name is folded wire form, Data the records'
// data in wire form, uncompressed. TTL is in seconds.
type Record struct {
	Name   []byte
	Type   uint16
	TTL    uint32
	Source Source
	Data   [][]byte
}

// ErrAlias is what a CNAME beside other records of the same source is refused
// with (RFC 1034 §3.6.2), ErrSize what does not fit into a node or a message.
var (
	ErrAlias = errors.New("a CNAME and other records at one name")
	ErrSize  = errors.New("the RRset is larger than a message, or the name has more than 255 RRsets")
)

// A Tx changes a table, between the start and the end of Update's function.
// Each change is seen by readers at once and whole; there is no rolling back.
type Tx struct {
	view
	strict bool // a CNAME beside other records of one source is an error
	pass   Pass
}

// A Pass tells apart what was put in the course of one full sync.
type Pass byte

// NewPass begins a full sync, which may take many updates.
func (t *Table) NewPass() Pass { return Pass(t.passes.Add(1)%255 + 1) }

// Mark makes all that is put in this update, changed or not, part of a sync.
func (tx *Tx) Mark(p Pass) { tx.pass = p }

// Update makes changes. Only one runs at a time. The error is f's.
func (t *Table) Update(f func(*Tx) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	tx := &Tx{view: view{t: t}}
	tx.look()
	err := f(tx)
	t.reclaim()
	return err
}

// AddZone makes room for a zone. It is answered from once it has an SOA. Names
// of a zone around it that stand below its apex become its own.
func (tx *Tx) AddZone(apex []byte) error {
	if tx.t.Zone(apex) != nil {
		return fmt.Errorf("zone %s is there already", wire.NameString(apex))
	}
	number, err := tx.t.freeNumber()
	if err != nil {
		return err
	}
	z := &Zone{Apex: slices.Clone(apex), Labels: wire.Labels(apex), number: number}
	tx.t.setZone(number, z)
	tx.look()
	h := wire.HashName(apex)
	if r := tx.findRef(h, apex); r != 0 {
		tx.adopt(z)
		return tx.amend(h, r, func(n node) { n[10] = n[10]&^flagCut | flagApex })
	}
	if n := tx.ancestor(apex); n != nil {
		if err := tx.link(apex, n.zone()); err != nil {
			return err
		}
	}
	if _, err := tx.create(h, apex, number, flagApex); err != nil {
		return err
	}
	return tx.linkBelow(z)
}

// linkBelow ties the zones that were there before into a zone added around them.
func (tx *Tx) linkBelow(z *Zone) error {
	for _, y := range tx.zones {
		if y == nil || y == z || !wire.IsSubdomain(y.Apex, z.Apex) || tx.lookup(wire.Parent(y.Apex)) != nil {
			continue
		}
		if err := tx.link(y.Apex, z.number); err != nil {
			return err
		}
	}
	return nil
}

// adopt hands the names at and below a new zone's apex over to it.
func (tx *Tx) adopt(z *Zone) {
	tx.each(func(_ uint64, _ ref, n node) {
		if wire.IsSubdomain(n.name(), z.Apex) && len(tx.zones[n.zone()].Apex) < len(z.Apex) {
			binary.LittleEndian.PutUint16(n[8:], uint16(z.number))
		}
	})
	tx.recount()
}

// recount counts the delegations of all zones anew, after names changed hands.
func (tx *Tx) recount() {
	below := make([]int, len(tx.zones))
	tx.each(func(_ uint64, _ ref, n node) {
		if n.flags()&(flagCut|flagDNAME) != 0 {
			below[n.zone()]++
		}
	})
	for i, z := range tx.zones {
		if z != nil && z.below != below[i] {
			y := *z
			y.below = below[i]
			tx.t.setZone(i, &y)
		}
	}
	tx.look()
}

// RemoveZone takes a zone and all its names out of the table.
func (tx *Tx) RemoveZone(apex []byte) {
	z := tx.t.Zone(apex)
	if z == nil {
		return
	}
	y := *z
	y.soa = nil // nothing more is answered from it while it is taken down
	tx.t.setZone(z.number, &y)
	tx.each(func(h uint64, r ref, n node) {
		if n.zone() == z.number {
			tx.forget(n)
			tx.unlink(h, r, n)
		}
	})
	if len(apex) > 1 {
		tx.orphaned(apex)
	}
	tx.t.setZone(z.number, nil)
	tx.look()
}

func (tx *Tx) forget(n node) {
	off := n.records()
	for i := range n.entries() {
		var e entry
		e, off = n.entryAt(i, off)
		if e.Source != union {
			tx.t.records.Add(int64(-e.Count))
		}
	}
}

func (tx *Tx) lookup(name []byte) node { return tx.find(wire.HashName(name), name) }

// Put makes rec all that its source holds of the RRset, and reports whether
// that changed anything.
func (tx *Tx) Put(rec *Record) (changed bool, err error) {
	if len(tx.t.waiting) >= 4096 {
		tx.t.reclaim()
	}
	h := wire.HashName(rec.Name)
	r := tx.findRef(h, rec.Name)
	if r == 0 {
		if r, err = tx.add(h, rec.Name); err != nil {
			return false, err
		}
	}
	return tx.replace(h, r, rec)
}

// Append adds to what the source holds of the RRset; for master files, whose
// RRsets may be scattered.
func (tx *Tx) Append(rec *Record) error {
	n := tx.lookup(rec.Name)
	if n == nil {
		_, err := tx.Put(rec)
		return err
	}
	off := n.records()
	for i := range n.entries() {
		var e entry
		if e, off = n.entryAt(i, off); e.Type == rec.Type && e.Source == rec.Source {
			all := *rec
			all.Data = slices.Clone(rec.Data)
			all.TTL = min(rec.TTL, binary.BigEndian.Uint32(e.RRs[4:]))
			for b := e.RRs; len(b) > 0; b = b[rrSize(b):] {
				all.Data = append(all.Data, bytes.Clone(rrData(b)))
			}
			_, err := tx.Put(&all)
			return err
		}
	}
	_, err := tx.Put(rec)
	return err
}

// Delete removes what a source holds of an RRset, and reports whether it held any.
func (tx *Tx) Delete(name []byte, typ uint16, source Source) (bool, error) {
	h := wire.HashName(name)
	r := tx.findRef(h, name)
	if r == 0 {
		return false, nil
	}
	return tx.replace(h, r, &Record{Name: name, Type: typ, Source: source})
}

// Sweep ends a sync: of the entries whose zone and source are chosen it deletes
// those that are not part of it, and returns how many RRsets went.
func (tx *Tx) Sweep(p Pass, chosen func(z *Zone, s Source) bool) (deleted int, err error) {
	type gone struct {
		name   []byte
		typ    uint16
		source Source
	}
	var old []gone
	tx.each(func(_ uint64, _ ref, n node) {
		off := n.records()
		for i := range n.entries() {
			var e entry
			e, off = n.entryAt(i, off)
			if e.Source != union && Pass(e.mark) != p && chosen(tx.zones[n.zone()], e.Source) {
				old = append(old, gone{slices.Clone(n.name()), e.Type, e.Source})
			}
		}
	})
	for _, g := range old {
		if _, err := tx.Delete(g.name, g.typ, g.source); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}

// ZoneOf is the zone that a name is in, nil where there is none.
func (tx *Tx) ZoneOf(name []byte) *Zone {
	n := tx.lookup(name)
	if n == nil {
		n = tx.ancestor(name)
	}
	if n == nil {
		return nil
	}
	return tx.zones[n.zone()]
}

// HeldByOthers reports whether a source other than this one holds some of an RRset.
func (tx *Tx) HeldByOthers(name []byte, typ uint16, source Source) bool {
	n := tx.lookup(name)
	if n == nil {
		return false
	}
	off := n.records()
	for i := range n.entries() {
		var e entry
		if e, off = n.entryAt(i, off); e.Type == typ && e.Source != source && e.Source != union {
			return true
		}
	}
	return false
}

// each calls f for all names; f may remove the name it is given.
func (v *view) each(f func(h uint64, r ref, n node)) {
	for i := range v.idx.slots {
		s := atomic.LoadUint64(&v.idx.slots[i])
		if r := ref(s); r > grave {
			f(s, r, v.t.node(r))
		}
	}
}

// Each calls f with every source's every RRset, in no order, until f reports
// false. It sees the table as of its start, with some of what changes meanwhile.
// The record is valid during the call.
func (t *Table) Each(f func(*Record) bool) {
	r := t.NewReader()
	defer r.Close()
	r.Enter()
	defer r.Leave()
	rec := Record{}
	going := true
	r.each(func(_ uint64, _ ref, n node) {
		off := n.records()
		for i := 0; going && i < n.entries(); i++ {
			var e entry
			if e, off = n.entryAt(i, off); e.Source == union {
				continue
			}
			rec.Name, rec.Type, rec.Source, rec.Data = n.name(), e.Type, e.Source, rec.Data[:0]
			rec.TTL = binary.BigEndian.Uint32(e.RRs[4:])
			for b := e.RRs; len(b) > 0; b = b[rrSize(b):] {
				rec.Data = append(rec.Data, rrData(b))
			}
			going = f(&rec)
		}
	})
}
