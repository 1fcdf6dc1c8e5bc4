package wire

import "encoding/binary"

// Section of a message that records belong to.
type Section uint8

const (
	Answer Section = iota
	Authority
	Additional
)

// A Reply is written behind the question of the query it answers, in the
// query's own array. Records go in by section order; Finish writes the header
// and the OPT record. The zero Reply is ready for Begin; it needs no allocation.
type Reply struct {
	msg    []byte
	n      int // octets written
	limit  int // octets there may be, room for the OPT record taken off
	counts [3]uint16
	flags  uint16
	rcode  int
	edns   bool
	do     bool
	ede    uint16
	text   string
	extras *Extras // the query's
}

// A Mark is a place in a reply to go back to.
type Mark struct {
	n      int
	counts [3]uint16
}

// ServerUDPSize is the payload size that replies advertise (RFC 6891 §6.2.4).
const ServerUDPSize = DefaultUDP

// Begin starts the reply to q in data, the packet that brought q. limit is what
// q.Limit gave; the array's capacity limits it too. The asker's ID, its opcode,
// RD, CD, and the question in its own case are kept. q's Extras are read by Finish.
func (r *Reply) Begin(data []byte, q *Query, limit int) {
	r.msg = data[:cap(data)]
	r.n = q.End
	r.limit = min(limit, cap(data))
	r.counts = [3]uint16{}
	r.flags = FlagQR | q.Flags&(opcodeMask|FlagRD|FlagCD)
	r.rcode = RcodeSuccess
	r.edns, r.do, r.ede, r.text = q.EDNS, q.DO, EDENone, ""
	r.extras = &q.Extras
	if r.edns {
		r.limit -= optFixed + q.Extras.room()
	}
}

// SetFlags sets header bits: FlagAA, FlagTC, FlagRA, FlagAD.
func (r *Reply) SetFlags(flags uint16) { r.flags |= flags }

// SetRcode sets the response code. Codes above 15 show only in a reply with EDNS.
func (r *Reply) SetRcode(rcode int) { r.rcode = rcode }

// Rcode is the response code set so far.
func (r *Reply) Rcode() int { return r.rcode }

// SetEDE adds an extended error to a reply with EDNS (RFC 8914), if there is
// room. The text is at most 100 octets.
func (r *Reply) SetEDE(code uint16, text string) {
	if !r.edns || r.ede != EDENone {
		return
	}
	if need := 6 + len(text); r.n+need <= r.limit {
		r.limit -= need
		r.ede, r.text = code, text
	}
}

// Len is how many octets are written: the offset of the next record.
func (r *Reply) Len() int { return r.n }

// Count is how many records a section has.
func (r *Reply) Count(s Section) int { return int(r.counts[s]) }

// Written is what was written between two offsets.
func (r *Reply) Written(from, to int) []byte { return r.msg[from:to] }

// Mark and Rollback undo what was put since.
func (r *Reply) Mark() Mark { return Mark{r.n, r.counts} }

// Rollback returns to a mark.
func (r *Reply) Rollback(m Mark) { r.n, r.counts = m.n, m.counts }

// Put adds one record: owner is the offset in this message where its owner name
// stands in full, rr what follows the owner: type, class, TTL, length, data.
// It reports false, and adds nothing, where there is no room.
func (r *Reply) Put(s Section, owner int, rr []byte) bool {
	if owner > 0x3fff { // a pointer has 14 bits (RFC 1035 §4.1.4)
		return r.putFar(s, owner, rr)
	}
	end := r.n + 2 + len(rr)
	if end > r.limit {
		return false
	}
	b := r.msg[r.n:end]
	b[0], b[1] = 0xc0|byte(owner>>8), byte(owner)
	copy(b[2:], rr)
	r.n = end
	r.counts[s]++
	return true
}

func (r *Reply) putFar(s Section, owner int, rr []byte) bool {
	var name [MaxName]byte
	n, _, ok := ReadName(r.msg[:r.n], owner, &name)
	if !ok || r.n+n+len(rr) > r.limit {
		return false
	}
	r.n += copy(r.msg[r.n:], name[:n])
	r.n += copy(r.msg[r.n:], rr)
	r.counts[s]++
	return true
}

