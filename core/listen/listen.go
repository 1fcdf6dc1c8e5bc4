// Package listen joins sockets and daemons: it opens the addresses of a config,
// or takes them from the service manager, and adds them to a daemon as tasks.
package listen

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/socket"
)

// Options say what to open and who answers.
type Options struct {
	Addresses []netip.AddrPort
	Workers   int // UDP sockets and threads for each address; 0: one a CPU
	MaxUDP    int // octets of the largest datagram
	TCP       TCP
	// Handler makes the handler of one worker of an address, for datagrams or for
	// streams. Each is called by one goroutine.
	Handler func(at netip.AddrPort, stream bool) plane.Handler
	// Pending is how many late answers are owed; nil: answers are never late.
	Pending func() int
}

// Add opens all addresses and adds them to the daemon, with their metrics. Add it
// last: what is added last is drained first. An error names the address and what
// would be right.
func Add(d *daemon.Daemon, o Options) error {
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	given, err := byAddress(daemon.Inherited())
	if err != nil {
		return err
	}
	var servers []*socket.Server
	for _, a := range o.Addresses {
		s, err := o.open(a, given[a])
		if err != nil {
			for _, s := range servers {
				s.Close()
			}
			return err
		}
		delete(given, a)
		servers = append(servers, s)
	}
	for a := range given {
		d.Log().Warn("socket from the service manager not used: no such address in listen", "address", a)
	}
	for _, s := range servers {
		d.Add(s)
	}
	d.Registry().MustRegister(metrics(servers))
	return nil
}

// open opens one address, or uses the service manager's sockets for it.
func (o *Options) open(a netip.AddrPort, files []*os.File) (*socket.Server, error) {
	opts := socket.Options{
		UDP:     socket.UDPOptions{Workers: o.Workers, Room: max(o.MaxUDP, socket.DefaultRoom)},
		TCP:     socket.TCPOptions{Queues: o.Workers, Idle: o.TCP.Idle, Connections: o.TCP.Clients, PerClient: o.TCP.PerClient},
		Pending: o.Pending,
	}
	opts.Handler = func(worker int) plane.Handler { return o.Handler(a, worker >= o.Workers) }
	if err := opts.Inherit(files); err != nil {
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	return socket.NewServer(a, opts)
}

// byAddress sorts the service manager's sockets by where they are bound.
func byAddress(files daemon.Sockets) (map[netip.AddrPort][]*os.File, error) {
	by := map[netip.AddrPort][]*os.File{}
	for _, f := range files {
		a, err := boundTo(f)
		if err != nil {
			return nil, fmt.Errorf("socket from the service manager %q: %w", f.Name(), err)
		}
		by[a] = append(by[a], f)
	}
	return by, nil
}

// boundTo is the address a socket is bound to.
func boundTo(f *os.File) (a netip.AddrPort, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return a, err
	}
	var name unix.Sockaddr
	var nameErr error
	if err := raw.Control(func(fd uintptr) { name, nameErr = unix.Getsockname(int(fd)) }); err != nil {
		return a, err
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port)), nil
	}
	if nameErr != nil {
		return a, os.NewSyscallError("getsockname", nameErr)
	}
	return a, fmt.Errorf("not an internet socket")
}
