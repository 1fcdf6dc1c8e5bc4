package node

import (
	"errors"
	"log/slog"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sweep removes what is ours and nobody holds: addresses, and interfaces that are
// left without any. What cannot be removed is logged; it harms nobody.
func sweep(log *slog.Logger) {
	there, err := addresses()
	if err != nil {
		log.Warn("addresses not swept", "err", err)
		return
	}
	who, err := held()
	if err != nil {
		log.Warn("addresses not swept", "err", err)
		return
	}
	used := map[int]bool{} // interfaces with an address that stays
	for _, a := range there {
		if a.ours && !who[a.ip] && remove(a, log) {
			continue
		}
		if !a.ip.Is6() || !a.ip.IsLinkLocalUnicast() { // those the kernel adds itself
			used[int(a.link)] = true
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		log.Warn("interfaces not swept", "err", err)
		return
	}
	for _, l := range links {
		if at := l.Attrs(); at.Alias == alias && !used[at.Index] {
			if err := netlink.LinkDel(l); err != nil {
				log.Warn("interface not removed", "interface", at.Name, "err", capability(err))
			}
		}
	}
}

// remove removes an address, and tells whether it is gone.
func remove(a address, log *slog.Logger) bool {
	err := change(unix.RTM_DELADDR, a.ip, a.bits, a.link, "")
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		log.Warn("address not removed", "address", a.ip, "err", capability(err))
		return false
	}
	log.Info("address removed", "address", a.ip)
	return true
}
