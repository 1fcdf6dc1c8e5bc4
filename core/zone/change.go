package zone

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/strata-dns/strata/core/wire"
)

// union is the source of an entry that joins several sources' parts.
const union Source = 0xffff

// maxEntry bounds one RRset's records, in octets. What is larger than a message
// cannot be answered whole, but is kept: see put in reply.go.
const maxEntry = 8 << 20

// A builder holds what the writer uses again from change to change.
type builder struct {
	rrs     []byte
	merged  []byte
	data    [][]byte
	entries []entry
	own     []entry // what a source had before, see putName
	left    [][]byte
	out     func(name []byte, typ uint16, data []byte) bool // see LeaveOut
}

// replace gives a node the record in place of what its source held of that RRset.
func (tx *Tx) replace(h uint64, r ref, rec *Record) (bool, error) {
	n := tx.t.node(r)
	b := &tx.t.build
	b.rrs = b.render(b.rrs[:0], rec)
	b.entries = b.entries[:0]
	held, old := false, 0
	off := n.records()
	for i := range n.entries() {
		var e entry
		if e, off = n.entryAt(i, off); e.Type != rec.Type {
			b.entries = append(b.entries, e)
			continue
		}
		switch e.Source {
		case union:
		case rec.Source:
			if bytes.Equal(e.RRs, b.rrs) {
				if tx.pass != 0 {
					n[e.at+10] = byte(tx.pass)
				}
				return false, nil
			}
			held, old = true, e.Count
		default:
			e.hidden = false
			b.entries = append(b.entries, e)
		}
	}
	if len(b.rrs) == 0 && !held {
		return false, nil
	}
	count, err := tx.contribute(rec)
	if err != nil {
		return false, err
	}
	zone := n.zone()
	if err := tx.rebuild(h, r, n); err != nil {
		return false, err
	}
	tx.touched(rec, zone)
	tx.t.records.Add(int64(count - old))
	return true, nil
}

// contribute adds what was rendered of a record to the entries of its node.
func (tx *Tx) contribute(rec *Record) (count int, err error) {
	b := &tx.t.build
	if count = countRRs(b.rrs); count > 0 {
		if tx.strict && b.aliased(rec) {
			return 0, ErrAlias
		}
		b.entries = append(b.entries, entry{Type: rec.Type, Source: rec.Source, Count: count, mark: byte(tx.pass), RRs: b.rrs})
	}
	b.join(rec.Name, rec.Type)
	if len(b.entries) > 255 || len(b.rrs) > maxEntry {
		return 0, ErrSize
	}
	return count, nil
}

// aliased reports a CNAME beside other data of one source. Where that is let
// be, the other type answers for itself and the CNAME for all the rest.
func (b *builder) aliased(rec *Record) bool {
	for i := range b.entries {
		e := &b.entries[i]
		if e.Source == rec.Source && e.Type != rec.Type && (plain(e.Type) && rec.Type == wire.TypeCNAME || e.Type == wire.TypeCNAME && plain(rec.Type)) {
			return true
		}
	}
	return false
}

// plain types may not stand beside a CNAME (RFC 4034 §3, §4 allow the others, and of an
// order nobody is told who does not ask for it).
func plain(typ uint16) bool {
	return typ != wire.TypeRRSIG && typ != wire.TypeNSEC && typ != TypeOrder
}

// render writes a record's data in order and without repetition, so that equal
// sets are equal bytes.
func (b *builder) render(dst []byte, rec *Record) []byte {
	b.data = append(b.data[:0], rec.Data...)
	if len(b.data) > 1 {
		slices.SortFunc(b.data, bytes.Compare)
		b.data = slices.CompactFunc(b.data, bytes.Equal)
	}
	for _, d := range b.data {
		dst = binary.BigEndian.AppendUint16(dst, rec.Type)
		dst = binary.BigEndian.AppendUint16(dst, wire.ClassIN)
		dst = binary.BigEndian.AppendUint32(dst, rec.TTL)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(d)))
		dst = append(dst, d...)
	}
	return dst
}

func countRRs(b []byte) (n int) {
	for ; len(b) > 0; b = b[rrSize(b):] {
		n++
	}
	return n
}

// join adds the union of a type that several sources hold, or of which some is left
// out, and hides their parts.
func (b *builder) join(name []byte, typ uint16) {
	b.merged = b.merged[:0]
	b.joinAlso(name, typ)
}

// joinAlso is join behind that of other types of the same node.
func (b *builder) joinAlso(name []byte, typ uint16) {
	parts, first := 0, Source(0)
	rec := Record{Type: typ, TTL: 1<<32 - 1}
	for i := range b.entries {
		e := &b.entries[i]
		if e.Type != typ {
			continue
		}
		if single(typ) && (parts == 0 || e.Source < first) {
			rec.Data = rec.Data[:0]
		}
		if !single(typ) || len(rec.Data) == 0 {
			for rr := e.RRs; len(rr) > 0; rr = rr[rrSize(rr):] {
				rec.Data = append(rec.Data, rrData(rr))
			}
			first = e.Source
		}
		ttl := binary.BigEndian.Uint32(e.RRs[4:])
		if !single(typ) {
			ttl = min(ttl, rec.TTL) // RFC 2181 §5.2
		}
		if !single(typ) || first == e.Source {
			rec.TTL = ttl
		}
		parts++
	}
	if out := b.leaveOut(name, &rec); parts < 2 && !out {
		return
	}
	for i := range b.entries {
		if b.entries[i].Type == typ {
			b.entries[i].hidden = true
		}
	}
	start := len(b.merged)
	b.merged = b.render(b.merged, &rec)
	merged := b.merged[start:]
	b.entries = append(b.entries, entry{Type: typ, Source: union, Count: countRRs(merged), RRs: merged})
}

