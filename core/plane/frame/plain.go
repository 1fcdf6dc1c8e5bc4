package frame

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Nearly all queries come over IPv4 and UDP with no tag and no options. Their headers are
// read and written here in whole words.

// plainSize is how long headers of that kind are.
const plainSize = ethernetSize + ipv4Size + udpSize

// plain decodes such a frame. Where it reports false, Decode looks step by step, and says why.
func (h *Host) plain(b []byte, f *Frame) bool {
	if len(b) < plainSize || cap(b) < MinRoom {
		return false
	}
	head := b[:plainSize:plainSize]
	to, from := binary.BigEndian.Uint64(head)>>16, binary.BigEndian.Uint64(head[4:])&(1<<48-1)
	if to != h.station || from == h.station || from>>40&1 != 0 || binary.BigEndian.Uint32(head[12:])>>8 != typeIPv4<<8|0x45 {
		return false
	}
	first, second, addresses := binary.BigEndian.Uint64(head[14:]), binary.BigEndian.Uint32(head[22:]), binary.BigEndian.Uint64(head[26:])
	udp := binary.BigEndian.Uint64(head[34:])
	length := int(first >> 32 & 0xffff)
	size, end := length-ipv4Size, length+ethernetSize
	if first&0x3fff != 0 || second>>16&0xff != protocolUDP || size < udpSize || end > len(b) ||
		udp>>48 == 0 || uint16(udp>>32) != h.port || int(udp>>16&0xffff) != size {
		return false
	}
	s := halves(addresses)
	if f.good&GoodIP == 0 && !whole(halves(first)+uint64(second)+s) {
		return false
	}
	if own := udp & 0xffff; own != 0 && f.good&GoodL4 == 0 && !whole(sum(b[plainSize:end], halves(udp)+protocolUDP+uint64(size)+s)) {
		return false
	}
	if !h.serves(uint32(addresses)) || !h.client(uint32(addresses>>32)) {
		return false
	}
	f.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(head[26:])), uint16(udp>>48))
	f.Payload, f.End, f.network = plainSize, end, ethernetSize
	return true
}

// turnPlain turns such a frame round. All that is summed but the payload is in registers.
func turnPlain(b []byte) {
	turnEthernet(b)
	head := b[:plainSize:plainSize]
	size := uint64(len(b) - ethernetSize - ipv4Size)
	first, second := first4(size), second4(protocolUDP)
	addresses, ports := binary.BigEndian.Uint64(head[26:]), binary.BigEndian.Uint32(head[34:])
	s := halves(addresses)
	binary.BigEndian.PutUint64(head[14:], first)
	binary.BigEndian.PutUint32(head[22:], second|uint32(^fold(halves(first)+uint64(second)+s)))
	binary.BigEndian.PutUint64(head[26:], bits.RotateLeft64(addresses, 32))
	c := ^fold(sum(b[plainSize:], s+protocolUDP+size+uint64(ports)+size))
	if c == 0 {
		c = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint64(head[34:], uint64(bits.RotateLeft32(ports, 16))<<32|size<<16|uint64(c))
}
