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

// What changes are refused with. ErrAlias holds within one source's master file
// (RFC 1034 §3.6.2, RFC 2181 §10.1).
var (
	ErrAlias  = errors.New("a CNAME and other records at one name")
	ErrSingle = errors.New("more than one CNAME, DNAME or SOA at one name")
	ErrData   = errors.New("the data is not of the record's type")
	ErrType   = errors.New("no type for records (RFC 6895 §3.1)")
	ErrSize   = errors.New("the RRset is larger than 8 MiB, the name larger than 32 MiB or of more than 255 RRsets")
)

// A Tx changes a table, between the start and the end of Update's function.
// Each change is seen by readers at once and whole; there is no rolling back.
type Tx struct {
	view
	strict bool // a CNAME beside other records of one source is an error
	pass   Pass

	denials map[int]bool // numbers of zones whose NSEC or NSEC3 records changed
	fresh   *fresh       // a zone that was empty before; or nil
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
	tx.settle()
	t.reclaim()
	return err
}

// AddZone makes room for a zone. It is answered from once it has an SOA. Names
// of a zone around it that stand below its apex become its own.
func (tx *Tx) AddZone(apex []byte) error {
	tx.t.room()
	if tx.t.Zone(apex) != nil {
		return fmt.Errorf("zone %s is there already", wire.NameString(apex))
	}
	number, err := tx.t.freeNumber()
	if err != nil {
		return err
	}
	z := &Zone{Apex: slices.Clone(apex), Labels: wire.Labels(apex), number: number}
	tx.t.below[number] = 0
	tx.t.setZone(number, z)
	h := wire.HashName(apex)
	if r := tx.findRef(h, apex); r != 0 {
		err = tx.adopt(h, r, z)
	} else {
		err = tx.found(h, z)
	}
	if err != nil {
		tx.t.setZone(number, nil)
		tx.t.numbers.add(tx.t, number)
		return fmt.Errorf("add zone %s: %w", wire.NameString(apex), err)
	}
	return nil
}

// found makes a new zone's apex and ties it into the zone around it, and those
// below into it.
func (tx *Tx) found(h uint64, z *Zone) error {
	around := tx.ancestor(z.Apex)
	if _, err := tx.create(h, z.Apex, z.number, flagApex, nil); err != nil {
		return err
	}
	if around != nil {
		if err := tx.link(z.Apex, around.zone()); err != nil {
			return err
		}
	}
	return tx.tie(tx.inner(z))
}

// inner are the apexes next below a zone: no other zone stands between.
func (tx *Tx) inner(z *Zone) (apexes [][]byte) {
	for _, y := range tx.t.Zones() {
		if y.Labels > z.Labels && wire.IsSubdomain(y.Apex, z.Apex) && tx.around(y.Apex) == z.number {
			apexes = append(apexes, y.Apex)
		}
	}
	return apexes
}

// around is the number of the zone next above an apex, -1 where there is none.
func (tx *Tx) around(apex []byte) int {
	for name := apex; len(name) > 1; {
		name = wire.Parent(name)
		if n := tx.lookup(name); n != nil && n.flags()&flagApex != 0 {
			return n.zone()
		}
	}
	return -1
}

