package cache

import (
	"encoding/binary"
	"math/bits"

	"github.com/strata-dns/strata/core/wire"
)

// A Question is what an entry answers and a flight asks.
type Question struct {
	Name        []byte // folded wire form
	Type, Class uint16
	DO          bool // with DNSSEC records (RFC 3225)
	CD          bool // unchecked (RFC 4035 §3.2.2)
	// View is which of several views of the names is asked ([wire.Query.View]): what
	// is known of one is never told in another.
	View uint32

	// Trail is that of the query which opened the flight ([wire.OptionTrail]). It is
	// no part of what is asked.
	Trail []byte

	// Kept is Fetch's: what it leaves here it finds again when the memory of this question is
	// another's. It is no part of what is asked, either.
	Kept any
}

// ask reads the question out of a parsed query. Name is the query's own.
func ask(q *wire.Query) Question {
	return Question{Name: q.Name(), Type: q.Type, Class: q.Class, DO: q.DO, CD: q.Flags&wire.FlagCD != 0, View: q.View, Trail: q.Trail()}
}

// is reports whether two questions are the same.
func (q *Question) is(other *Question) bool {
	return q.Type == other.Type && q.Class == other.Class && q.View == other.View && q.marks() == other.marks() &&
		string(q.Name) == string(other.Name)
}

// key is the hash the question is found by.
func (q *Question) key() uint64 {
	return keyOf(wire.HashName(q.Name), q.Type, q.Class, q.marks(), q.View)
}

// marks are the bits of the question that an entry keeps among its own.
func (q *Question) marks() marks {
	var m marks
	if q.DO {
		m |= markDO
	}
	if q.CD {
		m |= markCD
	}
	return m
}

// appendTo appends the question as it stands in a message, its marks and its view:
// no two questions give the same octets.
func (q *Question) appendTo(dst []byte) []byte {
	dst = append(dst, q.Name...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	dst = binary.BigEndian.AppendUint16(dst, q.Class)
	dst = append(dst, byte(q.marks()))
	return binary.BigEndian.AppendUint32(dst, q.View)
}

// keyOf extends a name's hash, which is keyed per process, by the rest of the question.
func keyOf(name uint64, typ, class uint16, m marks, view uint32) uint64 {
	rest := uint64(typ)<<32 | uint64(class)<<16 | uint64(m)
	hi, lo := bits.Mul64(name^rest*0x9e3779b97f4a7c15^uint64(view)*0xc2b2ae3d27d4eb4f, 0xd6e8feb86659fd93)
	return hi ^ lo
}
