package frame

import (
	"encoding/binary"
	"math/bits"
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
	ip = ip[:ipv4Size]
	addresses := binary.BigEndian.Uint64(ip[12:])
	binary.BigEndian.PutUint64(ip[12:], bits.RotateLeft64(addresses, 32))
	binary.BigEndian.PutUint64(ip, first4(uint64(length)))
	binary.BigEndian.PutUint32(ip[8:], second4(protocol))
}

// first4 is the first word of a reply's header: no type of service, identification 0, don't
// fragment.
func first4(length uint64) uint64 { return 0x4500<<48 | (ipv4Size+length)<<32 | 0x4000 }

// second4 is what stands behind it, before the addresses; the checksum is 0.
func second4(protocol uint8) uint32 { return hops<<24 | uint32(protocol)<<16 }

// sum4 writes its checksum. It reads what turn4 has just written in the same widths: in
// others the processor would have to wait until that is in its cache.
func sum4(ip []byte) {
	ip = ip[:ipv4Size]
	first, addresses := binary.BigEndian.Uint64(ip), binary.BigEndian.Uint64(ip[12:])
	s := halves(first) + uint64(binary.BigEndian.Uint32(ip[8:])) + halves(addresses)
	binary.BigEndian.PutUint16(ip[10:], ^fold(s))
}

// hops is the TTL and hop limit of replies (RFC 1700).
const hops = 64
