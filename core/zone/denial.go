package zone

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/strata-dns/strata/core/wire"
)

// A denial is the index of a signed zone's NSEC or NSEC3 records, in their order: it
// finds the one that proves that a name is not there. It is immutable, and holds no
// pointers for the collector to follow. A zone without one is served as unsigned.
type denial struct {
	// The owners of NSEC records, one name behind the other, and where each begins, in
	// canonical order (RFC 4034 §6.1). nil with NSEC3.
	names []byte
	at    []uint32

	// The hashed owners of NSEC3 records, in order, and what they were hashed with
	// (RFC 5155 §4.1). nil with NSEC.
	hashes     [][sha1.Size]byte
	iterations int
	salt       []byte
}

// hashed reports whether the zone denies with NSEC3.
func (d *denial) hashed() bool { return d.hashes != nil }

// owner is the name of the NSEC record that matches or covers a folded name of the
// zone: the last one up to it.
func (d *denial) owner(name []byte) []byte {
	i := sort.Search(len(d.at), func(i int) bool { return canonical(d.name(i), name) > 0 })
	return d.name(max(i-1, 0))
}

func (d *denial) name(i int) []byte {
	b := d.names[d.at[i]:]
	return b[:wire.NameLen(b)]
}

// find gives the NSEC3 record that matches a hash, or else the one that covers it.
func (d *denial) find(h *[sha1.Size]byte) (i int, match bool) {
	i, match = sort.Find(len(d.hashes), func(i int) int { return bytes.Compare(h[:], d.hashes[i][:]) })
	if !match {
		i = (i + len(d.hashes) - 1) % len(d.hashes) // before the first stands the last
	}
	return i, match
}

// hash hashes a folded name (RFC 5155 §5).
func (d *denial) hash(name []byte) [sha1.Size]byte {
	var buf [wire.MaxName + 255]byte
	n := copy(buf[:], name)
	n += copy(buf[n:], d.salt)
	h := sha1.Sum(buf[:n])
	for range d.iterations {
		n = copy(buf[:], h[:])
		n += copy(buf[n:], d.salt)
		h = sha1.Sum(buf[:n])
	}
	return h
}

// hashText is how hashes are written in owner names (RFC 5155 §1.3), folded.
var hashText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const hashLabel = 1 + sha1.Size*8/5 // octets of a hash as a label

// touched has a zone's denial made anew behind a change of records that it is made of.
func (tx *Tx) touched(rec *Record, zone int) {
	switch rec.Type {
	case wire.TypeNSEC, wire.TypeNSEC3, wire.TypeNSEC3PARAM:
		tx.renew(zone)
		if tx.fresh != nil && tx.fresh.zone == zone {
			tx.fresh.owners = append(tx.fresh.owners, rec.Name...)
		}
	}
}

// fresh is a zone that is filled for the first time. It remembers the names, one behind
// the other, that have what its denial is made of: a table of many zones need not be
// searched through for each. Some may stand there twice.
type fresh struct {
	zone   int
	owners []byte
}

// candidates calls f with the nodes that may have what a zone's denial is made of.
func (tx *Tx) candidates(z *Zone, f func(n node)) {
	if tx.fresh == nil || tx.fresh.zone != z.number {
		tx.each(func(_ uint64, _ ref, n node) {
			if n.zone() == z.number {
				f(n)
			}
		})
		return
	}
	for rest := tx.fresh.owners; len(rest) > 0; {
		name := rest[:wire.NameLen(rest)]
		rest = rest[len(name):]
		if n := tx.lookup(name); n != nil && n.zone() == z.number {
			f(n)
		}
	}
}

func (tx *Tx) renew(zone int) {
	if tx.denials == nil {
		tx.denials = map[int]bool{}
	}
	tx.denials[zone] = true
}

// settle makes the denials anew of the zones whose NSEC or NSEC3 records changed.
func (tx *Tx) settle() {
	for number := range tx.denials {
		if z := (*tx.t.zones.Load())[number].Load(); z != nil {
			y := *z
			y.denial = tx.denialOf(z)
			tx.t.setZone(number, &y)
		}
	}
	tx.denials = nil
}

// denialOf collects a zone's denial, nil where it is not signed. NSEC3 is used where
// the apex says that its chain is whole (NSEC3PARAM; RFC 5155 §7.3).
func (tx *Tx) denialOf(z *Zone) *denial {
	apex := tx.lookup(z.Apex)
	if apex == nil {
		return nil
	}
	var d denial
	if set, ok := apex.find(wire.TypeNSEC3PARAM); ok && serves(set.Data()) {
		p := set.Data()
		d.iterations, d.salt = int(binary.BigEndian.Uint16(p[2:])), bytes.Clone(p[5:])
		tx.candidates(z, func(n node) { d.addHash(n, p) })
		if d.hashes != nil {
			slices.SortFunc(d.hashes, func(a, b [sha1.Size]byte) int { return bytes.Compare(a[:], b[:]) })
			d.hashes = slices.Compact(d.hashes)
			return &d
		}
	}
	var buf [wire.MaxName]byte
	tx.candidates(z, func(n node) {
		if _, ok := n.find(wire.TypeNSEC); ok {
			d.at = append(d.at, uint32(len(d.names)))
			d.names = append(d.names, fromBeside(buf[:0], n.name(), z.Apex)...)
		}
	})
	if d.at == nil {
		return nil
	}
	sort.Slice(d.at, func(i, j int) bool { return canonical(d.name(i), d.name(j)) < 0 })
	d.at = slices.CompactFunc(d.at, func(i, j uint32) bool {
		return canonical(d.names[i:], d.names[j:]) == 0
	})
	return &d
}

// serves reports whether chains with these parameters are served.
func serves(params []byte) bool {
	return params[0] == hashSHA1 && binary.BigEndian.Uint16(params[2:]) <= maxIterations
}

const (
	hashSHA1 = 1 // RFC 5155 §11
	// maxIterations is where validators stop to believe (RFC 9276 §3.2): an answer that
	// hashes four names is to cost microseconds.
	maxIterations = 150
)

// addHash takes a name's NSEC3 record, if it is of the chain with these parameters.
func (d *denial) addHash(n node, params []byte) {
	set, ok := n.find(wire.TypeNSEC3)
	if !ok || n.name()[0] != hashLabel-1 {
		return
	}
	p := set.Data()
	same := p[0] == params[0] && bytes.Equal(p[2:4], params[2:4]) && len(p) >= len(params) && bytes.Equal(p[4:len(params)], params[4:])
	var h [sha1.Size]byte
	if _, err := hashText.Decode(h[:], n.name()[1:hashLabel]); err == nil && same {
		d.hashes = append(d.hashes, h)
	}
}
