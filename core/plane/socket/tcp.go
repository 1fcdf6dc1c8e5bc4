package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// TCPOptions are how connections are taken and limited. The zero value is right
// for most.
type TCPOptions struct {
	Queues      int           // queues the connections are spread over; 0: one
	Idle        time.Duration // without a query or a reply a connection is closed; 0: DefaultIdle
	Write       time.Duration // in which a client must take what is sent to it; 0: DefaultWrite
	Connections int           // at once; 0: DefaultConnections
	PerClient   int           // at once, of one IPv4 address or IPv6 /64; 0: DefaultPerClient
	InFlight    int           // queries of one connection unanswered at once; 0: DefaultInFlight
	Unsent      int           // octets waiting for a slow client, 65,537 at least; 0: DefaultUnsent
	TLS         *tls.Config   // set: DNS over TLS (RFC 7858)
	// Share lets other processes of the same user listen on the same address.
	Share bool
	// File is a listening socket from the service manager to use instead of
	// opening one. It stays the caller's to close, and keeps the connections that
	// wait in it when it is stopped, unless Own says that nobody else will have it
	// by then.
	File *os.File
	Own  bool
}

const (
	// DefaultIdle is of the order RFC 7766 §6.2.3 asks for.
	DefaultIdle = 10 * time.Second
	// DefaultWrite is long for a client that reads at all.
	DefaultWrite = 5 * time.Second
	// DefaultConnections costs some 25 MB when all are open and idle.
	DefaultConnections = 2048
	// DefaultPerClient is high, as behind one address there may be a whole host:
	// all programs of a machine ask its node cache from 127.0.0.1.
	DefaultPerClient = 512
	// DefaultInFlight is beyond what resolvers pipeline.
	DefaultInFlight = 128
	// DefaultUnsent holds four replies of the largest kind.
	DefaultUnsent = 256 << 10
)

// maxMessageTCP is the largest message behind a 2-octet length (RFC 1035 §4.2.2).
const maxMessageTCP = 65535

func (o TCPOptions) filled() TCPOptions {
	o.Queues = max(o.Queues, 1)
	o.Idle = or(o.Idle, DefaultIdle)
	o.Write = or(o.Write, DefaultWrite)
	o.Connections = or(o.Connections, DefaultConnections)
	o.PerClient = or(o.PerClient, DefaultPerClient)
	o.InFlight = or(o.InFlight, DefaultInFlight)
	o.Unsent = max(or(o.Unsent, DefaultUnsent), maxMessageTCP+2)
	return o
}

// TCP is a listener, its connections, and the queues their queries arrive in.
type TCP struct {
	options  TCPOptions
	listener *net.TCPListener
	address  netip.AddrPort
	queues   []*tcpQueue
	counters streamCounters

	mu      sync.RWMutex
	conns   map[uint64]*conn // by number; none is given twice
	clients map[netip.Prefix]int
	last    uint64

	accepted  chan struct{}  // no more connections
	stopped   chan struct{}  // no more queries
	closed    chan struct{}  // no more anything
	reading   sync.WaitGroup // those who may put a query into a queue
	all       sync.WaitGroup
	kept      bool      // the socket outlives us; set before stopped is closed
	since     time.Time // of the stop; set before stopped is closed
	heir      Heir      // takes the connections over; set before stopped is closed
	stopOnce  sync.Once
	closeOnce sync.Once
}

// ListenTCP listens and begins to accept; port 0 picks a free one. Errors name
// the address and say what would be right.
func ListenTCP(address netip.AddrPort, o TCPOptions) (*TCP, error) {
	o = o.filled()
	listener, err := openTCP(address, o)
	if err != nil {
		return nil, advise("tcp", address, err)
	}
	t := &TCP{
		options: o, listener: listener, address: unmapped(listener.Addr()),
		conns: make(map[uint64]*conn), clients: make(map[netip.Prefix]int),
		accepted: make(chan struct{}), stopped: make(chan struct{}), closed: make(chan struct{}),
	}
	for range o.Queues {
		t.queues = append(t.queues, newTCPQueue(t))
	}
	t.reading.Add(1)
	t.all.Go(t.accept)
	t.all.Go(func() {
		<-t.stopped
		t.reading.Wait()
		for _, q := range t.queues {
			close(q.arrivals)
		}
	})
	return t, nil
}

func openTCP(address netip.AddrPort, o TCPOptions) (*net.TCPListener, error) {
	if o.File != nil {
		listener, err := net.FileListener(o.File)
		if err != nil {
			return nil, fmt.Errorf("inherited socket %q (ListenStream= in the socket unit?): %w", o.File.Name(), err)
		}
		stream, ok := listener.(*net.TCPListener)
		if !ok {
			listener.Close()
			return nil, fmt.Errorf("inherited socket %q is no TCP socket", o.File.Name())
		}
		return stream, nil
	}
	network := "tcp6"
	if address.Addr().Is4() {
		network = "tcp4"
	}
	config := net.ListenConfig{KeepAlive: -1} // the idle limit is shorter
	if o.Share {
		config.Control = shareListener
	}
	listener, err := config.Listen(context.Background(), network, address.String())
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the address is said by the caller
	}
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

func shareListener(_, _ string, raw syscall.RawConn) error {
	var err error
	return errors.Join(raw.Control(func(fd uintptr) {
		err = set(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}), err)
}

func unmapped(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// accept takes connections until stop. Out of descriptors it waits a little: the
// idle limit gives some back.
func (t *TCP) accept() {
	defer t.reading.Done()
	defer close(t.accepted)
	defer t.listener.Close()
	pause := time.Duration(0)
	for {
		nc, err := t.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			t.admit(nc)
		case t.isStopped():
			if !t.kept {
				t.acceptRest()
			}
			return
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-t.stopped:
				return
			case <-time.After(pause):
			}
		}
	}
}

