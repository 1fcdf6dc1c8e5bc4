package wire

import (
	"crypto/rand"
	"encoding/binary"
)

// OptionTrail is the EDNS option that holds a question's trail: the stamps of the
// processes of ours that have asked it on, oldest first. It is one of the codes for
// local use (RFC 6891 §9); servers ignore options that they do not know (§6.1.2).
const OptionTrail uint16 = 65313

// A Stamp is drawn by a process when it starts, and tells it from all others.
type Stamp [8]byte

// LongestTrail is the octets of a trail of so many processes as no honest question
// passes through.
const LongestTrail = 16 * len(Stamp{})

// NewStamp draws one.
func NewStamp() (s Stamp) {
	rand.Read(s[:])
	return s
}

// In reports whether a question with this trail has been here before.
func (s Stamp) In(trail []byte) bool {
	for ; len(trail) >= len(s); trail = trail[len(s):] {
		if Stamp(trail) == s {
			return true
		}
	}
	return false
}

// AppendTrail appends the option with a trail, longer by s, to an Options list.
func (s Stamp) AppendTrail(options, trail []byte) []byte {
	options = binary.BigEndian.AppendUint16(options, OptionTrail)
	options = binary.BigEndian.AppendUint16(options, uint16(len(trail)+len(s)))
	return append(append(options, trail...), s[:]...)
}

// Trail is the query's trail, nil where it has none, or what is none of ours.
func (q *Query) Trail() []byte {
	t := q.Option(OptionTrail)
	if len(t) == 0 || len(t)%len(Stamp{}) != 0 {
		return nil
	}
	return t
}
