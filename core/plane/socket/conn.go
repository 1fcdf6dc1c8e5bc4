package socket

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A conn is one client's connection: a goroutine that reads, and replies written
// by whoever has them, helped by a second goroutine only while the client does
// not take them at once.
type conn struct {
	tcp    *TCP
	queue  *tcpQueue
	id     uint64
	nc     net.Conn
	client netip.AddrPort
	in     *bufio.Reader
	half   *message // the query that is being read, of which have octets are there
	have   int

	slots   chan struct{} // one for each query in flight, and the one awaited
	awaits  bool          // the reader holds a slot for the query it awaits
	settled chan struct{} // told when the last is answered after the client's last
	ended   atomic.Bool   // the client has sent its last
	asked   atomic.Bool   // a query has come
	lively  atomic.Int64  // when a reply last left, since started

	mu      sync.Mutex
	out     []byte // framed replies
	writing int    // octets a writer is busy with; its goroutine runs while not zero
	dead    bool
	raw     syscall.RawConn // nil with TLS
	attempt func(fd uintptr) bool
	wrote   int // by the last attempt
}

func newConn(t *TCP, q *tcpQueue, id uint64, nc net.Conn, client netip.AddrPort) *conn {
	c := &conn{
		tcp: t, queue: q, id: id, nc: nc, client: client,
		slots: make(chan struct{}, t.options.InFlight), settled: make(chan struct{}, 1),
	}
	if t.options.TLS != nil {
		c.nc = tls.Server(nc, t.options.TLS)
		return c
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		c.raw, _ = tcp.SyscallConn() // fails on closed connections only: then reading does too
		c.attempt = c.tryWrite
	}
	return c
}

// run is a connection's life: read, let what is in flight be answered, end.
func (c *conn) run() {
	defer c.kill()
	err := c.read()
	between := c.tcp.isStopped() && !errors.Is(err, io.EOF) && !errors.Is(err, errMalformed)
	if between {
		between = c.readRest()
	}
	if c.half != nil {
		messages.Put(c.half)
	}
	c.tcp.reading.Done()
	switch {
	case c.tcp.isStopped() || errors.Is(err, io.EOF):
		if c.settle() && between && c.tcp.heir != nil {
			c.bequeath()
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.tcp.counters.idle.Add(1)
	case errors.Is(err, errMalformed):
		c.tcp.counters.malformed.Add(1)
	}
}

var errMalformed = errors.New("not a message")

// read hands the client's queries to the queue until the client has sent its
// last (io.EOF), is idle for too long, or sends what is no message.
func (c *conn) read() error {
	if err := c.shakeHands(); err != nil {
		return err
	}
	c.in = bufio.NewReaderSize(c.nc, 2048)
	for {
		if err := c.takeSlot(); err != nil {
			return err
		}
		if err := c.awaitQuery(c.in); err != nil {
			return err
		}
		switch err := c.readQuery(c.in); {
		case err == nil:
		case c.tcp.isStopped():
			return net.ErrClosed
		default:
			return errMalformed
		}
	}
}

// shakeHands is TLS's, done apart to have its own limit and its own count.
func (c *conn) shakeHands() error {
	secured, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	limit := time.Since(started) + c.tcp.options.Idle
	c.nc.SetWriteDeadline(started.Add(limit))
	if err := c.readBy(limit); err != nil {
		return err
	}
	if err := secured.Handshake(); err != nil {
		return errMalformed
	}
	return nil
}

// takeSlot waits until fewer queries than the limit are in flight.
func (c *conn) takeSlot() error {
	select {
	case c.slots <- struct{}{}:
		c.awaits = true
		return nil
	default:
	}
	timer := time.NewTimer(c.tcp.options.Idle)
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		c.awaits = true
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	case <-c.tcp.stopped:
		if c.raw == nil && c.slotBy(c.lastCall()) {
			return nil
		}
		return net.ErrClosed
	}
}

