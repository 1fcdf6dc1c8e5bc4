package main

import (
	"errors"
	"runtime"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/dpdk"
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
	switch c.Idle {
	case "", "poll", "backoff":
	case "interrupt":
		report.Add("idle", "\"interrupt\" is not in this build; poll and backoff are")
	default:
		report.Add("idle", "%q is unknown; known: poll, backoff", c.Idle)
	}
}

// openDPDK takes DPDK's ports, if the config asks for them; else it returns nil.
func (s *server) openDPDK(c *Config) (dpdk.Plane, error) {
	if c.Plane == planeSocket {
		return nil, nil
	}
	p, err := dpdk.Open(dpdk.Options{
		EAL: c.DPDK.EAL, Lcores: c.DPDK.Lcores, Addresses: c.DPDK.Addresses, Port: dnsPort, Exception: c.DPDK.Exception == exceptionTap,
		Room: c.MaxUDP, Backoff: c.DPDK.Idle == "backoff", Log: s.log,
		Handler: func(int) plane.Handler { return s.worker() },
	})
	if err != nil && c.Plane == planeAuto {
		s.log.Warn("sockets alone answer: the DPDK plane cannot be had", "error", err)
		return nil, nil
	}
	return p, err
}

// listen takes queries from DPDK's ports, if any, and from sockets.
func (s *server) listen(d *daemon.Daemon, c *Config) error {
	p, err := s.openDPDK(c)
	if err != nil {
		return err
	}
	workers := c.Workers
	if p != nil && workers == 0 {
		workers = max(1, runtime.NumCPU()-len(c.DPDK.Lcores)) // the lcores are taken
	}
	if p != nil {
		d.Add(p)
		s.addExceptions(d, c, p)
		d.Registry().MustRegister(lcores{p})
	}
	err = s.listenSockets(d, c, workers)
	if err != nil && p != nil {
		return errors.Join(err, p.Close())
	}
	return err
}
