package resolvconf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// port is the only one that resolv.conf can name a server at.
const port = 53

// Wanted is what a file shall say.
type Wanted struct {
	Servers    []netip.Addr // nodecache first, then whom to ask when it is gone
	KeepSearch bool         // leave domain and search lines as they are
}

// The times a program waits, where the file has none of its own. nodecache answers
// within 1.8 s whatever happens, with an old answer if it has to: who waits for one
// second asks past it. One that hangs costs these two seconds; one that is gone costs
// nothing, since the kernel says so at once.
const (
	wantedTimeout  = 2 // seconds
	wantedAttempts = 2
)

var errNoPort53 = errors.New("listen: nothing of nodecache is at port 53, the only one that resolv.conf can name")

// Want finds what the file shall say from where nodecache listens and from the
// site's recursors, with warnings about what the file cannot say.
func Want(listen, recursors []netip.AddrPort) (w Wanted, warnings []string, err error) {
	own, ok := first(listen)
	if !ok {
		return w, nil, errNoPort53
	}
	w.Servers = []netip.Addr{own}
	for _, r := range recursors {
		switch {
		case r.Port() != port:
			warnings = append(warnings, fmt.Sprintf("%s is no fall-back: resolv.conf can name port 53 only", r))
		case slices.Contains(w.Servers, r.Addr()):
		case len(w.Servers) == maxServers:
			warnings = append(warnings, fmt.Sprintf("%s is left out: glibc asks three servers at most", r.Addr()))
		default:
			w.Servers = append(w.Servers, r.Addr())
		}
	}
	if len(w.Servers) == 1 {
		warnings = append(warnings, "no recursor to fall back to: while nodecache is away, no name resolves")
	}
	return w, warnings, nil
}

// first is the address to name of those where nodecache listens: loopback if it can.
func first(listen []netip.AddrPort) (own netip.Addr, ok bool) {
	for _, l := range listen {
		a := l.Addr()
		switch {
		case l.Port() != port:
			continue
		case a == netip.IPv4Unspecified():
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case a == netip.IPv6Unspecified():
			a = netip.IPv6Loopback()
		}
		if !ok || a.IsLoopback() && !own.IsLoopback() {
			own, ok = a, true
		}
	}
	return own, ok
}
