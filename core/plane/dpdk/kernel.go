//go:build dpdk

package dpdk

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/strata-dns/strata/core/plane/dpdk/xdp"
)

// A kernel is what this machine's kernel has of the ports: all that is no query. It keeps
// an interface that net_af_xdp serves, less the queries; of another port it gets what it
// is told by an exception interface, if there is to be one.
type kernel struct {
	log        *slog.Logger
	interfaces map[string]*xdp.Interface // by the port's name
	taps       []*tap
	count      int           // of the taps that there were
	wake       chan struct{} // closed: no frame comes any more
	running    sync.WaitGroup
}

// shareInterfaces takes the interfaces that net_af_xdp is to serve, and tells the driver to
// load our program. One that has a program in its arguments is left alone.
func shareInterfaces(o *Options) (*kernel, error) {
	k := &kernel{log: o.Log, interfaces: make(map[string]*xdp.Interface)}
	o.EAL = slices.Clone(o.EAL)
	for at := range o.EAL {
		port, iface, ok := xdpDevice(o.EAL, at)
		if !ok {
			continue
		}
		if len(o.Lcores) > xdp.Queues || len(o.Addresses) > xdp.Addresses {
			return nil, errors.Join(fmt.Errorf("port %s: %d lcores and %d addresses are too many: %d and %d", port, len(o.Lcores), len(o.Addresses), xdp.Queues, xdp.Addresses), k.end())
		}
		i, err := xdp.Take(iface, o.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("port %s: %w", port, err), k.end())
		}
		if n := receiveQueues(iface); n > len(o.Lcores) {
			o.Log.Warn("the interface has more receive queues than there are lcores: queries that come by the others are the kernel's", "interface", iface, "queues", n, "lcores", len(o.Lcores))
		}
		k.interfaces[port] = i
		o.EAL[at] += ",xdp_prog=" + i.Path()
	}
	return k, nil
}

// receiveQueues is how many an interface has; 0 where the kernel does not show them.
func receiveQueues(iface string) int {
	all, _ := filepath.Glob(filepath.Join("/sys/class/net", iface, "queues", "rx-*"))
	return len(all)
}

// xdpDevice tells what an argument of DPDK's says of a net_af_xdp device: --vdev=ARGUMENT, or
// ARGUMENT behind --vdev.
func xdpDevice(args []string, at int) (port, iface string, ok bool) {
	device, joined := strings.CutPrefix(args[at], "--vdev=")
	if !joined && (at == 0 || args[at-1] != "--vdev") || !strings.HasPrefix(device, "net_af_xdp") {
		return "", "", false
	}
	port, rest, _ := strings.Cut(device, ",")
	for _, pair := range strings.Split(rest, ",") {
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "iface":
			iface = value
		case "xdp_prog":
			return "", "", false
		}
	}
	return port, iface, iface != ""
}

// explain puts what is against our program in front of the reason why the ports cannot be
// had, of which the driver tells less. Everything must be closed.
func (k *kernel) explain(err error) error {
	for _, i := range k.interfaces {
		if why := i.Explain(); why != nil {
			return fmt.Errorf("%w: %w", why, err)
		}
	}
	return err
}

// begin gives the ports queries and the kernel the rest.
func (k *kernel) begin(s *server) error {
	for at, p := range s.ports {
		if i := k.interfaces[p.String()]; i != nil {
			if err := i.Steer(p.mac(), addresses(s.options.Addresses), s.options.Port); err != nil {
				return err
			}
		} else if s.options.Exception && p.driver() != "net_af_xdp" { // with another's program, the rest is that one's affair
			if err := k.except(s, at); err != nil {
				return fmt.Errorf("exception interface of port %s: %w", p, err)
			}
		}
	}
	k.run(s)
	return nil
}

// mac is the port's Ethernet address.
func (p *port) mac() net.HardwareAddr {
	return slices.Clone(unsafe.Slice((*byte)(&p.device.mac[0]), len(p.device.mac)))
}

func addresses(of []netip.Prefix) (all []netip.Addr) {
	for _, p := range of {
		all = append(all, p.Addr())
	}
	return all
}

// end gives the interfaces back. The ports must be closed.
func (k *kernel) end() (err error) {
	for _, i := range k.interfaces {
		err = errors.Join(err, i.Close())
	}
	return err
}