// single types have one record a name: of several sources the one with the
// lowest number wins.
func single(typ uint16) bool {
	return typ == wire.TypeSOA || typ == wire.TypeCNAME || typ == wire.TypeDNAME
}

// rebuild writes a node's new block with the builder's entries and shows it, or
// takes the node out where nothing holds it any more.
func (tx *Tx) rebuild(h uint64, r ref, n node) error {
	entries := tx.t.build.entries
	if len(entries) == 0 && n.children() == 0 && n.flags()&flagApex == 0 {
		tx.remove(h, r, n)
		return nil
	}
	before := n.flags()
	flags := flagsOf(entries, before&(flagApex|flagWildcard))
	m, s, err := tx.block(n.name(), n.zone(), flags, entries)
	if err != nil {
		return err
	}
	m.setChildren(n.children())
	// Readers look for delegations where the zone has any: it must not be late.
	delta := leadsAway(flags) - leadsAway(before)
	if delta > 0 {
		tx.countBelow(n.zone(), delta)
	}
	tx.show(h, r, s, n)
	if delta < 0 {
		tx.countBelow(n.zone(), delta)
	}
	if flags&flagApex != 0 {
		tx.setSOA(m)
	}
	return nil
}

// flagsOf derives a node's flags from its entries, besides those it keeps.
func flagsOf(entries []entry, flags byte) byte {
	if onlyHash(entries) {
		flags |= flagHash
	}
	for i := range entries {
		switch entries[i].Type {
		case wire.TypeCNAME:
			flags |= flagCNAME
		case wire.TypeDNAME:
			flags |= flagDNAME
		case TypeOrder:
			flags |= flagOrder
		case wire.TypeNS:
			if flags&flagApex == 0 {
				flags |= flagCut
			}
		}
	}
	return flags
}

// onlyHash reports whether entries are NSEC3 records and their signatures.
func onlyHash(entries []entry) (is bool) {
	for i := range entries {
		switch entries[i].Type {
		case wire.TypeNSEC3:
			is = true
		case wire.TypeRRSIG:
		default:
			return false
		}
	}
	return is
}

// leadsAway is 1 for the flags of a node that look-ups cannot take for what its name
// has: a delegation, a DNAME, NSEC3 alone. Else it is 0.
func leadsAway(flags byte) int {
	if flags&(flagCut|flagDNAME|flagHash) != 0 {
		return 1
	}
	return 0
}

// show puts a node's new block in the place of its old one.
func (tx *Tx) show(h uint64, old, new ref, n node) {
	tx.idx.set(h, old, new)
	if n.flags() != tx.t.node(new).flags() {
		tx.t.shape.Add(1)
	}
	tx.retire(old, n)
}

// retire queues a block that is no longer in the index.
func (tx *Tx) retire(r ref, n node) { tx.t.blocks.add(tx.t, retiredBlock{r, uint32(len(n))}) }

// block writes a new block, not yet shown.
func (tx *Tx) block(name []byte, zone int, flags byte, entries []entry) (node, ref, error) {
	size := nodeHead + len(name) + len(entries)*entrySize
	for i := range entries {
		size += len(entries[i].RRs)
	}
	r, err := tx.t.arena.alloc(size)
	if err != nil {
		return nil, 0, err
	}
	n := node(unsafe.Slice((*byte)(tx.t.arena.at(r)), size))
	binary.LittleEndian.PutUint32(n, uint32(size))
	n.setChildren(0)
	binary.LittleEndian.PutUint16(n[8:], uint16(zone))
	n[10], n[11], n[12] = flags, byte(len(entries)), byte(len(name))
	copy(n[nodeHead:], name)
	at, off := nodeHead+len(name), n.records()
	for i := range entries {
		e := &entries[i]
		count := uint16(min(e.Count, hidden-1))
		if e.hidden {
			count |= hidden
		}
		b := n[at : at+entrySize]
		binary.LittleEndian.PutUint16(b, e.Type)
		binary.LittleEndian.PutUint16(b[2:], uint16(e.Source))
		binary.LittleEndian.PutUint16(b[4:], count)
		binary.LittleEndian.PutUint32(b[6:], uint32(len(e.RRs)))
		b[10] = e.mark
		at += entrySize
		off += copy(n[off:], e.RRs)
	}
	return n, r, nil
}

// countBelow keeps a zone's count of delegations and DNAMEs.
func (tx *Tx) countBelow(zone, delta int) {
	count := &tx.t.below[zone]
	*count += delta
	if z := (*tx.t.zones.Load())[zone].Load(); z != nil && z.cuts != (z.partial || *count > 0) {
		y := *z
		y.cuts = z.partial || *count > 0
		tx.t.setZone(zone, &y)
	}
}

// setSOA keeps what a zone's negative answers carry: the SOA with the lesser of
// its TTL and its MINIMUM (RFC 2308 §5).
func (tx *Tx) setSOA(n node) {
	z := tx.zone(n)
	set, ok := n.find(wire.TypeSOA)
	var soa []byte
	if ok && len(set.Data()) >= 22 {
		soa = bytes.Clone(set.RRs[:rrSize(set.RRs)])
		binary.BigEndian.PutUint32(soa[4:], min(set.TTL(), binary.BigEndian.Uint32(soa[len(soa)-4:])))
	}
	if !bytes.Equal(soa, z.soa) {
		y := *z
		y.soa = soa
		tx.t.setZone(z.number, &y)
	}
}
