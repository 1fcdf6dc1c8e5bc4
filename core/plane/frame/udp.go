package frame

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// udp decodes a datagram (RFC 768) between the given addresses, source and
// destination. f.Payload is where it begins.
func (h *Host) udp(b []byte, f *Frame, addresses []byte) Verdict {
	d := b[f.Payload:f.End]
	if len(d) < udpSize {
		return Short
	}
	length := int(binary.BigEndian.Uint16(d[4:]))
	if length < udpSize || length > len(d) {
		return Short
	}
	d = d[:length]
	if binary.BigEndian.Uint16(d[2:]) != h.port {
		return Other
	}
	if !h.intact(d, addresses, f.good) {
		return Checksum
	}
	port := binary.BigEndian.Uint16(d)
	if port == 0 {
		return Source
	}
	f.Client = netip.AddrPortFrom(f.Client.Addr(), port)
	if len(addresses) == 2*16 {
		f.closeUp(b)
	}
	f.Payload += udpSize
	f.End = f.Payload + length - udpSize
	return Query
}

// intact verifies the checksum, which only IPv4 may go without (RFC 8200 §8.1).
func (h *Host) intact(d, addresses []byte, good Sums) bool {
	own := binary.BigEndian.Uint16(d[6:])
	if own == 0 {
		return len(addresses) == 2*4
	}
	if good&GoodL4 != 0 {
		return true
	}
	header := pseudo(addresses, protocolUDP, len(d))
	return whole(sum(d, header)) || h.Partial && own == fold(header)
}

// turnUDP makes the header of a reply out of a query's; d is the whole datagram. The
// checksum is left out.
func turnUDP(d []byte) {
	binary.BigEndian.PutUint32(d, bits.RotateLeft32(binary.BigEndian.Uint32(d), 16))
	binary.BigEndian.PutUint32(d[4:], uint32(len(d))<<16)
}

// sumUDP writes the checksum of a datagram that has none. It reads the header, which has just been
// written, in the widths that turnUDP writes.
func sumUDP(d, addresses []byte) {
	header := uint64(binary.BigEndian.Uint32(d)) + uint64(binary.BigEndian.Uint32(d[4:]))
	s := ^fold(sum(d[udpSize:], header+pseudo(addresses, protocolUDP, len(d))))
	if s == 0 {
		s = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint16(d[6:], s)
}

// beginUDP writes what a port that sums datagrams begins with: the sum of the
// pseudo-header.
func beginUDP(d, addresses []byte) {
	binary.BigEndian.PutUint16(d[6:], fold(pseudo(addresses, protocolUDP, len(d))))
}
