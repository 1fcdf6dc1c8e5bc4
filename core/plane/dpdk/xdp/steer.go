package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What the plane takes of an address. steer.c has the same.
const (
	queries  uint32 = 1 // datagrams for the port
	presence uint32 = 2 // ARP, neighbour discovery and echo
)

// settings are those of steer.c.
type settings struct {
	MAC  [6]byte
	Port [2]byte // in network order
}

// Steer says which queries are the plane's: those that come to the interface's Ethernet
// address, to one of the IP addresses and to the port. The driver must have attached the
// program.
func (i *Interface) Steer(mac net.HardwareAddr, addresses []netip.Addr, port uint16) error {
	if err := i.steer(mac, addresses, port); err != nil {
		return fmt.Errorf("interface %s: steer queries to the plane: %w", i.name, err)
	}
	return nil
}

func (i *Interface) steer(mac net.HardwareAddr, addresses []netip.Addr, port uint16) error {
	l, err := netlink.LinkByIndex(i.index)
	if err != nil {
		return err
	}
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return errors.New("no program is attached")
	}
	maps, err := ownMaps(ebpf.ProgramID(x.ProgId))
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range maps {
			m.Close()
		}
	}()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.program = ebpf.ProgramID(x.ProgId)
	if i.addrs, err = maps[addressesName].Clone(); err != nil {
		return err
	}
	if i.changes, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR); err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	i.watched.Go(func() { i.watch(addresses) })
	if err := i.share(addresses); err != nil {
		return err
	}
	s := settings{MAC: [6]byte(mac)}
	binary.BigEndian.PutUint16(s.Port[:], port)
	return maps[settingsName].Put(uint32(0), s)
}

// ownMaps are the maps of a program that this process has loaded, by name. They are found
// among the files it has open: asked by number, the kernel wants CAP_SYS_ADMIN.
func ownMaps(id ebpf.ProgramID) (map[string]*ebpf.Map, error) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var wanted []ebpf.MapID
	maps := make(map[ebpf.MapID]*ebpf.Map)
	for _, f := range files {
		number, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		switch target, _ := os.Readlink("/proc/self/fd/" + f.Name()); {
		case strings.HasSuffix(target, "bpf-prog"):
			wanted = append(wanted, mapsOf(number, id)...)
		case strings.HasSuffix(target, "bpf-map"):
			if m, n := mapAt(number); m != nil {
				if maps[n] != nil {
					m.Close()
					continue
				}
				maps[n] = m
			}
		}
	}
	return named(maps, wanted, id)
}

// named are the maps that are wanted; the others are closed.
func named(maps map[ebpf.MapID]*ebpf.Map, wanted []ebpf.MapID, id ebpf.ProgramID) (map[string]*ebpf.Map, error) {
	all := make(map[string]*ebpf.Map)
	for n, m := range maps {
		info, err := m.Info()
		if err != nil || !slices.Contains(wanted, n) {
			m.Close()
			continue
		}
		all[info.Name] = m
	}
	if all[settingsName] == nil || all[addressesName] == nil {
		for _, m := range all {
			m.Close()
		}
		return nil, fmt.Errorf("program %d is not ours", id)
	}
	return all, nil
}

// mapsOf are those of a descriptor's program, if that is the one.
func mapsOf(fd int, id ebpf.ProgramID) []ebpf.MapID {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	p, err := ebpf.NewProgramFromFD(own)
	if err != nil {
		return nil
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil
	}
	if n, ok := info.ID(); !ok || n != id {
		return nil
	}
	all, _ := info.MapIDs()
	return all
}

// mapAt is the map of a descriptor, which stays its owner's.
func mapAt(fd int) (*ebpf.Map, ebpf.MapID) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, 0
	}
	m, err := ebpf.NewMapFromFD(own)
	if err != nil {
		return nil, 0
	}
	if info, err := m.Info(); err == nil {
		if n, ok := info.ID(); ok {
			return m, n
		}
	}
	m.Close()
	return nil, 0
}

// share puts down what the plane takes of each address: all of it where the kernel has
// not got it. Its caller holds i.mu.
func (i *Interface) share(addresses []netip.Addr) error {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addresses {
		take := queries | presence
		if slices.ContainsFunc(list, func(k netlink.Addr) bool { return k.IP.Equal(a.AsSlice()) }) {
			take = queries
		}
		if err := i.addrs.Put(a.As16(), take); err != nil {
			return fmt.Errorf("take %s: %w", a, err)
		}
		i.log.Debug("shared an address with the kernel", "interface", i.name, "address", a, "kernel_has_it", take == queries)
	}
	return nil
}

// Attached tells whether the program is still that of the interface, which l is.
func (i *Interface) Attached(l netlink.Link) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := l.Attrs().Xdp
	return x != nil && x.Attached && ebpf.ProgramID(x.ProgId) == i.program
}

// watch shares anew when the kernel's addresses have changed, until Close.
func (i *Interface) watch(addresses []netip.Addr) {
	for {
		// What the messages say is looked up anew: some may have been lost (ENOBUFS).
		if _, _, err := i.changes.Receive(); i.ended.Load() {
			return
		} else if err != nil && !errors.Is(err, unix.ENOBUFS) {
			i.log.Warn("changes of addresses are not told any more", "interface", i.name, "error", err)
			return
		}
		i.mu.Lock()
		if err := i.share(addresses); err != nil {
			i.log.Warn("addresses are shared with the kernel as before", "interface", i.name, "error", err)
		}
		i.mu.Unlock()
	}
}

// Close removes the program if the driver has not, and lets others have the interface.
func (i *Interface) Close() error {
	i.ended.Store(true)
	if i.changes != nil {
		i.changes.Close()
	}
	i.watched.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	var err error
	if l, e := netlink.LinkByIndex(i.index); e == nil && i.program != 0 {
		if x := l.Attrs().Xdp; x != nil && x.Attached && ebpf.ProgramID(x.ProgId) == i.program {
			err = detach(l, x)
		}
	}
	if i.addrs != nil {
		i.addrs.Close()
	}
	return errors.Join(err, i.file.Close(), unix.Close(i.claim))
}
