package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openUDP opens one bound socket. shared says whether others may be bound to the
// same address at that moment.
func openUDP(address netip.AddrPort, o UDPOptions, shared bool) (fd int, err error) {
	name, err := sockaddr(address)
	if err != nil {
		return -1, err
	}
	domain := unix.AF_INET
	if address.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if domain == unix.AF_INET6 {
		if err := set(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return -1, err
		}
	}
	if shared {
		if err := set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return -1, err
		}
	}
	// Asked for before bind, so that the first datagram already tells.
	if err := prepareUDP(fd, domain, address.Addr().IsUnspecified(), o); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, name); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if shared {
		return fd, nil
	}
	// Only now: an exclusive bind fails where another server is, instead of
	// taking half of its queries.
	return fd, set(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// prepareUDP sets what every socket needs, opened here or inherited.
func prepareUDP(fd, domain int, wildcard bool, o UDPOptions) error {
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, o.ReceiveBuffer)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.SendBuffer)
	if domain == unix.AF_INET6 {
		// Replies up to 1,232 octets fit everywhere; larger ones are fragmented
		// by the interface's MTU. Path MTUs learned from ICMP can be forged to
		// force fragments (RFC 9715 §3.1), so they are not listened to.
		if err := set(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT); err != nil {
			return err
		}
		if wildcard {
			return set(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
		return nil
	}
	if err := set(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT); err != nil {
		return err
	}
	if wildcard {
		return set(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return nil
}

func set(fd, level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
}

// setBuffer asks for the size past the system's limit, as only a privileged
// process may, then up to it. A smaller buffer is no reason not to serve, and a
// larger one (ReceiveBuffer= of a socket unit) is left.
func setBuffer(fd, force, plain, size int) {
	if now, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain); err == nil && now >= 2*size {
		return // the kernel doubles what it is asked for
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
}

// turnAway has a socket take no more datagrams, so that the kernel tells clients
// at once that nobody listens, while it can still send to anybody and what it
// holds be read: it is connected to itself. Where that fails clients find out by
// waiting.
func turnAway(fd int) {
	if own, err := unix.Getsockname(fd); err == nil {
		_ = unix.Connect(fd, own)
	}
}

// sockaddr is the address in the kernel's form, zones looked up.
func sockaddr(address netip.AddrPort) (unix.Sockaddr, error) {
	if !address.IsValid() {
		return nil, errors.New("no address given")
	}
	if address.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}, nil
	}
	name := &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	if zone := address.Addr().Zone(); zone != "" {
		scope, err := scopeOf(zone)
		if err != nil {
			return nil, err
		}
		name.ZoneId = scope
	}
	return name, nil
}

func scopeOf(zone string) (uint32, error) {
	if device, err := net.InterfaceByName(zone); err == nil {
		return uint32(device.Index), nil
	}
	var scope uint32
	if _, err := fmt.Sscanf(zone, "%d", &scope); err != nil || scope == 0 {
		return 0, fmt.Errorf("no interface %q", zone)
	}
	return scope, nil
}

// boundTo reads the address a socket is bound to.
func boundTo(fd int) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(name.Addr)
		if name.ZoneId != 0 {
			addr = addr.WithZone(new(zones).name(name.ZoneId))
		}
		return netip.AddrPortFrom(addr, uint16(name.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("socket of family %T is no internet socket", name)
}

// advise adds what would be right to the errors people meet when they start a
// server. The error it wraps stays to be asked for.
func advise(network string, address netip.AddrPort, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = fmt.Sprintf(": another process listens there (ss -lnp 'sport = :%d' names it); stop it, take its place (serve --takeover) or listen elsewhere", address.Port())
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": a port below 1024 needs CAP_NET_BIND_SERVICE (AmbientCapabilities= in the unit), root, or a socket from the service manager"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": no interface of this host has that address; add it or listen elsewhere"
	}
	return fmt.Errorf("listen %s %s: %w%s", network, address, err, hint)
}

// duplicate makes another descriptor of a socket. net's own File would do, but
// for what asking it for its number does to the socket: it becomes blocking, also
// for who else has it.
func duplicate(raw syscall.RawConn, name string) (*os.File, error) {
	fd := -1
	var dupErr error
	if err := raw.Control(func(own uintptr) {
		fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("dup", dupErr)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// isStream tells a listening stream socket from a datagram socket.
func isStream(file *os.File) (bool, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	kind := 0
	var kindErr error
	err = raw.Control(func(fd uintptr) {
		kind, kindErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
	})
	if err = errors.Join(err, os.NewSyscallError("getsockopt", kindErr)); err != nil {
		return false, err
	}
	return kind == unix.SOCK_STREAM, nil
}
