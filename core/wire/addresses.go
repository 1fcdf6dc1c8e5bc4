package wire

import "encoding/binary"

// What stands in a reply whose records have the question for their owner.
const (
	toQuestion = 0xc000 | HeaderLen // a pointer to its name (RFC 1035 §4.1.4)
	pointedLen = 2 + 10             // octets of a record in front of its data, where its owner is a pointer
)

// PlainAddresses finds, in one look, what most replies are: an answer without an error to a
// question of a name, type and class by its very octets, that holds addresses each under a
// pointer to the question, perhaps an OPT record that says nothing (RFC 6891 §6.1.3), and not
// an octet else. The n addresses are records of size octets each, from an offset on. Of
// any other message, be it good or bad, it reports false.
func PlainAddresses(msg, name []byte, typ, class uint16) (from, size, n int, ok bool) {
	switch typ {
	case TypeA:
		size = pointedLen + 4
	case TypeAAAA:
		size = pointedLen + 16
	default:
		return 0, 0, 0, false
	}
	from = HeaderLen + len(name) + 4
	if len(msg) < from+size || !answers(msg, name, typ, class) {
		return 0, 0, 0, false
	}
	n = int(binary.BigEndian.Uint16(msg[6:]))
	to := from + n*size
	if n == 0 || to > len(msg) || !bareEnd(msg[to:], binary.BigEndian.Uint16(msg[10:])) {
		return 0, 0, 0, false
	}
	for rec := msg[from:to]; len(rec) >= size; rec = rec[size:] {
		if binary.BigEndian.Uint16(rec) != toQuestion || binary.BigEndian.Uint16(rec[2:]) != typ ||
			binary.BigEndian.Uint16(rec[4:]) != class || int(binary.BigEndian.Uint16(rec[10:])) != size-pointedLen {
			return 0, 0, 0, false
		}
	}
	return from, size, n, true
}

// answers reports whether a message that is long enough is a whole reply without an error to a
// question, by its very octets, and without records of authority.
func answers(msg, name []byte, typ, class uint16) bool {
	const opcode = 0xf << 11
	behind := msg[HeaderLen+len(name):]
	return Flags(msg)&(FlagQR|opcode|FlagTC) == FlagQR && RcodeOf(msg) == RcodeSuccess &&
		binary.BigEndian.Uint16(msg[4:]) == 1 && binary.BigEndian.Uint16(msg[8:]) == 0 &&
		string(msg[HeaderLen:HeaderLen+len(name)]) == string(name) &&
		binary.BigEndian.Uint16(behind) == typ && binary.BigEndian.Uint16(behind[2:]) == class
}

// bareEnd reports whether the end of a message is nothing, or one OPT record without options
// that adds nothing to the response code: the upper octet of its TTL is that code's.
func bareEnd(end []byte, records uint16) bool {
	switch records {
	case 0:
		return len(end) == 0
	case 1:
		return len(end) == optFixed && end[0] == 0 && binary.BigEndian.Uint16(end[1:]) == TypeOPT &&
			end[5] == 0 && end[9] == 0 && end[10] == 0
	}
	return false
}
