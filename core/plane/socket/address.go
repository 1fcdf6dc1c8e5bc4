package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// How a datagram's way back is kept in a plane.Return: the client's address as
// the kernel wrote it (struct sockaddr_in or sockaddr_in6, which it can be handed
// back untouched), then the address that was asked.
const (
	nameSize   = unix.SizeofSockaddrInet6 // 28
	localAt    = nameSize                 // 4 or 16 octets, all zero: the kernel's choice
	localIfAt  = localAt + 16             // interface index, for link-local addresses
	returnUsed = localIfAt + 4
)

var _ [plane.ReturnSize - returnUsed]byte // it fits

// clientOf reads the address the kernel wrote. Interfaces of link-local clients
// become zones (RFC 4007 §11).
func (z *zones) clientOf(r *plane.Return) netip.AddrPort {
	port := binary.BigEndian.Uint16(r[2:])
	if family(r) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r[4:8])), port)
	}
	addr := netip.AddrFrom16([16]byte(r[8:24])).Unmap()
	if scope := binary.NativeEndian.Uint32(r[24:]); scope != 0 && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(z.name(scope))
	}
	return netip.AddrPortFrom(addr, port)
}

// family is the address family of the client: AF_INET or AF_INET6.
func family(r *plane.Return) uint16 { return binary.NativeEndian.Uint16(r[:]) }

// nameLen is the length of the client's address as the kernel wants it.
func nameLen(r *plane.Return) uint32 {
	if family(r) == unix.AF_INET {
		return unix.SizeofSockaddrInet4
	}
	return unix.SizeofSockaddrInet6
}

// zones remembers the names of interfaces, so that a link-local client costs a
// look-up once. It belongs to one goroutine.
type zones struct{ names map[uint32]string }

// maxZones bounds the memory; a host with more interfaces pays again.
const maxZones = 1024

func (z *zones) name(scope uint32) string {
	if name, ok := z.names[scope]; ok {
		return name
	}
	name := strconv.FormatUint(uint64(scope), 10)
	if device, err := net.InterfaceByIndex(int(scope)); err == nil {
		name = device.Name
	}
	if z.names == nil || len(z.names) >= maxZones {
		z.names = make(map[uint32]string)
	}
	z.names[scope] = name
	return name
}

// controlSize is the room for what travels beside a datagram: the larger of the
// two packet infos, and the segment size.
const controlSize = 40 + 24

// control is the ancillary data of one message, aligned as struct cmsghdr must be.
type control struct {
	_      [0]uint64
	octets [controlSize]byte
}

// readLocal finds the address that was asked in a message's ancillary data
// (IP_PKTINFO, ip(7); IPV6_PKTINFO, RFC 3542 §6.2) and keeps it in r.
func readLocal(c []byte, r *plane.Return) {
	clear(r[localAt:returnUsed])
	for len(c) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
		if h.Len < unix.SizeofCmsghdr || h.Len > uint64(len(c)) {
			return
		}
		data := c[unix.SizeofCmsghdr:h.Len]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			copy(r[localAt:], data[4:8]) // ipi_spec_dst: a local address even when the datagram was broadcast
			return
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			readLocal6(data, r)
			return
		}
		c = c[min(align(h.Len), uint64(len(c))):]
	}
}

func readLocal6(info []byte, r *plane.Return) {
	if info[0] == 0xff {
		return // multicast is nobody's source address (RFC 4291 §2.7)
	}
	copy(r[localAt:localIfAt], info[:16])
	if info[0] == 0xfe && info[1]&0xc0 == 0x80 {
		copy(r[localIfAt:returnUsed], info[16:20])
	}
}

// align rounds up to a word, as CMSG_ALIGN does.
func align(n uint64) uint64 { return (n + 7) &^ 7 }

// writeLocal puts the address that was asked, kept in r, into the ancillary data
// as the source of the reply. The interface is left to the routing table, but for
// link-local addresses, which mean nothing without one.
func (c *control) writeLocal(r *plane.Return, v6 bool) int {
	if v6 {
		c.header(0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		copy(c.octets[unix.SizeofCmsghdr:], r[localAt:returnUsed])
		return 40
	}
	c.header(0, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	info := c.octets[unix.SizeofCmsghdr:32]
	clear(info)
	copy(info[4:8], r[localAt:])
	return 32
}

// writeSegment adds the size after which the kernel cuts the message into
// datagrams (UDP_SEGMENT, udp(7)), and returns the whole length.
func (c *control) writeSegment(at, size int) int {
	c.header(at, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(c.octets[at+unix.SizeofCmsghdr:], uint16(size))
	return at + 24
}

func (c *control) header(at int, level, kind int32, size uint64) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.octets[at]))
	h.Len, h.Level, h.Type = unix.SizeofCmsghdr+size, level, kind
}
