package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	poolSize       = 8               // sockets open to one server at a time, per shard
	socketQueries  = 512             // after which a socket is replaced
	socketLife     = 5 * time.Second // the same
	socketGrace    = time.Second     // a replaced socket waits so long for late replies
	socketsPlenty  = 256             // with so many open in a shard …
	crowdedQueries = 16384           // … they are used longer: descriptors are scarce
	floodReplies   = 16              // made-up replies to one socket that are an attack
	portDraws      = 16
	// receiveBuffer holds replies to all the queries of a socket at once, small ones
	// (the kernel doubles it and counts 768 octets and more for each).
	receiveBuffer = 1 << 20
)

// A socket is a connected UDP socket on a source port drawn by lot: the kernel
// drops what comes from any other address or port, and tells us when nobody
// listens there. Pools replace sockets often, so that a port that was found out
// is soon worth nothing.
type socket struct {
	fd      int
	server  *server
	table   table
	live    int // queries without a reply that somebody wants
	sends   int // packets on their way out: the descriptor is kept
	sent    int
	born    int64
	last    int64 // when the last query was sent
	strange int   // mismatches
	retired bool
	at      int // index in shard.sockets
}

// A pool is what one shard has open to one server.
type pool struct {
	sockets [poolSize]*socket
	lot     int    // which of them was drawn
	bunch   uint64 // for what
	conns   []*conn
	redial  int64 // when to connect again
	wait    time.Duration
	refusal error // why not before
}

// spent reports whether a socket should be replaced.
func (k *socket) spent(now int64, crowded bool) bool {
	most := socketQueries
	if crowded {
		most = crowdedQueries
	}
	return k.sent >= most || now-k.born > int64(socketLife)
}

// socket picks one of a server's sockets by lot and replaces it where it is
// spent. Queries that leave together take the same, with IDs drawn for each: who
// guesses has to find its port as well.
func (s *shard) socket(to *server, now int64) (*socket, error) {
	p := &to.pools[s.index]
	if p.bunch != s.bunch {
		p.lot, p.bunch = int(s.lots.uint16()%poolSize), s.bunch
	}
	at := &p.sockets[p.lot]
	if *at != nil && !(*at).spent(now, len(s.sockets) > socketsPlenty) {
		return *at, nil
	}
	fresh, err := s.openSocket(to, now)
	if err != nil {
		for _, k := range p.sockets { // out of descriptors, for one
			if k != nil && k.sent < crowdedQueries {
				return k, nil
			}
		}
		return nil, err
	}
	if *at != nil {
		(*at).retired = true
	}
	*at = fresh
	return fresh, nil
}

// retire takes a socket out of its pool: nothing is sent from it any more.
func (s *shard) retire(k *socket) {
	k.retired = true
	for i, other := range k.server.pools[s.index].sockets {
		if other == k {
			k.server.pools[s.index].sockets[i] = nil
		}
	}
}

func (s *shard) openSocket(to *server, now int64) (*socket, error) {
	fd, err := s.connect(to)
	if err != nil {
		return nil, err
	}
	k := &socket{}
	if n := len(s.spare); n > 0 {
		k, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	k.fd, k.server, k.born, k.last = fd, to, now, now
	k.at = len(s.sockets)
	s.sockets = append(s.sockets, k)
	s.byFD[int32(fd)] = k
	return k, nil
}

// connect makes a socket on a port of our own choice, to one server.
func (s *shard) connect(to *server) (fd int, err error) {
	fd, err = unix.Socket(to.sockaddr.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket to %s: %w", to.Addr, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // as much as an unprivileged process may
	}
	if err = s.bind(fd, to.sockaddr.family); err != nil {
		return fd, fmt.Errorf("bind a socket to %s: %w", to.Addr, err)
	}
	if err = to.sockaddr.connect(fd); err != nil {
		return fd, fmt.Errorf("connect a socket to %s: %w", to.Addr, err)
	}
	// Anybody could have sent to the port until it was connected.
	for err == nil {
		_, err = unix.Read(fd, s.scratch[:])
	}
	if err = s.epoll.watch(fd); err != nil {
		return fd, fmt.Errorf("watch a socket to %s: %w", to.Addr, err)
	}
	return fd, nil
}

func (s *shard) bind(fd, family int) error {
	for range portDraws {
		port := int(s.engine.ports.draw(s.lots.uint32()))
		if port == 0 {
			continue
		}
		var local unix.Sockaddr = &unix.SockaddrInet4{Port: port}
		if family == unix.AF_INET6 {
			local = &unix.SockaddrInet6{Port: port}
		}
		if err := unix.Bind(fd, local); err != unix.EADDRINUSE {
			return err
		}
	}
	return unix.EADDRINUSE
}

// closeSocket gives the descriptor back. Only the receiving goroutine may:
// it alone knows descriptors without holding the lock.
func (s *shard) closeSocket(k *socket) {
	_ = unix.Close(k.fd)
	delete(s.byFD, int32(k.fd))
	last := s.sockets[len(s.sockets)-1]
	s.sockets[k.at], last.at = last, k.at
	s.sockets[len(s.sockets)-1] = nil
	s.sockets = s.sockets[:len(s.sockets)-1]
	if len(s.spare) < 2*poolSize {
		k.table.reset()
		*k = socket{table: k.table}
		s.spare = append(s.spare, k)
	}
}

// closable reports whether nobody needs a socket any more.
func (k *socket) closable(now int64) bool {
	return k.retired && k.live == 0 && k.sends == 0 && now-k.last > int64(socketGrace)
}

// send writes one datagram without blocking. A raw system call will do: it only
// ever waits for the packet to be handed on.
func (k *socket) send(packet []byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(k.fd), uintptr(unsafe.Pointer(&packet[0])),
		uintptr(len(packet)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno
}

// A sockaddr is a server's address, ready for connect(2).
type sockaddr struct {
	family int
	addr   netip.AddrPort
	zone   uint32 // interface index, of link-local IPv6 addresses
}

func sockaddrOf(a netip.AddrPort) (sockaddr, error) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return sockaddr{family: unix.AF_INET, addr: netip.AddrPortFrom(ip, a.Port())}, nil
	}
	zone, err := zoneIndex(ip.Zone())
	if err != nil {
		return sockaddr{}, fmt.Errorf("upstream server %s: %w", a, err)
	}
	return sockaddr{unix.AF_INET6, a, zone}, nil
}

// connect gives the kernel a copy of its own: unix.Connect writes into what it
// is given.
func (a sockaddr) connect(fd int) error {
	port := int(a.addr.Port())
	if a.family == unix.AF_INET {
		return unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: a.addr.Addr().As4()})
	}
	return unix.Connect(fd, &unix.SockaddrInet6{Port: port, Addr: a.addr.Addr().As16(), ZoneId: a.zone})
}

func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(iface.Index), nil
}
