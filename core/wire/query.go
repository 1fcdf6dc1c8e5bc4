package wire

import "encoding/binary"

// Outcome is what becomes of a packet that was parsed as a query.
type Outcome uint8

const (
	Valid   Outcome = iota // a question to answer
	Silence                // no reply: shorter than a header, or itself a response
	FormErr                // not a message of one question with nothing behind it
	NotImp                 // an opcode other than QUERY
	Refused                // a class other than IN
	BadVers                // EDNS of a version other than 0 (RFC 6891 §6.1.3)
)

// Rcode is the response code that an Outcome is answered with.
func (o Outcome) Rcode() int {
	return [...]int{RcodeSuccess, RcodeSuccess, RcodeFormErr, RcodeNotImp, RcodeRefused, RcodeBadVers}[o]
}

// A Query is one parsed query. Its owner keeps it, usually one per place of a
// batch, and parses packet after packet into it.
type Query struct {
	ID    uint16
	Flags uint16 // the header's second word as it came
	Type  uint16
	Class uint16
	End   int // octets of header and question: where a reply's records begin; 12 where the question could not be read

	Labels int // labels of the name, the root's not counted
	nameN  int

	EDNS    bool   // the query had an OPT record
	DO      bool   // DNSSEC OK (RFC 3225)
	UDPSize uint16 // the asker's payload size, 512 without EDNS and never below
	// Options is the OPT record's data within the packet: gone once a reply's
	// first record is written.
	Options []byte
	Extras  Extras // of the reply, none after Parse

	// View is which view of the names the asker has, where there are several; 0 after
	// Parse. It is not in the packet: whoever serves sets it.
	View uint32

	// Hash[i] is the hash of the suffix that begins with label i: Hash[0] the
	// whole name, Hash[Labels] the root.
	Hash   [MaxLabels + 1]uint64
	Offset [MaxLabels + 1]uint8 // where label i begins in Name()
	name   [MaxName + hashBlock]byte
}

// Name is the folded name that was asked for. It stays valid until the next Parse.
func (q *Query) Name() []byte { return q.name[:q.nameN] }

// Suffix is the part of Name that begins with label i.
func (q *Query) Suffix(i int) []byte { return q.name[q.Offset[i]:q.nameN] }

// Opcode of the header.
func (q *Query) Opcode() int { return int(q.Flags >> 11 & 0xf) }

// Limit is how long a reply may be: for datagrams what the asker takes, at
// most that (RFC 6891 §6.2.5), for streams what the length prefix can say.
func (q *Query) Limit(stream bool, most int) int {
	if stream {
		return MaxMessage
	}
	return max(MinUDP, min(int(q.UDPSize), most))
}

// Parse reads msg. Whatever the outcome, ID, Flags, End and the EDNS fields are
// set as far as they could be read, so that the error can be answered.
func (q *Query) Parse(msg []byte) Outcome {
	q.EDNS, q.DO, q.UDPSize, q.Options, q.View = false, false, MinUDP, nil, 0
	q.Extras.size, q.Extras.pad = 0, false
	q.End, q.nameN, q.Labels = HeaderLen, 0, 0
	if len(msg) < HeaderLen || msg[2]&0x80 != 0 {
		return Silence
	}
	q.ID = binary.BigEndian.Uint16(msg)
	q.Flags = binary.BigEndian.Uint16(msg[2:])
	if q.Flags&opcodeMask != 0 {
		return NotImp
	}
	if binary.BigEndian.Uint16(msg[4:]) != 1 || binary.BigEndian.Uint16(msg[6:]) != 0 {
		q.onlyOptions(msg)
		return FormErr
	}
	if !q.question(msg) {
		return FormErr
	}
	if o := q.records(msg); o != Valid {
		return o
	}
	if q.Class != ClassIN {
		return Refused
	}
	return Valid
}

// onlyOptions reads the OPT record of a message without a question, which may ask for
// a cookie (RFC 7873 §5.4). Of one that is anything else nothing is read.
func (q *Query) onlyOptions(msg []byte) {
	if binary.BigEndian.Uint64(msg[4:]) != 1 { // the four counts
		return
	}
	q.Type = 0
	if q.records(msg) != Valid {
		q.EDNS, q.DO, q.UDPSize, q.Options = false, false, MinUDP, nil
	}
}

