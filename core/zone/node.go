package zone

import (
	"encoding/binary"
	"unsafe"
)

// A node is one name's block:
//
//	 0  octets of the block, 32 bits
//	 4  names one label below, 32 bits; the writer's alone
//	 8  zone number, 16 bits
//	10  flags, 8 bits
//	11  entries, 8 bits
//	12  octets of the name, 8 bits
//	13  the name, folded
//	    entries of 11 octets
//	    the entries' records, in the entries' order
//
// An entry is one owner's contribution to one RRset, or the union of several:
//
//	0  type, 16 bits
//	2  source, 16 bits
//	4  records, 15 bits; top bit: hidden, a union stands for it
//	6  octets of its records, 32 bits
//	10 mark, 8 bits; the writer's alone
//
// A record is what follows the owner name on the wire: type, class, TTL, length,
// data. Integers of the block are little-endian, those of records big-endian.
// The offset of a block is a multiple of 16, so the 32-bit fields are aligned.
type node []byte

const (
	nodeHead  = 13
	entrySize = 11
	rrHead    = 10 // octets of a record before its data
	hidden    = 1 << 15
)

const (
	flagApex     = 1 << iota // has a zone's SOA, or will have
	flagCut                  // has NS and is no apex: a delegation
	flagDNAME                // has DNAME: what is below is elsewhere
	flagWildcard             // the name *.this exists
	flagCNAME                // has CNAME
	flagHash                 // has NSEC3, and is no name but for that (RFC 5155 §7.2.8)
	flagOrder                // has ORDER: says how its addresses are put in order
)

func (t *Table) node(r ref) node {
	p := t.arena.at(r)
	return unsafe.Slice((*byte)(p), *(*uint32)(p))
}

// further is the line of memory behind the one where a block begins, if its chunk has one:
// names and their records seldom end in the first.
func further(r ref) ref {
	if r&(chunkUnits-1) < chunkUnits-64/unit {
		return r + 64/unit
	}
	return r
}

func (n node) children() uint32     { return binary.LittleEndian.Uint32(n[4:]) }
func (n node) setChildren(c uint32) { binary.LittleEndian.PutUint32(n[4:], c) }
func (n node) zone() int            { return int(binary.LittleEndian.Uint16(n[8:])) }
func (n node) flags() byte          { return n[10] }
func (n node) entries() int         { return int(n[11]) }
func (n node) name() []byte         { return n[nodeHead : nodeHead+int(n[12])] }

// An entry is one RRset of a node, or one source's part of it.
type entry struct {
	Type   uint16
	Source Source
	Count  int
	hidden bool
	mark   byte
	at     int    // offset of the entry in its node
	RRs    []byte // the records, each from its type on
}

// entryAt reads entry i, whose records begin at off, and returns the offset of
// the next one's.
func (n node) entryAt(i, off int) (e entry, next int) {
	at := nodeHead + int(n[12]) + i*entrySize
	b := n[at : at+entrySize : at+entrySize]
	count := binary.LittleEndian.Uint16(b[4:])
	next = off + int(binary.LittleEndian.Uint32(b[6:]))
	return entry{
		Type:   binary.LittleEndian.Uint16(b),
		Source: Source(binary.LittleEndian.Uint16(b[2:])),
		Count:  int(count &^ hidden),
		hidden: count&hidden != 0,
		mark:   b[10], at: at,
		RRs: n[off:next:next],
	}, next
}

// records is the offset of the first entry's records.
func (n node) records() int { return nodeHead + int(n[12]) + int(n[11])*entrySize }

// find gives the RRset of a type as readers see it.
func (n node) find(typ uint16) (set RRset, ok bool) {
	rrs, count, ok := n.seek(typ)
	return RRset{Type: typ, Count: count, RRs: rrs}, ok
}

// seek is find in what fits registers: an RRset is written to memory in parts, and copied in
// one, for which the processor waits. It is the hot path, so it reads types before it
// reads the rest.
func (n node) seek(typ uint16) (rrs []byte, count int, ok bool) {
	at := nodeHead + int(n[12])
	off := at + int(n[11])*entrySize
	for i := int(n[11]); i > 0; i-- {
		b := n[at : at+entrySize : at+entrySize]
		size := int(binary.LittleEndian.Uint32(b[6:]))
		count := binary.LittleEndian.Uint16(b[4:])
		if binary.LittleEndian.Uint16(b) == typ && count&hidden == 0 {
			return n[off : off+size : off+size], int(count), true
		}
		at += entrySize
		off += size
	}
	return nil, 0, false
}

// An RRset as it is answered: Count records, each from its type on.
type RRset struct {
	Type  uint16
	Count int
	RRs   []byte
}

// TTL of the set, in seconds.
func (s RRset) TTL() uint32 { return binary.BigEndian.Uint32(s.RRs[4:]) }

// Data is the first record's data.
func (s RRset) Data() []byte { return rrData(s.RRs) }

func rrData(rr []byte) []byte { return rr[rrHead : rrHead+int(binary.BigEndian.Uint16(rr[8:]))] }

// rrSize is the octets of the record at the start of b.
func rrSize(b []byte) int { return rrHead + int(binary.BigEndian.Uint16(b[8:])) }
