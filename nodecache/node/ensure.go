package node

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ensure adds the addresses that this host does not have, and returns them.
func (n *Node) ensure() (added []netip.Addr, err error) {
	there, err := addresses()
	if err != nil {
		return nil, err
	}
	has := map[netip.Addr]bool{}
	for _, a := range there {
		has[a.ip] = true
	}
	for _, ip := range n.config.Addresses {
		if has[ip] {
			continue
		}
		l, err := link(n.config.Interface, n.log)
		if err != nil {
			return added, err
		}
		at := l.Attrs()
		err = change(unix.RTM_NEWADDR, ip, uint8(ip.BitLen()), uint32(at.Index), at.Name)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return added, fmt.Errorf("add %s to %s: %w", ip, at.Name, capability(err))
		}
		added = append(added, ip)
	}
	return added, n.raise()
}

// raise has the interface up where it is ours and somebody has set it down.
func (n *Node) raise() error {
	l, err := netlink.LinkByName(n.config.Interface)
	if err != nil || l.Attrs().Alias != alias { // there is none, or it is not ours
		return nil
	}
	_, err = link(n.config.Interface, n.log)
	return err
}
