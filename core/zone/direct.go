package zone

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/wire"
)

// Most questions are answered directly, from packet to packet, without being parsed: where a
// packet is as long as its counts make it, its name has its length by that, and where that
// many octets are a name of the table they are well-formed by that. All else, and all
// that is not one RRset of a name in a zone without delegations, is parsed and looked up.

// A sight is what is seen of a packet before it is looked up.
type sight struct {
	hash uint64
	ref  ref   // where the name is, if anywhere; Fetch sets it
	typ  uint8 // 0: not to be answered directly
	name uint8 // octets
	edns bool  // OPT stands behind the question, of 11 octets
}

// What the four counts of a header are: a question, and perhaps an additional record.
const (
	oneQuestion = 1 << 48
	withOPT     = oneQuestion | 1
	optSize     = 11
	behindName  = 4 // octets: type and class
)

// addressSize is how long an A record is without its owner.
const addressSize = rrHead + 4

// directTypes are those that are nothing but data to a reply, as bits: RRsets of which
// another is sent along, or that stand at cuts, are not among them.
const directTypes uint64 = 1<<wire.TypeA | 1<<wire.TypeAAAA | 1<<wire.TypeCNAME | 1<<wire.TypePTR | 1<<wire.TypeTXT

// See takes note of the packet at a place of the batch, for Fetch.
func (r *Reader) See(at int, msg []byte) {
	s := &r.sights[at]
	s.typ, s.hash = 0, 0
	if len(msg) <= wire.HeaderLen+behindName {
		return
	}
	n := len(msg) - wire.HeaderLen - behindName
	counts := binary.BigEndian.Uint64(msg[4:])
	s.edns = counts == withOPT
	if s.edns {
		n -= optSize
	} else if counts != oneQuestion {
		return
	}
	if n <= 0 || n > wire.MaxName || s.edns && !plainOPT(msg[len(msg)-optSize:]) {
		r.seeNamed(s, msg)
		return
	}
	s.hash = wire.HashName(msg[wire.HeaderLen : wire.HeaderLen+n])
	s.name = uint8(n)
	// Type and class in one; QR and opcode are 0.
	if t := binary.BigEndian.Uint32(msg[wire.HeaderLen+n:]); t&0xffff == uint32(wire.ClassIN) && t>>16 < 64 && directTypes>>(t>>16)&1 != 0 && msg[2]&0xf8 == 0 {
		s.typ = uint8(t >> 16)
	}
}

// seeNamed is See where the name's length is to be found in the name.
func (r *Reader) seeNamed(s *sight, msg []byte) {
	if n := wire.NameLen(msg[wire.HeaderLen:]); n > 0 {
		s.hash = wire.HashName(msg[wire.HeaderLen : wire.HeaderLen+n])
	}
}

// plainOPT tells whether these octets are an OPT record of version 0 without options
// (RFC 6891 §6.1.2).
func plainOPT(b []byte) bool {
	return b[0] == 0 && binary.BigEndian.Uint16(b[1:]) == wire.TypeOPT && b[6] == 0 && b[9]|b[10] == 0
}

// Fetch looks up ahead what was seen at the first n places of the batch: first all places of
// the index, then all blocks, so that their cache misses overlap instead of following
// one another.
func (r *Reader) Fetch(n int) {
	r.shape = r.t.shape.Load()
	r.look() // an index that was replaced knows no changes any more
	slots := r.idx.slots
	mask := len(slots) - 1
	sights := r.sights[:min(n, len(r.sights))]
	var sink byte
	for i := range sights {
		sink ^= byte(slots[r.idx.place(sights[i].hash)&mask])
	}
	for i := range sights {
		if sights[i].ref = r.guess(sights[i].hash); sights[i].ref != 0 {
			sink ^= *(*byte)(r.t.arena.at(sights[i].ref)) ^ *(*byte)(r.t.arena.at(further(sights[i].ref)))
		}
	}
	r.sink = sink
}

