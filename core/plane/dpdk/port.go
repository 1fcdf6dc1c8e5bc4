//go:build dpdk

package dpdk

// #include "burst.h"
import "C"

import (
	"fmt"
	"net"
	"slices"
	"unsafe"

	"github.com/strata-dns/strata/core/plane/frame"
)

// A port is one of DPDK's devices.
type port struct {
	device C.struct_strata_device
	host   *frame.Host
	use    abilities
}

// findPorts lists all ports DPDK has.
func findPorts(o *Options) (all []*port, err error) {
	for n := range C.uint16_t(C.STRATA_PORTS + 1) {
		p := new(port)
		if C.strata_device(n, &p.device) == 0 {
			break
		}
		if all = append(all, p); len(all) > C.STRATA_PORTS {
			return nil, fmt.Errorf("more than %d ports; name those to use (-a, --no-pci) in dpdk.eal", C.STRATA_PORTS)
		}
		if err := p.check(o); err != nil {
			return nil, err
		}
	}
	return all, missing(o.EAL, all)
}

// fromKernels are drivers whose peer may be a kernel on this machine, that leaves
// checksums to a device.
var fromKernels = []string{"net_af_packet", "net_af_xdp", "net_tap"}

func (p *port) check(o *Options) error {
	if n := int(p.device.max_queues); n < len(o.Lcores) {
		return fmt.Errorf("port %s has %d queues, dpdk.lcores asks for %d: fewer lcores, or more queues where its driver has an argument for that", p, n, len(o.Lcores))
	}
	mac := net.HardwareAddr(unsafe.Slice((*byte)(&p.device.mac[0]), len(p.device.mac)))
	host, err := frame.NewHost(slices.Clone(mac), o.Addresses, o.Port)
	if err != nil {
		return fmt.Errorf("port %s: %w", p, err)
	}
	host.Partial = slices.Contains(fromKernels, p.driver())
	p.host = host
	d := &p.device
	p.use = abilities{rx: uint64(d.can_rx), tx: uint64(d.can_tx), hash: uint64(d.can_hash)}.choose()
	d.rx, d.tx, d.hash = C.uint64_t(p.use.rx), C.uint64_t(p.use.tx), C.uint64_t(p.use.hash)
	if o.Idle == Interrupt {
		d.interrupts = 1
	}
	return nil
}

func (p *port) open(queues int) error {
	var what *C.char
	if code := C.strata_open(&p.device, C.uint16_t(queues), &what); code != 0 {
		why := reason(code)
		if lack := p.lacks(queues); lack != "" {
			why = lack + ": " + why
		}
		return fmt.Errorf("port %s: %s: %s", p, C.GoString(what), why)
	}
	return nil
}

// lacks is what was missing when the port could not be opened, if that is known.
func (p *port) lacks(queues int) string {
	if p.device.pool == nil {
		return "too few huge pages are free, or -m in dpdk.eal is too little: it takes about 25 MB for each queue"
	}
	return lacks(p.driver(), uint64(queues)*uint64(C.strata_buffers(&p.device)))
}

// read asks the port what it has counted.
func (p *port) read() PortCounts {
	var s C.struct_strata_stats
	C.strata_stats(&p.device, &s)
	return PortCounts{
		Name: p.String(), Driver: p.driver(), Received: uint64(s.received), Sent: uint64(s.sent),
		Missed: uint64(s.missed), NoBuffer: uint64(s.no_buffer), Errors: uint64(s.rx_errors), SendErrors: uint64(s.tx_errors),
		Sums: p.use.sums(), Checks: p.use.checks(), Spread: p.spread(),
	}
}

// linked tells whether the port has a link.
func (p *port) linked() bool { return C.strata_linked(&p.device) != 0 }

// spread says how queries reach several queues.
func (p *port) spread() string {
	switch {
	case p.device.queues < 2:
		return "one queue"
	case p.use.byPorts():
		return "addresses and ports"
	case p.use.hash != 0:
		return "addresses"
	}
	return "by the driver"
}

func (p *port) driver() string { return C.GoString(&p.device.driver[0]) }

func (p *port) stop()  { C.strata_stop(&p.device) }
func (p *port) close() { C.strata_close(&p.device) }

// String is the device's name, which DPDK made of its arguments.
func (p *port) String() string { return C.GoString(&p.device.name[0]) }
