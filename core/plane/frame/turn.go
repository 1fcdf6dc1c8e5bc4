package frame

import (
	"encoding/binary"

	"github.com/strata-dns/strata/core/plane"
)

// Turn makes the frame of a Query into that of its reply: length octets that stand at
// Payload already. It is sent from Start to the returned end.
func (f *Frame) Turn(b []byte, length int) (end int) {
	end = f.Payload + length
	turn(b[f.Start:end], f.network, f.Payload-f.Start)
	return end
}

// TurnUnsummed is Turn for a port that writes checksums itself: that of IPv4 is 0, that
// of UDP the sum of the pseudo-header, as devices want it. The frame's first l2 octets
// are those of the Ethernet header and its tags, the next l3 those of the IP header.
func (f *Frame) TurnUnsummed(b []byte, length int) (end, l2, l3 int) {
	end = f.Payload + length
	ip, addresses, datagram := turnHeaders(b[f.Start:end], f.network, f.Payload-f.Start)
	beginUDP(datagram, addresses)
	return end, f.network, len(ip)
}

// turn turns the headers round: b is a frame whose datagram's payload stands at
// payload.
func turn(b []byte, network, payload int) {
	if payload == plainSize { // no other is so short
		turnPlain(b)
		return
	}
	ip, addresses, datagram := turnHeaders(b, network, payload)
	if len(ip) == ipv4Size {
		sum4(ip)
	}
	sumUDP(datagram, addresses)
}

// turnHeaders turns all but the checksums.
func turnHeaders(b []byte, network, payload int) (ip, addresses, datagram []byte) {
	turnEthernet(b)
	ip, datagram = b[network:payload-udpSize], b[payload-udpSize:]
	if ip[0]>>4 == 4 {
		turn4(ip, protocolUDP, len(datagram))
		addresses = ip[12:20]
	} else {
		turn6(ip, protocolUDP, len(datagram))
		addresses = ip[8:40]
	}
	turnUDP(datagram)
	return ip, addresses, datagram
}

// turnEthernet leaves tags as they are.
func turnEthernet(b []byte) {
	b = b[:12]
	to, from := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]) // two octets of the sender's stand in the first
	binary.BigEndian.PutUint64(b, to<<48|uint64(from)<<16|to>>48)
	binary.BigEndian.PutUint32(b[8:], uint32(to>>16))
}

// WaySize is how many octets of a way back Save uses, from the first on.
const WaySize = 2 + headersSize

var _ [plane.ReturnSize - WaySize]byte // it fits

// Save keeps the way back of a Query: its headers.
func (f *Frame) Save(b []byte, to *plane.Return) {
	to[0], to[1] = byte(f.network), byte(f.Payload-f.Start)
	if f.Payload-f.Start == plainSize {
		*(*[plainSize]byte)(to[2:]) = [plainSize]byte(b[f.Start:])
		return
	}
	copy(to[2:], b[f.Start:f.Payload])
}

// Restore writes a late reply's whole frame into b and returns its length; 0 where
// b has no room for it, or the way back is none that Save kept.
func Restore(from *plane.Return, reply, b []byte) int {
	network, payload := int(from[0]), int(from[1])
	if !sound(network, payload, from[2:]) || payload+len(reply) > len(b) {
		return 0
	}
	copy(b, from[2:2+payload])
	n := payload + copy(b[payload:], reply)
	turn(b[:n], network, payload)
	return n
}

// sound tells whether the lengths are those of headers.
func sound(network, payload int, headers []byte) bool {
	if network < ethernetSize || network > ethernetSize+2*4 {
		return false
	}
	switch headers[network] >> 4 {
	case 4:
		return payload == network+ipv4Size+udpSize
	case 6:
		return payload == network+ipv6Size+udpSize
	}
	return false
}
