package frame

import "encoding/binary"

const arpSize = 28

// arpRequest is how a request for an IPv4 address over Ethernet begins (RFC 826).
const arpRequest = 0x0001_0800_0604_0001

// arp answers who asks for an address of the host, probes before use included
// (RFC 5227 §2.1.1: their sender has no address yet).
func (h *Host) arp(b []byte, f *Frame) Verdict {
	if len(b) < f.network+arpSize {
		return Short
	}
	a := b[f.network : f.network+arpSize]
	if binary.BigEndian.Uint64(a) != arpRequest {
		return Other
	}
	if !h.has4([4]byte(a[24:])) {
		return Foreign
	}
	sender := [4]byte(a[14:])
	if a[8]&1 != 0 || [6]byte(a[8:]) == h.mac || sender != [4]byte{} && !h.client4(sender) {
		return Source
	}
	target := [4]byte(a[24:])
	a[7] = 2 // reply
	copy(a[18:28], a[8:18])
	copy(a[8:14], h.mac[:])
	copy(a[14:18], target[:])
	copy(b, a[18:24])
	copy(b[6:], h.mac[:])
	f.End = f.network + arpSize
	return Turned
}
