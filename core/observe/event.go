package observe

import (
	"encoding/binary"
	"net/netip"
)

// An Event is one query and what became of it.
type Event struct {
	Time   int64 // when the query came: Unix time, ns
	Took   int64 // ns until the reply was ready; 0 where it was not waited for
	Client netip.AddrPort
	Tap    uint16 // whose it is
	Source uint16 // where the answer came from: index of Options.Sources
	Type   uint16
	Flags  uint16 // the query header's second word
	Rcode  uint8
	Size   uint32 // octets of the reply; 0: there was none
	DO     bool
	Stream bool // over TCP
	Late   bool // the query itself was an event before

	Name         []byte // folded
	Query, Reply []byte // messages, where wanted
}

// What an event takes in a ring before its name and messages.
const eventHeader = 60

// Bits of an event's marks.
const (
	markDO = 1 << iota
	markStream
	markLate
	markIPv4
)

func (e *Event) size() int { return eventHeader + len(e.Name) + len(e.Query) + len(e.Reply) }

// put writes the event to b, which is as long as size says.
func (e *Event) put(b []byte) {
	addr := e.Client.Addr()
	marks := mark(e.DO, markDO) | mark(e.Stream, markStream) | mark(e.Late, markLate) | mark(addr.Is4(), markIPv4)
	le := binary.LittleEndian
	le.PutUint64(b, uint64(e.Time))
	le.PutUint64(b[8:], uint64(e.Took))
	octets := addr.As16()
	copy(b[16:32], octets[:])
	le.PutUint16(b[32:], e.Client.Port())
	le.PutUint16(b[34:], e.Tap)
	le.PutUint16(b[36:], e.Source)
	le.PutUint16(b[38:], e.Type)
	le.PutUint16(b[40:], e.Flags)
	b[42], b[43] = e.Rcode, marks
	le.PutUint32(b[44:], e.Size)
	le.PutUint32(b[48:], uint32(len(e.Name)))
	le.PutUint32(b[52:], uint32(len(e.Query)))
	le.PutUint32(b[56:], uint32(len(e.Reply)))
	b = b[eventHeader:]
	b = b[copy(b, e.Name):]
	b = b[copy(b, e.Query):]
	copy(b, e.Reply)
}

func mark(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// get reads what put wrote. Names and messages are b's own.
func (e *Event) get(b []byte) {
	le := binary.LittleEndian
	marks := b[43]
	addr := netip.AddrFrom16([16]byte(b[16:32]))
	if marks&markIPv4 != 0 {
		addr = addr.Unmap()
	}
	name, query, reply := int(le.Uint32(b[48:])), int(le.Uint32(b[52:])), int(le.Uint32(b[56:]))
	rest := b[eventHeader:]
	*e = Event{
		Time: int64(le.Uint64(b)), Took: int64(le.Uint64(b[8:])),
		Client: netip.AddrPortFrom(addr, le.Uint16(b[32:])),
		Tap:    le.Uint16(b[34:]), Source: le.Uint16(b[36:]), Type: le.Uint16(b[38:]), Flags: le.Uint16(b[40:]),
		Rcode: b[42], Size: le.Uint32(b[44:]),
		DO: marks&markDO != 0, Stream: marks&markStream != 0, Late: marks&markLate != 0,
		Name: rest[:name:name], Query: rest[name : name+query : name+query], Reply: rest[name+query : name+query+reply],
	}
}
