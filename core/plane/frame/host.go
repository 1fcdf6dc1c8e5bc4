package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// A Host is who is answered for: one Ethernet address, some IP addresses, one UDP
// port. It may be used by several goroutines.
type Host struct {
	// Partial accepts datagrams whose checksum is that of their pseudo-header alone: so
	// they come from a kernel on this machine, which leaves the rest to a
	// device that a veth or tap has not.
	Partial bool

	mac     [6]byte
	station uint64 // mac as a number
	port    uint16
	v4      []address4
	v6      [][16]byte
}

// An address4 is an address with its network, whose first and last address are
// nobody's (RFC 1122 §3.2.1.3).
type address4 struct{ own, mask uint32 }

// NewHost makes a host. A prefix is an address of the host and the length of its
// network. What is wrong is said of the first address that is.
func NewHost(mac net.HardwareAddr, addresses []netip.Prefix, port uint16) (*Host, error) {
	if len(mac) != 6 || mac[0]&1 != 0 || [6]byte(mac) == [6]byte{} {
		return nil, fmt.Errorf("%q is no station's Ethernet address", mac.String())
	}
	if port == 0 {
		return nil, errors.New("port 0 cannot be asked; 53 is DNS")
	}
	if len(addresses) == 0 {
		return nil, errors.New("no service address")
	}
	h := &Host{mac: [6]byte(mac), station: binary.BigEndian.Uint64(append([]byte{0, 0}, mac...)), port: port}
	for _, p := range addresses {
		a := p.Addr()
		if !p.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return nil, fmt.Errorf("%s is no host's address; an address with the length of its network, such as 10.0.0.53/24", p)
		}
		if h.has(a) {
			return nil, fmt.Errorf("%s stands twice", a)
		}
		if a.Is6() {
			h.v6 = append(h.v6, a.As16())
			continue
		}
		n := address4{own: number(a.As4()), mask: ^uint32(0) << (32 - p.Bits())}
		if n.edge(n.own) {
			return nil, fmt.Errorf("%s is the first or last address of its network, and no host's", p)
		}
		h.v4 = append(h.v4, n)
	}
	return h, nil
}

func (h *Host) has(a netip.Addr) bool {
	if a.Is6() {
		return h.has6(a.As16())
	}
	return h.has4(a.As4())
}

func (h *Host) has4(a [4]byte) bool { return h.serves(number(a)) }

func (h *Host) serves(a uint32) bool {
	for i := range h.v4 {
		if h.v4[i].own == a {
			return true
		}
	}
	return false
}

func number(a [4]byte) uint32 { return binary.BigEndian.Uint32(a[:]) }

func (h *Host) has6(a [16]byte) bool { return slices.Contains(h.v6, a) }

// client4 tells whether an address can be that of somebody who is answered.
func (h *Host) client4(a [4]byte) bool { return h.client(number(a)) }

func (h *Host) client(a uint32) bool {
	if net := a >> 24; net == 0 || net == 127 || net >= 224 {
		return false
	}
	for i := range h.v4 {
		if n := &h.v4[i]; a == n.own || n.edge(a) {
			return false
		}
	}
	return true
}

// edge tells whether a is the first or last of the network, where it has those
// (RFC 3021: not with two addresses).
func (n *address4) edge(a uint32) bool {
	if n.mask&2 != 0 { // /31, /32
		return false
	}
	host := a &^ n.mask
	return (a^n.own)&n.mask == 0 && (host == 0 || host == ^n.mask)
}

var mapped = [12]byte{10: 0xff, 11: 0xff}

func (h *Host) client6(a [16]byte) bool {
	return a[0] != 0xff && [15]byte(a[:15]) != [15]byte{} && [12]byte(a[:12]) != mapped && !h.has6(a)
}
