package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// UDPOptions are how UDP sockets are opened. The zero value is right for most.
type UDPOptions struct {
	Workers       int // sockets, and queues; 0: one
	Room          int // octets of the largest datagram, in and out, 512 to 4096; 0: DefaultRoom
	ReceiveBuffer int // octets asked of the kernel; 0: DefaultReceiveBuffer
	SendBuffer    int // octets asked of the kernel; 0: DefaultSendBuffer
	// Gather is the longest a batch may wait to fill when queries are many;
	// 0: DefaultGather, negative: never. A lone query never waits.
	Gather time.Duration
	// Share lets other processes of the same user be bound to the same address
	// and take a share of the queries, as for a restart without a gap.
	Share bool
	// NoSegments sends each reply as a message of its own, never several to one
	// client by UDP_SEGMENT.
	NoSegments bool
	// Files are bound sockets from the service manager to use instead of opening
	// some. With fewer files than workers, workers share them. They stay the
	// caller's to close, and keep what waits in them when the queues are stopped,
	// unless Own says that nobody else will have them by then.
	Files []*os.File
	Own   bool
}

const (
	// DefaultRoom fits every path without fragments (RFC 9715 §3.2: 1,232).
	DefaultRoom = 1232
	// DefaultReceiveBuffer holds some 21,000 small queries (the kernel doubles it
	// and counts 768 octets and more for each): a whole site's, at once, behind an
	// outage. It is taken up as it fills.
	DefaultReceiveBuffer = 8 << 20
	// DefaultSendBuffer holds as much as a device's queue takes in a burst.
	DefaultSendBuffer = 1 << 20
	// DefaultGather gathers ten queries at 100,000 a second, within a round trip in
	// a datacenter.
	DefaultGather = 100 * time.Microsecond

	minRoom, maxRoom = 512, 4096
)

func (o UDPOptions) filled() (UDPOptions, error) {
	o.Workers = or(o.Workers, max(1, len(o.Files)))
	o.Room = or(o.Room, DefaultRoom)
	o.ReceiveBuffer = or(o.ReceiveBuffer, DefaultReceiveBuffer)
	o.SendBuffer = or(o.SendBuffer, DefaultSendBuffer)
	o.Gather = or(o.Gather, DefaultGather)
	if o.Room < minRoom || o.Room > maxRoom {
		return o, fmt.Errorf("datagrams of %d octets: %d to %d are possible", o.Room, minRoom, maxRoom)
	}
	if o.Workers < len(o.Files) {
		return o, fmt.Errorf("%d workers for %d inherited sockets: the others' queries would wait for ever", o.Workers, len(o.Files))
	}
	return o, nil
}

// or is value, or its default where it is zero.
func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// UDP is the sockets of one address.
type UDP struct {
	address netip.AddrPort
	queues  []*udpQueue
}

// ListenUDP opens a socket for each worker, all bound to the same address; port
// 0 picks a free one. Errors name the address and say what would be right.
func ListenUDP(address netip.AddrPort, o UDPOptions) (*UDP, error) {
	o, err := o.filled()
	if err != nil {
		return nil, fmt.Errorf("listen udp %s: %w", address, err)
	}
	u := &UDP{address: address}
	for worker := range o.Workers {
		if err := u.add(worker, o); err != nil {
			u.Close()
			return nil, advise("udp", address, err)
		}
	}
	return u, nil
}

// add opens the next worker's socket, or takes it from the files.
func (u *UDP) add(worker int, o UDPOptions) error {
	var fd int
	var err error
	if len(o.Files) > 0 {
		fd, err = inheritUDP(o.Files[worker%len(o.Files)], o)
	} else {
		fd, err = openUDP(u.address, o, o.Share || worker > 0)
	}
	if err != nil {
		return err
	}
	bound, err := boundTo(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	h, err := newHandle(fd)
	if err != nil {
		unix.Close(fd)
		return os.NewSyscallError("eventfd", err)
	}
	if worker == 0 {
		u.address = bound
	}
	u.queues = append(u.queues, newQueue(h, o, bound.Addr().Is6(), bound.Addr().IsUnspecified(), len(o.Files) > 0 && !o.Own))
	return nil
}

// inheritUDP makes an own descriptor for a socket that somebody else opened.
func inheritUDP(file *os.File, o UDPOptions) (int, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(theirs uintptr) {
		fd, dupErr = unix.FcntlInt(theirs, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, os.NewSyscallError("dup", dupErr)
	}
	if err := checkUDP(fd, o); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("inherited socket %q: %w", file.Name(), err)
	}
	return fd, nil
}

func checkUDP(fd int, o UDPOptions) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if kind != unix.SOCK_DGRAM {
		return errors.New("not a datagram socket (ListenDatagram= in the socket unit)")
	}
	bound, err := boundTo(fd)
	if err != nil {
		return err
	}
	domain := unix.AF_INET
	if bound.Addr().Is6() {
		domain = unix.AF_INET6
	}
	return prepareUDP(fd, domain, bound.Addr().IsUnspecified(), o)
}

// Queues returns a queue for each worker.
func (u *UDP) Queues() []plane.Queue {
	queues := make([]plane.Queue, len(u.queues))
	for i, q := range u.queues {
		queues[i] = q
	}
	return queues
}

// Address is where the sockets are bound, with the port that was picked.
func (u *UDP) Address() netip.AddrPort { return u.address }

// ReceiveBuffer is the octets that the kernel granted the smallest of the sockets:
// what was asked for, or less (net.core.rmem_max, which only CAP_NET_ADMIN lifts).
func (u *UDP) ReceiveBuffer() int {
	least := 0
	for _, q := range u.queues {
		if !q.enter() {
			continue
		}
		doubled, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		q.leave()
		if err == nil && (least == 0 || doubled/2 < least) {
			least = doubled / 2
		}
	}
	return least
}

// Counts returns what each queue has done. It may be called at any time.
func (u *UDP) Counts() []Counts {
	counts := make([]Counts, len(u.queues))
	for i, q := range u.queues {
		counts[i] = q.counters.read()
	}
	return counts
}

// Stop ends receiving: once what the kernel holds is read (inherited sockets
// keep it for the next process), Receive returns net.ErrClosed. From then on
// clients are told at once that nobody listens (ICMP port unreachable). Late
// replies still leave until Close.
func (u *UDP) Stop() { u.stop(false) }

// stop is Stop; kept leaves what the kernel holds to another process.
func (u *UDP) stop(kept bool) {
	for _, q := range u.queues {
		q.kept = q.kept || kept // before stopped, after which the worker reads it
		if !q.kept && q.enter() {
			turnAway(q.fd)
			q.leave()
		}
		q.stop()
	}
}

// Close ends everything. It may be called more than once.
func (u *UDP) Close() error {
	for _, q := range u.queues {
		q.Close()
	}
	return nil
}
