package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// alias is what an interface of ours is marked with (IFLA_IFALIAS).
const alias = "strata nodecache"

// kind of the interfaces we make: one that carries nothing anywhere.
var kind = "dummy"

// link finds the interface, makes it where it is not there, and has it up. Where
// the kernel cannot make one, it is lo.
func link(name string, log *slog.Logger) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		l, err = makeLink(name)
		if errors.Is(err, unix.EOPNOTSUPP) {
			log.Info("the kernel has no dummy interfaces: addresses are added to lo", "interface", name)
			return link("lo", log)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, capability(err))
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return nil, fmt.Errorf("interface %s: set up: %w", name, capability(err))
		}
	}
	return l, nil
}

// makeLink makes an interface that is marked ours.
func makeLink(name string) (netlink.Link, error) {
	made := &netlink.GenericLink{LinkAttrs: netlink.NewLinkAttrs(), LinkType: kind}
	made.Name = name
	if err := netlink.LinkAdd(made); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	return l, netlink.LinkSetAlias(l, alias)
}

// capability says what an operation that is not permitted lacks.
func capability(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: it needs CAP_NET_ADMIN (in a pod: securityContext.capabilities.add: [NET_ADMIN])", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: IPv6 is switched off there (net.ipv6.conf.*.disable_ipv6)", err)
	}
	return err
}