// awaitQuery waits for a message's length, for as long as there is life: since
// the last query, or since the last reply.
func (c *conn) awaitQuery(in *bufio.Reader) error {
	if wholeBuffered(in) {
		return nil
	}
	since := time.Since(started)
	for {
		if err := c.readBy(since + c.tcp.options.Idle); err != nil {
			return err
		}
		_, err := in.Peek(2)
		lively := time.Duration(c.lively.Load())
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF) && in.Buffered() > 0:
			return errMalformed
		case !errors.Is(err, os.ErrDeadlineExceeded) || lively <= since:
			return err
		}
		since = lively
	}
}

// wholeBuffered tells whether the next message needs no more reading.
func wholeBuffered(in *bufio.Reader) bool {
	if in.Buffered() < 2 {
		return false
	}
	length, _ := in.Peek(2) // is there
	return in.Buffered() >= 2+int(binary.BigEndian.Uint16(length))
}

// readBy sets until when a read may take. It looks at stopped after that, and stop
// interrupts after it has closed stopped: one of them sees the other.
func (c *conn) readBy(at time.Duration) error {
	if err := c.nc.SetReadDeadline(started.Add(at)); err != nil {
		return err
	}
	switch {
	case !c.tcp.isStopped():
		return nil
	case c.raw != nil || !time.Now().Before(c.lastCall()):
		return net.ErrClosed
	}
	return c.interrupt()
}

// interrupt ends, when reading has stopped, the read that is going on: now, or with
// TLS at the last call.
func (c *conn) interrupt() error {
	if c.raw == nil {
		return c.nc.SetReadDeadline(c.lastCall())
	}
	return c.nc.SetReadDeadline(time.Unix(1, 0))
}

// lastCall is until when a TLS connection is read after stop. It can be given to
// nobody, so its client is heard a little longer: who has just come is about to ask.
func (c *conn) lastCall() time.Time {
	if c.asked.Load() {
		return c.tcp.since.Add(restLimit)
	}
	return c.tcp.since.Add(firstLimit)
}

// readQuery reads a message, or the rest of it, and hands it over. What has been
// read of it is kept when that fails. A client has the idle limit to send the
// whole of it.
func (c *conn) readQuery(in io.Reader) error {
	if c.half == nil {
		c.half, c.have = messages.Get().(*message), 0
	}
	need := 2
	for c.have < need || need == 2 {
		if c.have >= 2 {
			if need += int(binary.BigEndian.Uint16(c.half[:])); need == 2 {
				return errMalformed
			}
		}
		n, err := io.ReadFull(in, c.half[c.have:need])
		if c.have += n; err != nil {
			return err
		}
	}
	m := c.half
	c.half, c.awaits = nil, false
	c.asked.Store(true)
	select {
	case c.queue.arrivals <- arrival{from: c, message: m, size: need - 2}:
		return nil
	case <-c.tcp.closed:
		messages.Put(m)
		return net.ErrClosed
	}
}

// settle waits, for the idle limit at most, until what is in flight is answered
// and taken, and tells whether it is: clients may close their half first
// (RFC 7766 §6.2.4).
func (c *conn) settle() bool {
	if c.awaits {
		c.freeSlot()
	}
	c.ended.Store(true)
	timer := time.NewTimer(c.tcp.options.Idle)
	defer timer.Stop()
	for len(c.slots) > 0 || c.unsent() > 0 {
		select {
		case <-c.settled:
		case <-timer.C:
			return false
		case <-c.tcp.closed:
			return false
		}
		if c.isDead() {
			return false
		}
	}
	return true
}

func (c *conn) freeSlot() {
	select {
	case <-c.slots:
	default: // a reply more than there were queries
	}
}

// drop takes a query off those in flight: it is answered, or stays without a reply.
func (c *conn) drop() {
	c.freeSlot()
	c.note()
}

// note tells settle to look again.
func (c *conn) note() {
	if c.ended.Load() {
		select {
		case c.settled <- struct{}{}:
		default:
		}
	}
}
