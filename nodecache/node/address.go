package node

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// mark is the IFA_PROTO of addresses that are ours; up to 3 the kernel uses
	// itself. Kernels before 5.18 neither keep nor show it.
	mark = 53
	// label stands behind the interface's name, for IPv4, which has labels.
	label = ":strata"

	ifaProto = 11 // IFA_PROTO of linux/if_addr.h
)

// An address is one of this network namespace.
type address struct {
	ip   netip.Addr
	bits uint8
	link uint32 // its interface's index
	ours bool   // it carries the mark
}

// addresses are all of this network namespace.
func addresses() (all []address, err error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, m := range messages {
		a, err := parseAddress(m)
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}

// parseAddress reads what follows the header of an RTM_NEWADDR.
func parseAddress(m []byte) (a address, err error) {
	if len(m) < unix.SizeofIfAddrmsg {
		return a, errors.New("the kernel's message is too short")
	}
	header := nl.DeserializeIfAddrmsg(m)
	a.bits, a.link = header.Prefixlen, header.Index
	attributes, err := nl.ParseRouteAttr(m[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, err
	}
	for _, attribute := range attributes {
		switch attribute.Attr.Type {
		case unix.IFA_LOCAL: // of a point-to-point link IFA_ADDRESS is the peer's
			a.ip, _ = netip.AddrFromSlice(attribute.Value)
		case unix.IFA_ADDRESS:
			if !a.ip.IsValid() {
				a.ip, _ = netip.AddrFromSlice(attribute.Value)
			}
		case unix.IFA_LABEL:
			a.ours = a.ours || hasLabel(attribute.Value)
		case ifaProto:
			a.ours = a.ours || len(attribute.Value) == 1 && attribute.Value[0] == mark
		}
	}
	return a, nil
}

func hasLabel(value []byte) bool {
	text := unix.ByteSliceToString(value)
	return len(text) > len(label) && text[len(text)-len(label):] == label
}

// change adds or removes (RTM_NEWADDR, RTM_DELADDR) an address of full length.
func change(what int, ip netip.Addr, bits uint8, index uint32, name string) error {
	family, flags := unix.AF_INET, unix.NLM_F_ACK
	if ip.Is6() {
		family = unix.AF_INET6
	}
	if what == unix.RTM_NEWADDR {
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	header := nl.NewIfAddrmsg(family)
	header.Prefixlen, header.Index = bits, index
	// Of scope host the kernel never takes it for a source of the host's own
	// connections; in IPv6 it has scopes of its own. Nobody else has it, so there is
	// nothing to detect (nodad), and it can be bound to at once.
	header.Scope, header.Flags = unix.RT_SCOPE_HOST, unix.IFA_F_NODAD|unix.IFA_F_PERMANENT
	request := nl.NewNetlinkRequest(what, flags)
	request.AddData(header)
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, ip.AsSlice()))
	request.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, ip.AsSlice()))
	if what == unix.RTM_NEWADDR {
		if full := name + label; ip.Is4() && len(full) < unix.IFNAMSIZ {
			request.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(full)))
		}
		request.AddData(nl.NewRtAttr(ifaProto, []byte{mark}))
	}
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
