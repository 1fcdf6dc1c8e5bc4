package frame

import (
	"encoding/binary"
	"net/netip"
)

// ipv6 decodes a packet (RFC 8200 §3). What came to an Ethernet group can be nothing
// but a solicitation.
func (h *Host) ipv6(b []byte, f *Frame, own bool) Verdict {
	ip := b[f.network:]
	if len(ip) < ipv6Size || ip[0]>>4 != 6 {
		return Short
	}
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if length > len(ip)-ipv6Size {
		return Short
	}
	to := [16]byte(ip[24:])
	if to[0] == 0xff || !own {
		return h.solicited(b, f, length)
	}
	if !h.has6(to) {
		return Foreign
	}
	if from := [16]byte(ip[8:]); !h.client6(from) {
		return Source
	}
	f.Payload, f.End = f.network+ipv6Size, f.network+ipv6Size+length
	protocol, verdict := f.extensions(b, ip[6])
	if verdict != Query {
		return verdict
	}
	switch protocol {
	case protocolUDP:
		f.Client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(ip[8:])), 0)
		return h.udp(b, f, ip[8:40])
	case protocolICMPv6:
		return h.icmp6(b, f)
	}
	return Other
}

// Extension headers (RFC 8200 §4).
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destination = 60
)

// maxExtensions is how many octets of hop-by-hop and destination options are stepped
// over. The limit of RFC 8504 §5.3 for each would be eight options; queries have none.
const maxExtensions = 64

// extensions steps over options that may be ignored, one header of each kind, and
// moves Payload behind them.
func (f *Frame) extensions(b []byte, next uint8) (protocol uint8, v Verdict) {
	begin, last := f.Payload, uint8(0xff)
	for {
		switch next {
		case fragment:
			return next, Fragment // atomic ones, too: nobody needs them (RFC 8021)
		case routing:
			return next, Options
		case hopByHop, destination:
			if next == last || next == hopByHop && f.Payload != begin {
				return next, Options
			}
		default:
			return next, Query
		}
		if f.End-f.Payload < 8 {
			return next, Short
		}
		size := 8 * (1 + int(b[f.Payload+1]))
		if f.Payload+size > f.End {
			return next, Short
		}
		if f.Payload+size-begin > maxExtensions || !ignorable(b[f.Payload+2:f.Payload+size]) {
			return next, Options
		}
		next, last = b[f.Payload], next
		f.Payload += size
	}
}

// ignorable tells whether all options are of the kind that who does not know them
// steps over (RFC 8200 §4.2).
func ignorable(options []byte) bool {
	for len(options) > 0 {
		if options[0] == 0 { // Pad1
			options = options[1:]
			continue
		}
		if options[0]&0xc0 != 0 || len(options) < 2 || len(options) < 2+int(options[1]) {
			return false
		}
		options = options[2+int(options[1]):]
	}
	return true
}

// closeUp moves the headers in front of the payload, over extension headers, which
// replies go without.
func (f *Frame) closeUp(b []byte) {
	if f.Start = f.Payload - f.network - ipv6Size; f.Start > 0 {
		copy(b[f.Start:], b[:f.network+ipv6Size])
	}
}

// turn6 makes the header of a reply of that many octets out of a query's.
func turn6(ip []byte, protocol uint8, length int) {
	source := [16]byte(ip[24:])
	copy(ip[24:40], ip[8:24])
	copy(ip[8:24], source[:])
	binary.BigEndian.PutUint32(ip, 6<<28)
	binary.BigEndian.PutUint16(ip[4:], uint16(length))
	ip[6], ip[7] = protocol, hops
}
