package frame

import (
	"encoding/binary"
	"net/netip"
)

// MinRoom is the least capacity of a buffer, octets: an advertisement may be
// longer than its solicitation.
const MinRoom = 128

// A Frame is what Decode found: where things are in the buffer.
type Frame struct {
	Client  netip.AddrPort // of a Query
	Start   int            // where the frame that goes back begins
	Payload int            // where a Query's datagram begins
	End     int            // behind a Query's datagram; behind what is sent of Turned
	network int            // where the IP header begins, from Start
	good    Sums
}

// EtherTypes.
const (
	typeIPv4     = 0x0800
	typeARP      = 0x0806
	typeIPv6     = 0x86dd
	typeVLAN     = 0x8100 // IEEE 802.1Q, the customer's tag
	typeProvider = 0x88a8 // IEEE 802.1ad, the provider's, outside
)

const ethernetSize = 14

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Decode says what the frame in b is and, of a Query, where. cap(b) must be MinRoom
// at least. Turned frames are sent from Start to End; of others nothing that
// matters has changed.
func (h *Host) Decode(b []byte, f *Frame) Verdict { return h.DecodeChecked(b, f, 0) }

// DecodeChecked is Decode of a frame some of whose checksums are known to be right. All
// others are looked at.
func (h *Host) DecodeChecked(b []byte, f *Frame, good Sums) Verdict {
	*f = Frame{good: good}
	if h.plain(b, f) {
		return Query
	}
	return h.steps(b, f)
}

// steps decodes a frame header by header.
func (h *Host) steps(b []byte, f *Frame) Verdict {
	if len(b) < ethernetSize || cap(b) < MinRoom {
		return Short
	}
	kind, at := etherType(b)
	own := [6]byte(b) == h.mac
	if !own && b[0]&1 == 0 {
		return Foreign
	}
	if from := [6]byte(b[6:]); from[0]&1 != 0 || from == h.mac {
		return Source
	}
	f.network = at
	switch {
	case kind == typeIPv4 && own:
		return h.ipv4(b, f)
	case kind == typeIPv6 && (own || b[0] == 0x33 && b[1] == 0x33):
		return h.ipv6(b, f, own)
	case kind == typeARP && (own || [6]byte(b) == broadcast):
		return h.arp(b, f)
	case own:
		return Other
	}
	return Foreign
}

// etherType finds what is carried, and where it begins, behind one tag or two.
func etherType(b []byte) (kind uint16, at int) {
	kind, at = binary.BigEndian.Uint16(b[12:]), ethernetSize
	if kind == typeProvider || kind == typeVLAN {
		kind, at = behindTag(b, at)
		if kind == typeVLAN {
			kind, at = behindTag(b, at)
		}
	}
	return kind, at
}

// behindTag steps over a tag; 0 is no EtherType.
func behindTag(b []byte, at int) (kind uint16, behind int) {
	if len(b) < at+4 {
		return 0, at
	}
	return binary.BigEndian.Uint16(b[at+2:]), at + 4
}

// Protocol numbers.
const (
	protocolICMP   = 1
	protocolUDP    = 17
	protocolICMPv6 = 58
)

const (
	udpSize     = 8
	ipv4Size    = 20
	ipv6Size    = 40
	headersSize = ethernetSize + 2*4 + ipv6Size + udpSize // the longest that is kept
)