// Direct answers what was seen at a place of the batch, in its packet: Hit, NoData or
// NoName. Else it leaves it to be parsed, and the reply is nil.
func (r *Reader) Direct(at int, msg []byte) (reply []byte, o Outcome) {
	s := &r.sights[at]
	if s.typ == 0 {
		return nil, o
	}
	if s.ref == 0 {
		return r.directNone(s, msg)
	}
	n := r.t.node(s.ref)
	name := msg[wire.HeaderLen : wire.HeaderLen+int(s.name)]
	if !wire.EqualFold(name, n.name()) {
		return nil, o
	}
	z := r.plain(n)
	if z == nil {
		return nil, o
	}
	rrs, count, ok := n.seek(uint16(s.typ))
	switch {
	case ok && count == 1:
		return s.write(msg, z, wire.FlagAA, 1<<32, wire.HeaderLen, rrs), Hit
	case ok || n.flags()&flagCNAME != 0:
		return nil, o
	}
	return s.deny(msg, z, wire.FlagAA), NoData
}

// plain is the zone of a node, if nothing that stands above its names matters to them.
func (r *Reader) plain(n node) *Zone {
	if z := r.zone(n); z != nil && z.Ready() && !z.cuts {
		return z
	}
	return nil
}

// directNone denies a name that the index has not got, where the closest name above that it
// has got has no wildcard. The labels up to there are looked at; what is behind is a name of
// the table.
func (r *Reader) directNone(s *sight, msg []byte) ([]byte, Outcome) {
	name := msg[wire.HeaderLen : wire.HeaderLen+int(s.name)]
	for range directLabels {
		l := int(name[0])
		if l == 0 || l > 63 || l+1 >= len(name) {
			return nil, 0
		}
		name = name[l+1:]
		ref := r.guess(wire.HashName(name))
		if ref == 0 {
			continue
		}
		n := r.t.node(ref)
		if !wire.EqualFold(name, n.name()) || n.flags()&(flagWildcard|flagHash) != 0 {
			return nil, 0
		}
		z := r.plain(n)
		// Of names that came or went since they were fetched, it may have seen some before
		// and some after that.
		if z == nil || r.t.shape.Load() != r.shape {
			return nil, 0
		}
		return s.deny(msg, z, wire.FlagAA|wire.RcodeNXDomain), NoName
	}
	return nil, 0
}

// directLabels is how many names above one are looked for, each hashed anew. Parsing hashes them
// together, so a name of a hundred labels costs no more than it must.
const directLabels = 6

// deny writes a negative reply: the zone's SOA, which is at the end of the name.
func (s *sight) deny(msg []byte, z *Zone, flags uint16) []byte {
	return s.write(msg, z, flags, 1<<16, wire.HeaderLen+int(s.name)-len(z.Apex), z.soa)
}

// write makes the packet a reply with one record, of which count is the header's and owner
// where its owner's name stands; nil where there is no room for it, or proofs are wanted.
func (s *sight) write(msg []byte, z *Zone, flags uint16, count uint64, owner int, rr []byte) []byte {
	question := wire.HeaderLen + int(s.name) + behindName
	end, do := question+2+len(rr), false
	if s.edns {
		end += optSize
		if do = msg[question+7]&0x80 != 0; do && z.denial != nil {
			return nil
		}
		count++
	}
	if end > cap(msg) || end > wire.MinUDP {
		return nil
	}
	m := msg[:end]
	asked := binary.BigEndian.Uint16(m[2:])
	binary.BigEndian.PutUint16(m[2:], wire.FlagQR|flags|asked&(wire.FlagRD|wire.FlagCD))
	binary.BigEndian.PutUint64(m[4:], oneQuestion|count)
	binary.BigEndian.PutUint16(m[question:], 0xc000|uint16(owner))
	if rest := m[question+2:]; len(rr) == addressSize {
		binary.LittleEndian.PutUint64(rest, binary.LittleEndian.Uint64(rr))
		binary.LittleEndian.PutUint64(rest[addressSize-8:], binary.LittleEndian.Uint64(rr[addressSize-8:]))
	} else {
		copy(rest, rr)
	}
	if s.edns {
		wire.PutOPT(m[end-optSize:], do)
	}
	return m
}
