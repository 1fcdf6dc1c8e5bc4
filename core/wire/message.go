package wire

import "encoding/binary"

// A Record is where one resource record of a message stands.
type Record struct {
	Section Section
	Name    int // offset of the owner name, which may be compressed
	Type    uint16
	Class   uint16
	TTL     uint32
	TTLAt   int // offset of the TTL
	Data    int // offset of the data
	End     int // offset behind the data
}

// A Reader walks the records of a message, section by section. It looks at
// lengths only: names within owner and data are read by ReadName where wanted.
type Reader struct {
	msg     []byte
	off     int
	left    [3]int
	section Section
	bad     bool
}

// NewReader begins behind the question, of which there must be exactly one. It
// reports false where header or question are not whole.
func NewReader(msg []byte) (Reader, bool) {
	end := QuestionEnd(msg)
	if end < 0 {
		return Reader{}, false
	}
	return Reader{msg: msg, off: end, left: [3]int{
		int(binary.BigEndian.Uint16(msg[6:])),
		int(binary.BigEndian.Uint16(msg[8:])),
		int(binary.BigEndian.Uint16(msg[10:])),
	}}, true
}

// QuestionEnd is the offset behind the one question of a message, -1 where there
// is none, more than one, or it is not whole or is compressed.
func QuestionEnd(msg []byte) int {
	if len(msg) < HeaderLen || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return -1
	}
	n := NameLen(msg[HeaderLen:])
	if n == 0 || HeaderLen+n+4 > len(msg) {
		return -1
	}
	return HeaderLen + n + 4
}

// Next reads the next record. It reports false behind the last one and at the
// first that is not whole; Bad tells the two apart.
func (r *Reader) Next(rec *Record) bool {
	for r.left[r.section] == 0 {
		if r.section == Additional {
			return false
		}
		r.section++
	}
	name := r.off
	off := skipOwner(r.msg, name)
	if off < 0 || off+10 > len(r.msg) {
		r.bad = true
		return false
	}
	data := off + 10
	end := data + int(binary.BigEndian.Uint16(r.msg[off+8:]))
	if end > len(r.msg) {
		r.bad = true
		return false
	}
	*rec = Record{
		Section: r.section, Name: name,
		Type:  binary.BigEndian.Uint16(r.msg[off:]),
		Class: binary.BigEndian.Uint16(r.msg[off+2:]),
		TTL:   binary.BigEndian.Uint32(r.msg[off+4:]), TTLAt: off + 4,
		Data: data, End: end,
	}
	r.left[r.section]--
	r.off = end
	return true
}

// Bad reports whether the message ended before its counts said so.
func (r *Reader) Bad() bool { return r.bad }

// Offset is where the reader stands: behind the last record read.
func (r *Reader) Offset() int { return r.off }

// ReadName reads the name at off of msg, following compression pointers, into
// dst, uncompressed and in the case it has. It returns the name's length and the
// offset behind it in msg. A pointer must lead backwards (RFC 1035 §4.1.4: to a
// prior occurrence), which is also what ends loops.
func ReadName(msg []byte, off int, dst *[MaxName]byte) (n, next int, ok bool) {
	low := off // pointers lead below this
	for {
		if off >= len(msg) {
			return 0, 0, false
		}
		switch l := int(msg[off]); {
		case l == 0:
			if n == MaxName {
				return 0, 0, false
			}
			dst[n] = 0
			if next == 0 {
				next = off + 1
			}
			return n + 1, next, true
		case l < 64:
			if off+1+l > len(msg) || n+1+l >= MaxName {
				return 0, 0, false
			}
			n += copy(dst[n:], msg[off:off+1+l])
			off += 1 + l
		case l >= 0xc0:
			if off+2 > len(msg) {
				return 0, 0, false
			}
			to := int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			if to >= low || to < HeaderLen {
				return 0, 0, false
			}
			if next == 0 {
				next = off + 2
			}
			off, low = to, to
		default:
			return 0, 0, false
		}
	}
}

// Header fields of a message that is at least HeaderLen octets long.
func ID(msg []byte) uint16    { return binary.BigEndian.Uint16(msg) }
func Flags(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }
func RcodeOf(msg []byte) int  { return int(msg[3] & 0xf) }

// SetID overwrites the ID.
func SetID(msg []byte, id uint16) { binary.BigEndian.PutUint16(msg, id) }

// EDNS is what an outgoing query's OPT record says. Options is in wire form.
type EDNS struct {
	UDPSize uint16
	DO      bool
	Options []byte
}

// AppendQuery appends a query for a wire-form name to dst. flags may hold
// FlagRD, FlagCD, FlagAD; edns may be nil.
func AppendQuery(dst []byte, id, flags uint16, name []byte, typ, class uint16, edns *EDNS) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = append(dst, 0, 1, 0, 0, 0, 0, 0, 0)
	if edns != nil {
		dst[len(dst)-1] = 1
	}
	dst = append(dst, name...)
	dst = binary.BigEndian.AppendUint16(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, class)
	if edns == nil {
		return dst
	}
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, TypeOPT)
	dst = binary.BigEndian.AppendUint16(dst, edns.UDPSize)
	dst = append(dst, 0, 0)
	do := uint16(0)
	if edns.DO {
		do = ednsDO
	}
	dst = binary.BigEndian.AppendUint16(dst, do)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(edns.Options)))
	return append(dst, edns.Options...)
}

// FindEDE reads the first extended error among EDNS options (RFC 8914 §2), EDENone where
// there is none.
func FindEDE(options []byte) uint16 {
	for len(options) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(options[2:]))
		if n > len(options) {
			break
		}
		if binary.BigEndian.Uint16(options) == optionEDE && n >= 6 {
			return binary.BigEndian.Uint16(options[4:])
		}
		options = options[n:]
	}
	return EDENone
}

// AppendOption appends one EDNS option to an Options list.
func AppendOption(dst []byte, code uint16, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}
