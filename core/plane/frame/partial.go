package frame

import "encoding/binary"

const protocolTCP = 6

// Complete writes the checksum of a TCP segment or a UDP datagram whose sender, a kernel on
// this machine, has left it to a device that is not there (see [Host.Partial]): what
// stands in its place is the sum of the pseudo-header. Any other frame stays as it is.
func Complete(b []byte) {
	if len(b) < ethernetSize {
		return
	}
	kind, at := etherType(b)
	var carried, addresses []byte
	var protocol uint8
	switch kind {
	case typeIPv4:
		carried, addresses, protocol = carried4(b[at:])
	case typeIPv6:
		carried, addresses, protocol = carried6(b[at:])
	}
	place := 16 // RFC 9293 §3.1
	switch protocol {
	case protocolTCP:
	case protocolUDP:
		place = 6
	default:
		return
	}
	if len(carried) < place+2 {
		return
	}
	header := pseudo(addresses, protocol, len(carried))
	if binary.BigEndian.Uint16(carried[place:]) != fold(header) {
		return
	}
	carried[place], carried[place+1] = 0, 0
	s := ^fold(sum(carried, header))
	if s == 0 && protocol == protocolUDP {
		s = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint16(carried[place:], s)
}

// carried4 is what an IPv4 packet carries whole; nothing of a fragment.
func carried4(ip []byte) (carried, addresses []byte, protocol uint8) {
	if len(ip) < ipv4Size || ip[0]>>4 != 4 || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return nil, nil, 0
	}
	header, length := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if header < ipv4Size || length < header || length > len(ip) {
		return nil, nil, 0
	}
	return ip[header:length], ip[12:20], ip[9]
}

// carried6 is what an IPv6 packet without extension headers carries.
func carried6(ip []byte) (carried, addresses []byte, protocol uint8) {
	if len(ip) < ipv6Size || ip[0]>>4 != 6 {
		return nil, nil, 0
	}
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if length > len(ip)-ipv6Size {
		return nil, nil, 0
	}
	return ip[ipv6Size : ipv6Size+length], ip[8:40], ip[6]
}
