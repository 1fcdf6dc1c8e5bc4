package main

import (
	"net"
	"runtime"
	"slices"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/dpdk"
	"github.com/strata-dns/strata/core/plane/frame"
)

// What carries packets.
const (
	planeSocket = "socket"
	planeDPDK   = "dpdk"
	planeAuto   = "auto" // DPDK if that can be had; sockets in any case
)

// dnsPort is where the service addresses are asked.
const dnsPort = 53

// planes are those of this build.
func planes() []string {
	if dpdk.Built {
		return []string{planeSocket, planeDPDK}
	}
	return []string{planeSocket}
}

func (c *Config) validatePlane(report *config.Report) {
	switch c.Plane {
	case planeSocket:
		return
	case planeDPDK, planeAuto:
	default:
		report.Add("plane", "%q is unknown; known: socket, dpdk, auto", c.Plane)
		return
	}
	if c.Plane == planeDPDK && !dpdk.Built {
		report.Add("plane", "\"dpdk\" is not in this build; socket is, and dpdk where libdpdk-dev was installed when it was built")
	}
	if c.Takeover {
		report.Add("takeover", "two processes cannot have one DPDK port: stop the old one first")
	}
	if c.MaxUDP > dpdk.MaxRoom {
		report.Add("max_udp", "%d octets; a frame of the plane dpdk has room for %d", c.MaxUDP, dpdk.MaxRoom)
	}
	report.Under("dpdk", c.DPDK.validate)
	report.Under("dpdk", c.DPDK.validateException)
}

func (c *DPDK) validate(report *config.Report) {
	if len(c.EAL) == 0 {
		report.Add("eal", "missing; the devices to use, such as [\"--no-pci\", \"--vdev=net_af_xdp0,iface=eth1\"]")
	}
	if len(c.Lcores) == 0 {
		report.Add("lcores", "missing; the CPUs that poll, such as [2, 3]")
	}
	if len(c.Addresses) == 0 {
		report.Add("addresses", "missing; the service addresses and their networks, such as [10.0.0.53/24]")
	}
	if len(c.Addresses) > 0 {
		if _, err := frame.NewHost(anyMAC, c.Addresses, dnsPort); err != nil {
			report.Add("addresses", "%v", err)
		}
	}
	for i, lcore := range c.Lcores {
		if slices.Contains(c.Lcores[:i], lcore) {
			report.Add("lcores", "CPU %d stands twice", lcore)
		}
		if lcore < 0 {
			report.Add("lcores", "%d is no CPU", lcore)
		}
	}
	if _, ok := idles[c.Idle]; !ok {
		report.Add("idle", "%q is unknown; known: poll, backoff, interrupt", c.Idle)
	}
}

// anyMAC stands for a port's Ethernet address, which is not known before it is opened.
var anyMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}

// idles are the values of dpdk.idle.
var idles = map[string]dpdk.Idle{"": dpdk.Poll, "poll": dpdk.Poll, "backoff": dpdk.Backoff, "interrupt": dpdk.Interrupt}

// openDPDK takes DPDK's ports, if the config asks for them.
func (s *server) openDPDK(c *Config) (*carriers, error) {
	by := new(carriers)
	if c.Plane == planeSocket {
		return by, nil
	}
	by.tellers = make([]teller, len(c.DPDK.Lcores))
	p, err := dpdk.Open(dpdk.Options{
		EAL: c.DPDK.EAL, Lcores: c.DPDK.Lcores, Addresses: c.DPDK.Addresses, Port: dnsPort, Exception: c.DPDK.Exception == exceptionTap,
		Room: c.MaxUDP, Idle: idles[c.DPDK.Idle], Log: s.log,
		Handler: func(i int) plane.Handler {
			by.tellers[i].next = s.worker()
			return &by.tellers[i]
		},
	})
	if err != nil && c.Plane == planeAuto {
		s.log.Warn("sockets alone answer: the DPDK plane cannot be had", "error", err)
		by.refused = err
		return by, nil
	}
	if err == nil {
		by.plane = p
	}
	return by, err
}

// listen takes queries from DPDK's ports, if any, and from sockets.
func (s *server) listen(d *daemon.Daemon, c *Config) error {
	by, err := s.openDPDK(c)
	if err != nil {
		return err
	}
	d.AddStatus("plane", func() any { return by.status() })
	d.AddCommand(by.command())
	workers := c.Workers
	if by.plane == nil {
		return s.listenSockets(d, c, workers)
	}
	if workers == 0 {
		workers = max(1, runtime.NumCPU()-len(c.DPDK.Lcores)) // the lcores are taken
	}
	d.Add(by.plane)
	d.IfNeverRun(by.plane.Close)
	s.addExceptions(d, c, by.plane)
	d.Registry().MustRegister(lcores{by})
	return s.listenSockets(d, c, workers)
}