// PutUnder is Put for an owner that stands nowhere yet: it is these labels, and then
// the name that stands at an offset. It is written where the record begins.
func (r *Reply) PutUnder(s Section, labels []byte, suffix int, rr []byte) bool {
	var name [2 * MaxName]byte
	n := copy(name[:MaxName], labels)
	if suffix <= 0x3fff {
		binary.BigEndian.PutUint16(name[n:], 0xc000|uint16(suffix))
		n += 2
	} else {
		var rest [MaxName]byte
		size, _, ok := ReadName(r.msg[:r.n], suffix, &rest)
		if !ok {
			return false
		}
		n += copy(name[n:], rest[:size])
	}
	if r.n+n+len(rr) > r.limit {
		return false
	}
	r.n += copy(r.msg[r.n:], name[:n])
	r.n += copy(r.msg[r.n:], rr)
	r.counts[s]++
	return true
}

// PutRR is Put with the record's parts.
func (r *Reply) PutRR(s Section, owner int, typ, class uint16, ttl uint32, data []byte) bool {
	end := r.n + 12 + len(data)
	if owner > 0x3fff || end > r.limit {
		return false
	}
	b := r.msg[r.n:end]
	binary.BigEndian.PutUint16(b, 0xc000|uint16(owner))
	binary.BigEndian.PutUint16(b[2:], typ)
	binary.BigEndian.PutUint16(b[4:], class)
	binary.BigEndian.PutUint32(b[6:], ttl)
	binary.BigEndian.PutUint16(b[10:], uint16(len(data)))
	copy(b[12:], data)
	r.n = end
	r.counts[s]++
	return true
}

// PutBody copies the records of a finished message, all that stands behind its
// question, which must be as long as this one's so that its compression
// pointers hold. counts are that message's.
func (r *Reply) PutBody(body []byte, counts [3]uint16) bool {
	end := r.n + len(body)
	if end > r.limit {
		return false
	}
	copy(r.msg[r.n:end], body)
	r.n = end
	r.counts = counts
	return true
}

// Truncate empties the reply behind its question and sets TC (RFC 2181 §9): the
// asker comes again over TCP.
func (r *Reply) Truncate(q *Query) {
	r.n, r.counts = q.End, [3]uint16{}
	r.flags |= FlagTC
}

// Finish writes header and OPT record and returns the whole reply.
func (r *Reply) Finish() []byte {
	questions := byte(1)
	if r.n == HeaderLen {
		questions = 0
	}
	if r.edns {
		r.putOPT()
	}
	m := r.msg[:r.n]
	binary.BigEndian.PutUint16(m[2:], r.flags|uint16(r.rcode)&rcodeMask)
	m[4], m[5] = 0, questions
	binary.BigEndian.PutUint16(m[6:], r.counts[Answer])
	binary.BigEndian.PutUint16(m[8:], r.counts[Authority])
	binary.BigEndian.PutUint16(m[10:], r.counts[Additional])
	return m
}

// putOPT writes the OPT record that was reserved room for (RFC 6891 §6.1.2).
func (r *Reply) putOPT() {
	b := r.msg[r.n : r.n+optFixed]
	b[0] = 0
	binary.BigEndian.PutUint16(b[1:], TypeOPT)
	binary.BigEndian.PutUint16(b[3:], ServerUDPSize)
	b[5], b[6], b[7], b[8], b[9], b[10] = byte(r.rcode>>4), 0, 0, 0, 0, 0
	if r.do {
		b[7] = byte(ednsDO >> 8)
	}
	r.n += optFixed
	r.counts[Additional]++
	options := r.n
	if r.ede != EDENone {
		n := 6 + len(r.text)
		o := r.msg[r.n : r.n+n]
		binary.BigEndian.PutUint16(o, optionEDE)
		binary.BigEndian.PutUint16(o[2:], uint16(2+len(r.text)))
		binary.BigEndian.PutUint16(o[4:], r.ede)
		copy(o[6:], r.text)
		r.n += n
	}
	if r.extras.HasCookie() || r.extras.pad {
		r.n = r.extras.put(r.msg[:min(len(r.msg), MaxMessage)], r.n)
	}
	binary.BigEndian.PutUint16(b[9:], uint16(r.n-options))
}

// PutOPT writes an OPT record of a reply without options, 11 octets.
func PutOPT(b []byte, do bool) {
	b = b[:optFixed]
	binary.BigEndian.PutUint64(b, uint64(TypeOPT)<<40|uint64(ServerUDPSize)<<24)
	binary.BigEndian.PutUint32(b[optFixed-4:], 0)
	if do {
		b[7] = byte(ednsDO >> 8)
	}
}

// Error answers a query with nothing but a response code. The result is empty
// where the outcome is Silence.
func (q *Query) Error(data []byte, o Outcome) []byte {
	if o == Silence {
		return data[:0]
	}
	var r Reply
	r.Begin(data, q, MinUDP)
	r.SetRcode(o.Rcode())
	return r.Finish()
}
