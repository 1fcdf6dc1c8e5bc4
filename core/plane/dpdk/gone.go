//go:build dpdk

package dpdk

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A served is an interface of this host that a port's driver or the kernel's end of a port
// is. One that comes back under its name is another, which nobody serves.
type served struct {
	port, name string
	index      int
	attached   func(netlink.Link) bool // nil: there is no program of ours on it
	bare, gone bool                    // has lost its program, is gone itself
}

// served lists the interfaces that are there.
func (s *server) served() (all []*served) {
	add := func(port, name string) {
		if l, err := netlink.LinkByName(name); err == nil {
			i := &served{port: port, name: name, index: l.Attrs().Index}
			if x := s.kernel.interfaces[port]; x != nil {
				i.attached = x.Attached
			}
			all = append(all, i)
		}
	}
	for _, d := range devices(s.options.EAL) {
		if d.iface != "" {
			add(d.name, d.iface)
		}
	}
	for _, t := range s.kernel.taps {
		add(s.ports[t.via].String(), t.name)
	}
	return all
}

// watch looks at the interfaces whenever the kernel tells of any, until the plane ends.
func (s *server) watch(all []*served, changes *nl.NetlinkSocket) {
	for {
		// Which one it was is not asked: a message may have been lost (ENOBUFS).
		switch _, _, err := changes.Receive(); {
		case s.isResting():
			return
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			s.options.Log.Warn("changes of interfaces are not told any more", "error", err)
			return
		}
		for _, i := range all {
			i.look(s.options.Log, &s.lost)
		}
	}
}

// watchInterfaces begins to watch, and returns what ends that once the plane is resting.
func (s *server) watchInterfaces() (end func()) {
	changes, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		s.options.Log.Warn("changes of interfaces are not watched", "error", err)
		return func() {}
	}
	all := s.served()
	s.keeper.Go(func() { s.watch(all, changes) })
	return func() { changes.Close() }
}

func (s *server) isResting() bool {
	select {
	case <-s.resting:
		return true
	default:
		return false
	}
}

// look says what has become of the interface, once.
func (i *served) look(log *slog.Logger, lost *atomic.Bool) {
	if i.gone {
		return
	}
	switch l, err := netlink.LinkByIndex(i.index); {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		i.gone = true
		lost.Store(true)
		log.Error("an interface that was served is gone: one of its name is taken up by a restart", "port", i.port, "interface", i.name)
	case err == nil && i.attached != nil && !i.bare && !i.attached(l):
		i.bare = true
		log.Error("an interface has lost our XDP program: its queries are the kernel's until a restart", "port", i.port, "interface", i.name)
	}
}

// clients are the ports of net_memif that have connected to another's socket, which the
// driver does once, at its start.
func (s *server) clients() (all []*port) {
	for _, d := range devices(s.options.EAL) {
		for _, p := range s.ports {
			if d.connects && d.is(p.String()) {
				all = append(all, p)
			}
		}
	}
	return all
}

// lookEvery is how often it is looked whether clients are connected. One that is not,
// twice in a row, has lost its server: to connect takes milliseconds.
const lookEvery = time.Second

func (s *server) watchServers(clients []*port) {
	each := time.NewTicker(lookEvery)
	defer each.Stop()
	without := make([]int, len(clients))
	for {
		select {
		case <-s.resting:
			return
		case <-each.C:
		}
		cut := false
		for i, p := range clients {
			if p.linked() {
				without[i] = 0
				continue
			}
			if without[i]++; without[i] == 2 {
				s.cut.Store(true)
				s.options.Log.Error("a port has no peer any more: it connects to the next when it is restarted", "port", p)
			}
			cut = cut || without[i] > 1
		}
		s.cut.Store(cut)
	}
}
