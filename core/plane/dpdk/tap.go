//go:build dpdk

package dpdk

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A tap is the kernel's end of a port: an interface with the port's Ethernet address and
// the service addresses, as if it were the card. It goes with the process, unless it was
// there before.
type tap struct {
	*os.File
	name string
	via  byte // whose port it is
}

// tapName is that of the nth port's.
func tapName(n int) string { return fmt.Sprintf("dtap%d", n) }

func openTap(name string, via byte, mac net.HardwareAddr, addresses []netip.Prefix) (*tap, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	if err := bindTap(fd, name); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	t := &tap{File: os.NewFile(uintptr(fd), name), name: name, via: via}
	if err := t.setUp(mac, addresses); err != nil {
		t.Close()
		return nil, fmt.Errorf("set %s up: %w", name, err)
	}
	return t, nil
}

func bindTap(fd int, name string) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	switch err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); {
	case errors.Is(err, unix.EBUSY):
		return errors.New("another process has it")
	case errors.Is(err, unix.EPERM):
		return errors.New("this process lacks CAP_NET_ADMIN")
	case errors.Is(err, unix.EINVAL):
		return errors.New("there is an interface of that name which is no tap")
	case err != nil:
		return os.NewSyscallError("TUNSETIFF", err)
	}
	return nil
}

func (t *tap) setUp(mac net.HardwareAddr, addresses []netip.Prefix) error {
	l, err := netlink.LinkByName(t.name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(l, mac); err != nil {
		return fmt.Errorf("give it the port's address %s: %w", mac, err)
	}
	for _, p := range addresses {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // the plane answers for it
		}
		if err := netlink.AddrReplace(l, a); err != nil {
			return fmt.Errorf("give it the service address %s: %w", p, err)
		}
	}
	return netlink.LinkSetUp(l)
}
