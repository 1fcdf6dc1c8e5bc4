// Package listen joins sockets and daemons: it opens the addresses of a config,
// or goes on with those of the service manager or of the process that is taken over
// from, and adds them to a daemon as tasks.
package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"

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
	// Secured are the addresses for DNS over TLS, Secure makes the handler of one of
	// their workers, and Certificate is shown to clients.
	Secured     []netip.AddrPort
	Secure      func(at netip.AddrPort) plane.Handler
	Certificate *Certificate
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
	given, connections, err := byAddress(d.Sockets())
	if err != nil {
		return err
	}
	var servers []*socket.Server
	for i, a := range slices.Concat(o.Addresses, o.Secured) {
		if n := datagram(given[a]); n > o.Workers {
			d.Log().Warn("more workers than configured: each socket needs one", "address", a, "workers", n)
		}
		s, err := o.open(d, a, given[a], i >= len(o.Addresses))
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
		d.Log().Warn("socket from the service manager or the old process not used: no such address in listen", "address", a)
	}
	if len(o.Secured) > 0 {
		d.Add(o.Certificate)
		d.Registry().MustRegister(o.Certificate.Metric())
	}
	for _, s := range servers {
		d.Add(s)
	}
	for _, s := range servers[:len(o.Addresses)] {
		if n := s.ReceiveBuffer(); n < socket.DefaultReceiveBuffer {
			d.Log().Debug("small receive buffers: bursts of queries may be lost; raise net.core.rmem_max, or ReceiveBuffer= of the socket unit", "octets", n, "wanted", socket.DefaultReceiveBuffer)
			break
		}
	}
	d.Adopt(connections)
	d.Registry().MustRegister(metrics(servers))
	return nil
}

// open opens one address, or uses the service manager's sockets for it.
func (o *Options) open(d *daemon.Daemon, a netip.AddrPort, files []*os.File, secured bool) (*socket.Server, error) {
	workers := max(o.Workers, datagram(files))
	opts := socket.Options{
		UDP:     socket.UDPOptions{Workers: workers, Room: max(o.MaxUDP, socket.DefaultRoom), Own: !d.Kept()},
		TCP:     socket.TCPOptions{Queues: workers, Idle: o.TCP.Idle, Connections: o.TCP.Clients, PerClient: o.TCP.PerClient, Own: !d.Kept()},
		Pending: o.Pending,
		Hold:    d.Hold(),
	}
	opts.Handler = func(worker int) plane.Handler { return o.Handler(a, worker >= workers) }
	if secured {
		opts.TCP.TLS = o.Certificate.Config()
		opts.Handler = func(int) plane.Handler { return o.Secure(a) }
	}
	if err := opts.Inherit(files); err != nil {
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	return socket.NewServer(a, opts)
}

// byAddress sorts sockets by where they are bound, and keeps connections apart.
func byAddress(files daemon.Sockets) (by map[netip.AddrPort][]*os.File, connections []*os.File, err error) {
	by = map[netip.AddrPort][]*os.File{}
	for _, f := range files {
		k, err := kindOf(f)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("socket %q from the service manager or the old process: %w", f.Name(), err)
		case k.connected:
			connections = append(connections, f)
		default:
			by[k.address] = append(by[k.address], f)
		}
	}
	return by, connections, nil
}

// datagram counts the datagram sockets. What is none of a known kind is found when
// it is opened.
func datagram(files []*os.File) (n int) {
	for _, f := range files {
		if k, err := kindOf(f); err == nil && !k.stream {
			n++
		}
	}
	return n
}

// A kind is what a socket from elsewhere is.
type kind struct {
	address   netip.AddrPort // where it is bound
	stream    bool
	connected bool // a client's stream, not a listening one
}

func kindOf(f *os.File) (k kind, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return k, err
	}
	var name unix.Sockaddr
	var nameErr, typeErr error
	err = raw.Control(func(fd uintptr) {
		name, nameErr = unix.Getsockname(int(fd))
		var typ int
		typ, typeErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		listens, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		k.stream = typ == unix.SOCK_STREAM
		k.connected = k.stream && listens == 0
	})
	if err = errors.Join(err, os.NewSyscallError("getsockname", nameErr), os.NewSyscallError("getsockopt", typeErr)); err != nil {
		return k, err
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		k.address = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		k.address = netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port))
	default:
		return k, errors.New("not an internet socket")
	}
	return k, nil
}
