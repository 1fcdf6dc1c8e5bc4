package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An Heir takes an established connection over for another process: nothing of it
// is unread or unsent here. The file is the giver's to close. It may be called by
// many goroutines.
type Heir func(conn *os.File) error

const (
	// restLimit bounds how long a client may take to send the rest of a query it
	// had begun when reading stopped, and how long queries are read that nobody
	// else will read.
	restLimit = 250 * time.Millisecond
	// firstLimit is restLimit for a TLS client that has not asked anything yet: it
	// may still be shaking hands.
	firstLimit = 2 * time.Second
)

// readRest reads, after stop, the query that has begun to come, octet by octet so
// that nothing behind it is taken; where there is no heir, also those that have
// come already. It tells whether the connection stands between two queries. TLS is
// not read any further: what has come is not known before it is deciphered.
func (c *conn) readRest() bool {
	if c.raw == nil || c.in == nil {
		return false
	}
	ahead, _ := c.in.Peek(c.in.Buffered()) // what is buffered is there
	buffered := bytes.NewReader(ahead)
	in := io.MultiReader(buffered, c.nc)
	limit := time.Now().Add(restLimit)
	for time.Now().Before(limit) {
		if c.half == nil && buffered.Len() == 0 && (c.tcp.heir != nil || !c.atHand()) {
			return true
		}
		if !c.awaits && !c.slotBy(limit) {
			return false
		}
		c.nc.SetReadDeadline(limit)
		// Who saw stopped before stop came to this connection is interrupted once more.
		if err := c.readQuery(in); err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(limit)) {
			return false
		}
	}
	return false
}

// atHand tells whether there is something to read.
func (c *conn) atHand() bool {
	n := 0
	c.raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n > 0
}

// slotBy is takeSlot with a limit of its own.
func (c *conn) slotBy(limit time.Time) bool {
	timer := time.NewTimer(time.Until(limit))
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		c.awaits = true
		return true
	case <-timer.C:
	case <-c.tcp.closed:
	}
	return false
}

// bequeath gives the connection to the heir. It ends here as if he had not taken
// it; where he has, the client does not notice.
func (c *conn) bequeath() {
	file, err := duplicate(c.raw, "connection")
	if err != nil {
		return
	}
	defer file.Close()
	if c.tcp.heir(file) == nil {
		c.tcp.counters.bequeathed.Add(1)
	}
}

// Adopt goes on with a connection that another process has given away, if it was
// made to this listener. The file stays the caller's to close.
func (t *TCP) Adopt(file *os.File) (ours bool, err error) {
	nc, err := net.FileConn(file)
	if err != nil {
		return false, fmt.Errorf("adopt connection: %w", err)
	}
	if t.options.TLS != nil || !t.accepts(unmapped(nc.LocalAddr())) {
		nc.Close()
		return false, nil
	}
	t.mu.Lock()
	if t.isStopped() {
		t.mu.Unlock()
		nc.Close()
		return true, net.ErrClosed
	}
	t.reading.Add(1)
	t.mu.Unlock()
	defer t.reading.Done()
	t.counters.adopted.Add(1)
	t.admit(nc)
	return true, nil
}

// accepts tells whether connections to an address come from this listener.
func (t *TCP) accepts(local netip.AddrPort) bool {
	at := t.address
	if at.Addr().IsUnspecified() {
		return at.Port() == local.Port() && at.Addr().Is4() == local.Addr().Is4()
	}
	return at == local
}

// Adopt goes on with a connection that another process has given away, if it was
// made to this address.
func (s *Server) Adopt(conn *os.File) (ours bool, err error) {
	return s.stream.Adopt(conn)
}

// Bequeath makes Drain leave to another process, which has the Sockets already,
// what waits in them, and give the heir the connections, where there is one.
func (s *Server) Bequeath(heir func(conn *os.File) error) {
	s.begin.Lock()
	defer s.begin.Unlock()
	s.kept, s.heir = true, heir
}

// Sockets are copies of the bound sockets of the address, for another process to
// use beside this one: datagram sockets, then the listening stream socket. They
// are the caller's to close.
func (s *Server) Sockets() (files []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			files, err = nil, fmt.Errorf("copy sockets of %s: %w", s.Address(), err)
		}
	}()
	for _, q := range s.udp.queues {
		if !q.enter() {
			return files, net.ErrClosed
		}
		fd, err := unix.FcntlInt(uintptr(q.fd), unix.F_DUPFD_CLOEXEC, 0)
		q.leave()
		if err != nil {
			return files, os.NewSyscallError("dup", err)
		}
		files = append(files, os.NewFile(uintptr(fd), s.String()))
	}
	raw, err := s.stream.listener.SyscallConn()
	if err != nil {
		return files, err
	}
	file, err := duplicate(raw, s.String())
	if err != nil {
		return files, err
	}
	return append(files, file), nil
}
