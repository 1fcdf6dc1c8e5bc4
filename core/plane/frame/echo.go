package frame

import "encoding/binary"

// echo4 answers an echo request (RFC 792, RFC 1122 §3.2.2.6) with what it carries.
func echo4(b []byte, f *Frame) Verdict {
	icmp := b[f.Payload:f.End]
	if len(icmp) < 8 {
		return Short
	}
	if icmp[0] != 8 || icmp[1] != 0 {
		return Other
	}
	if !whole(sum(icmp, 0)) {
		return Checksum
	}
	turnEthernet(b)
	turn4(b[f.network:], protocolICMP, len(icmp))
	sum4(b[f.network:])
	icmp[0] = 0
	putChecksum(icmp, 0)
	return Turned
}

// ICMPv6 types (RFC 4443 §4, RFC 4861 §4).
const (
	echoRequest   = 128
	echoReply     = 129
	solicitation  = 135
	advertisement = 136
)

// icmp6 answers echo requests, and solicitations that ask whether the host is still
// there.
func (h *Host) icmp6(b []byte, f *Frame) Verdict {
	icmp := b[f.Payload:f.End]
	if len(icmp) < 8 {
		return Short
	}
	if icmp[0] == solicitation && f.Payload == f.network+ipv6Size {
		return h.solicited(b, f, len(icmp))
	}
	if icmp[0] != echoRequest || icmp[1] != 0 {
		return Other
	}
	ip := b[f.network:]
	if !whole(sum(icmp, pseudo(ip[8:40], protocolICMPv6, len(icmp)))) {
		return Checksum
	}
	f.closeUp(b)
	turnEthernet(b[f.Start:])
	ip = b[f.Start+f.network:]
	turn6(ip, protocolICMPv6, len(icmp))
	icmp[0] = echoReply
	putChecksum(icmp, pseudo(ip[8:40], protocolICMPv6, len(icmp)))
	return Turned
}

// putChecksum writes the checksum of a message into it; s is what is summed beside.
func putChecksum(icmp []byte, s uint64) {
	icmp[2], icmp[3] = 0, 0
	binary.BigEndian.PutUint16(icmp[2:], ^fold(sum(icmp, s)))
}