// mostWaiting bounds how many connections acceptRest takes: as many as wait at
// most (net.core.somaxconn).
const mostWaiting = 4096

// acceptRest takes the connections that the kernel has made for a listener that
// nobody else has: closing it would reset them, their first queries unread.
func (t *TCP) acceptRest() {
	raw, err := t.listener.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for range mostWaiting {
			next, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			file := os.NewFile(uintptr(next), "")
			nc, err := net.FileConn(file)
			file.Close()
			if err == nil {
				t.admit(nc)
			}
		}
	})
}

// admit starts a connection, or closes it where a limit is reached.
func (t *TCP) admit(nc net.Conn) {
	client := unmapped(nc.RemoteAddr())
	who := sharedFate(client.Addr())
	t.mu.Lock()
	if len(t.conns) >= t.options.Connections || t.clients[who] >= t.options.PerClient {
		t.mu.Unlock()
		t.counters.refused.Add(1)
		nc.Close()
		return
	}
	t.last++
	c := newConn(t, t.queues[t.last%uint64(len(t.queues))], t.last, nc, client)
	t.conns[c.id] = c
	t.clients[who]++
	t.reading.Add(1)
	t.mu.Unlock()
	t.counters.accepted.Add(1)
	t.all.Go(func() {
		c.run()
		t.forget(c, who)
	})
}

// sharedFate is whose connections count together: an IPv6 host has a whole /64.
func sharedFate(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	prefix, _ := a.WithZone("").Prefix(bits) // fails for invalid addresses only: all alike
	return prefix
}

func (t *TCP) forget(c *conn, who netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c.id)
	if t.clients[who]--; t.clients[who] <= 0 {
		delete(t.clients, who)
	}
}

// connection finds the one with that number, nil when it has gone.
func (t *TCP) connection(id uint64) *conn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.conns[id]
}

func (t *TCP) open() []*conn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	conns := make([]*conn, 0, len(t.conns))
	for _, c := range t.conns {
		conns = append(conns, c)
	}
	return conns
}

func (t *TCP) isStopped() bool {
	select {
	case <-t.stopped:
		return true
	default:
		return false
	}
}

// Queues returns the queues; each needs somebody who serves it.
func (t *TCP) Queues() []plane.Queue {
	queues := make([]plane.Queue, len(t.queues))
	for i, q := range t.queues {
		queues[i] = q
	}
	return queues
}

// Address is where it listens, with the port that was picked.
func (t *TCP) Address() netip.AddrPort { return t.address }

// Counts returns what the connections have done. It may be called at any time.
func (t *TCP) Counts() StreamCounts {
	t.mu.RLock()
	open := len(t.conns)
	t.mu.RUnlock()
	return t.counters.read(open)
}

// Stop ends accepting and reading. What clients have sent by then is read, over TLS
// also what they send in the quarter of a second after, and when it is handed out
// Receive returns net.ErrClosed. Each connection ends when
// its replies have been taken.
func (t *TCP) Stop() { t.stop(false, nil) }

// stop is Stop; kept leaves the connections that wait to be accepted to another
// process, and an heir gets the others as soon as each is between two queries.
func (t *TCP) stop(kept bool, heir Heir) {
	t.stopOnce.Do(func() {
		t.mu.Lock()
		t.kept, t.heir = kept || t.options.File != nil && !t.options.Own, heir
		t.since = time.Now()
		close(t.stopped)
		t.mu.Unlock()
		t.listener.SetDeadline(time.Unix(1, 0))
		<-t.accepted
		for _, c := range t.open() {
			c.interrupt()
		}
	})
}

// Settle waits, after Stop, until all connections have ended, their replies taken,
// or ctx is done.
func (t *TCP) Settle(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for len(t.open()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close ends all connections and waits for their goroutines. It may be called
// more than once.
func (t *TCP) Close() error {
	t.Stop()
	t.closeOnce.Do(func() {
		close(t.closed)
		for _, c := range t.open() {
			c.kill()
		}
	})
	t.all.Wait()
	return nil
}

// StreamCounts is what a TCP or TLS listener has done since it was opened.
type StreamCounts struct {
	Open       int    // connections now
	Accepted   uint64 // connections
	Refused    uint64 // connections over a limit
	Received   uint64 // queries
	Sent       uint64 // replies that left with their batch
	Late       uint64 // replies delivered later
	Gone       uint64 // replies whose connection had gone
	Idle       uint64 // connections closed for want of queries
	Slow       uint64 // connections closed as their client didn't take its replies
	Bequeathed uint64 // connections given to another process
	Adopted    uint64 // connections taken over from one
	Malformed  uint64 // connections closed on half a message or none, or a failed TLS handshake
}

type streamCounters struct {
	accepted, refused, received, sent, late, gone, idle, slow, malformed, bequeathed, adopted atomic.Uint64
}

func (c *streamCounters) read(open int) StreamCounts {
	return StreamCounts{
		Open: open, Accepted: c.accepted.Load(), Refused: c.refused.Load(), Received: c.received.Load(),
		Sent: c.sent.Load(), Late: c.late.Load(), Gone: c.gone.Load(), Idle: c.idle.Load(),
		Slow: c.slow.Load(), Malformed: c.malformed.Load(), Bequeathed: c.bequeathed.Load(), Adopted: c.adopted.Load(),
	}
}