// tie counts apexes at their parents in the zone around them, if there is one.
func (tx *Tx) tie(apexes [][]byte) error {
	for _, apex := range apexes {
		n := tx.ancestor(apex)
		if n == nil {
			continue
		}
		if err := tx.link(apex, n.zone()); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes a name that is there an apex, and hands what is below over to it.
// Until its SOA comes, what stood there is not answered.
func (tx *Tx) adopt(h uint64, r ref, z *Zone) error {
	outer := tx.t.node(r).zone()
	err := tx.amend(h, r, func(n node) {
		binary.LittleEndian.PutUint16(n[8:], uint16(z.number))
		n[10] = n[10]&^flagCut | flagApex
	})
	if err != nil {
		return err
	}
	tx.each(func(_ uint64, _ ref, n node) {
		if n.zone() == outer && wire.IsSubdomain(n.name(), z.Apex) {
			binary.LittleEndian.PutUint16(n[8:], uint16(z.number))
		}
	})
	tx.recount(outer, z.number)
	tx.renew(outer)
	tx.renew(z.number)
	tx.setSOA(tx.lookup(z.Apex))
	return nil
}

// recount counts the delegations of zones anew, after names changed hands.
func (tx *Tx) recount(zones ...int) {
	count := make([]int, len(tx.t.below))
	tx.each(func(_ uint64, _ ref, n node) { count[n.zone()] += leadsAway(n.flags()) })
	for _, z := range zones {
		tx.countBelow(z, count[z]-tx.t.below[z])
	}
}

// RemoveZone takes a zone and all its names out of the table. What a zone around
// it once had at and below the apex, delegation and glue, does not come back by itself.
func (tx *Tx) RemoveZone(apex []byte) {
	z := tx.t.Zone(apex)
	if z == nil {
		return
	}
	inner := tx.inner(z)
	y := *z
	y.soa = nil // nothing more is answered from it while it is taken down
	tx.t.setZone(z.number, &y)
	tx.each(func(h uint64, r ref, n node) {
		if n.zone() == z.number {
			tx.forget(n)
			tx.unlink(h, r, n)
			tx.t.room()
		}
	})
	if len(apex) > 1 {
		tx.release(apex)
	}
	// Without memory the zones inside stay untied: they answer all the same.
	_ = tx.tie(inner)
	tx.t.setZone(z.number, nil)
	tx.t.numbers.add(tx.t, z.number)
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
	tx.t.room()
	if err := rec.check(); err != nil {
		return false, err
	}
	h := wire.HashName(rec.Name)
	if r := tx.findRef(h, rec.Name); r != 0 {
		return tx.replace(h, r, rec)
	}
	return tx.add(h, rec)
}

// Append adds to what the source holds of the RRset; for master files, whose
// RRsets may be scattered. It returns the TTL of what there was, in seconds; the
// whole takes the lesser one (RFC 2181 §5.2).
func (tx *Tx) Append(rec *Record) (ttl uint32, merged bool, err error) {
	n := tx.lookup(rec.Name)
	if n == nil {
		_, err = tx.Put(rec)
		return 0, false, err
	}
	off := n.records()
	for i := range n.entries() {
		var e entry
		if e, off = n.entryAt(i, off); e.Type == rec.Type && e.Source == rec.Source {
			ttl = binary.BigEndian.Uint32(e.RRs[4:])
			all := *rec
			all.Data = slices.Clone(rec.Data)
			all.TTL = min(rec.TTL, ttl)
			for b := e.RRs; len(b) > 0; b = b[rrSize(b):] {
				all.Data = append(all.Data, bytes.Clone(rrData(b)))
			}
			_, err = tx.Put(&all)
			return ttl, true, err
		}
	}
	_, err = tx.Put(rec)
	return 0, false, err
}

// Delete removes what a source holds of an RRset, and reports whether it held any.
func (tx *Tx) Delete(name []byte, typ uint16, source Source) (bool, error) {
	tx.t.room()
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
			switch {
			case e.Source == union || !chosen(tx.holder(n, e.Type), e.Source):
			case Pass(e.mark) == p:
				n[e.at+10] = 0 // a later sync may have the same number
			default:
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

// holder is the zone an RRset is part of: a DS at an apex is in the zone around it.
func (tx *Tx) holder(n node, typ uint16) *Zone {
	if typ == wire.TypeDS && n.flags()&flagApex != 0 {
		if number := tx.around(n.name()); number >= 0 {
			return (*tx.t.zones.Load())[number].Load()
		}
	}
	return tx.zone(n)
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
	return tx.zone(n)
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
