//go:build dpdk

package dpdk

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A named is a device that DPDK's arguments ask for.
type named struct {
	name     string // of its port: net_tap0, 0000:3b:00.1
	iface    string // of this host, where a driver needs one
	listens  string // the path of the socket that net_memif makes
	connects bool   // it is net_memif's, and a client
	pci      bool
}

// devices are those that the arguments name.
func devices(eal []string) (all []named) {
	for i, a := range eal {
		for _, option := range []string{"--vdev", "--allow", "-a"} {
			value, ok := strings.CutPrefix(a, option)
			switch {
			case !ok:
				continue
			case value == "" && i+1 < len(eal):
				value = eal[i+1]
			case value == "":
				continue
			case option != "-a" && !strings.HasPrefix(value, "="):
				continue
			}
			all = append(all, device(strings.TrimPrefix(value, "="), option != "--vdev"))
			break
		}
	}
	return all
}

// device reads "net_af_xdp0,iface=eth1,…" or "0000:3b:00.1,…".
func device(value string, pci bool) (d named) {
	parts := strings.Split(value, ",")
	d.name, d.pci = parts[0], pci
	if pci && strings.Count(d.name, ":") == 1 {
		d.name = "0000:" + d.name // the domain may be left out
	}
	for _, p := range parts[1:] {
		// A tap makes its interface.
		if iface, ok := strings.CutPrefix(p, "iface="); ok && !strings.HasPrefix(d.name, "net_tap") {
			d.iface = iface
		}
	}
	if strings.HasPrefix(d.name, "net_memif") {
		var server bool
		d.listens, server = memifSocket(parts[1:])
		d.connects = !server
	}
	return d
}

// memifSocket is the path of the socket that net_memif makes as a server; "" where it makes
// none, or one without a file.
func memifSocket(arguments []string) (path string, server bool) {
	path = "/run/memif.sock" // the driver's own
	file := false
	for _, a := range arguments {
		switch key, value, _ := strings.Cut(a, "="); key {
		case "socket":
			path = value
		case "role":
			server = value == "server" || value == "master"
		case "socket-abstract":
			file = value == "no"
		}
	}
	if !server || !file {
		path = ""
	}
	return path, server
}

// checkDevices refuses arguments that would have two ports of one device, or lcores of
// DPDK's own choice, or end this process.
func checkDevices(eal []string) error {
	for _, a := range eal {
		if a == "-h" || a == "--help" {
			return fmt.Errorf("dpdk.eal has %q: DPDK would print its arguments and end", a)
		}
		if a == "--proc-type" || strings.HasPrefix(a, "--proc-type=") && a != "--proc-type=primary" {
			return fmt.Errorf("dpdk.eal has %q: DPDK would wait for another process, whose ports it would use; this one takes ports of its own", a)
		}
		for _, option := range []string{"-l", "-c", "--lcores", "--main-lcore"} {
			if a == option || strings.HasPrefix(a, option+"=") || len(option) == 2 && strings.HasPrefix(a, option) {
				return fmt.Errorf("dpdk.eal has %q: which CPUs poll is said by dpdk.lcores, and DPDK's own thread stays off them", a)
			}
		}
	}
	all := devices(eal)
	for i, d := range all {
		for _, before := range all[:i] {
			if d.name == before.name {
				return fmt.Errorf("dpdk.eal names device %s twice", d.name)
			}
			if d.iface != "" && d.iface == before.iface {
				return fmt.Errorf("dpdk.eal names interface %s twice, for %s and %s: one port answers all that comes", d.iface, before.name, d.name)
			}
		}
	}
	return nil
}

// missing says why DPDK has no port of a device that its arguments name.
func missing(eal []string, ports []*port) error {
	for _, d := range devices(eal) {
		if !slices.ContainsFunc(ports, func(p *port) bool { return d.is(p.String()) }) {
			return fmt.Errorf("device %s cannot be had: %s", d.name, d.trouble())
		}
	}
	if len(ports) == 0 {
		return errors.New("no port: dpdk.eal names no device, such as --vdev=net_af_xdp0,iface=eth1, or -a with a PCI address")
	}
	return nil
}

// is tells whether a port is the device's; a card may have several, with more behind
// its name.
func (d named) is(port string) bool {
	return port == d.name || d.pci && strings.HasPrefix(port, d.name)
}

// trouble guesses what is in the way of a device, best guess first.
func (d named) trouble() string {
	if d.pci {
		return d.troublePCI("/sys/bus/pci/devices")
	}
	if d.iface != "" {
		if _, err := net.InterfaceByName(d.iface); err != nil {
			return "there is no interface " + d.iface
		}
	}
	switch {
	case strings.HasPrefix(d.name, "net_af_packet") && !may(unix.CAP_NET_RAW):
		return "this process lacks CAP_NET_RAW"
	case strings.HasPrefix(d.name, "net_tap") && !may(unix.CAP_NET_ADMIN):
		return "this process lacks CAP_NET_ADMIN"
	}
	return "its driver would not have it, or not with these arguments"
}

// lacks is what this process has not got of what a driver needs to start its port; "" where
// nothing is known to be missing. buffers is how many octets of them the kernel is to lock.
func lacks(driver string, buffers uint64) string {
	switch {
	case driver == "net_af_packet" && !may(unix.CAP_NET_ADMIN):
		return "this process lacks CAP_NET_ADMIN"
	case driver == "net_af_xdp" && !may(unix.CAP_IPC_LOCK):
		var limit unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur < buffers {
			return fmt.Sprintf("its buffers are %d octets, and the memlock limit of this process, which lacks CAP_IPC_LOCK, is %d", buffers, limit.Cur)
		}
	}
	return ""
}

// troublePCI looks at a card where the kernel shows them.
func (d named) troublePCI(cards string) string {
	card := filepath.Join(cards, d.name)
	if _, err := os.Stat(card); err != nil {
		return "there is no such PCI device"
	}
	driver, err := os.Readlink(filepath.Join(card, "driver"))
	if err != nil {
		return "it is bound to no driver: dpdk-devbind.py -b vfio-pci " + d.name
	}
	driver = filepath.Base(driver)
	if strings.HasPrefix(driver, "vfio") || strings.Contains(driver, "uio") {
		return "it is bound to " + driver + ", but DPDK has no driver for it, or may not open it (/dev/vfio, memlock limit, IOMMU)"
	}
	return "it is bound to the kernel's driver " + driver + ": dpdk-devbind.py -b vfio-pci " + d.name
}

// may tells whether this process has a capability.
func may(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return true
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
