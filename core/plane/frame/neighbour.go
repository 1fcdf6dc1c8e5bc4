package frame

const (
	neighbourSize = 24 // of a solicitation or advertisement without options
	linkLayerSize = 8  // of the option with an Ethernet address
)

// Options of neighbour discovery (RFC 4861 §4.6.1).
const (
	sourceLinkLayer = 1
	targetLinkLayer = 2
)

// solicitedNodes is how the group of all addresses with the same last 24 bits
// begins (RFC 4291 §2.7.1).
var solicitedNodes = [13]byte{0xff, 0x02, 11: 0x01, 12: 0xff}

// allNodes is everybody on the link (RFC 4291 §2.7.1, RFC 2464 §7).
var (
	allNodes     = [16]byte{0: 0xff, 1: 0x02, 15: 0x01}
	allNodesLink = [6]byte{0x33, 0x33, 5: 0x01}
)

// solicited answers a neighbour solicitation for an address of the host; length is
// that of the IPv6 payload. The checks are those of RFC 4861 §7.1.1.
func (h *Host) solicited(b []byte, f *Frame, length int) Verdict {
	ip := b[f.network : f.network+ipv6Size+length]
	icmp := ip[ipv6Size:]
	if ip[6] != protocolICMPv6 || length < neighbourSize || icmp[0] != solicitation || icmp[1] != 0 {
		return Foreign
	}
	target, to := [16]byte(icmp[8:]), [16]byte(ip[24:])
	if !h.has6(target) {
		return Foreign
	}
	group := [13]byte(to[:]) == solicitedNodes && [3]byte(to[13:]) == [3]byte(target[13:])
	if !group && to != target || !h.reached(b, target, group) {
		return Foreign
	}
	if ip[7] != 255 { // it came through a router: not from a neighbour
		return Source
	}
	if !whole(sum(icmp, pseudo(ip[8:40], protocolICMPv6, length))) {
		return Checksum
	}
	from := [16]byte(ip[8:])
	link, given, ok := linkLayer(icmp[neighbourSize:])
	switch {
	case !ok:
		return Short
	case from == [16]byte{} && group && !given:
		// Somebody wants to take the address: all are told (RFC 4862 §5.4.3).
		h.advertise(b, f, allNodesLink, allNodes, 0x20) // override
		return Turned
	case !h.client6(from) || link[0]&1 != 0:
		return Source
	case !given:
		link = [6]byte(b[6:])
	}
	h.advertise(b, f, link, from, 0x60) // solicited, override
	return Turned
}

// reached tells whether the frame's Ethernet address goes with the address asked
// for (RFC 2464 §7).
func (h *Host) reached(b []byte, target [16]byte, group bool) bool {
	if [6]byte(b) == h.mac {
		return true
	}
	return group && [6]byte(b) == [6]byte{0x33, 0x33, 0xff, target[13], target[14], target[15]}
}

// linkLayer finds the sender's Ethernet address among the options. One that is longer
// than the message, or has no length, spoils it.
func linkLayer(options []byte) (link [6]byte, given, ok bool) {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 || len(options) < 8*int(options[1]) {
			return link, given, false
		}
		if options[0] == sourceLinkLayer && options[1] == 1 {
			link, given = [6]byte(options[2:]), true
		}
		options = options[8*int(options[1]):]
	}
	return link, given, true
}

// advertise writes the advertisement of the address asked for over the
// solicitation.
func (h *Host) advertise(b []byte, f *Frame, link [6]byte, to [16]byte, flags byte) {
	const length = neighbourSize + linkLayerSize
	f.Start, f.End = 0, f.network+ipv6Size+length
	b = b[:f.End]
	copy(b, link[:])
	copy(b[6:], h.mac[:])
	ip := b[f.network:]
	icmp := ip[ipv6Size:]
	copy(ip[24:40], icmp[8:24]) // turn6 makes it the source
	copy(ip[8:24], to[:])
	turn6(ip, protocolICMPv6, length)
	ip[7] = 255
	icmp[0], icmp[1] = advertisement, 0
	icmp[4], icmp[5], icmp[6], icmp[7] = flags, 0, 0, 0
	icmp[24], icmp[25] = targetLinkLayer, 1
	copy(icmp[26:32], h.mac[:])
	putChecksum(icmp, pseudo(ip[8:40], protocolICMPv6, length))
}