// OnlyCookie tells whether a message that is a FormErr asks for a cookie alone, which
// Cookies.Check has found.
func (q *Query) OnlyCookie(msg []byte) bool {
	return q.Extras.HasCookie() && binary.BigEndian.Uint16(msg[4:]) == 0
}

// question reads the question section. Names in queries are never compressed,
// so a pointer is an error and not followed.
func (q *Query) question(msg []byte) bool {
	i, n := HeaderLen, 0
	for {
		if i >= len(msg) {
			return false
		}
		l := int(msg[i])
		if l > 63 || i-HeaderLen+l+1 > MaxName {
			return false
		}
		q.Offset[n] = uint8(i - HeaderLen)
		i += 1 + l
		if l == 0 {
			break
		}
		n++
	}
	if i+4 > len(msg) {
		return false
	}
	q.Labels, q.nameN = n, i-HeaderLen
	q.Type = binary.BigEndian.Uint16(msg[i:])
	q.Class = binary.BigEndian.Uint16(msg[i+2:])
	q.End = i + 4
	q.fold(msg[HeaderLen:i])
	q.hashAll(msg[HeaderLen:i])
	return true
}

// fold takes a name over and lower-cases it, in whole words (a length octet is below 'A',
// RFC 4343), the last of which may overlap the one before.
func (q *Query) fold(name []byte) {
	n := len(name)
	if n < 8 {
		for i, c := range name {
			q.name[i] = lower(c)
		}
		return
	}
	for i := 0; i+8 < n; i += 8 {
		binary.LittleEndian.PutUint64(q.name[i:], fold8(binary.LittleEndian.Uint64(name[i:])))
	}
	binary.LittleEndian.PutUint64(q.name[n-8:], fold8(binary.LittleEndian.Uint64(name[n-8:])))
}

// SetName makes q ask for a folded name, as Parse would have from a packet; for
// following aliases. It does not touch what EDNS said.
func (q *Query) SetName(name []byte) {
	q.nameN = len(name)
	q.fold(name)
	n := 0
	for i := 0; q.name[i] != 0; i += 1 + int(q.name[i]) {
		q.Offset[n] = uint8(i)
		n++
	}
	q.Offset[n] = uint8(q.nameN - 1)
	q.Labels = n
	q.hashAll(name)
}

// records reads what stands behind the question: at most one OPT record, and
// what a signed or an incremental-transfer query brings along.
func (q *Query) records(msg []byte) Outcome {
	authority := int(binary.BigEndian.Uint16(msg[8:]))
	left := authority + int(binary.BigEndian.Uint16(msg[10:]))
	if authority != 0 && q.Type != TypeIXFR { // RFC 1995 §3
		return FormErr
	}
	off, version := q.End, byte(0)
	for ; left > 0; left-- {
		owner := off
		if off = skipOwner(msg, off); off < 0 || off+10 > len(msg) {
			return FormErr
		}
		n := int(binary.BigEndian.Uint16(msg[off+8:]))
		if off+10+n > len(msg) {
			return FormErr
		}
		if binary.BigEndian.Uint16(msg[off:]) == TypeOPT {
			if q.EDNS || off-owner != 1 || !validOptions(msg[off+10:off+10+n]) {
				return FormErr
			}
			q.EDNS = true
			q.UDPSize = binary.BigEndian.Uint16(msg[off+2:])
			if q.UDPSize < MinUDP { // RFC 6891 §6.2.3
				q.UDPSize = MinUDP
			}
			version = msg[off+5]
			q.DO = msg[off+6]&0x80 != 0
			q.Options = msg[off+10 : off+10+n]
		}
		off += 10 + n
	}
	if off != len(msg) {
		return FormErr
	}
	if version != 0 {
		return BadVers
	}
	return Valid
}

// skipOwner passes over an owner name without following a pointer in it.
func skipOwner(msg []byte, off int) int {
	for off < len(msg) {
		switch l := int(msg[off]); {
		case l == 0:
			return off + 1
		case l >= 0xc0:
			return off + 2
		case l > 63:
			return -1
		default:
			off += 1 + l
		}
	}
	return -1
}

// validOptions reports whether the options' lengths add up (RFC 6891 §6.1.2).
func validOptions(b []byte) bool {
	for len(b) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}

// Option finds an EDNS option of the query and its data; nil where there is none.
func (q *Query) Option(code uint16) []byte {
	for b := q.Options; len(b) >= 4; {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if binary.BigEndian.Uint16(b) == code {
			return b[4:n:n]
		}
		b = b[n:]
	}
	return nil
}
