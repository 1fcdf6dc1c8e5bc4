package frame

import (
	"encoding/binary"
	"net/netip"
)

// ipv4 decodes a packet (RFC 791 §3.1).
func (h *Host) ipv4(b []byte, f *Frame) Verdict {
	ip := b[f.network:]
	if len(ip) < ipv4Size || ip[0]>>4 != 4 {
		return Short
	}
	header, length := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if header < ipv4Size || length < header || length > len(ip) {
		return Short
	}
	if !h.has4([4]byte(ip[16:])) {
		return Foreign
	}
	if f.good&GoodIP == 0 && !whole(sum(ip[:header], 0)) {
		return Checksum
	}
	switch {
	case !h.client4([4]byte(ip[12:])):
		return Source
	case binary.BigEndian.Uint16(ip[6:])&0x3fff != 0: // more fragments, or an offset
		return Fragment
	case header != ipv4Size: // RFC 7126: nothing that a query needs
		return Options
	}
	f.Payload, f.End = f.network+ipv4Size, f.network+length
	switch ip[9] {
	case protocolUDP:
		f.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:])), 0)
		return h.udp(b, f, ip[12:20])
	case protocolICMP:
		return echo4(b, f)
	}
	return Other
}

// turn4 makes the header of a reply of that many octets out of a query's, all but the
// checksum. It is an
// atomic datagram: not to be fragmented (RFC 9715 §3.1), and so without an
// identification (RFC 6864 §4.1).
func turn4(ip []byte, protocol uint8, length int) {
	source := [4]byte(ip[16:])
	copy(ip[16:20], ip[12:16])
	copy(ip[12:16], source[:])
	ip[0], ip[1] = 0x45, 0
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Size+length))
	binary.BigEndian.PutUint32(ip[4:], 0x4000) // identification 0, don't fragment
	ip[8], ip[9] = hops, protocol
	ip[10], ip[11] = 0, 0
}

// sum4 writes its checksum.
func sum4(ip []byte) {
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip[:ipv4Size], 0)))
}

// hops is the TTL and hop limit of replies (RFC 1700).
const hops = 64
